//! The lanes that documents wait in.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::DocumentKey;
use crate::projection::Projection;

/// Which lane a document waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Changed by an event.
    Direct,
    /// Changed by an event, and made of many entities: large.
    Wide,
    /// Marked by a fan-out or found by a scan.
    Background,
}

impl Lane {
    /// The lane of a document that an event changed.
    pub(super) fn changed(key: &DocumentKey) -> Self {
        match key.0 {
            Projection::Contacts => Self::Direct,
            Projection::Organisations | Projection::Hierarchy => Self::Wide,
        }
    }
}

/// What waits in each lane, in its order.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    direct: VecDeque<DocumentKey>,
    wide: VecDeque<DocumentKey>,
    /// Those of the wide lane that were sent a moment ago, and until when they give way to others.
    resting: VecDeque<(Instant, DocumentKey)>,
    sent: Sent,
    background: VecDeque<DocumentKey>,
}

impl Lanes {
    /// Has one wait at the end of a lane.
    pub(super) fn push(&mut self, key: DocumentKey, lane: Lane) {
        match self.sent.rests_until(&key).filter(|_| lane == Lane::Wide) {
            Some(until) => self.resting.push_back((until, key)),
            None => self.of(lane).push_back(key),
        }
    }

    /// Has one wait before all others of its lane.
    pub(super) fn put_back(&mut self, key: DocumentKey, lane: Lane) {
        self.of(lane).push_front(key);
    }

    /// The next one of a lane. One that rests is taken when nothing else that is large, or not urgent, waits.
    pub(super) fn pop(&mut self, lane: Lane) -> Option<DocumentKey> {
        let next = self.of(lane).pop_front();
        if next.is_some() || lane != Lane::Wide || !self.background.is_empty() {
            return next;
        }
        self.resting.pop_front().map(|(_, key)| key)
    }

    /// True when something waits in a lane and does not rest.
    pub(super) fn holds(&mut self, lane: Lane) -> bool {
        !self.of(lane).is_empty()
    }

    /// How many wait in a lane.
    pub(super) fn len(&mut self, lane: Lane) -> usize {
        let resting = if lane == Lane::Wide { self.resting.len() } else { 0 };
        self.of(lane).len() + resting
    }

    /// Takes note that a large one was sent.
    pub(super) fn note_sent(&mut self, key: &DocumentKey) {
        self.sent.note(key, Instant::now());
    }

    /// Has those wait with the others whose rest is over.
    pub(super) fn wake_rested(&mut self) {
        let now = Instant::now();
        self.sent.forget_before(now);
        while let Some((_, key)) = self.resting.pop_front_if(|(until, _)| *until <= now) {
            self.wide.push_back(key);
        }
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        [&mut self.direct, &mut self.wide, &mut self.background].into_iter().for_each(VecDeque::clear);
        self.resting.clear();
    }

    fn of(&mut self, lane: Lane) -> &mut VecDeque<DocumentKey> {
        match lane {
            Lane::Direct => &mut self.direct,
            Lane::Wide => &mut self.wide,
            Lane::Background => &mut self.background,
        }
    }
}

/// A large document that was sent gives way to all others for so long when it changes again. The index shows nothing
/// sooner by itself, and each of its contacts' changes would have the whole of it sent.
pub(super) const REST: Duration = Duration::from_secs(1);

/// Which large documents were sent a moment ago.
#[derive(Debug, Default)]
struct Sent {
    until: HashMap<DocumentKey, Instant, RandomState>,
    order: VecDeque<(Instant, DocumentKey)>,
}

impl Sent {
    fn note(&mut self, key: &DocumentKey, now: Instant) {
        self.until.insert(key.clone(), now + REST);
        self.order.push_back((now + REST, key.clone()));
    }

    fn rests_until(&self, key: &DocumentKey) -> Option<Instant> {
        self.until.get(key).copied()
    }

    fn forget_before(&mut self, now: Instant) {
        while let Some((until, key)) = self.order.pop_front_if(|(until, _)| *until <= now) {
            // It may have been sent again.
            if self.until.get(&key) == Some(&until) {
                self.until.remove(&key);
            }
        }
    }
}
