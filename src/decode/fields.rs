//! The fields that the contract names, and what each must hold.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Poison, connect, json};
use crate::event::{EntityKind, ID_BYTES_MAX};

/// What a field must hold; null clears any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Tags,
    Address,
    Reference,
    Any,
}

/// The members of an address that the contract names.
const ADDRESS: &[&str] = &["street", "city", "region", "postcode", "country"];

fn type_of(kind: EntityKind, name: &str) -> Type {
    match (kind, name) {
        (_, "name" | "email" | "phone" | "createdAt" | "updatedAt") => Type::Text,
        (_, "tags") => Type::Tags,
        (EntityKind::Organisation, "type" | "status" | "industry" | "website") => Type::Text,
        (EntityKind::Organisation, "address") => Type::Address,
        (EntityKind::Organisation, "parentId") => Type::Reference,
        (EntityKind::Contact, "firstName" | "lastName" | "role" | "department") => Type::Text,
        (EntityKind::Contact, "organisationId") => Type::Reference,
        _ => Type::Any,
    }
}

/// The fields of an entity that have a meaning and a name of several words.
pub(super) fn declared(kind: EntityKind) -> impl Iterator<Item = &'static str> {
    const SHARED: [&str; 2] = ["createdAt", "updatedAt"];
    let own: &[&str] = match kind {
        EntityKind::Organisation => &["parentId"],
        EntityKind::Contact => &["organisationId", "firstName", "lastName"],
    };
    SHARED.iter().chain(own).copied()
}

/// True of a field without a meaning.
pub(super) fn is_unknown(kind: EntityKind, name: &str) -> bool {
    type_of(kind, name) == Type::Any
}

/// True of the fields that name another entity.
pub(super) fn is_reference(kind: EntityKind, name: &str) -> bool {
    type_of(kind, name) == Type::Reference
}

/// Checks the canonical value of a field; a reference comes back as a JSON string. A column of JSON comes from a
/// database as a string that holds it, and a list of a row may have holes.
pub(super) fn checked(
    kind: EntityKind,
    name: &str,
    canonical: Box<[u8]>,
    is_row: bool,
) -> Result<Box<[u8]>, Poison> {
    let Ok(text) = std::str::from_utf8(&canonical) else { return Err(format!("{name}: not UTF-8")) };
    if text == "null" {
        return Ok(canonical);
    }
    let expected = match type_of(kind, name) {
        Type::Any => return Ok(canonical),
        Type::Text if text.starts_with('"') => return Ok(canonical),
        Type::Text => "a string",
        Type::Tags if serde_json::from_str::<Vec<json::Text<'_>>>(text).is_ok() => return Ok(canonical),
        Type::Tags if is_row && text.starts_with('[') => match without_nulls(text) {
            Some(tags) => return Ok(tags),
            None => "a list of strings",
        },
        Type::Tags | Type::Address if text.starts_with('"') => match held(name, text) {
            Some(json) => return checked(kind, name, json?, is_row),
            None if type_of(kind, name) == Type::Tags => "a list of strings",
            None => "an object",
        },
        Type::Tags => "a list of strings",
        Type::Address => match address(text) {
            Ok(()) => return Ok(canonical),
            Err(Some(member)) => {
                return Err(format!("{name}.{member}: a string was expected, in {}", super::shown(text)));
            }
            Err(None) => "an object",
        },
        Type::Reference => match id_text(text) {
            Some(id) if id.is_empty() => return Err(format!("{name}: empty, an id or null was expected")),
            Some(id) if id.len() > ID_BYTES_MAX => {
                return Err(format!("{name}: an id of {} bytes, at most {ID_BYTES_MAX} are taken", id.len()));
            }
            Some(id) => {
                return serde_json::to_vec(&id).map(Into::into).map_err(|error| format!("{name}: {error}"));
            }
            None => "a string, an integer or null",
        },
    };
    Err(format!("{name}: {} found, {expected} was expected", super::shown(text)))
}

/// The canonical form of the object or list that a JSON string holds as text.
fn held(name: &str, text: &str) -> Option<Result<Box<[u8]>, Poison>> {
    let held = json::text(text)?;
    let held = held.trim();
    if !held.starts_with(['{', '[']) {
        return None;
    }
    let raw: &RawValue = serde_json::from_str(held).ok()?;
    Some(json::canonical(name, raw))
}

/// A list of strings without the nulls between them.
fn without_nulls(text: &str) -> Option<Box<[u8]>> {
    let tags: Vec<Option<Cow<'_, str>>> = serde_json::from_str(text).ok()?;
    let tags: Vec<Cow<'_, str>> = tags.into_iter().flatten().collect();
    serde_json::to_vec(&tags).ok().map(Into::into)
}

/// The id that a value of this type holds.
pub(super) fn id_said<'a>(json: &'a str, of: Option<&connect::Type>) -> Option<Cow<'a, str>> {
    match of.and_then(|of| of.said(json)) {
        Some(said) => id_text(&said).map(|id| Cow::Owned(id.into_owned())),
        None => id_text(json),
    }
}

/// The id that a JSON string or integer holds.
pub(super) fn id_text(json: &str) -> Option<Cow<'_, str>> {
    if let Some(text) = json::text(json) {
        return Some(text);
    }
    let digits = json.strip_prefix('-').unwrap_or(json);
    let integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    integer.then_some(Cow::Borrowed(if json == "-0" { "0" } else { json }))
}

fn address(text: &str) -> Result<(), Option<String>> {
    let Ok(json::Members(members)) = serde_json::from_str(text) else { return Err(None) };
    let wrong = members.iter().find(|(name, value)| {
        ADDRESS.contains(&&**name) && !value.get().starts_with('"') && value.get() != "null"
    });
    wrong.map_or(Ok(()), |(name, _)| Err(Some(name.to_string())))
}
