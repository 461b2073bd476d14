//! `debezium`: change events
//! (<https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events>).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{self, Members};
use super::{DataPlace, Envelope, Poison, VERSION_MAX, excerpt};
use crate::config::VersionRule;
use crate::event::Action;

/// The member of this name, unless it is null.
fn member<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    let found = members.0.iter().rev().find(|(key, _)| key == name);
    found.map(|(_, value)| *value).filter(|value| value.get() != "null")
}

/// The content of a change event.
pub(super) enum Change<'a> {
    /// A row was written or deleted.
    Row(Envelope<'a>),
    /// The table was emptied; with the LSN where that is the version.
    Truncation(Option<u64>),
    /// Nothing of rows.
    Other,
}

pub(super) fn read(value: &[u8], rule: VersionRule) -> Result<Change<'_>, Poison> {
    let members = json::members("value", value)?;
    let operation = member(&members, "op").map(RawValue::get);
    let (action, data, place) = match operation.and_then(json::text).as_deref() {
        Some("c" | "r" | "u") => (Action::Replace, member(&members, "after"), DataPlace::AFTER),
        Some("d") => (Action::Delete, member(&members, "before"), DataPlace::BEFORE),
        // Messages that an application wrote to the database's log are no changes of rows.
        Some("m") => return Ok(Change::Other),
        Some("t") => return version(&members, rule).map(Change::Truncation),
        None if operation.is_none() && is_transaction(&members) => return Ok(Change::Other),
        _ => {
            let found = operation.unwrap_or("nothing");
            return Err(format!("op: {} found, one of c, r, u, d was expected", excerpt(found)));
        }
    };
    let version = version(&members, rule)?;
    Ok(Change::Row(Envelope { subject: None, version, action, data: data.map(row), place }))
}

fn version(members: &Members<'_>, rule: VersionRule) -> Result<Option<u64>, Poison> {
    if rule == VersionRule::Lsn { lsn(members).map(Some) } else { Ok(None) }
}

/// A row as it stands, or out of the string that MongoDB's connector puts it into.
fn row(data: &RawValue) -> Cow<'_, [u8]> {
    match json::text(data.get()) {
        Some(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
        Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        None => Cow::Borrowed(data.get().as_bytes()),
    }
}

/// True of the marks at which a transaction begins and ends (`provide.transaction.metadata`).
fn is_transaction(members: &Members<'_>) -> bool {
    let status = member(members, "status").and_then(|status| json::text(status.get()));
    matches!(status.as_deref(), Some("BEGIN" | "END")) && member(members, "id").is_some()
}

/// `source.lsn`, which must be there.
fn lsn(members: &Members<'_>) -> Result<u64, Poison> {
    let source = member(members, "source").map(|source| json::members("source", source.get().as_bytes()));
    let lsn = source.transpose()?.and_then(|source| member(&source, "lsn"));
    let found = lsn.map_or("nothing", RawValue::get);
    let digits = json::text(found).unwrap_or(found.into());
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value = if plain { digits.parse().ok().filter(|value| *value <= VERSION_MAX) } else { None };
    value.ok_or_else(|| {
        format!(
            "source.lsn: {} found, an integer from 0 to {VERSION_MAX} was expected because version is \"lsn\"",
            excerpt(found)
        )
    })
}
