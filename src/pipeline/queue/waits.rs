//! What the queue knows of a document that waits, and of the moments since when it may.

use super::Lane;
use crate::position::Positions;

/// A document that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// The step of its oldest mark.
    pub(super) step: u64,
    /// The lane that it stands in.
    pub(super) lane: Lane,
}

/// Marks that were left to the state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    /// The step that made the last of them.
    pub(super) last: u64,
    /// Since when the oldest of them waits.
    pub(super) since: u64,
}

/// A document on its way.
#[derive(Debug)]
pub(super) struct Flying {
    /// The step of its oldest mark.
    pub(super) step: u64,
    /// Marked again meanwhile.
    pub(super) again: Option<u64>,
    /// The lane that it came from, and goes back to.
    pub(super) lane: Lane,
    /// Taken by a sweep, which may have made it before a mark that a scan finds.
    pub(super) is_swept: bool,
}

/// A moment of the fold.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) step: u64,
    pub(super) positions: Positions,
    /// Milliseconds since the Unix epoch.
    pub(super) time_ms: u64,
}
