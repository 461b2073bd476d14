//! Projections: the documents that a change affects, and how each is made from the entities.

mod ancestry;
mod children;
mod descendants;
pub mod effects;
pub(crate) mod omission;
pub mod reach;
mod renderer;
mod row;
pub mod search;

use std::ops::ControlFlow;
use std::sync::Arc;

pub use self::children::{has_owner, key_now, own_entity};
pub use self::row::{owners, row};
use crate::entity::fragment::Fragment;
use crate::entity::{Fields, Header};
use crate::error::Result;
use crate::plan::{Child, EntityType, Relation};
pub use crate::plan::{Projection, display_key};

/// Reads an entity.
pub type EntityReader<'a> = dyn FnMut(&Fields<'_>) -> Result<()> + 'a;

/// The fragment that documents show of an entity, and all entities that it was made of.
pub type NewFragment = (Fragment, Vec<(EntityType, Arc<str>)>);

/// The entities at one moment, as projections read them.
pub trait Entities {
    /// Shows an entity to `read`; one without fields when it was never seen.
    fn entity(&self, entity_type: EntityType, id: &str, read: &mut EntityReader<'_>) -> Result<()>;
    /// The header of an entity, which others show.
    fn header(&self, entity_type: EntityType, id: &str) -> Result<Arc<Header>>;
    /// The same of one that is being read.
    fn header_of(&self, entity_type: EntityType, id: &str, entity: &Fields<'_>) -> Arc<Header>;
    /// The fragment of a kind for an entity, which `make` makes when it is not remembered.
    fn fragment(&self, kind: u16, id: &str, make: &dyn Fn() -> Result<NewFragment>) -> Result<Fragment>;
    /// Visits the members of an owner by id, each with its row.
    fn members(
        &self,
        relation: Relation,
        owner: &str,
        visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>,
    ) -> Result<()>;
    /// Whether the owner of a child has a document itself.
    fn has_owner(&self, projection: Projection, child: &Child<'_>) -> Result<bool>;
    /// The row of one member of an owner; `None` where it is none.
    fn member(&self, relation: Relation, owner: &str, member: &str) -> Result<Option<Vec<u8>>>;
}

/// The limits that shape documents, beside the entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At most so many members are shown by an embed whose maximum is that of the configuration.
    pub max_embedded_contacts: usize,
}

/// The position of the log that a document reflects, and the mark of a partial log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// The log position.
    pub position: u64,
    /// True when the log did not begin at its beginning. A document of references only tells it then.
    pub is_partial: bool,
}

impl From<u64> for LogPosition {
    /// A position of a log that began at its beginning.
    fn from(position: u64) -> Self {
        Self { position, is_partial: false }
    }
}

/// The version of the documents' shape; kept in the index's `_meta` beside the mapping's hash.
pub const SHAPE: u32 = 4;
