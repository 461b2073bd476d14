//! Documents on their way: at most one write of each.

use std::sync::Arc;

use super::waits::Flying;
use super::{Inner, Lane, Queue};
use crate::pipeline::fold::DocumentKey;
use crate::pipeline::planted::{self, Bug};
use crate::projection::Projection;

impl Queue {
    /// Begins a part of a sweep, called for at `step`; answers its number.
    pub fn begin_swept(&self, projection: Projection, step: u64) -> u64 {
        self.lock().swept.begin(projection, step)
    }

    /// Takes a document that a part of a sweep has come to, behind all that it has; false when it is on its way already: it
    /// arrives by that, or is marked.
    pub fn take_swept(&self, part: u64, key: &DocumentKey) -> bool {
        let mut inner = self.lock();
        let is_free = !inner.is_in_flight(key) || planted::is(Bug::WriteBeside);
        if is_free {
            inner.swept.push(part, Arc::clone(&key.1));
        }
        is_free
    }

    /// Ends the way of the documents of a part of a sweep, whether they have arrived or are to be marked.
    pub fn finish_swept(&self, part: u64) {
        let called = self.lock().swept.end(part);
        self.finish(called.into_iter().map(|key| (key, true)));
    }
}

impl Inner {
    /// Whether a document is on its way.
    pub(super) fn is_in_flight(&self, key: &DocumentKey) -> bool {
        self.in_flight.contains_key(key) || self.swept.holds(key)
    }

    /// A document that is on its way, to be looked after by itself from here on.
    pub(super) fn flying(&mut self, key: &DocumentKey) -> Option<&mut Flying> {
        if !self.in_flight.contains_key(key) {
            let step = self.swept.call(key)?;
            let flying = Flying { step, again: None, lane: Lane::Background, is_swept: true };
            self.in_flight.insert(key.clone(), flying);
            self.steps.count(key.0, step);
        }
        self.in_flight.get_mut(key)
    }

    /// Has a document that is on its way go again after that.
    pub(super) fn send_again(&mut self, key: &DocumentKey, since: u64) {
        if let Some(flying) = self.flying(key) {
            flying.again = Some(flying.again.map_or(since, |again| again.min(since)));
        }
        self.wait_since(key, since);
    }

    /// Has a document on its way wait since `since`, unless it waits for longer.
    pub(super) fn wait_since(&mut self, key: &DocumentKey, since: u64) {
        let Some(flying) = self.in_flight.get_mut(key).filter(|flying| flying.step > since) else { return };
        let step = std::mem::replace(&mut flying.step, since);
        self.steps.uncount(key.0, step);
        self.steps.count(key.0, since);
    }
}
