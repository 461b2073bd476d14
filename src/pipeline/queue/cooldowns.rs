//! Cool-downs: a large document that was just written waits before it is written again. Otherwise each change of one of its
//! members would rewrite the whole document.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::DocumentKey;
use crate::pipeline::sizes::sized;

/// The rate at which a document that changes all the time is written.
const BYTES_A_SECOND: usize = sized(256 << 10, 64 << 10);
/// Smaller documents have no cool-down.
const BYTES_MIN: usize = sized(4 << 10, 300);
/// The longest cool-down. The index's own refreshes are not more frequent.
const COOLDOWN_MAX: Duration = Duration::from_secs(1);
/// Cool-downs that are over are forgotten when there are so many.
const KNOWN_MAX: usize = sized(10_000, 20);

/// The documents that were written a moment ago, and those among them that wait again.
#[derive(Debug, Default)]
pub(super) struct Cooldowns {
    until: HashMap<DocumentKey, Instant, RandomState>,
    waiting: BinaryHeap<Reverse<(Instant, DocumentKey)>>,
}

impl Cooldowns {
    /// Starts the cool-down of a document of so many bytes.
    pub(super) fn start(&mut self, key: &DocumentKey, bytes: usize, now: Instant) {
        if bytes < BYTES_MIN {
            return;
        }
        if self.until.len() >= KNOWN_MAX {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() < KNOWN_MAX {
            let cooldown = Duration::from_secs_f64(bytes as f64 / BYTES_A_SECOND as f64).min(COOLDOWN_MAX);
            self.until.insert(key.clone(), now + cooldown);
        }
    }

    /// Has a document wait for the end of its cool-down; false when it has none.
    pub(super) fn delay(&mut self, key: &DocumentKey, now: Instant) -> bool {
        let until = self.until.get(key).copied().filter(|until| *until > now);
        self.waiting.extend(until.map(|until| Reverse((until, key.clone()))));
        until.is_some()
    }

    /// Takes a document whose cool-down is over, or any document if `all` are due.
    pub(super) fn pop_due(&mut self, now: Instant, all: bool) -> Option<DocumentKey> {
        let Reverse((until, _)) = self.waiting.peek()?;
        let is_over = all || *until <= now;
        is_over.then(|| self.waiting.pop()).flatten().map(|Reverse((_, key))| key)
    }

    /// How many documents wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Forgets the documents that wait.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
