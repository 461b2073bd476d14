//! The claim on the projections that are rebuilt: one record each, where everybody sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::session::Session;
use super::upkeep::give_up;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::hand_over::LEASE;
use crate::position::Positions;
use crate::projection::Projection;
use crate::sink::generations::{Generations, Phase, Rebuild, RebuildProgress, Revision, positions};

/// How often a change of a record is tried again after another program changed it meanwhile.
const TRIES: usize = 20;

/// The claim of one session.
pub struct Claim {
    sink: Arc<dyn Generations>,
    id: String,
    count: usize,
    /// The time of the last written heartbeat. Reading the record shows no other process that this session lives.
    confirmed: Mutex<Option<Instant>>,
}

impl Claim {
    /// Claims `projections`, those of `session`, or finds them claimed by it.
    ///
    /// # Errors
    /// When another session rebuilds one of them.
    pub async fn take(
        sink: Arc<dyn Generations>,
        projections: &[Projection],
        session: &Session,
    ) -> Result<Self> {
        let claim = Self {
            sink,
            id: session.id.clone(),
            count: session.projections.len(),
            confirmed: Mutex::default(),
        };
        let mut records = claim.sink.rebuilds().await?;
        for (projection, (record, _)) in &records {
            if claim.is_of_another(record) {
                return Err(conflict(*projection, record));
            }
        }
        for projection in projections.iter().copied() {
            let found = records.remove(&projection);
            if found.as_ref().is_some_and(|(record, _)| record.session == claim.id) {
                continue;
            }
            let (earlier, revision) = found.unzip();
            let earlier = earlier.map(|earlier| Box::new(Rebuild { earlier: None, ..earlier }));
            let record = Rebuild { earlier, ..beginning(session, projection)? };
            if !claim.sink.note_rebuild(projection, Some(&record), revision.as_ref()).await? {
                return Err(conflict(projection, &record));
            }
        }
        Ok(claim)
    }

    fn is_of_another(&self, record: &Rebuild) -> bool {
        record.session != self.id && record.is_under_way()
    }

    /// The records, each with the writing that was read.
    ///
    /// # Errors
    /// When one is not this session's any more: it was given up, or the running instance took the index.
    async fn records(&self) -> Result<BTreeMap<Projection, (Rebuild, Revision)>> {
        let mut own = self.sink.rebuilds().await?;
        own.retain(|_, (record, _)| record.session == self.id);
        let lost = own.values().any(|(record, _)| record.phase == Phase::Done && record.ended_at.is_none());
        if lost || own.len() != self.count {
            return Err(Error::failure(
                "this rebuild is no longer the one that is noted in the index. It was given up with --abort, or its \
                 heartbeats stopped for so long that the running instance took its index over. \
                 Look at `tributary status`, and begin again if the index is not the new one",
            ));
        }
        Ok(own)
    }

    /// Changes the records, each from its present content.
    ///
    /// # Errors
    /// As for [`Self::phase`].
    async fn change(&self, change: impl Fn(&mut Rebuild)) -> Result<()> {
        for _ in 0..TRIES {
            let mut all = true;
            for (projection, (mut record, revision)) in self.records().await? {
                let before = record.clone();
                change(&mut record);
                if record != before {
                    all &= self.sink.note_rebuild(projection, Some(&record), Some(&revision)).await?;
                }
            }
            if all {
                self.confirm();
                return Ok(());
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the rebuild's record changes all the time; run the command again",
        ))
    }

    /// How far the session is: the least of its projections.
    ///
    /// # Errors
    /// When the claim was lost, or the index does not answer.
    pub async fn phase(&self) -> Result<Phase> {
        let records = self.records().await?;
        Ok(records.values().map(|(record, _)| record.phase).min().unwrap_or(Phase::Loading))
    }

    /// Writes down that a phase begins.
    ///
    /// # Errors
    /// As for [`Self::phase`].
    pub async fn begin(&self, phase: Phase) -> Result<()> {
        self.change(|record| {
            record.phase = phase;
            record.beat += 1;
        })
        .await
    }

    /// A heartbeat, with the progress to show.
    ///
    /// # Errors
    /// As for [`Self::phase`].
    pub async fn beat(&self, progress: &RebuildProgress) -> Result<()> {
        let beat = self.records().await?.values().map(|(record, _)| record.beat).max().unwrap_or(0) + 1;
        self.change(|record| {
            record.beat = beat;
            record.progress = progress.clone();
        })
        .await
    }

    /// How many documents were rejected so far, as noted.
    ///
    /// # Errors
    /// As for [`Self::phase`].
    pub async fn count_rejected(&self) -> Result<u64> {
        Ok(self.records().await?.values().map(|(record, _)| record.progress.rejected).max().unwrap_or(0))
    }

    /// Where the running instance stopped, in every index; `None` when it has not said so of one.
    ///
    /// # Errors
    /// As for [`Self::phase`].
    pub async fn stop_positions(&self) -> Result<Option<Vec<Positions>>> {
        let records = self.records().await?;
        Ok(records.values().map(|(record, _)| record.stopped_at.as_deref().map(positions)).collect())
    }

    /// Hands the indexes over: this session ends at `ended_at`.
    ///
    /// # Errors
    /// As for [`Self::phase`].
    pub async fn end(&self, ended_at: &[(String, i32, i64)]) -> Result<()> {
        self.change(|record| {
            record.phase = Phase::Done;
            record.earlier = None;
            record.ended_at = Some(ended_at.to_vec());
            record.beat += 1;
        })
        .await
    }

    /// Gives the claim up: nothing of this session is noted any more, and the indexes that it made are gone.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn give_up(&self, session: &Session) -> Result<()> {
        give_up(&*self.sink, session).await
    }

    /// True while no other process can have taken the records for a dead session's.
    pub fn holds(&self) -> bool {
        let confirmed = *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        confirmed.is_some_and(|at| at.elapsed() < LEASE / 2)
    }

    fn confirm(&self) {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

fn beginning(session: &Session, projection: Projection) -> Result<Rebuild> {
    Ok(Rebuild {
        session: session.id.clone(),
        index: session.index(projection)?.to_owned(),
        previous: session.previous_of(projection).map(str::to_owned),
        phase: Phase::Loading,
        beat: 0,
        stopped_at: None,
        ended_at: None,
        progress: RebuildProgress::default(),
        sends_again: false,
        earlier: None,
        rolled_back_from: session.hash_of(projection).map(str::to_owned),
    })
}

fn conflict(projection: Projection, record: &Rebuild) -> Error {
    let projection = projection.name();
    Error::failure(format!(
        "another reindex of {projection} is under way, into {} ({}). Wait for its end, go on with it where it was \
         begun, or give it up with `tributary reindex --abort {projection}`",
        record.index,
        record.phase.name()
    ))
}
