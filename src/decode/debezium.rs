//! `debezium`: change events, key and value with or without the Connect `schema` wrapper
//! (<https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events>).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{self, Members};
use super::{Envelope, Place, Poison, VERSION_MAX, fields, shown};
use crate::event::Action;

/// The entity's id in a key: plain text, or an object of one field, wrapped or not.
pub(super) fn key(key: &str) -> Result<Option<Cow<'_, str>>, Poison> {
    let json = key.trim();
    if !json.starts_with('{') {
        // An integer or plain text stands for itself; a JSON string for what it holds.
        return Ok(Some(json::text(json).unwrap_or(Cow::Borrowed(key))));
    }
    let members = json::members("key", json.as_bytes())?;
    if let (true, Some(payload)) = (is_wrapper(&members), last(&members, "payload")) {
        // The wrapper of a key that is null holds a null: no key.
        return if payload.get() == "null" { Ok(None) } else { field(payload.get()).map(Some) };
    }
    one_field(members, json).map(Some)
}

/// The id in the payload of a key: itself, or the one field of an object.
fn field(json: &str) -> Result<Cow<'_, str>, Poison> {
    if json.starts_with('{') {
        return one_field(json::members("key.payload", json.as_bytes())?, json);
    }
    fields::id_text(json).ok_or_else(|| wrong_key(json))
}

fn one_field<'a>(members: Members<'a>, json: &str) -> Result<Cow<'a, str>, Poison> {
    match members.last_of_each().as_slice() {
        [(_, id)] => fields::id_text(id.get()).ok_or_else(|| wrong_key(json)),
        _ => Err(wrong_key(json)),
    }
}

fn wrong_key(json: &str) -> Poison {
    format!("key: {} found, an id or an object of one field that holds it was expected", shown(json))
}

/// Takes the payload out of the Connect wrapper `{"schema":…,"payload":…}`.
fn unwrapped<'a>(members: Members<'a>) -> Result<Members<'a>, Poison> {
    match member(&members, "payload") {
        Some(payload) if is_wrapper(&members) => json::members("value.payload", payload.get().as_bytes()),
        _ => Ok(members),
    }
}

fn is_wrapper(members: &Members<'_>) -> bool {
    last(members, "schema").is_some()
}

/// The member of this name, unless it is null.
fn member<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    last(members, name).filter(|value| value.get() != "null")
}

fn last<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.0.iter().rev().find(|(held, _)| held == name).map(|(_, value)| *value)
}

pub(super) fn read(value: &[u8]) -> Result<Option<Envelope<'_>>, Poison> {
    let members = unwrapped(json::members("value", value)?)?;
    let operation = member(&members, "op").map(RawValue::get);
    let (action, data, place) = match operation.and_then(json::text).as_deref() {
        Some("c" | "r" | "u") => (Action::Replace, member(&members, "after"), Place::AFTER),
        Some("d") => (Action::Delete, member(&members, "before"), Place::BEFORE),
        // Messages that an application wrote to the database's log are no changes of rows.
        Some("m") => return Ok(None),
        _ => {
            let found = operation.unwrap_or("nothing");
            return Err(format!("op: {} found, one of c, r, u, d was expected", shown(found)));
        }
    };
    let version = version(&members)?;
    let data = data.map(|data| data.get().as_bytes().into());
    Ok(Some(Envelope { subject: None, version, action, data, place }))
}

/// `source.lsn`, when there is one.
fn version(members: &Members<'_>) -> Result<Option<u64>, Poison> {
    let Some(source) = member(members, "source") else { return Ok(None) };
    let source = json::members("source", source.get().as_bytes())?;
    let Some(lsn) = member(&source, "lsn") else { return Ok(None) };
    let digits = json::text(lsn.get()).unwrap_or(lsn.get().into());
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value = if plain { digits.parse().ok().filter(|value| *value <= VERSION_MAX) } else { None };
    value.map(Some).ok_or_else(|| {
        format!("source.lsn: {} found, an integer from 0 to {VERSION_MAX} was expected", shown(lsn.get()))
    })
}
