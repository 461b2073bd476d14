//! How often the same thing is logged.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A lasting trouble is logged once in this time.
const EVERY: Duration = Duration::from_secs(60);

/// Lets one log line a minute pass.
#[derive(Debug, Default)]
pub(super) struct LogThrottle(Mutex<Option<Instant>>);

impl LogThrottle {
    /// True when a line is due, which counts as logged then.
    pub(super) fn is_due(&self) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = logged.is_none_or(|at| at.elapsed() >= EVERY);
        if is_due {
            *logged = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_again_after_a_minute() {
        let throttle = LogThrottle::default();
        assert!(throttle.is_due() && !throttle.is_due());
        *throttle.0.lock().unwrap() = Instant::now().checked_sub(EVERY);
        assert!(throttle.is_due() && !throttle.is_due());
    }
}
