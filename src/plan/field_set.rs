//! Sets of an entity's fields.

/// Fields of one entity type, with the fields that are not declared as one, and whether the entity is alive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldSet(u128);

/// The fields from this number on are told apart no more: a change of one counts as a change of all of them.
const TOLD_APART: usize = 125;

impl FieldSet {
    /// Nothing.
    pub const EMPTY: Self = Self(0);
    /// Whether the entity is there.
    pub const LIVENESS: Self = Self(1 << 127);
    /// The fields that are not declared.
    pub const REST: Self = Self(1 << 126);
    /// Everything.
    pub const ALL: Self = Self(u128::MAX);

    /// The declared field of this number.
    pub fn of(field: usize) -> Self {
        Self(1 << field.min(TOLD_APART))
    }

    /// The fields of either set.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The fields of this set that are not in the other.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// True when something is in both.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True when all of it is in the other as well.
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// True when there is nothing.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<FieldSet> for FieldSet {
    fn from_iter<T: IntoIterator<Item = FieldSet>>(sets: T) -> Self {
        sets.into_iter().fold(Self::EMPTY, Self::with)
    }
}
