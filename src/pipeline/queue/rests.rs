//! Large documents that were sent a moment ago give way to all others when they change again: each change of one of its
//! members would have the whole of it sent.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::DocumentKey;
use crate::pipeline::sizes::sized;

/// A document that changes all the time takes so much of the index's time as it takes to write so many bytes a second.
const BYTES_A_SECOND: usize = sized(256 << 10, 64 << 10);
/// Smaller documents do not rest.
const BYTES_MIN: usize = sized(4 << 10, 300);
/// The longest rest; the index's own refreshes are not more often.
const REST_MAX: Duration = Duration::from_secs(1);
/// Rests that are over are forgotten when so many are known.
const KNOWN_MAX: usize = sized(10_000, 20);

/// Which documents were sent a moment ago, and which of them wait again.
#[derive(Debug, Default)]
pub(super) struct Rests {
    until: HashMap<DocumentKey, Instant, RandomState>,
    waiting: BinaryHeap<Reverse<(Instant, DocumentKey)>>,
}

impl Rests {
    /// Takes note of a document of so many bytes that was sent.
    pub(super) fn sent(&mut self, key: &DocumentKey, bytes: usize, now: Instant) {
        if bytes < BYTES_MIN {
            return;
        }
        if self.until.len() >= KNOWN_MAX {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() < KNOWN_MAX {
            let rest = Duration::from_secs_f64(bytes as f64 / BYTES_A_SECOND as f64).min(REST_MAX);
            self.until.insert(key.clone(), now + rest);
        }
    }

    /// Has a document wait here when it rests; false when it does not.
    pub(super) fn hold(&mut self, key: &DocumentKey, now: Instant) -> bool {
        let until = self.until.get(key).copied().filter(|until| *until > now);
        self.waiting.extend(until.map(|until| Reverse((until, key.clone()))));
        until.is_some()
    }

    /// One whose rest is over; any when `all` may be woken.
    pub(super) fn wake(&mut self, now: Instant, all: bool) -> Option<DocumentKey> {
        let Reverse((until, _)) = self.waiting.peek()?;
        let is_over = all || *until <= now;
        is_over.then(|| self.waiting.pop()).flatten().map(|Reverse((_, key))| key)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Forgets those that wait.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
