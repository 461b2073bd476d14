//! The entries of the queue: a document that waits, a document in flight, a point of the fold.

use super::Priority;
use crate::position::Positions;

/// A document that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueEntry {
    /// The step of its oldest mark.
    pub(super) step: u64,
    pub(super) priority: Priority,
}

/// Marks that did not fit into memory. They lie in the state only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overflow {
    /// The step of the latest of them.
    pub(super) last: u64,
    /// The step since which the oldest of them waits.
    pub(super) since: u64,
}

/// A document in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    /// The step of its oldest mark.
    pub(super) step: u64,
    /// The step of a mark that came meanwhile.
    pub(super) again: Option<u64>,
    /// The priority with which it was taken, and with which it waits again after a failure.
    pub(super) priority: Priority,
    /// Part of a chunk, which may have been made before a mark that a scan finds.
    pub(super) is_of_chunk: bool,
}

/// The positions of the fold at a step.
#[derive(Debug)]
pub(super) struct CommitPoint {
    pub(super) step: u64,
    pub(super) positions: Positions,
    /// Milliseconds since the Unix epoch.
    pub(super) time_ms: u64,
}
