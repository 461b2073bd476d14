//! The first fold of a log: an external merge instead of a read and a write of the store for each entity.
//!
//! Folding is a merge of registers, so partial folds merge as well. As much of the log as the memory's budget allows
//! is folded into a map and put aside as a sorted run. At the end the runs are merged, and the store is filled in the
//! order of its keys. The positions come last: a load that was broken off begins anew. While it lasts every document
//! is called for by a backfill that pauses, so that nothing has to be marked.

mod merge;
mod merge_order;
mod prefetch;
mod runs;
mod scoped_truncation;
mod sorter;

use std::collections::HashMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use self::runs::{EntityFold, Runs};
use self::scoped_truncation::ScopedTruncation;
use super::fold::{DecodedRecord, StateWriter, Step, advance, apply_one, skip_offsets};
use super::superseded_records::SupersededRecords;
use super::tuning::Tuning;
use crate::dead_letter::DeadLetter;
use crate::error::Result;
use crate::event::DecodeOutcome;
use crate::plan::EntityType;
use crate::plan::PlanRef;
use crate::position::{Positions, TopicPartition};
use crate::state::keys::{FAILED_LOAD_KEY, Space};
use crate::state::rows::FoldProgress;
use crate::state::store::Changes;

/// More runs are not merged at once. Later records are folded one batch at a time.
const RUNS_MAX: usize = 200;
/// A load that was broken off begins anew, so it is brought to an end after this time.
const TIME_MAX: Duration = Duration::from_mins(10);
/// A load whose end is asked for is given up when it took longer than this.
const SHORT: Duration = Duration::from_secs(5);
/// The memory of an entity and of each of its fields, beside their bytes.
const ENTITY_BYTES: usize = 200;
const FIELD_BYTES: usize = 96;

/// A load under way.
pub struct BulkLoad {
    folds: HashMap<(EntityType, Box<str>), EntityFold, RandomState>,
    held_bytes: usize,
    tuning: Tuning,
    runs: Runs,
    superseded: SupersededRecords,
    /// The truncations that came.
    truncated: Vec<ScopedTruncation>,
    /// How far it has read.
    progress: FoldProgress,
    /// How far it has to read.
    end: Positions,
    began: Instant,
}

impl BulkLoad {
    /// A load of an empty state up to `end`, with runs in `folder`.
    pub fn new(folder: PathBuf, plan: PlanRef, end: Positions, tuning: Tuning) -> Self {
        Self {
            folds: HashMap::default(),
            held_bytes: 0,
            tuning,
            runs: Runs::in_folder(folder, plan.entity_types().collect()),
            superseded: SupersededRecords::default(),
            truncated: Vec::new(),
            progress: FoldProgress::default(),
            end,
            began: Instant::now(),
        }
    }

    /// How far it has read.
    pub fn positions(&self) -> Positions {
        self.progress.positions()
    }

    /// True when nothing more is to be read before it is brought to an end.
    pub fn is_through(&self) -> bool {
        self.positions().covers(&self.end)
            || self.runs.count() >= RUNS_MAX
            || self.began.elapsed() >= TIME_MAX
    }

    /// True when bringing it to an end takes a moment only.
    pub fn is_short(&self) -> bool {
        self.began.elapsed() <= SHORT
    }

