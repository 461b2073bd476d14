//! The value of a field as documents show it, its default included.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{EntityFields, Liveness, NULL};
use crate::json::{Object, is_number};
use crate::plan::{AbsenceRule, ConditionPlan, FieldPlan, FieldType, TypePlan};

/// The value of a declared field by its number; see [`value`].
pub fn value_at<'a>(of: &TypePlan, field: u16, shown: &'a impl EntityFields) -> Option<Cow<'a, [u8]>> {
    value(of.field_at(field), shown)
}

/// The canonical JSON that stands for a field in a document: its own value, else its default.
pub fn value<'a>(field: &FieldPlan, shown: &'a impl EntityFields) -> Option<Cow<'a, [u8]>> {
    match (shown.get(field.name), &field.absent) {
        (Some(address), _) if field.kind == FieldType::Address => Some(without_nulls(address)),
        (Some(own), _) => Some(Cow::Borrowed(own)),
        (None, None) => None,
        (None, Some(AbsenceRule::Join { fields, with })) => join_texts(fields, with, shown),
        (None, Some(AbsenceRule::Value(value))) => Some(Cow::Owned(value.to_vec())),
        (None, Some(AbsenceRule::Program(program))) => {
            let mut input = Vec::new();
            let mut object = Object::open(&mut input);
            shown.each(&mut |name, json| object.raw(name, json));
            object.close();
            program.run("an entity", &input, field.kind).map(Cow::Owned)
        }
    }
}

/// True when a living entity meets all conditions.
pub fn holds(of: &TypePlan, conditions: &[ConditionPlan], shown: &impl EntityFields) -> bool {
    conditions.is_empty()
        || shown.liveness() == Liveness::Alive
            && conditions.iter().all(|condition| meets(of, condition, shown))
}

fn meets(of: &TypePlan, condition: &ConditionPlan, shown: &impl EntityFields) -> bool {
    let is_wanted = |json: &[u8]| condition.values.iter().any(|value| is_equal(value, json));
    let Some(value) = value_at(of, condition.field, shown) else { return false };
    if value.first() != Some(&b'[') {
        return is_wanted(&value);
    }
    let members: Vec<&RawValue> = serde_json::from_slice(&value).unwrap_or_default();
    members.iter().any(|member| is_wanted(member.get().as_bytes()))
}

/// True of equal values; numbers are equal however they are written.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one == other || decimal(one).is_some_and(|number| decimal(other) == Some(number))
}

/// A JSON number as its sign, its digits without zeros around them, and the power of ten of the last digit.
fn decimal(json: &[u8]) -> Option<(bool, Vec<u8>, i64)> {
    if !is_number(json) {
        return None;
    }
    let text = std::str::from_utf8(json).ok()?;
    let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (number, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some((false, Vec::new(), 0));
    }
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let power = power.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    Some((is_negative, significant.as_bytes().to_vec(), power.checked_add(zeros)?))
}

/// The texts of some fields as one JSON string. Parts that are absent, empty or no text are skipped.
fn join_texts<'a>(fields: &[&str], with: &[u8], shown: &'a impl EntityFields) -> Option<Cow<'a, [u8]>> {
    let mut parts = fields.iter().filter_map(|field| shown.get(field)).filter(|json| is_part(json));
    let first = parts.next()?;
    let Some(second) = parts.next() else {
        return Some(if is_string(first) {
            Cow::Borrowed(first)
        } else {
            Cow::Owned([b"\"", first, b"\""].concat())
        });
    };
    // Between their quotes canonical strings are put together as they are.
    let mut text = Vec::with_capacity(first.len() + second.len() + with.len());
    text.push(b'"');
    text.extend_from_slice(inner(first));
    for part in std::iter::once(second).chain(parts) {
        text.extend_from_slice(with);
        text.extend_from_slice(inner(part));
    }
    text.push(b'"');
    Some(Cow::Owned(text))
}

fn is_part(json: &[u8]) -> bool {
    match json.first() {
        Some(b'"') => json.len() > 2,
        Some(b'[' | b'{') | None => false,
        Some(_) => true,
    }
}

fn is_string(json: &[u8]) -> bool {
    json.first() == Some(&b'"')
}

fn inner(json: &[u8]) -> &[u8] {
    json.strip_prefix(b"\"").and_then(|json| json.strip_suffix(b"\"")).unwrap_or(json)
}

/// An address without the members that are null: absent members are left out, never null.
fn without_nulls(address: &[u8]) -> Cow<'_, [u8]> {
    let mut places = address.iter().enumerate().filter(|(_, byte)| NULL.first() == Some(byte));
    if !places.any(|(at, _)| address.get(at..).is_some_and(|rest| rest.starts_with(NULL))) {
        return Cow::Borrowed(address);
    }
    match serde_json::from_slice::<BTreeMap<String, &RawValue>>(address) {
        Ok(mut members) if members.values().any(|value| value.get() == "null") => {
            members.retain(|_, value| value.get() != "null");
            serde_json::to_vec(&members).map_or(Cow::Borrowed(address), Cow::Owned)
        }
        _ => Cow::Borrowed(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::Registers;
    use crate::event::{Action, Event, EventField};
    use crate::plan::CONTACT;

    #[test]
    fn numbers_are_equal_however_they_are_written() {
        for (one, other) in
            [("10", "10.0"), ("10", "1e1"), ("-0.50", "-5E-1"), ("0", "-0.0"), ("1000.0", "1e+3")]
        {
            assert!(is_equal(one.as_bytes(), other.as_bytes()), "{one} {other}");
        }
        for (one, other) in
            [("10", "1"), ("1", "-1"), ("9007199254740993", "9007199254740992"), ("\"1\"", "1"), ("[1]", "1")]
        {
            assert!(!is_equal(one.as_bytes(), other.as_bytes()), "{one} {other}");
        }
    }

    #[test]
    fn a_name_is_the_own_one_or_both_of_the_others_as_far_as_they_are_texts() {
        let name_of = |fields: &[(&str, &str)]| {
            let field = |(name, json): &(&str, &str)| EventField {
                name: (*name).to_owned(),
                json: json.as_bytes().into(),
            };
            let (kind, id, fields) = (CONTACT, "c1".to_owned(), fields.iter().map(field).collect());
            let mut contact = Registers::default();
            contact.apply(&Event { kind, id, version: 1, sequenced: true, action: Action::Replace, fields });
            let name = CONTACT.field_named("name").and_then(|name| value(name, &contact));
            name.map(|json| String::from_utf8(json.into_owned()).unwrap())
        };
        let both = |first, last| name_of(&[("firstName", first), ("lastName", last)]);
        assert_eq!(name_of(&[("name", "\"7\""), ("firstName", "\"Ada\"")]).unwrap(), "\"7\"");
        assert_eq!(both(r#""A \"da""#, r#""Löve\\lace""#).unwrap(), r#""A \"da Löve\\lace""#);
        assert_eq!(both("\"Ada\"", "\"\"").unwrap(), "\"Ada\"");
        assert_eq!(both("[\"Ada\"]", "\"Lovelace\"").unwrap(), "\"Lovelace\"");
        assert_eq!((both("null", "5").unwrap(), name_of(&[])), ("\"5\"".to_owned(), None));
    }
}
