//! The fold: an entity's state as last-writer-wins registers.
//!
//! Registers form a join semilattice: [`Registers::apply`] and [`Registers::merge`] take the higher
//! write of each field, so any order, repetition or grouping of an entity's events ends in the same
//! state (contract, "Order").

pub mod contact;
pub mod organisation;
mod registers;

pub use registers::{Hider, Liveness, Register, Registers};

/// The JSON `null`: the value of a cleared field.
pub(crate) const NULL: &[u8] = b"null";

/// The text of a canonical JSON string; `None` when it is no string.
pub(crate) fn text(json: &[u8]) -> Option<String> {
    serde_json::from_slice(json).ok()
}
