//! Projections: which documents a change calls for, and how each is made from the entities.
//!
//! A new projection is one file here, one mapping, and one line in [`ALL`].

pub mod affected;
mod contacts;
mod hierarchy;
pub mod json;
mod organisations;
pub mod search;
mod shared;

use std::ops::ControlFlow;
use std::sync::Arc;

pub(crate) use self::hierarchy::CHILDREN_MAX;

use crate::entity::Fields;
use crate::entity::affiliation::Affiliation;
use crate::entity::organisation::Summary;
use crate::error::Result;

/// Reads an entity.
pub type Read<'a> = dyn FnMut(&Fields<'_>) -> Result<()> + 'a;

/// What contacts show of an organisation, and all organisations that it was made of.
pub type Affiliated = (Affiliation, Vec<Arc<str>>);

/// What projections read: the entities at one moment.
pub trait Entities {
    /// Shows an organisation to `read`; one without fields when it was never seen.
    fn organisation(&self, id: &str, read: &mut Read<'_>) -> Result<()>;
    /// Shows a contact to `read`; one without fields when it was never seen.
    fn contact(&self, id: &str, read: &mut Read<'_>) -> Result<()>;
    /// What relatives show of an organisation.
    fn summary(&self, id: &str) -> Result<Arc<Summary>>;
    /// The same of one that is being read.
    fn summary_of(&self, id: &str, organisation: &Fields<'_>) -> Arc<Summary>;
    /// What contacts show of an organisation, which `make` makes when it is not remembered.
    fn affiliation(&self, organisation: &str, make: &dyn Fn() -> Result<Affiliated>) -> Result<Affiliation>;
    /// Visits the living contacts of an organisation by id, each with its embedded JSON object.
    fn contacts_of(
        &self,
        organisation: &str,
        visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>,
    ) -> Result<()>;
    /// Visits the living children of an organisation by id, each with its name as JSON or nothing.
    fn children_of(&self, parent: &str, visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>) -> Result<()>;
}

/// What shapes documents beside the entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At most this many contacts are embedded in an organisation.
    pub max_embedded_contacts: usize,
}

/// The version of the documents' shape; kept in the index's `_meta` beside the mapping's hash.
pub const SHAPE: u32 = 4;

/// One projection. Its number is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Projection {
    /// An organisation with its contacts, parent and ancestors.
    Organisations = 0,
    /// A contact with its organisation.
    Contacts = 1,
    /// An organisation with its ancestors and children.
    Hierarchy = 2,
}

/// The registry.
pub const ALL: [Projection; 3] = [Projection::Organisations, Projection::Contacts, Projection::Hierarchy];

impl Projection {
    /// The projection's name: of its index, its mapping and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Projection::Organisations => "organisations",
            Projection::Contacts => "contacts",
            Projection::Hierarchy => "hierarchy",
        }
    }

    /// The projection of this number.
    pub fn of_number(number: u8) -> Option<Self> {
        ALL.into_iter().find(|projection| *projection as u8 == number)
    }

    /// The projection of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        ALL.into_iter().find(|projection| projection.name() == name)
    }

    /// Appends the document of `id` to `out` and answers true, or false (nothing appended) when
    /// there is none. `position` is the log position that `entities` reflects.
    pub fn materialise(
        self,
        entities: &dyn Entities,
        id: &str,
        limits: Limits,
        position: u64,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        match self {
            Projection::Organisations => organisations::materialise(entities, id, limits, position, out),
            Projection::Contacts => contacts::materialise(entities, id, position, out),
            Projection::Hierarchy => hierarchy::materialise(entities, id, position, out),
        }
    }
}
