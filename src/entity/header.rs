//! An entity as documents of others see it through a reference.

use super::{EntityFields, Liveness, References, value_at};
use crate::plan::EntityType;

/// The parts of an entity that others show, and the references that they follow from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Whether the entity is there, deleted, or known by references only.
    pub liveness: Liveness,
    fields: Box<[Option<Box<[u8]>>]>,
    references: Box<[References]>,
}

impl Header {
    /// The header of an entity of which no event was seen.
    pub fn of_unseen() -> Self {
        Self { liveness: Liveness::Unseen, fields: Box::default(), references: Box::default() }
    }

    /// The header of a folded state.
    pub fn of(entity_type: EntityType, shown: &impl EntityFields) -> Self {
        let (plan, liveness) = (entity_type.get(), shown.liveness());
        let value = |field: &u16| value_at(plan, *field, shown).map(|json| json.into_owned().into());
        let fields = match liveness {
            Liveness::Alive => plan.header.fields.iter().map(value).collect(),
            Liveness::Unseen | Liveness::Deleted => Box::default(),
        };
        let reference = |field: &u16| References::of(shown, plan.field_at(*field).name);
        let references = match liveness {
            Liveness::Alive => plan.header.references.iter().map(reference).collect(),
            Liveness::Unseen | Liveness::Deleted => Box::default(),
        };
        Self { liveness, fields, references }
    }

    /// The shown value in this slot, as canonical JSON.
    pub fn field(&self, slot: u16) -> Option<&[u8]> {
        self.fields.get(usize::from(slot))?.as_deref()
    }

    /// The entities that the reference in this slot names.
    pub fn reference(&self, slot: u16) -> &References {
        self.references.get(usize::from(slot)).unwrap_or(&References::Absent)
    }

    /// About how much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let fields: usize = self.fields.iter().flatten().map(|json| json.len()).sum();
        let ids: usize = self.references.iter().flat_map(References::ids).map(|id| id.len() + 16).sum();
        fields + ids + 24 * (self.fields.len() + self.references.len())
    }
}