    fn take(
        &mut self,
        records: &[DecodedRecord],
        skipped: &[(TopicPartition, i64)],
        beside: &FoldProgress,
    ) -> Result<Vec<DeadLetter>> {
        self.progress.beside = beside.beside;
        advance(&mut self.progress, records);
        skip_offsets(&mut self.progress, skipped);
        let mut poison = Vec::new();
        for input in records {
            let event = match &input.decoded {
                DecodeOutcome::Ignored => continue,
                DecodeOutcome::Poison(reason) => {
                    poison.push(DeadLetter::from_record(&input.record, reason));
                    continue;
                }
                DecodeOutcome::Truncation(truncation) => {
                    self.truncated.push(ScopedTruncation::of(&input.record, truncation));
                    continue;
                }
                DecodeOutcome::Event(event) => event,
            };
            let fold = self.folds.entry((event.kind, event.id.as_str().into())).or_insert_with(|| {
                self.held_bytes += event.id.len() + ENTITY_BYTES;
                EntityFold::default()
            });
            let is_superseded = fold.row.registers.is_above(event.version);
            self.superseded.note(&input.record.partition, is_superseded, self.tuning.superseded_run);
            if let Err(reason) = apply_one(&mut fold.row, event, &input.record, &self.progress) {
                poison.push(DeadLetter::from_record(&input.record, &reason));
                continue;
            }
            fold.has_unsequenced |= !event.sequenced;
            self.held_bytes += event.fields.iter().map(|field| field.json.len() + FIELD_BYTES).sum::<usize>();
        }
        if self.held_bytes >= self.tuning.load_bytes_max {
            self.runs.put_aside(self.folds.drain().collect())?;
            self.held_bytes = 0;
        }
        Ok(poison)
    }
}

impl StateWriter {
    /// Removes the rows of a load that did not come to its end. No position says which log they were made of, and a topic
    /// may have been recreated since.
    ///
    /// # Errors
    /// Those of the state.
    pub fn forget_unfinished_load(&self) -> Result<()> {
        // Records from the dead letters may have been folded beside the log.
        let is_new = self.progress.partitions.is_empty() && self.progress.beside == 0;
        if !is_new || bug!(UnfinishedLoadKept) {
            return Ok(());
        }
        let view = self.state.view();
        for space in Space::of_rows(self.state.plan()) {
            if view.cursor(space, Bound::Unbounded)?.entry().is_some() {
                self.state.clear(space)?;
            }
        }
        Ok(())
    }

    /// A load, when nothing of the log was folded yet and enough records wait. Every document is then called for by a
    /// backfill that pauses.
    pub fn first_load(&self, end: &Positions) -> Result<Option<BulkLoad>> {
        let is_paused = self.projections.iter().all(|projection| !self.is_marked(*projection));
        if !self.progress.partitions.is_empty() || !is_paused || end.sum() < self.tuning.load_records_min {
            return Ok(None);
        }
        if self.state.view().get(Space::META, FAILED_LOAD_KEY)?.is_some() {
            return Ok(None);
        }
        Ok(Some(BulkLoad::new(self.state.scratch(), self.state.plan(), end.clone(), self.tuning)))
    }

    /// Takes records into a load; answers how many went to the dead letters.
    ///
    /// # Errors
    /// Those of the dead letters and of the disk.
    pub fn load(
        &mut self,
        load: &mut BulkLoad,
        records: &[DecodedRecord],
        skipped: &[(TopicPartition, i64)],
    ) -> Result<usize> {
        let poison = load.take(records, skipped, &self.progress)?;
        if !poison.is_empty() {
            self.dead_letters().append(&poison)?;
        }
        Ok(poison.len())
    }

    /// Brings a load to its end: the store is filled, and the positions move.
    ///
    /// # Errors
    /// Those of the state, and when an entity's events came by several partitions without a sequence.
    pub fn end_load(&mut self, load: BulkLoad) -> Result<Step> {
        let BulkLoad { folds, mut runs, truncated, mut superseded, progress, .. } = load;
        Space::of_rows(self.state.plan()).into_iter().try_for_each(|space| self.state.clear(space))?;
        runs.hold(folds);
        if let Err(error) = merge::fill(&self.state, runs, &truncated, self.progress.step + 1) {
            let mut changes = Changes::default();
            changes.put(Space::META, FAILED_LOAD_KEY.to_vec(), Vec::new());
            self.state.commit(changes)?;
            self.state.sync()?;
            return Err(error);
        }
        // The rows have to lie on the disk before the positions say so.
        self.state.sync()?;
        let mut after = self.progress.clone();
        after.step += 1;
        after.partitions = progress.partitions;
        let mut changes = Changes::default();
        self.mark_backfills_from(after.step, &mut changes)?;
        let step = self.commit_step(changes, after, Vec::new())?;
        let (count, begun_anew) = superseded.take();
        self.superseded = superseded;
        Ok(Step { superseded: count, begun_anew, ..step })
    }
}
