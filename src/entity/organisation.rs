//! What other documents show of an organisation.

use std::sync::{Arc, OnceLock};

use super::{Liveness, Shown, text};
use crate::text::words;

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

/// Everything of an organisation that is no attribute, in the order of names.
pub const KNOWN: &[&str] = &[
    "address",
    "createdAt",
    "email",
    "id",
    "industry",
    "name",
    "parentId",
    "phone",
    "status",
    "tags",
    "type",
    "updatedAt",
    "website",
];

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
    pub parent: Option<Arc<str>>,
    words: Words,
}

/// What follows from the name, made when it is first asked for.
#[derive(Debug, Clone, Default)]
struct Words(OnceLock<Box<str>>);

impl PartialEq for Words {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Words {}

impl Summary {
    /// An organisation of which no event was seen.
    pub const fn unseen() -> Self {
        Self::new(Liveness::Unseen, None, None)
    }

    /// A summary of these values.
    pub const fn new(liveness: Liveness, name: Option<Box<[u8]>>, parent: Option<Arc<str>>) -> Self {
        Self { liveness, name, parent, words: Words(OnceLock::new()) }
    }

    /// The words of its name, as they are searched.
    pub fn words(&self) -> &str {
        self.words.0.get_or_init(|| {
            let name = self.name.as_deref().and_then(text);
            name.map(|name| words(&name)).unwrap_or_default().into()
        })
    }

    /// The summary of a folded state.
    pub fn of(organisation: &impl Shown) -> Self {
        let name = organisation.get("name").map(Into::into);
        let parent = organisation.get(PARENT).and_then(text);
        Self::new(organisation.liveness(), name, parent.map(Into::into))
    }
}
