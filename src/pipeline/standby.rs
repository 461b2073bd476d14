//! The change of roles: the work of others that a standby and a new writer may rely on.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::additions::Adding;
use super::gate::Gate;
use super::hand_over::HandOver;
use super::planted::{self, Bug};
use super::run::Run;
use super::serve::Service;
use super::status::Status;
use super::stream::Command;
use super::work::in_place;
use crate::error::Result;

/// An index with a backfill lacks documents that another index acknowledged, until the backfill is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filling {
    /// Every index holds everything below the low watermark.
    Nothing,
    /// The documents to be sent are being marked.
    Marking,
    /// All is marked, at this step or before.
    Until(u64),
}

impl Filling {
    /// Where it is now: `is_marked` says whether everything is marked by this `step`, and `oldest` since
    /// which step a document waits.
    pub(super) fn at(self, is_marked: bool, step: u64, oldest: Option<u64>) -> Self {
        let until = match self {
            Self::Nothing => None,
            Self::Marking if !is_marked => return self,
            Self::Marking => Some(step),
            Self::Until(until) => Some(until),
        };
        until.filter(|until| oldest.is_some_and(|oldest| oldest <= *until)).map_or(Self::Nothing, Self::Until)
    }
}

impl Run {
    /// Stops being the writer. A late acknowledgement clears the marks of everything folded by then.
    pub(super) fn stand_by(&mut self) {
        self.cleared_to = None;
    }

    /// Begins to write, through the gate of this moment. An index that an earlier turn did not fill, or that another
    /// instance wrote, is handed over first. The marks may not be for it. An index with a backfill is reconciled as
    /// well. A backfill was paused at first, and no change is marked during a pause. So another instance may have
    /// written documents that are deleted by now.
    pub(super) async fn begin_to_write(&mut self) -> Result<()> {
        if self.cleared_to.is_none() {
            // The commands of an earlier turn decide. In the first turn there were none, and the fold may
            // wait for a server.
            self.barrier().await?;
        }
        if matches!(self.service, Service::Given) {
            // Given to the indexes of then, by this instance.
            self.service = Service::of(false);
        }
        // The former writer may not have completed its additions.
        self.adding = Adding::Due(Instant::now());
        let (mut moved, mut unfilled) = (Vec::new(), Vec::new());
        for (number, (projection, index)) in self.projections.iter().zip(&self.indexes).enumerate() {
            if self.state.built_for(projection.name())? != *index {
                moved.push((number, index.clone()));
            } else if self.queue.has_backfill(*projection) && !planted::is(Bug::UnfilledTrusted) {
                unfilled.push((number, index.clone()));
            }
        }
        if !moved.is_empty() {
            self.reconcile.clear();
            self.gate = Gate::HandOver(HandOver::of(moved, self.cleared_to.clone()));
        }
        if !unfilled.is_empty() {
            // Documents found in such an index wait to be deleted: nothing of it counts as delivered before they are.
            self.filling = Filling::Marking;
        }
        self.reconcile.retain(|known| !unfilled.contains(known));
        self.reconcile.extend(unfilled);
        Ok(())
    }

    /// A standby clears the marks of documents that the writer has delivered.
    pub(super) fn follow(&mut self) -> Result<()> {
        let committed = in_place(|| self.leadership.committed())?;
        if !committed.log.is_empty() && committed.log != self.status.log() {
            // Offsets of topics that were deleted since say nothing of those that have their names now. A writer may have
            // committed them after the broker forgot the others.
            tracing::debug!(low_watermark = %committed.low_watermark, "the group's offsets are of another log, or of one not known yet");
            return Ok(());
        }
        if !committed.low_watermark.is_empty() {
            self.status.set_low_watermark(&committed.low_watermark, Status::now_ms(), BTreeMap::new());
            if let Some(cleared_to) = &mut self.cleared_to {
                cleared_to.join(&committed.low_watermark);
            }
            self.command(Command::DeliveredElsewhere(committed))?;
        }
        Ok(())
    }

    /// True while an index lacks, or may lack, documents below the low watermark.
    pub(super) fn is_filling(&mut self) -> bool {
        let is_marked = matches!(self.gate, Gate::Open) && self.reconcile.is_empty();
        self.filling = self.filling.at(is_marked, self.queue.step(), self.queue.oldest_waiting());
        self.filling != Filling::Nothing || self.is_handed_over_still()
    }

    /// True while an index that this instance found behind an alias when it began to write is not its own yet.
    /// Acknowledgements of another index say nothing of this one.
    fn is_handed_over_still(&self) -> bool {
        let Gate::HandOver(hand_over) = &self.gate else { return false };
        hand_over.moved.iter().any(|moved| self.is_written(moved))
    }

    /// The index of each projection, as it is published.
    pub(super) fn written(&self) -> BTreeMap<String, String> {
        let names = self.projections.iter().map(|projection| projection.name().to_owned());
        names.zip(self.indexes.iter().cloned()).collect()
    }
}
