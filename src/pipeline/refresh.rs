//! The refreshes of our own: at low rates a change is searchable sooner than by the index's interval.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::index_progress::IndexProgress;
use crate::error::Result;
use crate::position::Positions;

/// Writes that are acknowledged and not searchable yet.
#[derive(Default)]
pub(super) struct UnrefreshedWrites {
    since: Option<Instant>,
    budget: Budget,
    /// How many refreshes searches had asked for when the last of them was acknowledged.
    search_refreshes: u64,
    /// When the first write was left to the refresh of a search. That refreshes the indexes that the search looks in
    /// and no other.
    deferral: Option<Instant>,
    /// The refresh under way, one at most. It answers whether it was done.
    running: JoinSet<bool>,
    began: Option<Instant>,
    shown: Visibility,
}

/// Whether searches show every write that is acknowledged.
#[derive(Debug, Default, PartialEq, Eq)]
enum Visibility {
    /// It is not known, or some are not shown.
    #[default]
    Some,
    /// They will be once the refresh under way is done.
    Soon,
    All,
}

/// A change waits this long for others before a refresh of our own.
const LINGER: Duration = Duration::from_millis(5);
/// And this long when a search waits, or had the index refreshed a moment ago. Such a search has the index refreshed
/// itself, and a refresh of every index beside it would slow it down.
const LINGER_FOR_SEARCH: Duration = Duration::from_millis(50);
/// A write that was left to the refresh of a search waits this long for a refresh of every index.
const SPARED_MAX: Duration = Duration::from_secs(1);
/// The longest hold of changes during a refresh. They go together after it, because a request for each change would
/// cost the index more. A busy index takes half a second for a refresh.
const HOLD: Duration = Duration::from_millis(50);

/// Refreshes may take a fifth of the time. Time that none took is saved up to [`SAVED_MAX`], so that a slow refresh in a
/// quiet index does not delay the next change.
#[derive(Debug, Default)]
struct Budget {
    /// Time of refreshes that is not paid for, and when that was reckoned.
    owed: Option<(Instant, Duration)>,
}

/// See [`Budget`].
const SAVED_MAX: Duration = Duration::from_secs(1);

impl Budget {
    /// Four parts of other time pay for one of refreshes.
    fn debt(&self, now: Instant) -> Duration {
        self.owed.map_or(Duration::ZERO, |(at, owed)| owed.saturating_sub((now - at) / 4))
    }

    fn is_open(&self, now: Instant) -> bool {
        self.debt(now) < SAVED_MAX
    }

    fn spend(&mut self, now: Instant, took: Duration) {
        self.owed = Some((now, self.debt(now - took) + took));
    }
}

impl UnrefreshedWrites {
    /// Takes note that a request was answered.
    pub(super) fn note(&mut self, progress: &IndexProgress) {
        self.leave_to_search(progress);
        self.since.get_or_insert_with(Instant::now);
        self.shown = Visibility::Some;
    }

    /// Leaves the writes so far to the refresh of a search, if one began after the last of them.
    fn leave_to_search(&mut self, progress: &IndexProgress) {
        let refreshes = progress.refreshes();
        if refreshes != std::mem::replace(&mut self.search_refreshes, refreshes)
            && self.since.take().is_some()
        {
            self.deferral.get_or_insert_with(Instant::now);
        }
    }

    /// True when searches show every write that is acknowledged. The fold may learn of an acknowledgement after the refresh, so
    /// that the low watermark moves later.
    pub(super) fn shows_all(&self) -> bool {
        self.shown == Visibility::All
    }

    /// Takes note that another instance may write.
    pub(super) fn forget(&mut self) {
        self.shown = Visibility::Some;
    }

