//! The plan of the built-in model: organisations, contacts and the hierarchy.

use super::{EntityType, Plan, PlanCell, PlanRef, Projection, Relation, compile};
use crate::model::{self, Layout};

static CELL: PlanCell = PlanCell::lazy(|| compile(model::default_model()));

/// The plan of the built-in model.
pub fn builtin() -> PlanRef {
    PlanRef(&CELL)
}

/// An organisation.
pub const ORGANISATION: EntityType = EntityType { cell: &CELL, number: 0 };
/// A contact of an organisation.
pub const CONTACT: EntityType = EntityType { cell: &CELL, number: 1 };
/// An organisation with its contacts, parent and ancestors.
pub const ORGANISATIONS: Projection = Projection { cell: &CELL, number: 0 };
/// A contact with its organisation.
pub const CONTACTS: Projection = Projection { cell: &CELL, number: 1 };
/// An organisation with its ancestors and children.
pub const HIERARCHY: Projection = Projection { cell: &CELL, number: 2 };

/// The projections, by their numbers.
pub const PROJECTIONS: [Projection; 3] = [ORGANISATIONS, CONTACTS, HIERARCHY];
/// The contacts of an organisation.
pub const CONTACTS_OF: Relation = Relation { cell: &CELL, number: 0 };
/// The children of an organisation.
pub const CHILDREN_OF: Relation = Relation { cell: &CELL, number: 1 };

impl PlanRef {
    /// The plan of a model, which is kept for the rest of the program's life.
    pub fn of(model: &model::Model) -> Self {
        let is_plain = model.projections.iter().all(|projection| projection.layout == Layout::Nested);
        if model.is_built_in && is_plain { builtin() } else { Self(PlanCell::keep(compile(model))) }
    }
}

impl Plan {
    /// True for the built-in model.
    pub fn is_built_in(&self) -> bool {
        self.is_built_in
    }
}
