//! The backfills in the state. Only the fold's thread changes them.

use super::PendingBackfill;
use crate::error::Result;
use crate::pipeline::fold::{StateWriter, Step};
use crate::projection::Projection;
use crate::projection::effects::FanOut;
use crate::state::keys::{Space, index_built_key};
use crate::state::rows::{self, Backfill};
use crate::state::store::Changes;

impl StateWriter {
    /// Forgets the marks and backfills of the projections that are left out, and their indexes, because no change marks
    /// their documents from here on. One that comes back is sent whole.
    pub(in crate::pipeline) fn forget_left_out(&self) -> Result<()> {
        let mut changes = Changes::default();
        let pending = self.state.backfills()?;
        for projection in self.plan().projections().filter(|of| !self.projections.contains(of)) {
            let number = projection.number();
            if !self.state.index_built_for(projection.name())?.is_empty() {
                changes.remove(Space::META, index_built_key(projection.name()));
            }
            if pending.iter().any(|(of, _)| *of == number) {
                put(&mut changes, projection, None)?;
            }
            self.state.view().scan(Space::DIRTY, &[number], &[], &mut |key, _| {
                changes.remove(Space::DIRTY, key.to_vec());
                Ok(std::ops::ControlFlow::Continue(()))
            })?;
        }
        self.commit_if_any(changes)
    }

    /// Begins a backfill of a projection, paused at first.
    pub fn begin_backfill(&mut self, projection: Projection) -> Result<Step> {
        let mut progress = self.progress.clone();
        progress.step += 1;
        let backfill = Backfill { step: progress.step, marks_from: None, cursor: String::new(), done: 0 };
        let mut changes = Changes::default();
        put(&mut changes, projection, Some(&backfill))?;
        self.backfills.insert(projection, backfill);
        self.commit_step(changes, progress, Vec::new())
    }

    /// Resumes the paused backfills: every change from here on is marked.
    pub fn resume_backfills(&mut self) -> Result<()> {
        let step = self.progress.step;
        let mut changes = Changes::default();
        for (projection, backfill) in
            self.backfills.iter_mut().filter(|(_, backfill)| backfill.marks_from.is_none())
        {
            backfill.marks_from = Some(step);
            put(&mut changes, *projection, Some(backfill))?;
        }
        self.commit_if_any(changes)
    }

    /// Moves the backfill of `step` to `cursor`, after `count` more documents were delivered or marked. Without a cursor it
    /// is complete. A backfill that was begun anew meanwhile stays where it is.
    pub fn advance_backfill(
        &mut self,
        projection: Projection,
        step: u64,
        cursor: Option<String>,
        count: u64,
    ) -> Result<()> {
        let Some(backfill) = self.backfills.get_mut(&projection).filter(|backfill| backfill.step == step)
        else {
            return Ok(());
        };
        let mut changes = Changes::default();
        match cursor {
            Some(cursor) => {
                backfill.cursor = cursor;
                backfill.done += count;
                put(&mut changes, projection, Some(backfill))?;
            }
            None => {
                self.backfills.remove(&projection);
                put(&mut changes, projection, None)?;
            }
        }
        self.commit_if_any(changes)
    }

    /// Follows another instance, which has delivered everything up to `step`. A paused backfill becomes active, because
    /// changes after `step` have to be marked. A backfill is complete once no unmarked change is later than `step`.
    pub(in crate::pipeline) fn trim_backfills(&mut self, step: u64, changes: &mut Changes) -> Result<()> {
        let now = self.progress.step;
        for (projection, backfill) in &mut self.backfills {
            if backfill.marks_from.is_none() && backfill.step <= step {
                backfill.marks_from = Some(now);
                put(changes, *projection, Some(backfill))?;
            }
        }
        let is_done = |backfill: &Backfill| backfill.marks_from.is_some_and(|marks_from| marks_from <= step);
        for (projection, _) in self.backfills.extract_if(.., |_, backfill| is_done(backfill)) {
            put(changes, projection, None)?;
        }
        Ok(())
    }

    /// Notes that active backfills have marks from `step` on only, because a bulk load makes none.
    pub(in crate::pipeline) fn mark_backfills_from(
        &mut self,
        step: u64,
        changes: &mut Changes,
    ) -> Result<()> {
        for (projection, backfill) in
            self.backfills.iter_mut().filter(|(_, backfill)| backfill.marks_from.is_some())
        {
            backfill.marks_from = Some(step);
            put(changes, *projection, Some(backfill))?;
        }
        Ok(())
    }