    /// Begins a refresh if one is due, so seldom that at most a fifth of the time is spent on it. To be asked when no
    /// request is in flight: at a high rate the index's own interval serves.
    /// `delivered` are positions below which everything is delivered.
    pub(super) fn refresh_if_due<F>(
        &mut self,
        progress: &Arc<IndexProgress>,
        delivered: impl FnOnce() -> Option<Positions>,
        refresh: impl FnOnce() -> F,
    ) where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        self.leave_to_search(progress);
        let now = Instant::now();
        let is_for_search = progress.waiting_searches() > 0 || self.deferral.is_some();
        let linger = if is_for_search { LINGER_FOR_SEARCH } else { LINGER };
        let waits =
            |since: Option<Instant>, for_so_long| since.is_some_and(|since| now >= since + for_so_long);
        let is_called_for = waits(self.since, linger) || waits(self.deferral, SPARED_MAX);
        if !is_called_for || !self.budget.is_open(now) || self.began.is_some() {
            return;
        }
        (self.since, self.deferral) = (None, None);
        (self.began, self.shown) = (Some(now), Visibility::Soon);
        let (delivered, refresh, progress) = (delivered(), refresh(), Arc::clone(progress));
        self.running.spawn(async move {
            match refresh.await {
                Ok(()) => {
                    progress.note_refreshed(&delivered.unwrap_or_default());
                    true
                }
                Err(error) => {
                    tracing::warn!(
                        error = error.chain(),
                        "a refresh failed; the index's own interval shows the writes"
                    );
                    false
                }
            }
        });
    }

    /// True while changes wait for the refresh that runs.
    pub(super) fn holds(&self) -> bool {
        self.began.is_some_and(|began| began.elapsed() < HOLD)
    }

    /// Waits until the refresh under way is done; for ever when there is none.
    pub(super) async fn wait_for_end(&mut self) {
        let Some(ended) = self.running.join_next().await else { return std::future::pending().await };
        if self.shown == Visibility::Soon {
            self.shown = if ended.unwrap_or(false) { Visibility::All } else { Visibility::Some };
        }
        let now = Instant::now();
        if let Some(began) = self.began.take() {
            self.budget.spend(now, now - began);
        }
    }

    /// How long until it may be worth looking again.
    pub(super) fn wait(&self) -> Duration {
        if self.holds() || self.since.is_some() { LINGER } else { Duration::from_millis(500) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_changes_waits_for_a_refresh_but_not_for_a_long_one() {
        let (mut unrefreshed, progress, long) =
            (UnrefreshedWrites::default(), Arc::new(IndexProgress::default()), Duration::from_secs(2));
        let slow = || async move {
            tokio::time::sleep(long).await;
            Ok(())
        };
        unrefreshed.note(&progress);
        tokio::time::advance(LINGER).await;
        unrefreshed.refresh_if_due(&progress, || None, slow);
        assert!(unrefreshed.holds());
        tokio::time::advance(HOLD).await;
        assert!(!unrefreshed.holds(), "it takes too long");
        unrefreshed.note(&progress);
        tokio::time::advance(LINGER).await;
        unrefreshed.refresh_if_due(&progress, || None, slow);
        assert_eq!(unrefreshed.running.len(), 1, "one at a time");

        unrefreshed.wait_for_end().await;
        unrefreshed.refresh_if_due(&progress, || None, slow);
        assert!(!unrefreshed.holds(), "four fifths of the time are for other work");
        tokio::time::advance(long * 4).await;
        unrefreshed.refresh_if_due(&progress, || None, slow);
        assert!(unrefreshed.holds(), "what was written during the first one is not shown by it");
    }

    #[tokio::test(start_paused = true)]
    async fn refreshes_take_a_fifth_of_the_time_and_save_up_what_a_quiet_index_left() {
        let (mut budget, took) = (Budget::default(), SAVED_MAX / 10);
        let spent = |budget: &mut Budget| {
            let open = (0..1_000).take_while(|_| {
                let is_open = budget.is_open(Instant::now());
                if is_open {
                    budget.spend(Instant::now() + took, took);
                }
                is_open
            });
            open.count()
        };
        assert_eq!(spent(&mut budget), 10, "what was saved");
        tokio::time::advance(took * 4).await;
        assert_eq!(spent(&mut budget), 1);
        tokio::time::advance(took * 4 * 10).await;
        assert_eq!(spent(&mut budget), 10);
        tokio::time::advance(SAVED_MAX * 1_000).await;
        assert_eq!(spent(&mut budget), 10, "no more is saved");
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_that_had_the_index_refreshed_spares_a_refresh() {
        let (mut unrefreshed, progress) = (UnrefreshedWrites::default(), Arc::new(IndexProgress::default()));
        unrefreshed.note(&progress);
        progress.note_refresh();
        tokio::time::advance(LINGER * 10).await;
        unrefreshed.refresh_if_due(&progress, || None, || async { Ok(()) });
        assert!(!unrefreshed.holds());
        tokio::time::advance(SPARED_MAX).await;
        unrefreshed.refresh_if_due(&progress, || None, || async { Ok(()) });
        assert!(unrefreshed.holds(), "the search looked in one index only");
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_acknowledged_during_the_refresh_of_a_search_waits_for_the_search() {
        let (mut unrefreshed, progress) = (UnrefreshedWrites::default(), Arc::new(IndexProgress::default()));
        unrefreshed.note(&progress);
        progress.note_refresh();
        tokio::time::advance(LINGER).await;
        unrefreshed.note(&progress);
        for (passed, is_refreshed) in [(LINGER, false), (LINGER_FOR_SEARCH - LINGER, true)] {
            tokio::time::advance(passed).await;
            unrefreshed.refresh_if_due(&progress, || None, || async { Ok(()) });
            assert_eq!(unrefreshed.holds(), is_refreshed, "{passed:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_shown_once_a_refresh_has_followed_every_write() {
        let (mut unrefreshed, progress) = (UnrefreshedWrites::default(), Arc::new(IndexProgress::default()));
        assert!(!unrefreshed.shows_all());
        for (is_done, writes_meanwhile, shows_all) in
            [(true, false, true), (true, true, false), (false, false, false)]
        {
            unrefreshed.note(&progress);
            assert!(!unrefreshed.shows_all());
            tokio::time::advance(HOLD).await;
            let answer = if is_done { Ok(()) } else { Err(crate::error::Error::failure("away")) };
            unrefreshed.refresh_if_due(&progress, || None, || async { answer });
            if writes_meanwhile {
                unrefreshed.note(&progress);
            }
            assert!(!unrefreshed.shows_all());
            unrefreshed.wait_for_end().await;
            assert_eq!(unrefreshed.shows_all(), shows_all);
        }
        unrefreshed.forget();
        assert!(!unrefreshed.shows_all());
    }
}
