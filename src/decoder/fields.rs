//! The fields that the model names, and the kind of value that each must hold.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Poison, connect, json};
use crate::event::ID_BYTES_MAX;
use crate::plan::{ChildKey, EntityType, FieldType};

/// The members of an address that the type `address` of the model has.
const ADDRESS: &[&str] = &["street", "city", "region", "postcode", "country"];

fn type_of(of: EntityType, name: &str) -> FieldType {
    of.field_named(name).map_or(FieldType::Any, |field| field.kind)
}

/// The declared fields of an entity type.
pub(super) fn names_of_declared(of: EntityType) -> impl Iterator<Item = &'static str> {
    of.get().fields.iter().map(|field| field.name)
}

/// True of the fields that name another entity, or a list of others.
pub(super) fn is_reference(of: EntityType, name: &str) -> bool {
    matches!(type_of(of, name), FieldType::Reference | FieldType::References)
}

/// The digits of a whole number that a string holds, for a field that is declared as a number.
pub(super) fn digits<'a>(of: EntityType, name: &str, canonical: &'a [u8]) -> Option<&'a [u8]> {
    let is_number = matches!(type_of(of, name), FieldType::Number | FieldType::Integer);
    let content = canonical.strip_prefix(b"\"")?.strip_suffix(b"\"").filter(|_| is_number)?;
    let digits = content.strip_prefix(b"-").unwrap_or(content);
    let is_whole = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    (is_whole && (digits == b"0" || !digits.starts_with(b"0"))).then_some(content)
}

/// Checks the canonical value of a field; a reference comes back as a JSON string. A column of JSON comes from a
/// database as a string that holds it, and a list of a row may have holes.
pub(super) fn check_value(
    (kind, of_type): (EntityType, FieldType),
    name: &str,
    canonical: Box<[u8]>,
    is_row: bool,
) -> Result<Box<[u8]>, Poison> {
    // Most values are of a type that the first byte tells.
    let is_told = !matches!(
        of_type,
        FieldType::Strings | FieldType::Address | FieldType::Reference | FieldType::References
    );
    if *canonical == *b"null" || is_told && of_type.holds(&canonical) {
        return Ok(canonical);
    }
    let Ok(text) = std::str::from_utf8(&canonical) else { return Err(format!("{name}: not UTF-8")) };
    let expected = match of_type {
        FieldType::Any => return Ok(canonical),
        FieldType::String | FieldType::Date => "a string",
        FieldType::Number => "a number",
        FieldType::Integer => "a number without fraction and exponent",
        FieldType::Boolean => "true or false",
        FieldType::Strings if serde_json::from_str::<Vec<json::Text<'_>>>(text).is_ok() => {
            return Ok(canonical);
        }
        FieldType::Strings if is_row && text.starts_with('[') => match without_nulls(text) {
            Some(tags) => return Ok(tags),
            None => "a list of strings",
        },
        FieldType::Strings | FieldType::Address | FieldType::Object if is_row && text.starts_with('"') => {
            match read_text(name, text) {
                Some(json) => return check_value((kind, of_type), name, json?, is_row),
                None if of_type == FieldType::Strings => "a list of strings",
                None => "an object",
            }
        }
        FieldType::Strings => "a list of strings",
        FieldType::Object => "an object",
        FieldType::Address => match address(text, kind.plan().is_built_in()) {
            Ok(()) => return Ok(canonical),
            Err(Some(member)) => {
                return Err(format!("{name}.{member}: a string was expected, in {}", super::excerpt(text)));
            }
            Err(None) => "an object",
        },
        FieldType::Reference => match id_text(text) {
            Some(id) => return reference(name, &id),
            None => "a string, an integer or null",
        },
        FieldType::References => match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(items) => return references(name, &items),
            Err(_) => "a list of ids",
        },
    };
    Err(format!("{name}: {} found, {expected} was expected", super::excerpt(text)))
}

/// The canonical form of the object or list that a JSON string holds as text.
fn read_text(name: &str, text: &str) -> Option<Result<Box<[u8]>, Poison>> {
    let content = json::text(text)?;
    let content = content.trim();
    if !content.starts_with(['{', '[']) {
        return None;
    }
    let raw: &RawValue = serde_json::from_str(content).ok()?;
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
    match of.and_then(|of| of.meaning_of(json)) {
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

/// Refuses a text that cannot be an entity's id. The key of a child names another document, so no entity may have it.
pub(super) fn check_id(name: &str, id: &str, expected: &str) -> Result<(), Poison> {
    if id.is_empty() {
        return Err(format!("{name}: empty, {expected} was expected"));
    }
    if id.len() > ID_BYTES_MAX {
        return Err(format!("{name}: an id of {} bytes, at most {ID_BYTES_MAX} are taken", id.len()));
    }
    match ChildKey::of(id) {
        Some(_) => Err(format!("{name}: the key of a child found, {expected} was expected")),
        None => Ok(()),
    }
}

/// The canonical form of a reference: a JSON string.
fn reference(name: &str, id: &str) -> Result<Box<[u8]>, Poison> {
    check_id(name, id, "an id or null")?;
    serde_json::to_vec(id).map(Into::into).map_err(|error| format!("{name}: {error}"))
}

/// The canonical form of a list of references: a list of JSON strings.
fn references(name: &str, items: &[&RawValue]) -> Result<Box<[u8]>, Poison> {
    let mut canonical = b"[".to_vec();
    for (at, item) in items.iter().enumerate() {
        let name = format!("{name}[{at}]");
        let Some(id) = id_text(item.get()) else {
            return Err(format!(
                "{name}: {} found, a string or an integer was expected",
                super::excerpt(item.get())
            ));
        };
        if at > 0 {
            canonical.push(b',');
        }
        canonical.extend_from_slice(&reference(&name, &id)?);
    }
    canonical.push(b']');
    Ok(canonical.into())
}

fn address(text: &str, is_built_in: bool) -> Result<(), Option<String>> {
    let Ok(json::Members(members)) = serde_json::from_str(text) else { return Err(None) };
    let wrong = members.iter().find(|(name, value)| {
        let is_text = !is_built_in || ADDRESS.contains(&&**name);
        is_text && !value.get().starts_with('"') && value.get() != "null"
    });
    wrong.map_or(Ok(()), |(name, _)| Err(Some(name.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model;
    use crate::plan::PlanRef;

    #[test]
    fn digits_are_a_number_where_one_is_declared() {
        let text = "[entities.a.fields]\nn = \"integer\"\nx = \"number\"\ns = \"string\"\n[projections.p]\nof = \"a\"\n";
        let model = model::parse("t.toml", text).unwrap_or_default();
        let of = PlanRef::of(&model).entity_type("a").unwrap();
        for (name, json, expected) in [
            ("n", "\"9007199254740993\"", Some("9007199254740993")),
            ("x", "\"-5\"", Some("-5")),
            ("x", "\"0\"", Some("0")),
            ("s", "\"5\"", None),
            ("n", "\"05\"", None),
            ("n", "\"\"", None),
            ("n", "\"1.5\"", None),
            ("n", "5", None),
            ("other", "\"5\"", None),
        ] {
            assert_eq!(digits(of, name, json.as_bytes()), expected.map(str::as_bytes), "{name} {json}");
        }
    }
}
