//! Holding events to a rate.

use std::time::{Duration, Instant};

/// Shorter pauses are saved up: a thread that sleeps wakes late.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// The times at which events are due, counted from the start: one that was late is made up for.
pub(super) struct EventPace {
    started: Instant,
    rate: u32,
    count: u64,
}

impl EventPace {
    pub(super) fn start(rate: u32) -> Self {
        Self { started: Instant::now(), rate: rate.max(1), count: 0 }
    }

    /// Counts one event; how long to wait before it.
    pub(super) fn next(&mut self) -> Option<Duration> {
        let due = self.due();
        self.count += 1;
        due.checked_sub(self.started.elapsed()).filter(|pause| *pause >= PAUSE_MIN)
    }

    fn due(&self) -> Duration {
        Duration::from_secs_f64(self.count as f64 / f64::from(self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_at_equal_distances_from_the_start() {
        let mut pace = EventPace::start(4);
        assert_eq!(pace.next(), None, "the first is due at once");
        let pause = pace.next().unwrap();
        assert!(pause <= Duration::from_millis(250), "{pause:?}");
        assert_eq!(pace.due(), Duration::from_millis(500));
    }
}
