//! The fold: an entity's state as last-writer-wins registers.
//!
//! Registers form a join semilattice: [`Registers::apply`] and [`Registers::merge`] take the higher write of
//! each field. Any order, repetition or grouping of an entity's events therefore ends in the same state
//! (docs/events.md, "Order").

use std::borrow::Cow;

mod fields;
pub mod fragment;
mod header;
mod references;
mod registers;
mod value;

pub use fields::{EntityFields, Fields};
pub use header::Header;
pub use references::{References, reference};
pub use registers::{Hider, Liveness, Register, Registers};
pub use value::{holds, value, value_at};

use crate::json::is_plain;

/// The JSON `null`: the value of a cleared field.
pub(crate) const NULL: &[u8] = b"null";

/// The text of a canonical JSON string; `None` when it is no string.
pub(crate) fn text(json: &[u8]) -> Option<Cow<'_, str>> {
    plain_text(json).map(Cow::Borrowed).or_else(|| serde_json::from_slice(json).ok().map(Cow::Owned))
}

/// The text of a JSON string that is written without escapes.
pub(crate) fn plain_text(json: &[u8]) -> Option<&str> {
    let inner = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if is_plain(inner) { std::str::from_utf8(inner).ok() } else { None }
}
