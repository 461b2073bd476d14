//! The fold: a batch of decoded records becomes one atomic commit of the state.
//!
//! One thread owns the [`StateWriter`]; it is the only writer of the state.

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use self::changed_rows::apply_one;
use self::changed_rows::put_rows;
pub(super) use self::positions::{advance, skip_offsets};
use super::superseded_records::SupersededRecords;
use super::tuning::Tuning;
use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::entity::References;
use crate::error::Result;
use crate::event::{DecodeOutcome, Record};
use crate::plan::{EntityType, PlanRef};
use crate::position::{Positions, TopicPartition};
use crate::projection::Projection;
use crate::projection::effects::{Effects, FanOut};
use crate::state::State;
use crate::state::keys::{LOW_WATERMARK_KEY, PROGRESS_KEY, Space, index_built_key, member_key, owner_prefix};
use crate::state::rows::{self, Backfill, FoldProgress, LowWatermark, Task};
use crate::state::store::{Changes, Reader};

/// A document: its projection and id.
pub type DocumentKey = (Projection, Arc<str>);

/// A record with its decoded event.
#[derive(Debug)]
pub struct DecodedRecord {
    /// The record.
    pub record: Record,
    /// The decoded event.
    pub decoded: DecodeOutcome,
}

/// A commit that was made.
#[derive(Debug, Default)]
pub struct Step {
    /// Its number; 0 when nothing was committed.
    pub number: u64,
    /// The documents that it marked.
    pub marked: Vec<DocumentKey>,
    /// How many records went to the dead letters.
    pub poisoned: usize,
    /// How many records have lower versions than their entities.
    pub superseded: usize,
    /// The partitions that have had a long run of them, each told once.
    pub(super) begun_anew: Vec<TopicPartition>,
}

/// The one writer of a state.
pub struct StateWriter {
    pub(super) state: Arc<State>,
    pub(super) progress: FoldProgress,
    /// The key of the last task that is done: none that waits lies before it.
    pub(super) tasks_done: Vec<u8>,
    pub(super) projections: Vec<Projection>,
    /// The backfills that are not done.
    pub(super) backfills: BTreeMap<Projection, Backfill>,
    dead_letters: Box<dyn DeadLetters>,
    /// True while this fold alone decides the content of the index. No other instance has delivered, or will deliver, a
    /// fold of the same events in another order.
    is_settled: bool,
    pub(super) superseded: SupersededRecords,
    pub(super) tuning: Tuning,
}

/// The work on the dead letters of a step, before its commit.
type DeadLetterWriter<'a> = dyn FnMut(&mut dyn DeadLetters, Vec<DeadLetter>) -> Result<()> + 'a;

impl StateWriter {
    /// Takes up where the state left off. Only documents of `projections` are marked.
    pub fn new(
        state: Arc<State>,
        projections: Vec<Projection>,
        dead_letters: Box<dyn DeadLetters>,
        tuning: Tuning,
    ) -> Result<Self> {
        let (progress, plan) = (state.progress()?, state.plan());
        let backfills = state.backfills()?.into_iter();
        let backfills = backfills
            .filter_map(|(number, backfill)| Some((plan.projection_of_number(number)?, backfill)))
            .filter(|(projection, _)| projections.contains(projection))
            .collect();
        let this = Self {
            state,
            progress,
            tasks_done: Vec::new(),
            projections,
            backfills,
            dead_letters,
            is_settled: false,
            superseded: SupersededRecords::default(),
            tuning,
        };
        this.forget_left_out()?;
        Ok(this)
    }

    /// Sets whether this fold alone decides the content of the index.
    pub fn set_settled(&mut self, is_settled: bool) {
        self.is_settled = is_settled;
    }

    /// The plan that it folds by.
    pub fn plan(&self) -> PlanRef {
        self.state.plan()
    }

    /// How far the fold is.
    pub fn progress(&self) -> &FoldProgress {
        &self.progress
    }

