//! How fast the index takes documents: how many requests at once, how large, and when to wait.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::sizes::sized;

const REQUESTS_MAX: usize = 3;
const BYTES_MAX: usize = sized(2 << 20, 2 << 10);
const BYTES_MIN: usize = sized(128 << 10, 256);
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(15);
/// A request that took longer than this is no reason to send larger ones.
const QUICK: Duration = Duration::from_secs(2);

/// Shrinks on overload, grows while the index answers quickly.
#[derive(Debug)]
pub struct Pace(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    requests: usize,
    bytes: usize,
    failures: u32,
    closed_until: Option<Instant>,
    warned: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        let inner =
            Inner { requests: REQUESTS_MAX, bytes: BYTES_MAX, failures: 0, closed_until: None, warned: None };
        Self(Mutex::new(inner))
    }
}

impl Pace {
    /// How many requests may be under way.
    pub fn requests(&self) -> usize {
        self.lock().requests
    }

    /// How many bytes a request may hold.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// False while a failure is waited out.
    pub fn is_open(&self) -> bool {
        self.lock().closed_until.is_none_or(|until| Instant::now() >= until)
    }

    /// How long until it may be worth looking again.
    pub fn wait(&self) -> Duration {
        let until = self.lock().closed_until;
        let wait =
            until.map(|until| until.saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero());
        wait.unwrap_or(Duration::from_millis(500))
    }

    /// An answer came, and all of it was final.
    pub fn speed_up(&self, took: Duration) {
        let mut inner = self.lock();
        inner.failures = 0;
        inner.closed_until = None;
        if took < QUICK {
            inner.bytes = (inner.bytes + inner.bytes / 8).min(BYTES_MAX);
            inner.requests = (inner.requests + 1).min(REQUESTS_MAX);
        }
    }

    /// Some writes have to be tried again: half as much at once, after a wait that doubles each
    /// time and is spread by chance between half and all of it.
    pub fn slow_down(&self, reason: &str, writes: usize) {
        let mut inner = self.lock();
        let now = Instant::now();
        // Requests that were under way together fail together: they count once.
        if inner.closed_until.is_none_or(|until| now >= until) {
            inner.requests = (inner.requests / 2).max(1);
            inner.bytes = (inner.bytes / 2).max(BYTES_MIN);
            let wait = (WAIT_FIRST * 2u32.saturating_pow(inner.failures.min(16))).min(WAIT_MAX);
            inner.failures += 1;
            inner.closed_until = Some(now + wait.mul_f64(0.5 + fastrand::f64() / 2.0));
        }
        if inner.warned.is_none_or(|at| now.duration_since(at) >= Duration::from_secs(5)) {
            inner.warned = Some(now);
            tracing::warn!(reason, writes, "the index cannot take documents now, trying again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_closes_and_halves_and_an_answer_opens_again() {
        let pace = Pace::default();
        pace.slow_down("429", 1);
        assert!(!pace.is_open());
        assert_eq!(pace.bytes(), BYTES_MAX / 2);
        assert_eq!(pace.requests(), 1);
        pace.slow_down("429", 1);
        assert_eq!(pace.bytes(), BYTES_MAX / 2, "failures of one moment count once");
        pace.speed_up(Duration::from_millis(5));
        assert!(pace.is_open());
        assert!(pace.bytes() > BYTES_MAX / 2);
    }
}
