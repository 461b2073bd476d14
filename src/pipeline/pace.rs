//! How fast the index takes documents: how many requests at once, how large, and when to wait.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::tuning::Tuning;

const REQUESTS_MAX: usize = 3;
/// How long a request of marked documents should take. The index works on its requests in turn, and nothing overtakes
/// there, so a change waits for every earlier request.
const MARKED_TIME: Duration = Duration::from_millis(250);
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(15);
/// A request that took longer than this is no reason to send larger ones.
const QUICK: Duration = Duration::from_secs(2);

/// Shrinks on overload, grows while the index answers quickly.
#[derive(Debug)]
pub struct Pace(Mutex<PaceState>);

#[derive(Debug)]
struct PaceState {
    requests: usize,
    bytes: usize,
    /// Of marked documents, for which a search may wait.
    marked_bytes: usize,
    failures: u32,
    closed_until: Option<Instant>,
    warned: Option<Instant>,
    tuning: Tuning,
}

impl Pace {
    /// The pace before the first answer.
    pub fn new(tuning: Tuning) -> Self {
        Self(Mutex::new(PaceState {
            requests: REQUESTS_MAX,
            bytes: tuning.request_bytes_max,
            marked_bytes: tuning.marked_bytes_min * 2,
            failures: 0,
            closed_until: None,
            warned: None,
            tuning,
        }))
    }

    /// How many requests may be in flight.
    pub fn requests(&self) -> usize {
        self.lock().requests
    }

    /// How many bytes a request may hold.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// How many bytes a request of marked documents may hold.
    pub fn bytes_of_marked(&self) -> usize {
        let inner = self.lock();
        inner.marked_bytes.min(inner.bytes)
    }

    /// Takes note how long a request of marked documents took. A small one says nothing of larger ones.
    pub fn note_marked(&self, bytes: usize, took: Duration) {
        let mut inner = self.lock();
        if bytes < inner.marked_bytes / 2 {
            return;
        }
        if took > MARKED_TIME {
            inner.marked_bytes = (inner.marked_bytes / 4 * 3).max(inner.tuning.marked_bytes_min);
        } else if took < MARKED_TIME / 2 {
            let more = inner.marked_bytes + inner.marked_bytes / 8;
            inner.marked_bytes = more.min(inner.tuning.request_bytes_max);
        }
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
            inner.bytes = (inner.bytes + inner.bytes / 8).min(inner.tuning.request_bytes_max);
            inner.requests = (inner.requests + 1).min(REQUESTS_MAX);
        }
    }

    /// Some writes have to be tried again. Half as much is then sent at once, after a wait. The wait doubles
    /// each time and is spread by chance between half and all of it.
    pub fn slow_down(&self, reason: &str, writes: usize) {
        let mut inner = self.lock();
        let now = Instant::now();
        // Requests that were in flight together fail together: they count once.
        if inner.closed_until.is_none_or(|until| now >= until) {
            inner.requests = (inner.requests / 2).max(1);
            inner.bytes = (inner.bytes / 2).max(inner.tuning.request_bytes_min);
            let wait = (WAIT_FIRST * 2u32.saturating_pow(inner.failures.min(16))).min(WAIT_MAX);
            inner.failures += 1;
            inner.closed_until = Some(now + wait.mul_f64(0.5 + fastrand::f64() / 2.0));
        }
        if inner.warned.is_none_or(|at| now.duration_since(at) >= Duration::from_secs(5)) {
            inner.warned = Some(now);
            tracing::warn!(reason, writes, "the index cannot take documents now; they are sent again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, PaceState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_closes_and_halves_and_an_answer_opens_again() {
        let (pace, half) = (Pace::new(Tuning::small()), Tuning::small().request_bytes_max / 2);
        pace.slow_down("429", 1);
        assert!(!pace.is_open());
        assert_eq!(pace.bytes(), half);
        assert_eq!(pace.requests(), 1);
        pace.slow_down("429", 1);
        assert_eq!(pace.bytes(), half, "failures of one moment count once");
        pace.speed_up(Duration::from_millis(5));
        assert!(pace.is_open());
        assert!(pace.bytes() > half);
    }

    #[test]
    fn requests_of_marked_documents_are_as_large_as_takes_a_quarter_of_a_second() {
        let (pace, tuning) = (Pace::new(Tuning::small()), Tuning::small());
        let first = pace.bytes_of_marked();
        pace.note_marked(first, MARKED_TIME * 2);
        let less = pace.bytes_of_marked();
        assert!(less < first);
        pace.note_marked(1, MARKED_TIME * 2);
        assert_eq!(pace.bytes_of_marked(), less, "a small one says nothing");
        (0..99).for_each(|_| pace.note_marked(tuning.request_bytes_max, MARKED_TIME * 2));
        assert_eq!(pace.bytes_of_marked(), tuning.marked_bytes_min);
        (0..99).for_each(|_| pace.note_marked(tuning.request_bytes_max, MARKED_TIME / 4));
        assert_eq!(pace.bytes_of_marked(), tuning.request_bytes_max);
    }
}
