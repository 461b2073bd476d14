//! Documents in flight: at most one write of each.

use std::sync::Arc;

use super::entries::{InFlight, QueueEntry};
use super::{Inner, Priority, Queue};
use crate::pipeline::fold::DocumentKey;
use crate::projection::Projection;

impl Queue {
    /// Finishes documents that were taken. Documents with `false` wait again.
    pub fn finish(&self, documents: impl IntoIterator<Item = (DocumentKey, bool)>) {
        let mut inner = self.lock();
        for (key, delivered) in documents {
            let Some(document) = inner.in_flight.remove(&key) else { continue };
            inner.release_siblings(&key, &document);
            let InFlight { step, again, priority, .. } = document;
            inner.pending.remove(key.0, step);
            if !delivered {
                let priority = if again.is_some() { Priority::Direct } else { priority };
                inner.enqueue(key, step, priority);
            } else if let Some(step) = again {
                inner.enqueue(key, step, Priority::Direct);
            }
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Puts documents back that did not fit into a request. They go before later ones, because the oldest document decides the
    /// low watermark.
    pub fn put_back(&self, documents: Vec<DocumentKey>) {
        if documents.is_empty() {
            return;
        }
        let mut inner = self.lock();
        for key in documents.into_iter().rev() {
            let Some(document) = inner.in_flight.remove(&key) else { continue };
            inner.release_siblings(&key, &document);
            let InFlight { step, again, priority, .. } = document;
            let priority = if again.is_some() { Priority::Direct } else { priority };
            // It is counted as before.
            inner.waiting.insert(key.clone(), QueueEntry { step, priority });
            inner.documents_mut(priority).push_front(key);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Begins a chunk of the backfill of `step`; answers its number.
    pub fn begin_chunk(&self, projection: Projection, step: u64) -> u64 {
        self.lock().chunks.begin(projection, step)
    }

    /// Adds a document at the end of a chunk; false when it is in flight already. It arrives by that write, or it is marked.
    pub fn take_for_chunk(&self, chunk: u64, key: &DocumentKey) -> bool {
        let mut inner = self.lock();
        let is_free = !inner.is_in_flight(key) || bug!(WriteBeside);
        if is_free {
            inner.chunks.push(chunk, Arc::clone(&key.1));
        }
        is_free
    }

    /// Ends a chunk, whose documents are delivered or are going to be marked.
    pub fn finish_chunk(&self, chunk: u64) {
        let promoted = self.lock().chunks.end(chunk);
        self.finish(promoted.into_iter().map(|key| (key, true)));
    }
}

impl Inner {
    /// True when a document is in flight.
    pub(super) fn is_in_flight(&self, key: &DocumentKey) -> bool {
        self.in_flight.contains_key(key) || self.chunks.contains(key)
    }

    /// A document in flight. One of a chunk is promoted for it.
    pub(super) fn in_flight_mut(&mut self, key: &DocumentKey) -> Option<&mut InFlight> {
        if !self.in_flight.contains_key(key) {
            let step = self.chunks.promote(key)?;
            let document = InFlight { step, again: None, priority: Priority::Background, is_of_chunk: true };
            self.in_flight.insert(key.clone(), document);
            self.pending.add(key.0, step);
        }
        self.in_flight.get_mut(key)
    }

    /// Has a document in flight sent again after that.
    pub(super) fn send_again(&mut self, key: &DocumentKey, since: u64) {
        if let Some(document) = self.in_flight_mut(key) {
            document.again = Some(document.again.map_or(since, |again| again.min(since)));
        }
        self.wait_since(key, since);
    }

    /// Has the documents of the same member go that wait for one that is in flight no more.
    pub(super) fn release_siblings(&mut self, key: &DocumentKey, document: &InFlight) {
        if !document.is_of_chunk {
            for (key, priority) in self.siblings.release(key) {
                self.documents_mut(priority).push_front(key);
            }
        }
    }

    /// Has a document in flight wait since `since`, unless it waits for longer.
    pub(super) fn wait_since(&mut self, key: &DocumentKey, since: u64) {
        let Some(document) = self.in_flight.get_mut(key).filter(|document| document.step > since) else {
            return;
        };
        let step = std::mem::replace(&mut document.step, since);
        self.pending.remove(key.0, step);
        self.pending.add(key.0, since);
    }
}