    /// Folds records of the log; `skipped` are positions that moved without a record.
    /// Poison is written down durably before the positions move past it.
    pub fn fold(&mut self, records: &[DecodedRecord], skipped: &[(TopicPartition, i64)]) -> Result<Step> {
        let is_truncation = |input: &DecodedRecord| matches!(input.decoded, DecodeOutcome::Truncation(_));
        if records.iter().any(is_truncation) {
            return self.fold_truncations(records, skipped);
        }
        self.fold_part(records, skipped)
    }

    /// Folds records without truncations, or a truncation whose deletes are made.
    fn fold_part(&mut self, records: &[DecodedRecord], skipped: &[(TopicPartition, i64)]) -> Result<Step> {
        let mut progress = self.progress.clone();
        advance(&mut progress, records);
        skip_offsets(&mut progress, skipped);
        if progress == self.progress {
            return Ok(Step::default());
        }
        self.commit_fold(records, progress, &mut |dead_letters, letters| dead_letters.append(&letters))
    }

    /// Folds records that were in the dead letters: by their own versions, so that they can never put back older data.
    /// Answers those that are poison still, by name and reason; they are not written down again.
    pub fn fold_retried(&mut self, records: &[DecodedRecord]) -> Result<(Step, Vec<(String, String)>)> {
        let mut progress = self.progress.clone();
        progress.beside += 1;
        // Dead letters are older than their entities as a rule.
        let superseded = self.superseded.clone();
        let mut poison = Vec::new();
        let step = self.commit_fold(records, progress, &mut |_, letters| {
            poison.extend(letters.into_iter().map(|letter| (letter.name(), letter.reason)));
            Ok(())
        })?;
        self.superseded = superseded;
        Ok((Step { superseded: 0, begun_anew: Vec::new(), ..step }, poison))
    }

    fn commit_fold(
        &mut self,
        records: &[DecodedRecord],
        mut progress: FoldProgress,
        write_dead_letters: &mut DeadLetterWriter<'_>,
    ) -> Result<Step> {
        let mut tally = std::mem::take(&mut self.superseded);
        let view = self.state.view();
        let mut poison = Vec::new();
        let touched = self.apply(&*view, &progress, records, (&mut poison, &mut tally))?;
        let (superseded, begun_anew) = tally.take();
        let poisoned = poison.len();
        let is_late = bug!(PoisonToldLate);
        if poisoned > 0 && !is_late {
            write_dead_letters(&mut *self.dead_letters, std::mem::take(&mut poison))?;
        }
        progress.step += 1;
        let mut changes = Changes::default();
        let effects = self.effects(&*view, &touched)?;
        self.put_relations(&mut changes, &effects);
        let step = progress.step;
        self.put_fan_outs(&*view, &mut changes, &mut progress, (step, effects.fan_outs))?;
        let marks = effects.marks.into_iter().filter(|(projection, _)| self.is_marked(*projection));
        let marked = self.put_marks(&mut changes, progress.step, marks);
        let written = put_rows(&mut changes, touched)?;
        changes.put(Space::META, PROGRESS_KEY.to_vec(), rows::encode(&progress)?);
        if bug!(PositionsFirst) {
            let mut first = Changes::default();
            first.put(Space::META, PROGRESS_KEY.to_vec(), rows::encode(&progress)?);
            self.state.commit(first)?;
        }
        self.state.commit_fold(changes, written, progress.step)?;
        if poisoned > 0 && is_late {
            write_dead_letters(&mut *self.dead_letters, poison)?;
        }
        self.progress = progress;
        self.superseded = tally;
        Ok(Step { number: self.progress.step, marked, poisoned, superseded, begun_anew })
    }

    /// The entities that a reference of an entity names, as committed.
    pub(super) fn references(
        &self,
        view: &dyn Reader,
        of: EntityType,
        id: &str,
        field: u16,
    ) -> Result<References> {
        let row = self.state.row(view, &(of, id.into()))?;
        Ok(References::of(&row.registers, of.field_at(field).name))
    }

