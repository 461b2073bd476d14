//! Since which steps documents wait, or are on their way.

use std::collections::BTreeMap;

use crate::projection::Projection;

/// How many documents of each projection there are, by the step of their oldest mark.
#[derive(Debug, Default)]
pub(super) struct Steps(BTreeMap<Projection, BTreeMap<u64, usize>>);

impl Steps {
    /// One more.
    pub(super) fn count(&mut self, projection: Projection, step: u64) {
        *self.0.entry(projection).or_default().entry(step).or_default() += 1;
    }

    /// One less.
    pub(super) fn uncount(&mut self, projection: Projection, step: u64) {
        let Some(steps) = self.0.get_mut(&projection) else { return };
        if let Some(count) = steps.get_mut(&step) {
            *count -= 1;
            if *count == 0 {
                steps.remove(&step);
            }
        }
    }

    /// The oldest of one projection; of all without one.
    pub(super) fn oldest(&self, of: Option<Projection>) -> Option<u64> {
        let steps = self.0.iter().filter(|(projection, _)| of.is_none_or(|of| of == **projection));
        steps.filter_map(|(_, steps)| steps.keys().next().copied()).min()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
