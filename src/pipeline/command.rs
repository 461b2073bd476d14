//! The commands to the fold.

use crossbeam_channel::Sender;
use tokio::sync::oneshot;

use super::dead_letter_outcomes::{DiscardOutcome, RetryOutcome};
use super::fold::DocumentKey;
use crate::dead_letter::DeadLetter;
use crate::error::Result;
use crate::position::Positions;
use crate::projection::Projection;
use crate::source::leadership::DeliveredPosition;

/// A command of the delivery or of an administrative route to the fold.
pub enum FoldCommand {
    /// The index acknowledged documents, each made at a step, or rejected them.
    Delivered {
        /// The documents with the steps of their snapshots.
        acknowledged: Vec<(DocumentKey, u64)>,
        /// Dead letters for those rejected; written before the marks are cleared.
        rejected: Vec<DeadLetter>,
        /// Every document of the request, with whether it is through. They leave the queue only once
        /// their marks are cleared: a scan would find them again.
        finished: Vec<(DocumentKey, bool)>,
    },
    /// Write the low watermark down.
    LowWatermark(Positions, u64),
    /// Follow the low watermark of another instance.
    DeliveredElsewhere(DeliveredPosition),
    /// Mark documents that were found in an index.
    Mark(Vec<(Projection, String)>),
    /// Begin a backfill of a projection.
    BeginBackfill(Projection),
    /// Documents of a backfill that the index did not acknowledge.
    MarkUndelivered {
        /// The step that began the backfill. The low watermark stays below it until they are delivered.
        since: u64,
        /// Dead letters of rejected documents.
        rejected: Vec<DeadLetter>,
        /// The documents, to be marked.
        documents: Vec<(Projection, String)>,
    },
    /// Resume the paused backfills, because writing begins.
    ResumeBackfills,
    /// Move the backfill that a step began to an id, after so many documents. Without an id it is complete.
    AdvanceBackfill(Projection, u64, Option<String>, u64),
    /// A projection's marks are complete for this concrete index.
    BuiltFor(Projection, String),
    /// Fold dead letters again, all or those named; answers how many were folded and how many are poison still.
    Retry(Option<Vec<String>>, Sender<Result<RetryOutcome>>),
    /// Take dead letters out for good, all or those named.
    Discard(Option<Vec<String>>, Sender<Result<DiscardOutcome>>),
    /// Answer, once everything asked before is done.
    Barrier(oneshot::Sender<()>),
    /// End, once everything asked before is done.
    Stop,
}
