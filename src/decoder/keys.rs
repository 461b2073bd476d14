//! The entity's id in a record's key: plain text, or the value that a JSON converter wrote.

use std::borrow::Cow;

use super::connect::{Schemas, Type};
use super::json::{self, Members};
use super::{Poison, converter, excerpt, fields};

/// Stands between the parts of a composite id. No part but the last may hold it, so that two keys never join alike.
const SEPARATOR: char = ':';

/// The id in a key. `names` are the fields that make it; when there are none, an object must have one field only.
pub(super) fn id<'a>(
    key: &'a str,
    names: &[String],
    schemas: &Schemas,
) -> Result<Option<Cow<'a, str>>, Poison> {
    let json = key.trim_start();
    match json.as_bytes().first() {
        Some(b'{') if is_object(json) => object(json.trim_end(), names, schemas),
        Some(b'"') => Ok(Some(json::text(json.trim_end()).unwrap_or(Cow::Borrowed(key)))),
        _ if names.len() > 1 => Err(key_poison(key, names)),
        // An integer or plain text stands for itself.
        _ => Ok(Some(Cow::Borrowed(key))),
    }
}

/// True of a text that begins like an object of JSON, and not like a GUID in braces.
fn is_object(json: &str) -> bool {
    matches!(json.get(1..).and_then(|rest| rest.trim_start().bytes().next()), Some(b'"' | b'}'))
}

fn object<'a>(json: &'a str, names: &[String], schemas: &Schemas) -> Result<Option<Cow<'a, str>>, Poison> {
    let members = json::members("key", json.as_bytes())?;
    let Some(wrapped) = converter::as_wrapper(&members) else {
        return of_members(members, json, names, &Type::Itself).map(Some);
    };
    let of = schemas.read(wrapped.schema);
    match wrapped.payload.get() {
        // The wrapper of a key that is null holds a null: no key.
        "null" => Ok(None),
        payload if payload.starts_with('{') && !matches!(*of, Type::Other(_)) => {
            of_members(json::members("key.payload", payload.as_bytes())?, payload, names, &of).map(Some)
        }
        payload if names.len() > 1 => Err(key_poison(payload, names)),
        payload => fields::id_said(payload, Some(&of)).map(Some).ok_or_else(|| key_poison(payload, names)),
    }
}

fn of_members<'a>(
    members: Members<'a>,
    json: &str,
    names: &[String],
    of: &Type,
) -> Result<Cow<'a, str>, Poison> {
    let members = members.last_of_each();
    if names.is_empty() {
        return match members.as_slice() {
            [(name, id)] => {
                let id = fields::id_said(id.get(), of.member(name)).map(bare);
                id.ok_or_else(|| key_poison(json, names))
            }
            _ => Err(key_poison(json, names)),
        };
    }
    let parts = names.iter().map(|name| {
        let found = members.iter().find(|(key, _)| *key == name.as_str());
        let part = found.and_then(|(_, value)| fields::id_said(value.get(), of.member(name)));
        part.ok_or_else(|| key_poison(json, names))
    });
    join_parts("key", parts.collect::<Result<_, _>>()?)
}

/// The id that the parts of a composite key make.
pub(super) fn join_parts<'a>(place: &str, mut parts: Vec<Cow<'a, str>>) -> Result<Cow<'a, str>, Poison> {
    if parts.len() == 1 {
        return Ok(parts.remove(0));
    }
    let before_last = parts.len().saturating_sub(1);
    match parts.iter().take(before_last).find(|part| part.contains(SEPARATOR)) {
        Some(part) => Err(format!(
            "{place}: {} found, a part without {SEPARATOR:?} was expected because that joins the parts of an id",
            excerpt(part)
        )),
        None => Ok(Cow::Owned(parts.join(SEPARATOR.encode_utf8(&mut [0; 4])))),
    }
}

/// An id as MongoDB's connector writes it, which is JSON inside a string: `"o1"`, `{"$oid":"…"}`.
fn bare(id: Cow<'_, str>) -> Cow<'_, str> {
    let content = match id.as_bytes().first() {
        Some(b'"') => json::text(&id).map(Cow::into_owned),
        Some(b'{') if id.starts_with("{\"$") => {
            json::members("key", id.as_bytes()).ok().and_then(|members| match members.0.as_slice() {
                [(_, value)] => fields::id_text(value.get()).map(Cow::into_owned),
                _ => None,
            })
        }
        _ => None,
    };
    content.map_or(id, Cow::Owned)
}

fn key_poison(json: &str, names: &[String]) -> Poison {
    let json = excerpt(json);
    if names.is_empty() {
        return format!(
            "key: {json} found, an id or an object of one field that holds it was expected. Where several fields make \
             the id, name them by the setting key, as in key = [\"tenant_id\", \"id\"]"
        );
    }
    format!("key: {json} found, an object with the fields {} was expected", names.join(", "))
}
