//! The parts of an entity that others show by a reference.

/// The parts of an entity that documents of other entities read through references.
#[derive(Debug, Clone, Default)]
pub struct HeaderPlan {
    /// True when a document of another entity reads it.
    pub is_read: bool,
    /// The fields that are shown.
    pub fields: Vec<u16>,
    /// The references that are followed.
    pub references: Vec<u16>,
}

impl HeaderPlan {
    /// The slot of a shown field.
    pub fn field(&self, field: u16) -> Option<u16> {
        position(&self.fields, field)
    }

    /// The slot of a reference.
    pub fn reference(&self, field: u16) -> Option<u16> {
        position(&self.references, field)
    }
}

fn position(of: &[u16], field: u16) -> Option<u16> {
    of.iter().position(|number| *number == field).and_then(|at| u16::try_from(at).ok())
}