    fn put_relations(&self, changes: &mut Changes, effects: &Effects) {
        for row in &effects.rows {
            let (space, key) = (Space::of_relation(row.relation), member_key(&row.owner, &row.member));
            match &row.value {
                Some(value) => changes.put(space, key, value.clone()),
                None => changes.remove(space, key),
            }
        }
    }

    /// Writes the fan-outs down, those only that have something below: an entity that joins in this very step is marked by
    /// its own change.
    pub(super) fn put_fan_outs(
        &self,
        view: &dyn Reader,
        changes: &mut Changes,
        progress: &mut FoldProgress,
        (step, fan_outs): (u64, Vec<FanOut>),
    ) -> Result<()> {
        for fan_out in fan_outs {
            let relation = self.relation_of(&fan_out);
            let Some(relation) = relation.filter(|_| self.is_fanned_out(&fan_out)) else { continue };
            if has_members(view, Space::of_relation(relation), &fan_out.node)? {
                put_task(changes, progress, &Task { step, fan_out, after: Vec::new() })?;
            }
        }
        Ok(())
    }

    pub(super) fn commit_if_any(&self, changes: Changes) -> Result<()> {
        if changes.is_empty() { Ok(()) } else { self.state.commit(changes) }
    }

    /// Writes down which index a projection's marks are for. A projection that is left out has none.
    pub fn set_built_for(&mut self, projection: Projection, index: &str) -> Result<()> {
        if !self.projections.contains(&projection) || self.state.index_built_for(projection.name())? == index
        {
            return Ok(());
        }
        let mut changes = Changes::default();
        changes.put(Space::META, index_built_key(projection.name()), rows::encode(&index)?);
        self.state.commit(changes)
    }

    /// Writes the low watermark down.
    pub fn set_low_watermark(&mut self, positions: &Positions, time_ms: u64) -> Result<()> {
        let partitions =
            positions.iter().map(|(at, next)| (at.topic.to_string(), at.partition, next)).collect();
        let mut changes = Changes::default();
        changes.put(
            Space::META,
            LOW_WATERMARK_KEY.to_vec(),
            rows::encode(&LowWatermark { partitions, time_ms })?,
        );
        self.state.commit(changes)
    }

    /// The dead letters.
    pub fn dead_letters(&mut self) -> &mut dyn DeadLetters {
        &mut *self.dead_letters
    }

    /// Waits until everything lies on the disk.
    pub fn sync(&self) -> Result<()> {
        self.state.sync()
    }

    pub(super) fn commit_step(
        &mut self,
        mut changes: Changes,
        progress: FoldProgress,
        marked: Vec<DocumentKey>,
    ) -> Result<Step> {
        changes.put(Space::META, PROGRESS_KEY.to_vec(), rows::encode(&progress)?);
        self.state.commit(changes)?;
        self.progress = progress;
        Ok(Step { number: self.progress.step, marked, ..Step::default() })
    }
}

pub(super) fn put_task(changes: &mut Changes, progress: &mut FoldProgress, task: &Task) -> Result<()> {
    progress.task += 1;
    *progress.task_steps.entry(task.step).or_default() += 1;
    changes.put(Space::TASKS, progress.task.to_be_bytes().to_vec(), rows::encode(task)?);
    Ok(())
}

pub(super) fn has_members(view: &dyn Reader, space: Space, owner: &str) -> Result<bool> {
    let mut found = false;
    view.scan(space, &owner_prefix(owner), &[], &mut |_, _| {
        found = true;
        Ok(std::ops::ControlFlow::Break(()))
    })?;
    Ok(found)
}

pub(crate) fn partition_hash(partition: &TopicPartition) -> u64 {
    xxhash_rust::xxh3::xxh3_64(partition.to_string().as_bytes())
}

mod changed_rows;
mod contributors;
mod dead_letters;
mod marks;
mod positions;
#[cfg(test)]
mod tests;
mod truncation;
