//! The hand-over of an index from a rebuild to the running instance, after the rebuild put it behind an alias.
//!
//! The instance stops delivery and notes its position (P). The rebuild goes on until it has passed P in every partition,
//! notes its end (F), and ends. The new index then holds every document that the instance had acknowledged. The instance
//! itself delivers its dirty documents there, through the gate.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Result;
use crate::position::Positions;
use crate::projection::Projection;
use crate::sink::generations::{Aliases, Phase, Rebuild, Revision, positions, to_record};

/// A rebuild that sends no heartbeat for so long is taken for dead.
pub const LEASE: Duration = Duration::from_secs(30);
/// How often the records are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An index that was put behind an alias.
#[derive(Debug)]
pub(super) struct MovedIndex {
    pub(super) projection: Projection,
    pub(super) index: String,
    /// Whether the index holds everything that this instance had acknowledged; `None` while it waits.
    pub(super) covered: Option<bool>,
    /// How far the log was delivered by the rebuild that filled the index.
    pub(super) ended_at: Option<Positions>,
    /// The last sign of the rebuild's life, and when it was seen.
    last_sign: Option<(u64, Instant)>,
}

/// Waits until every index that was moved is this instance's to write.
#[derive(Debug)]
pub(super) struct HandOver {
    pub(super) moved: Vec<MovedIndex>,
    /// Where this instance stopped; known once no request of it is in flight.
    pub(super) stopped_at: Option<Positions>,
    looked: Option<Instant>,
}

/// The result of one look at a record.
enum RebuildVerdict {
    Wait,
    /// To be written, then waited on.
    Note(Box<Rebuild>),
    Covered(bool),
}

impl HandOver {
    pub(super) fn of(moved: Vec<(Projection, String)>, stopped_at: Option<Positions>) -> Self {
        let moved = moved.into_iter().map(|(projection, index)| {
            tracing::info!(
                index,
                "the alias stands for another index; nothing is delivered until it is handed over"
            );
            MovedIndex { projection, index, covered: None, ended_at: None, last_sign: None }
        });
        Self { moved: moved.collect(), stopped_at, looked: None }
    }

    /// The names of the indexes that the aliases stand for now.
    pub(super) fn indexes(&self) -> String {
        let names: Vec<&str> = self.moved.iter().map(|moved| moved.index.as_str()).collect();
        names.join(", ")
    }

    /// True when this instance had folded something when it stopped.
    pub(super) fn has_state(&self) -> bool {
        self.stopped_at.as_ref().is_some_and(|positions| !positions.is_empty())
    }

    /// One look, seldom enough; true once every index is decided.
    ///
    /// # Errors
    /// Those of the index.
    pub(super) async fn look(&mut self, sink: &dyn Aliases) -> Result<bool> {
        let Some(stopped_at) = &self.stopped_at else { return Ok(false) };
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return Ok(false);
        }
        self.looked = Some(Instant::now());
        let mut records = match sink.rebuilds().await {
            Ok(records) => records,
            Err(error) => {
                // No record was read meanwhile, so no answer could be seen.
                self.moved.iter_mut().for_each(|moved| moved.last_sign = None);
                return Err(error);
            }
        };
        for moved in self.moved.iter_mut().filter(|moved| moved.covered.is_none()) {
            let record = records.remove(&moved.projection);
            moved.settle(sink, record, stopped_at).await?;
        }
        Ok(self.moved.iter().all(|moved| moved.covered.is_some()))
    }
}

impl MovedIndex {
    async fn settle(
        &mut self,
        sink: &dyn Aliases,
        record: Option<(Rebuild, Revision)>,
        stopped_at: &Positions,
    ) -> Result<()> {
        if bug!(HandOverBlind) {
            self.covered = Some(true);
            return Ok(());
        }
        let Some((record, revision)) = record else {
            self.covered = Some(false);
            return Ok(());
        };
        let is_dead = self.is_dead(record.beat);
        self.ended_at = end_of_rebuild(&record, &self.index);
        match judge(record, &self.index, stopped_at, is_dead) {
            RebuildVerdict::Wait => {}
            RebuildVerdict::Covered(covered) => self.covered = Some(covered),
            // Another program changed it meanwhile, and the next look sees the change.
            RebuildVerdict::Note(record) => {
                sink.note_rebuild(self.projection, Some(&*record), Some(&revision)).await?;
            }
        }
        Ok(())
    }

    /// True when the rebuild has shown the same heartbeat for the whole lease.
    fn is_dead(&mut self, beat: u64) -> bool {
        match self.last_sign {
            Some((last, at)) if last == beat => at.elapsed() >= LEASE,
            _ => {
                self.last_sign = Some((beat, Instant::now()));
                false
            }
        }
    }
}

/// Where the rebuild of an index ended.
fn end_of_rebuild(record: &Rebuild, index: &str) -> Option<Positions> {
    let is_done = record.index == index && record.phase == Phase::Done;
    record.ended_at.as_deref().filter(|_| is_done).map(positions)
}

fn judge(mut record: Rebuild, index: &str, stopped_at: &Positions, is_dead: bool) -> RebuildVerdict {
    if record.index != index {
        return RebuildVerdict::Covered(false);
    }
    if record.phase == Phase::Done {
        // Without an end it was taken from a rebuild that had died.
        let ended_at = end_of_rebuild(&record, index);
        return RebuildVerdict::Covered(ended_at.is_some_and(|ended_at| ended_at.covers(stopped_at)));
    }
    if is_dead {
        tracing::warn!(index, "the rebuild sent no heartbeat; this instance sends every document itself");
        record.phase = Phase::Done;
        record.ended_at = None;
        return RebuildVerdict::Note(Box::new(record));
    }
    let known = record.stopped_at.as_deref().map(positions);
    if known.is_some_and(|known| known.covers(stopped_at)) {
        return RebuildVerdict::Wait;
    }
    record.stopped_at = Some(to_record(stopped_at));
    RebuildVerdict::Note(Box::new(record))
}

#[cfg(test)]
mod simulation;
