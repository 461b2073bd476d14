//! The positions that searches show: delivered ones that a refresh has followed.

use std::time::Duration;

use tokio::time::Instant;

use crate::position::Positions;

/// Follows the low watermark at the distance of a refresh.
#[derive(Debug, Clone)]
pub(super) struct RefreshedPositions {
    /// The index's own interval; `None` when it never refreshes by itself.
    interval: Option<Duration>,
    /// Searches show every record below these.
    shown: Positions,
    /// A low watermark that waits for the interval, and when it was noted.
    next: Option<(Instant, Positions)>,
    /// The latest low watermark, and when it was noted.
    low_watermark: Option<(Instant, Positions)>,
}

/// An index without an interval of its own shows a write when it acknowledges it.
impl Default for RefreshedPositions {
    fn default() -> Self {
        Self { interval: Some(Duration::ZERO), shown: Positions::default(), next: None, low_watermark: None }
    }
}

impl RefreshedPositions {
    pub(super) fn set_interval(&mut self, interval: Option<Duration>) {
        self.interval = interval;
    }

    /// Takes note of the low watermark.
    pub(super) fn deliver(&mut self, low_watermark: &Positions) {
        let noted = (Instant::now(), low_watermark.clone());
        self.next.get_or_insert_with(|| noted.clone());
        self.low_watermark = Some(noted);
        // Those between the first and the latest are not kept, so that each move passes on what is through.
        self.advance();
    }

    /// Takes note that the index was refreshed since it had everything below these positions.
    pub(super) fn refresh(&mut self, positions: &Positions) {
        self.shown.join(positions);
    }

    /// The positions below which searches show every record.
    pub(super) fn positions(&mut self) -> &Positions {
        self.advance();
        &self.shown
    }

    fn advance(&mut self) {
        // The latest low watermark begins to wait when it was noted, and not when the one before it is through.
        while let Some((at, low_watermark)) =
            self.next.take_if(|(at, _)| self.interval.is_some_and(|interval| at.elapsed() >= interval))
        {
            self.shown.join(&low_watermark);
            self.next = self.low_watermark.clone().filter(|(later, _)| *later > at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::TopicPartition;

    const INTERVAL: Duration = Duration::from_secs(1);

    fn at(next: i64) -> Positions {
        [(TopicPartition::new("contacts", 0), next)].into_iter().collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_distance_is_the_interval_also_when_no_one_asks_for_long() {
        let mut refreshed = RefreshedPositions::default();
        refreshed.set_interval(Some(INTERVAL));
        for next in 1..=20 {
            refreshed.deliver(&at(next));
            tokio::time::advance(INTERVAL).await;
        }
        assert_eq!(*refreshed.positions(), at(20));
    }

    #[tokio::test(start_paused = true)]
    async fn delivered_records_are_shown_after_a_refresh_or_the_interval() {
        let mut refreshed = RefreshedPositions::default();
        refreshed.set_interval(Some(INTERVAL));
        refreshed.deliver(&at(1));
        assert_eq!(*refreshed.positions(), Positions::default());
        tokio::time::advance(INTERVAL / 2).await;
        refreshed.deliver(&at(2));
        tokio::time::advance(INTERVAL / 2).await;
        assert_eq!(*refreshed.positions(), at(1), "the interval is over for the first");
        tokio::time::advance(INTERVAL / 2).await;
        assert_eq!(*refreshed.positions(), at(2));
        refreshed.deliver(&at(4));
        refreshed.refresh(&at(3));
        assert_eq!(*refreshed.positions(), at(3), "the refresh began before the fourth");
        tokio::time::advance(INTERVAL).await;
        assert_eq!(*refreshed.positions(), at(4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_index_that_never_refreshes_by_itself_shows_nothing_before_a_refresh() {
        let mut refreshed = RefreshedPositions::default();
        refreshed.set_interval(None);
        refreshed.deliver(&at(1));
        tokio::time::advance(INTERVAL * 100).await;
        assert_eq!(*refreshed.positions(), Positions::default());
        refreshed.refresh(&at(1));
        assert_eq!(*refreshed.positions(), at(1));
        let mut refreshed = RefreshedPositions::default();
        refreshed.deliver(&at(2));
        assert_eq!(*refreshed.positions(), at(2), "an embedded index shows what it acknowledges");
    }
}
