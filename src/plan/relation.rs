//! Relations: which entities refer to an owner, and the content of their rows.

use super::{FieldSet, PlanRef, ShownField};
use crate::searchable_fields::SearchableFields;

/// The keyspaces of relations beyond the first two have numbers from this one on.
pub(super) const RELATION_SPACES: u8 = 70;
/// The most relations of a model, because a keyspace has a number of one byte.
const RELATIONS_MAX: usize = 180;

impl PlanRef {
    /// Whether the plan can be run.
    ///
    /// # Errors
    /// A sentence when the model needs more relations than there are keyspaces.
    pub fn check(self) -> Result<(), String> {
        let count = self.relations().len();
        if count <= RELATIONS_MAX {
            return Ok(());
        }
        Err(format!(
            "the model needs {count} relations, at most {RELATIONS_MAX} are possible; have embeds of the same reference show \
             the same fields, or leave some out"
        ))
    }
}

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
    pub conditions: Vec<ConditionPlan>,
    /// The content of a row; nothing where only the key counts.
    pub row: Option<RowPlan>,
    /// The changes of a member that rewrite its row.
    pub trigger: FieldSet,
}

/// The content of a relation's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPlan {
    /// The shown fields, in order.
    pub show: Vec<ShownField>,
    /// The searched fields of the member.
    pub words: Option<SearchableFields>,
    /// The references that embeds within follow.
    pub references: Vec<u16>,
    /// True when embeds stand within: the row then has the ids of its references beside its object.
    pub is_open: bool,
}

/// A part of a `where`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionPlan {
    /// The member's field.
    pub field: u16,
    /// Canonical JSON of the values of which one has to be there.
    pub values: Vec<Box<[u8]>>,
}
