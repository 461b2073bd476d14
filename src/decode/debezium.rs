//! `debezium`: change events, key and value with or without the Connect `schema` wrapper
//! (<https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events>).

use serde_json::value::RawValue;

use super::json::{self, Members};
use super::{Envelope, Poison, VERSION_MAX, fields, shown};
use crate::event::Action;

/// The entity's id in a key: plain text, or an object of one field.
pub(super) fn key(key: &str) -> Result<String, Poison> {
    let json = key.trim();
    if !json.starts_with('{') {
        // An integer or plain text stands for itself; a JSON string for what it holds.
        return Ok(json::text(json).map_or_else(|| key.to_owned(), std::borrow::Cow::into_owned));
    }
    let Members(members) = unwrapped("key", json::members("key", json.as_bytes())?)?;
    let wrong =
        || format!("key: {} found, an object of one field that holds the id was expected", shown(key));
    match members.as_slice() {
        [(_, id)] => fields::id_text(id.get()).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// Takes the payload out of the Connect wrapper `{"schema":…,"payload":…}`.
fn unwrapped<'a>(name: &str, members: Members<'a>) -> Result<Members<'a>, Poison> {
    let wrapped = members.0.iter().any(|(name, _)| name == "schema");
    match member(&members, "payload") {
        Some(payload) if wrapped => json::members(&format!("{name}.payload"), payload.get().as_bytes()),
        _ => Ok(members),
    }
}

fn member<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members
        .0
        .iter()
        .rev()
        .find(|(held, _)| held == name)
        .map(|(_, value)| *value)
        .filter(|value| value.get() != "null")
}

pub(super) fn read(value: &[u8]) -> Result<Option<Envelope<'_>>, Poison> {
    let members = unwrapped("value", json::members("value", value)?)?;
    let operation = member(&members, "op").map(RawValue::get);
    let (action, data) = match operation.and_then(json::text).as_deref() {
        Some("c" | "r" | "u") => (Action::Replace, member(&members, "after")),
        Some("d") => (Action::Delete, member(&members, "before")),
        // Messages that an application wrote to the database's log are no changes of rows.
        Some("m") => return Ok(None),
        _ => {
            let found = operation.unwrap_or("nothing");
            return Err(format!("op: {} found, one of c, r, u, d was expected", shown(found)));
        }
    };
    if action == Action::Replace && data.is_none() {
        return Err("after: missing, the row as an object was expected".to_owned());
    }
    let version = version(&members)?;
    Ok(Some(Envelope { subject: None, version, action, data: data.map(|data| data.get().as_bytes().into()) }))
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
