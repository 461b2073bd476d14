//! Bugs that the simulation plants, to show that it would see them. Production code names the rules that they break by `bug!`.

use std::cell::Cell;

/// A rule of the pipeline that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A mark is cleared before the index has acknowledged the write.
    MarkClearedEarly,
    /// Nothing is waited for when writing begins, and a conflict is taken for done.
    NoGateAndConflictsDone,
    /// A second instance writes beside the first.
    NoStandBy,
    /// An index that was swapped in is written without a word between the instance and the rebuild.
    HandOverBlind,
    /// Deletes are sent without a version.
    DeleteUnversioned,
    /// The marks are taken to be for any index that the alias stands for now.
    BuiltForKept,
    /// The positions are committed before the rows.
    PositionsFirst,
    /// The low watermark is published over documents that still wait.
    LowWatermarkEager,
    /// A backfill's place moves on before its parts have arrived, and whether or not they do.
    BackfillCursorEarly,
    /// A fan-out ends with its first part.
    FanOutCutShort,
    /// Of several events of an entity that are folded at once, only the last state counts.
    BetweenForgotten,
    /// The ancestors that an entity had before a move are not marked.
    OldChainForgotten,
    /// A document is written while another write of it is in flight.
    WriteBeside,
    /// A write that is to be tried again is taken for done.
    RetryDone,
    /// An acknowledgement clears marks that were made since.
    LaterMarkCleared,
    /// A standby clears marks that the low watermark does not cover.
    TrimmedTooFar,
    /// Marks that did not fit into the queue are not looked for in the state.
    ScanForgotten,
    /// A poison record gets its dead letter after the positions have moved past it.
    PoisonToldLate,
    /// A rejection is written down after its mark is cleared.
    RejectionToldLate,
    /// An index that was made and never filled is taken to hold nothing that another instance has written.
    UnfilledTrusted,
    /// A foreign write over a document is left there.
    ForeignLeft,
    /// Documents of a backfill that the index refused wait since their refusal, and not since the backfill was called for.
    UndeliveredWaitSinceNow,
    /// Once a foreign version is written over it is forgotten, and our own version above it is taken for foreign.
    BaseForgotten,
    /// The rows of an unfinished bulk load are kept, although another log may have made them.
    UnfinishedLoadKept,
    /// A document of references only, from a partial log, has versions above those of documents that records make.
    StubAboveRecords,
    /// The document of a child under its new owner is not sent with the delete of the one under its old owner.
    MovedChildLeft,
    /// A backfill that was paused is taken to delete the documents that changes during its pause call for no more.
    PausedBackfillTrusted,
    /// Two documents of one member under different owners are in flight at once.
    SiblingBeside,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Whether this bug is planted in the code that runs on this thread.
pub(crate) fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Plants a bug in the code that runs on this thread from here on.
pub(super) fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}
