//! Back-off: pauses between attempts that double up to a limit.

use std::time::Duration;

/// The pauses between the attempts at one thing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackOff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl BackOff {
    /// Pauses from `first` on, each twice as long as the one before, up to `most`.
    pub(crate) const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// The pause before the next attempt.
    pub(crate) fn pause(&self) -> Duration {
        self.next
    }

    /// Doubles the pause, because the attempt failed.
    pub(crate) fn double(&mut self) {
        self.next = self.next.saturating_mul(2).min(self.most);
    }

    /// Begins with the first pause again, because the attempt succeeded.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_begin_anew() {
        let mut back_off = BackOff::new(Duration::from_secs(2), Duration::from_secs(7));
        let pauses = [(); 4].map(|()| {
            let pause = back_off.pause().as_secs();
            back_off.double();
            pause
        });
        assert_eq!(pauses, [2, 4, 7, 7]);
        back_off.reset();
        assert_eq!(back_off.pause().as_secs(), 2);
    }
}
