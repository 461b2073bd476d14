//! Triggers that the simulation leaves out, to show that it would see them missing. Outside of this crate's tests none is
//! left out.

use crate::plan::Hop;

/// A kind of change that follows from a changed entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The entity's own documents.
    Own,
    /// The rows in which it is a member.
    Row,
    /// Documents of an entity that it refers to.
    Up,
    /// Documents of all entities above it in a tree.
    Above,
    /// Documents of entities that refer to it.
    Down,
    /// Documents of all entities below it in a tree.
    Below,
}

impl Trigger {
    /// The kind of a hop.
    pub(super) fn of(hop: Hop) -> Self {
        match hop {
            Hop::Up { .. } => Self::Up,
            Hop::Above { .. } => Self::Above,
            Hop::Down { .. } => Self::Down,
            Hop::Below { .. } => Self::Below,
        }
    }
}

/// Whether a trigger is left out.
#[cfg(not(test))]
pub(super) const fn is_left_out(_: Trigger) -> bool {
    false
}

#[cfg(test)]
pub(super) use self::chosen_trigger::is_left_out;
#[cfg(test)]
pub(crate) use self::chosen_trigger::leave_out;

#[cfg(test)]
mod chosen_trigger {
    use std::cell::Cell;

    use super::Trigger;

    thread_local! {
        static LEFT_OUT: Cell<Option<Trigger>> = const { Cell::new(None) };
    }

    pub(in crate::projection) fn is_left_out(trigger: Trigger) -> bool {
        LEFT_OUT.get() == Some(trigger)
    }

    /// Leaves a trigger out on this thread from here on.
    pub(crate) fn leave_out(trigger: Option<Trigger>) {
        LEFT_OUT.set(trigger);
    }
}
