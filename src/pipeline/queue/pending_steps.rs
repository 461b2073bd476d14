//! The steps since which documents wait or are in flight. The oldest one limits the low watermark.

use std::collections::BTreeMap;

use crate::projection::Projection;

/// How many documents of each projection there are, by the step of their oldest mark.
#[derive(Debug, Default)]
pub(super) struct PendingSteps(BTreeMap<Projection, BTreeMap<u64, usize>>);

impl PendingSteps {
    /// Adds a document.
    pub(super) fn add(&mut self, projection: Projection, step: u64) {
        *self.0.entry(projection).or_default().entry(step).or_default() += 1;
    }

    /// Removes a document.
    pub(super) fn remove(&mut self, projection: Projection, step: u64) {
        let Some(pending) = self.0.get_mut(&projection) else { return };
        if let Some(count) = pending.get_mut(&step) {
            *count -= 1;
            if *count == 0 {
                pending.remove(&step);
            }
        }
    }

    /// The oldest step of one projection, or of all.
    pub(super) fn oldest(&self, of: Option<Projection>) -> Option<u64> {
        let pending = self.0.iter().filter(|(projection, _)| of.is_none_or(|of| of == **projection));
        pending.filter_map(|(_, pending)| pending.keys().next().copied()).min()
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
