//! The shapes of documents.

use super::search::SearchPlan;
use super::{ConditionPlan, CountedProgram, FieldSet};
use crate::searchable_fields::SearchableFields;

/// A projection.
#[derive(Debug)]
pub struct ProjectionPlan {
    /// Its name.
    pub name: Box<str>,
    /// The type whose entities have documents.
    pub of: u8,
    /// All of these have to hold.
    pub conditions: Vec<ConditionPlan>,
    /// The relations whose members alone make a document.
    pub stubs: Vec<u8>,
    /// The own fields that are shown, in order.
    pub show: Vec<ShownField>,
    /// The member for the fields that are not declared.
    pub rest: Option<&'static str>,
    /// The embeds, in order.
    pub embeds: Vec<EmbedPlan>,
    /// The computed members, in order.
    pub compute: Vec<CountedProgram>,
    /// The searched fields of the document itself.
    pub words: Option<SearchableFields>,
    /// How documents are searched.
    pub search: Option<SearchPlan>,
    /// The changes of the entity that change its own document.
    pub trigger: FieldSet,
    /// True when a header has all that the document shows of its own entity.
    pub is_by_header: bool,
}

/// A field that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownField {
    /// Its name.
    pub name: &'static str,
    /// Its number in the type.
    pub field: u16,
    /// Its slot in the header; of no meaning where the type has none.
    pub slot: u16,
}

/// A reference, as the embedding entity is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReferenceAt {
    /// The field's number in the embedding type.
    pub field: u16,
    /// Its slot among the references of the embedding header or row.
    pub slot: u16,
}

/// The part of a shape that shows other entities.
#[derive(Debug, Clone)]
pub struct EmbedPlan {
    /// The member's name.
    pub name: &'static str,
    /// The embedded type.
    pub to: u8,
    /// How the embedded entities are found.
    pub by: RelationPlanOf,
    /// The fields that are shown of each, in order.
    pub show: Vec<ShownField>,
    /// The embeds within.
    pub embeds: Vec<EmbedPlan>,
    /// The number under which the finished object is kept, where it depends on references alone.
    pub fragment: Option<u16>,
    /// The fields that are searched together with the document.
    pub words: Option<SearchableFields>,
    /// True where each member has a document of its own, a child of the embedding one.
    pub is_joined: bool,
}

/// How embedded entities are found.
#[derive(Debug, Clone)]
pub enum RelationPlanOf {
    /// By a reference of the embedding entity.
    Reference {
        /// The reference.
        at: ReferenceAt,
        /// True for a list of ids.
        is_list: bool,
    },
    /// Up a tree.
    Above {
        /// The reference of the embedding entity.
        at: ReferenceAt,
        /// The slot of the reference in the headers above.
        above: u16,
        /// True when ids alone are listed.
        is_ids: bool,
        /// The member that tells of a circle.
        cycle: Option<&'static str>,
    },
    /// By the entities that refer to the embedding one.
    From(FromPlan),
}

/// How many members are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maximum {
    /// At most so many.
    Of(u64),
    /// As many as the configuration says (`index.max_embedded_contacts`).
    Configured,
}

/// The entities that refer to the embedding entity.
#[derive(Debug, Clone)]
pub struct FromPlan {
    /// The relation.
    pub relation: u8,
    /// How many are shown.
    pub max: Maximum,
    /// The member for the true number.
    pub count: Option<&'static str>,
    /// The member that says that not all are shown.
    pub truncated: Option<&'static str>,
    /// The member for the number of different entities below.
    pub descendants: Option<&'static str>,
}

impl EmbedPlan {
    /// Makes children of the members, where it has any: each has a document of its own, so that none is left out. The maximum
    /// bounds the members that programs see.
    pub(super) fn join(&mut self) {
        if let RelationPlanOf::From(from) = &mut self.by {
            (from.truncated, self.is_joined) = (None, true);
        }
    }

    /// The field by which it begins at the embedding entity; none where it begins with the entity's id.
    pub fn starts_at(&self) -> Option<u16> {
        match &self.by {
            RelationPlanOf::Reference { at, .. } | RelationPlanOf::Above { at, .. } => Some(at.field),
            RelationPlanOf::From(_) => None,
        }
    }

    /// How the entities that refer to the embedding one are found, where this is such an embed.
    pub fn from(&self) -> Option<&FromPlan> {
        match &self.by {
            RelationPlanOf::From(from) => Some(from),
            RelationPlanOf::Reference { .. } | RelationPlanOf::Above { .. } => None,
        }
    }
}
