//! What other documents show of an organisation.

use super::{Liveness, Registers, text};

/// The fields that have a place of their own in a document, in its order.
pub const FIELDS: &[&str] = &[
    "name",
    "type",
    "status",
    "industry",
    "website",
    "email",
    "phone",
    "address",
    "tags",
    "createdAt",
    "updatedAt",
];

/// The fields whose words are searched.
pub const SEARCHED: &[&str] =
    &["name", "type", "status", "industry", "website", "email", "phone", "address", "tags"];

/// The reference to the parent: shown as `parent`, never under its own name.
pub const PARENT: &str = "parentId";

/// An organisation as its relatives see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Whether it is there, deleted, or known by references only.
    pub liveness: Liveness,
    /// Its name as a JSON string.
    pub name: Option<Box<[u8]>>,
    /// Its parent's id; only of an organisation that is alive.
    pub parent: Option<String>,
}

impl Summary {
    /// An organisation of which no event was seen.
    pub const UNSEEN: Summary = Summary { liveness: Liveness::Unseen, name: None, parent: None };

    /// The summary of a folded state.
    pub fn of(registers: &Registers) -> Self {
        Self {
            liveness: registers.liveness(),
            name: registers.get("name").map(Into::into),
            parent: registers.get(PARENT).and_then(text),
        }
    }
}
