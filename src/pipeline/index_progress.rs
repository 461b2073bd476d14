//! How far the indexes are. The pipeline writes it, and searches wait for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::refreshed_positions::RefreshedPositions;
use super::work::wall_ms;
use crate::position::Positions;
use crate::projection::Projection;

/// How far the indexes of an instance are, with the signals between its searches and its pipeline.
#[derive(Debug, Default)]
pub struct IndexProgress {
    searches: AtomicU64,
    refreshes: AtomicU64,
    moved: Notify,
    values: Mutex<ProgressValues>,
}

#[derive(Debug, Default)]
struct ProgressValues {
    low_watermark: Positions,
    low_watermark_ms: u64,
    /// Of each projection, where it is known to be further than that.
    shown: BTreeMap<Projection, Positions>,
    refreshed: RefreshedPositions,
    /// `None` until it was looked.
    unfilled: Option<UnfilledProjections>,
    /// Grows when this instance has filled its indexes.
    fillings: u64,
}

/// The projections whose index is not full.
#[derive(Debug, Clone)]
pub(super) struct UnfilledProjections {
    /// Empty when every index is full.
    pub(super) names: Vec<String>,
    /// Since when there is one, in milliseconds since the Unix epoch.
    pub(super) since_ms: u64,
}

impl ProgressValues {
    fn set_unfilled(&mut self, names: Vec<String>) {
        let former = self.unfilled.as_ref().filter(|unfilled| !unfilled.names.is_empty());
        let since_ms = former.map_or_else(wall_ms, |unfilled| unfilled.since_ms);
        self.unfilled = Some(UnfilledProjections { names, since_ms });
    }
}

/// A search that waits for the low watermark. The low watermark is noted at every delivery while this lives.
pub struct WaitingSearch<'a>(&'a AtomicU64);

impl Drop for WaitingSearch<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl IndexProgress {
    /// Takes note of the low watermark, and of that of each projection where it is known. `time_ms` is the time of the
    /// oldest change above it. The searches that wait look again if it moved.
    pub(super) fn set_low_watermark(
        &self,
        positions: &Positions,
        time_ms: u64,
        shown: BTreeMap<Projection, Positions>,
    ) {
        let mut values = self.lock();
        values.low_watermark_ms = time_ms;
        if values.low_watermark != *positions || values.shown != shown {
            values.low_watermark = positions.clone();
            values.refreshed.deliver(positions);
            values.shown = shown;
            drop(values);
            self.moved.notify_waiters();
        }
    }

    /// The low watermark, as last noted.
    pub fn low_watermark(&self) -> Positions {
        self.lock().low_watermark.clone()
    }

    /// The time of the oldest change above the low watermark, in milliseconds since the Unix epoch; 0 while none is known.
    pub(super) fn low_watermark_ms(&self) -> u64 {
        self.lock().low_watermark_ms
    }

    /// The positions below which nothing waits for the index of a projection, as last noted.
    pub fn positions_of_searches(&self, projection: Projection) -> Positions {
        let values = self.lock();
        values.shown.get(&projection).unwrap_or(&values.low_watermark).clone()
    }

    /// Takes note of the index's own interval of refreshes; `None` when it never refreshes by itself.
    pub(super) fn set_refresh_interval(&self, interval: Option<Duration>) {
        self.lock().refreshed.set_interval(interval);
    }

    /// Takes note that every index was refreshed since it had everything below these positions.
    pub(super) fn note_refreshed(&self, positions: &Positions) {
        self.lock().refreshed.refresh(positions);
    }

    /// The positions below which searches show every record.
    pub(super) fn positions_after_refresh(&self) -> Positions {
        self.lock().refreshed.positions().clone()
    }

    /// True when everything below these positions is delivered and searches show it.
    pub(super) fn shows(&self, positions: &Positions) -> bool {
        let mut values = self.lock();
        values.refreshed.positions().covers(positions) && values.low_watermark.covers(positions)
    }

    /// Takes note that this instance has filled its indexes.
    pub(super) fn note_filled(&self) {
        let mut values = self.lock();
        values.fillings += 1;
        values.set_unfilled(Vec::new());
    }

    /// How often that was noted: to be asked before [`Self::set_unfilled`].
    pub fn fillings(&self) -> u64 {
        self.lock().fillings
    }

    /// Takes note of the projections whose index is not full, as a look found that began after `fillings` were noted.
    pub fn set_unfilled(&self, names: Vec<String>, fillings: u64) {
        let mut values = self.lock();
        if values.fillings == fillings {
            values.set_unfilled(names);
        }
    }

    /// Whether the index of each of these projections, where it is kept, holds everything that it has to for a search.
    pub fn are_filled(&self, projections: &[&str]) -> bool {
        let values = self.lock();
        let unfilled = values.unfilled.as_ref();
        unfilled
            .is_some_and(|unfilled| unfilled.names.iter().all(|name| !projections.contains(&name.as_str())))
    }

    /// The projections whose index is not full; `None` until it was looked.
    pub(super) fn projections_to_fill(&self) -> Option<UnfilledProjections> {
        self.lock().unfilled.clone()
    }

    /// Registers a search that waits for the low watermark.
    pub fn wait_for_search(&self) -> WaitingSearch<'_> {
        self.searches.fetch_add(1, Ordering::Relaxed);
        WaitingSearch(&self.searches)
    }

    /// How many searches wait for the low watermark.
    pub fn waiting_searches(&self) -> u64 {
        self.searches.load(Ordering::Relaxed)
    }

    /// Waits until the low watermark moves.
    pub fn next_move(&self) -> Notified<'_> {
        self.moved.notified()
    }

    /// Counts a refresh of the index by a search.
    pub fn note_refresh(&self) {
        self.refreshes.fetch_add(1, Ordering::SeqCst);
    }

    /// How many refreshes searches have begun.
    pub(super) fn refreshes(&self) -> u64 {
        self.refreshes.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, ProgressValues> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CONTACTS, ORGANISATIONS};
    use crate::position::TopicPartition;

    #[test]
    fn the_positions_of_a_projection_are_the_low_watermark_until_more_is_known() {
        let at = |next| [(TopicPartition::new("contacts", 0), next)].into_iter().collect::<Positions>();
        let progress = IndexProgress::default();
        progress.set_low_watermark(&at(1), 1, [(CONTACTS, at(3))].into());
        assert_eq!([CONTACTS, ORGANISATIONS].map(|of| progress.positions_of_searches(of)), [at(3), at(1)]);
        progress.set_low_watermark(&at(2), 2, BTreeMap::new());
        assert_eq!(progress.positions_of_searches(CONTACTS), at(2), "another instance writes now");
    }

    #[test]
    fn projections_to_fill_keep_the_time_at_which_the_first_of_them_began() {
        let progress = IndexProgress::default();
        assert!(progress.projections_to_fill().is_none() && !progress.are_filled(&[]));
        let fill = |name: &str| {
            progress.set_unfilled(vec![name.to_owned()], 0);
            progress.projections_to_fill().unwrap().since_ms
        };
        let began = fill("contacts");
        while wall_ms() == began {
            std::thread::yield_now();
        }
        assert_eq!(fill("hierarchy"), began);
        progress.set_unfilled(Vec::new(), 0);
        assert!(fill("hierarchy") > began, "every index was full meanwhile");
    }
}
