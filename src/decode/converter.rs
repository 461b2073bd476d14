//! What Kafka Connect's converters put around a value: a wrapper with its schema, the quotes of a JSON string.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{self, Members};

/// What some serializers write before JSON. It says nothing.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Takes a value out of what a converter put around it; `None` when it says null. Any other value comes back as it is,
/// unread.
pub(super) fn unwrapped(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let value = without_mark(value);
    match value.trim_ascii_start().first() {
        Some(b'{') if may_be_wrapper(value) => wrapper(value),
        Some(b'"' | b'n') => scalar(value),
        _ => Some(Cow::Borrowed(value)),
    }
}

/// The bytes without a byte order mark before them.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// What a JSON string holds, and nothing of a null. Other bytes stay as they are.
fn scalar(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let text = std::str::from_utf8(value).map(str::trim).unwrap_or_default();
    let held = if text == "null" { Some(Cow::Borrowed(text)) } else { json::text(text) };
    match held {
        Some(text) if text.trim() == "null" => None,
        Some(Cow::Borrowed(text)) => Some(Cow::Borrowed(text.as_bytes())),
        Some(Cow::Owned(text)) => Some(Cow::Owned(text.into_bytes())),
        None => Some(Cow::Borrowed(value)),
    }
}

/// A look at the first member alone: records are read once, unless they are wrapped.
fn may_be_wrapper(value: &[u8]) -> bool {
    let inside = value.trim_ascii_start().strip_prefix(b"{").unwrap_or_default().trim_ascii_start();
    inside.starts_with(b"\"schema\"") || inside.starts_with(b"\"payload\"")
}

fn wrapper(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    match json::members("value", value).ok().and_then(|members| payload(&members)) {
        Some(payload) => scalar(payload.get().as_bytes()),
        None => Some(Cow::Borrowed(value)),
    }
}

/// The payload of Connect's wrapper `{"schema":…,"payload":…}`, when these are its members and no others.
pub(super) fn payload<'a>(members: &Members<'a>) -> Option<&'a RawValue> {
    let [(one, first), (other, second)] = members.0.as_slice() else { return None };
    let (schema, payload) = match (&**one, &**other) {
        ("schema", "payload") => (*first, *second),
        ("payload", "schema") => (*second, *first),
        _ => return None,
    };
    matches!(schema.get().as_bytes().first(), Some(b'{' | b'n')).then_some(payload)
}
