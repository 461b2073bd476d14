//! A histogram of durations, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in milliseconds; beyond the last lies one more.
pub const BOUNDS_MS: [u64; 14] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/// How many durations fell into each bucket.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [AtomicU64; BOUNDS_MS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Durations {
    /// Takes note of one.
    pub fn note(&self, took: Duration) {
        let bucket =
            BOUNDS_MS.iter().zip(&self.buckets).find(|(bound, _)| took.as_millis() <= u128::from(**bound));
        if let Some((_, bucket)) = bucket {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How many took at most each bound, in the bounds' order.
    pub fn at_most(&self) -> impl Iterator<Item = (u64, u64)> {
        let each = BOUNDS_MS.iter().zip(&self.buckets);
        each.scan(0, |sum, (bound, bucket)| {
            *sum += bucket.load(Ordering::Relaxed);
            Some((*bound, *sum))
        })
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// All together, in seconds.
    pub fn seconds(&self) -> f64 {
        Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_took_at_most_their_bound() {
        let durations = Durations::default();
        for millis in [5, 6, 40_000] {
            durations.note(Duration::from_millis(millis));
        }
        assert_eq!(durations.at_most().skip(2).take(2).collect::<Vec<_>>(), [(5, 1), (10, 2)]);
        assert_eq!(durations.at_most().last(), Some((30_000, 2)), "what took longer is in the count alone");
        assert_eq!((durations.count(), durations.seconds()), (3, 40.011));
    }
}
