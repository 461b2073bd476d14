//! Cool-downs: a large document that was just written waits before it is written again. Otherwise each change of one of its
//! members would rewrite the whole document.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::DocumentKey;
use crate::pipeline::tuning::Tuning;

/// The longest cool-down. The index's own refreshes are not more frequent.
const COOLDOWN_MAX: Duration = Duration::from_secs(1);

/// The documents that were written a moment ago, and those among them that wait again.
#[derive(Debug, Default)]
pub(super) struct Cooldowns {
    until: HashMap<DocumentKey, Instant, RandomState>,
    waiting: BinaryHeap<Reverse<(Instant, DocumentKey)>>,
}

impl Cooldowns {
    /// Starts the cool-down of a document of so many bytes.
    pub(super) fn start(&mut self, key: &DocumentKey, bytes: usize, now: Instant, tuning: &Tuning) {
        if bytes < tuning.cooldown_bytes_min {
            return;
        }
        if self.until.len() >= tuning.cooldowns_max {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() < tuning.cooldowns_max {
            let cooldown = Duration::from_secs_f64(bytes as f64 / tuning.cooldown_rate as f64);
            self.until.insert(key.clone(), now + cooldown.min(COOLDOWN_MAX));
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
