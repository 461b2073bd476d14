//! The wrapping that Kafka Connect's converters put around a value: a wrapper with its schema, the quotes of a
//! JSON string.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{self, Members};

/// The bytes that some serializers write before JSON. They say nothing.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A value out of its wrapping.
pub(super) struct Body<'a> {
    /// The Connect schema, when the value came in its wrapper.
    pub(super) schema: Option<&'a RawValue>,
    /// The bytes; `None` when they say null.
    pub(super) bytes: Option<Cow<'a, [u8]>>,
}

/// The two members of Connect's wrapper `{"schema":…,"payload":…}`, or of Apicurio's `{"schemaId":…,"payload":…}`.
pub(super) struct Wrapper<'a> {
    pub(super) schema: &'a RawValue,
    pub(super) payload: &'a RawValue,
}

/// Takes a value out of the wrapping that a converter put around it. Any other value comes back as it is, unread.
pub(super) fn unwrap_value(value: &[u8]) -> Body<'_> {
    let value = without_mark(value);
    match value.trim_ascii_start().first() {
        Some(b'{') if may_be_wrapper(value) => wrapper(value),
        Some(b'"' | b'n') => Body { schema: None, bytes: scalar(value) },
        _ => Body { schema: None, bytes: Some(Cow::Borrowed(value)) },
    }
}

/// The bytes without a byte order mark before them.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// The text that a JSON string holds, and `None` for a null. Other bytes stay as they are.
fn scalar(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let text = std::str::from_utf8(value).map(str::trim).unwrap_or_default();
    let content = if text == "null" { Some(Cow::Borrowed(text)) } else { json::text(text) };
    match content {
        Some(text) if text.trim() == "null" => None,
        Some(Cow::Borrowed(text)) => Some(Cow::Borrowed(text.as_bytes())),
        Some(Cow::Owned(text)) => Some(Cow::Owned(text.into_bytes())),
        None => Some(Cow::Borrowed(value)),
    }
}

/// A look at the first member alone: records are read once, unless they are wrapped.
fn may_be_wrapper(value: &[u8]) -> bool {
    let inside = value.trim_ascii_start().strip_prefix(b"{").unwrap_or_default().trim_ascii_start();
    [&b"\"schema\""[..], b"\"payload\"", b"\"schemaId\""].iter().any(|name| inside.starts_with(name))
}

fn wrapper(value: &[u8]) -> Body<'_> {
    match json::members("value", value).ok().and_then(|members| as_wrapper(&members)) {
        Some(wrapped) => {
            Body { schema: Some(wrapped.schema), bytes: scalar(wrapped.payload.get().as_bytes()) }
        }
        None => Body { schema: None, bytes: Some(Cow::Borrowed(value)) },
    }
}

fn is_schema(value: &RawValue) -> bool {
    matches!(value.get().as_bytes().first(), Some(b'{' | b'n'))
}

fn is_number(value: &RawValue) -> bool {
    value.get().bytes().all(|byte| byte.is_ascii_digit())
}

/// The schema and the payload, when these are the members of a wrapper and no others.
pub(super) fn as_wrapper<'a>(members: &Members<'a>) -> Option<Wrapper<'a>> {
    let [(one, first), (other, second)] = members.0.as_slice() else { return None };
    let (schema, payload) = match (&**one, &**other) {
        ("schema", "payload") if is_schema(first) => (*first, *second),
        ("payload", "schema") if is_schema(second) => (*second, *first),
        // Apicurio's converter names the schema by a number, and only its own API knows it.
        ("schemaId", "payload") if is_number(first) => (*first, *second),
        ("payload", "schemaId") if is_number(second) => (*second, *first),
        _ => return None,
    };
    Some(Wrapper { schema, payload })
}