    /// The backfills that are not complete.
    pub fn pending_backfills(&self) -> Vec<PendingBackfill> {
        let pending = self.backfills.iter().map(|(projection, backfill)| PendingBackfill {
            projection: *projection,
            step: backfill.step,
            cursor: backfill.marks_from.map(|_| backfill.cursor.clone()),
            left: self.state.count_left(projection.number(), backfill).max(1),
        });
        pending.collect()
    }

    /// True when a change of this projection's documents has to be marked.
    pub(in crate::pipeline) fn is_marked(&self, projection: Projection) -> bool {
        let is_paused = self.backfills.get(&projection).is_some_and(|backfill| backfill.marks_from.is_none());
        self.projections.contains(&projection) && !is_paused
    }

    /// True when a fan-out would mark anything.
    pub(in crate::pipeline) fn is_fanned_out(&self, fan_out: &FanOut) -> bool {
        let plan = self.state.plan();
        let is_marked = |number| plan.projection_of_number(number).is_some_and(|of| self.is_marked(of));
        plan.route(fan_out.route).is_some_and(|route| plan.leads_to(route, fan_out.rules, &is_marked))
    }
}

fn put(changes: &mut Changes, projection: Projection, backfill: Option<&Backfill>) -> Result<()> {
    let key = vec![projection.number()];
    match backfill {
        Some(backfill) => changes.put(Space::BACKFILLS, key, rows::encode(backfill)?),
        None => changes.remove(Space::BACKFILLS, key),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::plan::{CONTACTS, ORGANISATIONS, builtin};
    use std::sync::Arc;

    use super::*;
    use crate::dead_letter::NoDeadLetters;
    use crate::pipeline::tuning::Tuning;
    use crate::state::State;
    use crate::state::memory::MemoryStore;

    #[test]
    fn a_standby_completes_a_backfill_once_the_writer_has_delivered_every_unmarked_change() {
        let state = Arc::new(State::open(Arc::new(MemoryStore::default()), builtin(), "f").unwrap());
        let mut state_writer =
            StateWriter::new(Arc::clone(&state), vec![CONTACTS], Box::new(NoDeadLetters), Tuning::small())
                .unwrap();
        let start = state_writer.begin_backfill(CONTACTS).unwrap().number;
        // Steps that mark nothing, because the backfill is paused.
        let unmarked = state_writer.mark(Vec::new()).unwrap().number;
        assert!(!state_writer.is_marked(CONTACTS));
        state_writer.trim(start).unwrap();
        assert!(state_writer.is_marked(CONTACTS), "what comes after it is marked");
        assert!(!state.is_delivered().unwrap(), "what came before is neither marked nor delivered");
        state_writer.trim(unmarked).unwrap();
        assert!(state.is_delivered().unwrap() && state_writer.pending_backfills().is_empty());
    }

    #[test]
    fn a_projection_that_is_left_out_has_no_documents_that_wait() {
        let state = Arc::new(State::open(Arc::new(MemoryStore::default()), builtin(), "f").unwrap());
        let new = |projections| {
            StateWriter::new(Arc::clone(&state), projections, Box::new(NoDeadLetters), Tuning::small())
                .unwrap()
        };
        let mut both = new(vec![CONTACTS, ORGANISATIONS]);
        both.mark(vec![(CONTACTS, "c1".to_owned()), (ORGANISATIONS, "o1".to_owned())]).unwrap();
        both.begin_backfill(CONTACTS).unwrap();
        drop(both);
        assert_eq!(state.count_waiting().unwrap(), 3);
        let left = new(vec![ORGANISATIONS]).marks().unwrap();
        assert_eq!(left.into_iter().collect::<Vec<_>>(), [(ORGANISATIONS.number(), "o1".to_owned())]);
        assert_eq!(state.count_waiting().unwrap(), 1);
    }

    #[test]
    fn a_chunk_of_a_former_backfill_does_not_advance_the_present_one() {
        let state = Arc::new(State::open(Arc::new(MemoryStore::default()), builtin(), "f").unwrap());
        let mut state_writer =
            StateWriter::new(state, vec![CONTACTS], Box::new(NoDeadLetters), Tuning::small()).unwrap();
        let former = state_writer.begin_backfill(CONTACTS).unwrap().number;
        state_writer.begin_backfill(CONTACTS).unwrap();
        state_writer.advance_backfill(CONTACTS, former, None, 5).unwrap();
        assert_eq!(state_writer.pending_backfills().len(), 1);
    }
}
