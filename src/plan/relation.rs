//! Relations: which entities refer to an owner, and what a row of each holds.

use super::{FieldSet, Shown};
use crate::searchable::Searched;

/// For each owner, the living entities that refer to it by one reference.
#[derive(Debug)]
pub struct RelationPlan {
    /// The name of its keyspace.
    pub name: Box<str>,
    /// The number of its keyspace.
    pub space: u8,
    /// The type of the members.
    pub member: u8,
    /// The type of the owners.
    pub owner: u8,
    /// The members' reference.
    pub field: u16,
    /// Only members of which all of these hold.
    pub conditions: Vec<Condition>,
    /// The content of a row; nothing where only the key counts.
    pub row: Option<RowPlan>,
    /// The changes of a member that rewrite its row.
    pub trigger: FieldSet,
}

/// The content of a relation's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPlan {
    /// The shown fields, in order.
    pub show: Vec<Shown>,
    /// The searched fields of the member.
    pub words: Option<Searched>,
    /// The references that embeds within follow.
    pub references: Vec<u16>,
    /// True when embeds stand within: the row then has the ids of its references beside its object.
    pub is_open: bool,
}

/// A part of a `where`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The member's field.
    pub field: u16,
    /// Canonical JSON of the values of which one has to be there.
    pub values: Vec<Box<[u8]>>,
}
