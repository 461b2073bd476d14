//! The sweeps as the fold's thread keeps them.

use super::Sweeping;
use crate::error::Result;
use crate::pipeline::fold::{Folder, Step};
use crate::projection::Projection;
use crate::projection::affected::FanOut;
use crate::state::keys::Space;
use crate::state::rows::{self, Sweep};
use crate::state::store::Changes;

impl Folder {
    /// Calls for everything of a projection. The sweep sleeps.
    pub fn sweep(&mut self, projection: Projection) -> Result<Step> {
        let mut progress = self.progress.clone();
        progress.step += 1;
        let sweep = Sweep { step: progress.step, awake: None, place: String::new(), done: 0 };
        let mut changes = Changes::default();
        put(&mut changes, projection, Some(&sweep))?;
        self.sweeps.insert(projection, sweep);
        self.commit_step(changes, progress, Vec::new())
    }

    /// Wakes the sweeps up: what changes from here on is marked.
    pub fn wake_sweeps(&mut self) -> Result<()> {
        let step = self.progress.step;
        let mut changes = Changes::default();
        for (projection, sweep) in self.sweeps.iter_mut().filter(|(_, sweep)| sweep.awake.is_none()) {
            sweep.awake = Some(step);
            put(&mut changes, *projection, Some(sweep))?;
        }
        self.commit_if_any(changes)
    }

    /// Takes note that the sweep of `step` has delivered or marked `count` documents more, up to `place`; all
    /// when there is none. A sweep that was begun anew meanwhile stays where it is.
    pub fn swept(
        &mut self,
        projection: Projection,
        step: u64,
        place: Option<String>,
        count: u64,
    ) -> Result<()> {
        let Some(sweep) = self.sweeps.get_mut(&projection).filter(|sweep| sweep.step == step) else {
            return Ok(());
        };
        let mut changes = Changes::default();
        match place {
            Some(place) => {
                sweep.place = place;
                sweep.done += count;
                put(&mut changes, projection, Some(sweep))?;
            }
            None => {
                self.sweeps.remove(&projection);
                put(&mut changes, projection, None)?;
            }
        }
        self.commit_if_any(changes)
    }

    /// Another instance has delivered everything up to `step`: a sweep whose every unmarked change is among
    /// that is done with. One that sleeps wakes up for it, as changes after `step` have to be marked.
    pub(in crate::pipeline) fn trim_sweeps(&mut self, step: u64, changes: &mut Changes) -> Result<()> {
        let now = self.progress.step;
        for (projection, sweep) in &mut self.sweeps {
            if sweep.awake.is_none() && sweep.step <= step {
                sweep.awake = Some(now);
                put(changes, *projection, Some(sweep))?;
            }
        }
        let is_done = |sweep: &Sweep| sweep.awake.is_some_and(|awake| awake <= step);
        for (projection, _) in self.sweeps.extract_if(.., |_, sweep| is_done(sweep)) {
            put(changes, projection, None)?;
        }
        Ok(())
    }

    /// Has changes marked from `step` on only, which is filled without marks.
    pub(in crate::pipeline) fn rewake_sweeps(&mut self, step: u64, changes: &mut Changes) -> Result<()> {
        for (projection, sweep) in self.sweeps.iter_mut().filter(|(_, sweep)| sweep.awake.is_some()) {
            sweep.awake = Some(step);
            put(changes, *projection, Some(sweep))?;
        }
        Ok(())
    }

    /// The sweeps, for the delivery.
    pub fn sweeping(&self) -> Vec<Sweeping> {
        let sweeping = self.sweeps.iter().map(|(projection, sweep)| Sweeping {
            projection: *projection,
            step: sweep.step,
            place: sweep.awake.map(|_| sweep.place.clone()),
            left: self.state.left_of(projection.number(), sweep).max(1),
        });
        sweeping.collect()
    }

    /// True when a change of this projection's documents has to be marked.
    pub(in crate::pipeline) fn is_marked(&self, projection: Projection) -> bool {
        let is_asleep = self.sweeps.get(&projection).is_some_and(|sweep| sweep.awake.is_none());
        self.projections.contains(&projection) && !is_asleep
    }

    /// True when a fan-out would mark anything.
    pub(in crate::pipeline) fn is_fanned_out(&self, fan_out: &FanOut) -> bool {
        let plan = self.state.plan();
        let is_marked = |number| plan.projection_of_number(number).is_some_and(|of| self.is_marked(of));
        plan.route(fan_out.route).is_some_and(|route| plan.leads_to(route, fan_out.rules, &is_marked))
    }
}

fn put(changes: &mut Changes, projection: Projection, sweep: Option<&Sweep>) -> Result<()> {
    let key = vec![projection.number()];
    match sweep {
        Some(sweep) => changes.put(Space::SWEEPS, key, rows::encode(sweep)?),
        None => changes.remove(Space::SWEEPS, key),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::plan::{CONTACTS, builtin};
    use std::sync::Arc;

    use super::*;
    use crate::dead_letter::Nowhere;
    use crate::state::State;
    use crate::state::memory::MemoryStore;

    #[test]
    fn a_standby_wakes_up_and_is_done_once_the_writer_has_delivered_what_was_not_marked() {
        let state = Arc::new(State::open(Arc::new(MemoryStore::default()), builtin(), "f").unwrap());
        let mut folder = Folder::new(Arc::clone(&state), vec![CONTACTS], Box::new(Nowhere)).unwrap();
        let called_for = folder.sweep(CONTACTS).unwrap().number;
        // Steps that mark nothing, as the sweep sleeps.
        let unmarked = folder.mark(Vec::new()).unwrap().number;
        assert!(!folder.is_marked(CONTACTS));
        folder.trim(called_for).unwrap();
        assert!(folder.is_marked(CONTACTS), "what comes after it is marked");
        assert!(!state.is_delivered().unwrap(), "what came before is neither marked nor delivered");
        folder.trim(unmarked).unwrap();
        assert!(state.is_delivered().unwrap() && folder.sweeping().is_empty());
    }

    #[test]
    fn what_arrived_of_a_former_sweep_moves_no_new_one() {
        let state = Arc::new(State::open(Arc::new(MemoryStore::default()), builtin(), "f").unwrap());
        let mut folder = Folder::new(state, vec![CONTACTS], Box::new(Nowhere)).unwrap();
        let former = folder.sweep(CONTACTS).unwrap().number;
        folder.sweep(CONTACTS).unwrap();
        folder.swept(CONTACTS, former, None, 5).unwrap();
        assert_eq!(folder.sweeping().len(), 1);
    }
}
