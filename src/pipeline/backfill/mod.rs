//! A backfill: every document of a projection in one pass over the state, in the order of its keys, without a
//! mark for each.
//!
//! A new index lacks every document. Marks could say so, at the price of two writes to the state for each document. A
//! backfill is one row instead: the documents behind its cursor are pending. It is *paused* until writing begins. A
//! paused backfill comes to every document later, so no change is marked meanwhile, and the first fold of a log marks
//! nothing. An *active* backfill marks every change, on both sides of its cursor.

mod chunk;
mod progress;
mod registry;

pub use self::chunk::{Chunk, ChunkContext, make_chunk};
pub(super) use self::progress::{BackfillsInFlight, ChunkStart, Completion};

use crate::projection::Projection;

/// A backfill as the delivery sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingBackfill {
    /// The projection.
    pub projection: Projection,
    /// The step that began it, which tells one backfill from another.
    pub step: u64,
    /// The id that it has reached, empty at its beginning; `None` while it is paused.
    pub cursor: Option<String>,
    /// About how many documents are left.
    pub left: u64,
}
