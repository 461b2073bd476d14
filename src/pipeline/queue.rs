//! The dirty documents in memory, which wait for delivery. The marks in the state are the whole truth.
//!
//! Documents changed by an event go before documents of a fan-out or of a scan. Each priority has requests of its own. Marks
//! that do not fit are left to a later scan, so memory is bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::chunks::Chunks;
use self::cooldowns::Cooldowns;
use self::entries::{CommitPoint, InFlight, Overflow, QueueEntry};
use self::pending_steps::PendingSteps;
use self::round_robin::RoundRobin;
use self::siblings::Siblings;
use super::backfill::PendingBackfill;
use super::fold::DocumentKey;
use super::tuning::Tuning;
use crate::position::Positions;
use crate::projection::Projection;

mod chunks;
mod cooldowns;
mod documents_in_flight;
mod entries;
mod pending_steps;
mod round_robin;
mod siblings;
#[cfg(test)]
mod tests;

/// The priority of a document that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Changed by an event.
    Direct,
    /// Marked by a fan-out or found by a scan.
    Background,
}

/// The queue between the fold and the delivery.
#[derive(Debug, Default)]
pub struct Queue {
    /// True once nothing more is folded: the reader has ended, and everything that it read is in the state.
    folded: AtomicBool,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: HashMap<DocumentKey, QueueEntry, RandomState>,
    direct: RoundRobin,
    /// Large documents that were written a moment ago.
    cooldowns: Cooldowns,
    background: RoundRobin,
    /// Documents in flight, without the documents of chunks that were not promoted.
    in_flight: HashMap<DocumentKey, InFlight, RandomState>,
    chunks: Chunks,
    siblings: Siblings,
    /// The steps since which documents wait or are in flight, without the documents of chunks that were not promoted.
    pending: PendingSteps,
    /// Marks made at this step or later may lie in the state only.
    unscanned: Option<u64>,
    /// The step at which the present scan began.
    scan_began: Option<u64>,
    /// The key after which the present scan goes on, empty at its beginning.
    scan_cursor: Vec<u8>,
    /// Grows when a scan is given up.
    scan_number: u64,
    /// The marks that did not fit since the present or the last scan began.
    overflow: Option<Overflow>,
    /// The oldest change whose fan-out is not done.
    oldest_task: Option<u64>,
    /// The backfills that are not complete.
    backfills: Vec<PendingBackfill>,
    step: u64,
    positions: Positions,
    /// Steps with their positions and times, sparse, the oldest first.
    history: VecDeque<CommitPoint>,
    tuning: Tuning,
}

/// A request to read a part of the marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    number: u64,
    /// The key after which reading begins.
    pub cursor: Vec<u8>,
}

/// The amount of work that waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitingWork {
    /// Documents in memory, waiting or in flight.
    pub documents: usize,
    /// True when more marks may lie in the state.
    pub more: bool,
    /// True while a fan-out is not done.
    pub fanning_out: bool,
    /// About how many documents backfills have not reached yet.
    pub backfill_left: u64,
}

impl WaitingWork {
    /// True when nothing is left to deliver.
    pub fn is_nothing(self) -> bool {
        self == WaitingWork::default()
    }
}

impl Queue {
    /// A queue that has to scan the state for all marks. Documents that are found count as waiting since `time_ms`.
    pub fn starting_at(
        step: u64,
        oldest_task: Option<u64>,
        positions: Positions,
        time_ms: u64,
        tuning: Tuning,
    ) -> Self {
        let history = VecDeque::from([CommitPoint { step, positions: positions.clone(), time_ms }]);
        let inner =
            Inner { unscanned: Some(0), oldest_task, step, positions, history, tuning, ..Inner::default() };
        Self { folded: AtomicBool::new(false), inner: Mutex::new(inner), changed: Notify::new() }
    }

    /// Takes in a commit and the documents that it marked.
    pub fn note_commit(
        &self,
        step: u64,
        positions: &Positions,
        marked: Vec<DocumentKey>,
        priority: Priority,
        oldest_task: Option<u64>,
        time_ms: u64,
    ) {
        let mut inner = self.lock();
        inner.step = inner.step.max(step);
        // A document of a fan-out waits since the change that began it, because the low watermark must not pass that change.
        let since = inner
            .oldest_task
            .filter(|_| priority == Priority::Background)
            .map_or(step, |task| task.min(step));
        inner.oldest_task = oldest_task;
        if inner.positions != *positions {
            inner.positions = positions.clone();
            inner.remember(CommitPoint { step, positions: positions.clone(), time_ms });
        }
        for key in marked {
            inner.add(key, since, priority);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Takes in documents that a backfill sent and the index did not acknowledge. They wait since the commit that began the
    /// backfill, because the low watermark would otherwise pass changes that the index lacks.
    pub fn add_undelivered(&self, documents: Vec<DocumentKey>, since: u64) {
        let mut inner = self.lock();
        let since = if bug!(UndeliveredWaitSinceNow) { inner.step } else { since };
        for key in documents {
            inner.add(key, since, Priority::Background);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Takes up to `max` documents of a priority, the oldest first. All are of one projection: the next in turn of those that
    /// `may` go.
    pub fn take(&self, priority: Priority, max: usize, may: &dyn Fn(Projection) -> bool) -> Vec<DocumentKey> {
        let mut inner = self.lock();
        inner.requeue_cooled();
        let turn = inner.siblings.begin_turn();
        let (mut documents, mut projection) = (Vec::new(), None);
        while documents.len() < max {
            let Some(key) = inner.documents_mut(priority).pop_front(projection, may) else { break };
            // A document that was promoted is still in the list of its former priority.
            if inner.waiting.get(&key).is_none_or(|entry| entry.priority != priority) {
                continue;
            }
            if !bug!(SiblingBeside) && inner.siblings.wait(&key, priority, turn) {
                continue;
            }
            let Some(QueueEntry { step, .. }) = inner.waiting.remove(&key) else { continue };
            if inner.is_in_flight(&key) && !bug!(WriteBeside) {
                // A chunk in flight holds it, so it is sent again after that.
                inner.send_again(&key, step);
                inner.pending.remove(key.0, step);
                continue;
            }
            projection = Some(key.0);
            inner.siblings.hold(&key, turn);
            inner.in_flight.insert(key.clone(), InFlight { step, again: None, priority, is_of_chunk: false });
            documents.push(key);
        }
        documents
    }

    /// The steps since which documents in flight waited, the oldest ones, each once.
    pub fn steps_of(&self, documents: &[DocumentKey], most: usize) -> Vec<u64> {
        let inner = self.lock();
        let steps = documents.iter().filter_map(|key| inner.in_flight.get(key).map(|document| document.step));
        let mut steps: Vec<u64> = steps.collect();
        drop(inner);
        steps.sort_unstable();
        steps.dedup();
        steps.truncate(most);
        steps
    }

    /// Starts the cool-downs of documents that were sent, each with its bytes.
    pub fn note_sent<'a>(&self, documents: impl Iterator<Item = (&'a DocumentKey, usize)>) {
        let (mut inner, now) = (self.lock(), Instant::now());
        let Inner { cooldowns, tuning, .. } = &mut *inner;
        documents.for_each(|(key, bytes)| cooldowns.start(key, bytes, now, tuning));
    }

    /// True when documents of a fan-out or of a scan wait.
    pub fn has_background(&self) -> bool {
        !self.lock().background.is_empty()
    }

    /// The next part of the state's marks, if few documents wait and more marks may lie there.
    pub fn next_scan(&self) -> Option<Scan> {
        let mut inner = self.lock();
        let is_due = inner.unscanned.is_some() && inner.background.len() < inner.tuning.waiting_max / 4;
        if is_due && inner.scan_began.is_none() {
            // Earlier marks are in the state, where this scan reads them.
            inner.overflow = None;
        }
        is_due.then(|| Scan { number: inner.scan_number, cursor: inner.scan_cursor.clone() })
    }

    /// Takes in the documents that a scan found. `began` is the step of the snapshot that it read. `next` is the key after
    /// which it goes on; `None` at the end of the marks.
    pub fn add_scanned(&self, scan: &Scan, found: Vec<DocumentKey>, began: u64, next: Option<Vec<u8>>) {
        let mut inner = self.lock();
        let oldest = inner.unscanned.unwrap_or(began);
        for key in found {
            inner.find(key, oldest);
        }
        if scan.number == inner.scan_number {
            let began = *inner.scan_began.get_or_insert(began);
            let is_ended = next.is_none();
            inner.scan_cursor = next.unwrap_or_default();
            if is_ended {
                inner.scan_began = None;
                // Marks that did not fit since the scan began need another scan.
                let overflow = inner.overflow;
                let overflow = overflow.filter(|it| it.last > began && !bug!(ScanForgotten));
                inner.unscanned = overflow.map(|it| it.since);
            }
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Takes in the backfills that are not complete.
    pub fn set_backfills(&self, backfills: Vec<PendingBackfill>) {
        self.lock().backfills = backfills;
        self.changed.notify_waiters();
    }

    /// The backfills that are not complete.
    pub fn backfills(&self) -> Vec<PendingBackfill> {
        self.lock().backfills.clone()
    }

    /// True while the backfill of this projection is not complete.
    pub(super) fn has_backfill(&self, projection: Projection) -> bool {
        self.lock().backfills.iter().any(|backfill| backfill.projection == projection)
    }

    /// The amount of work that waits.
    pub fn waiting(&self) -> WaitingWork {
        let inner = self.lock();
        WaitingWork {
            documents: inner.waiting.len() + inner.in_flight.len() + inner.chunks.len(),
            more: inner.unscanned.is_some(),
            fanning_out: inner.oldest_task.is_some(),
            backfill_left: inner.backfills.iter().map(|backfill| backfill.left).sum(),
        }
    }

    /// The positions below which no document waits; `None` when they are not known yet.
    pub fn low_watermark(&self) -> Option<Positions> {
        self.low_watermark_of(None)
    }

    /// The low watermark of one projection's index, which is at least that of all.
    pub fn low_watermark_of(&self, projection: Option<Projection>) -> Option<Positions> {
        let inner = self.lock();
        let oldest = inner.oldest(projection).filter(|_| !bug!(LowWatermarkEager));
        let Some(oldest) = oldest else { return Some(inner.positions.clone()) };
        let known = inner.history.iter().rev().find(|point| point.step < oldest);
        known.map(|point| point.positions.clone())
    }

    /// The time of the oldest change that waits, in milliseconds since the Unix epoch; `None` when none waits.
    pub fn waiting_since(&self) -> Option<u64> {
        let inner = self.lock();
        let oldest = inner.oldest(None)?;
        let known = inner.history.iter().find(|point| point.step >= oldest).or(inner.history.back());
        known.map(|point| point.time_ms)
    }

    /// The step of the oldest change that is not in the index; `None` when none waits.
    pub fn oldest_waiting(&self) -> Option<u64> {
        self.lock().oldest(None)
    }

    /// The positions of the fold.
    pub fn positions(&self) -> Positions {
        self.lock().positions.clone()
    }

    /// The number of the last step.
    pub fn step(&self) -> u64 {
        self.lock().step
    }

    /// The step of the oldest change whose fan-out is not done.
    pub fn oldest_task(&self) -> Option<u64> {
        self.lock().oldest_task
    }

    /// The highest step whose positions `delivered` covers.
    pub fn step_covered_by(&self, delivered: &Positions) -> Option<u64> {
        let inner = self.lock();
        if bug!(TrimmedTooFar) {
            return Some(inner.step);
        }
        inner.history.iter().rev().find(|point| delivered.covers(&point.positions)).map(|point| point.step)
    }

    /// Forgets the documents that wait in memory. A scan of the state finds them again.
    pub fn forget(&self) {
        let mut inner = self.lock();
        let oldest = inner.pending.oldest(None);
        inner.waiting.clear();
        inner.direct.clear();
        inner.cooldowns.clear();
        inner.background.clear();
        inner.pending.clear();
        let Inner { in_flight, pending, .. } = &mut *inner;
        in_flight.iter().for_each(|(key, document)| pending.add(key.0, document.step));
        inner.unscanned = inner.unscanned.into_iter().chain(oldest).min();
        // A present scan has passed marks of documents that were in memory.
        inner.scan_began = None;
        inner.scan_cursor.clear();
        inner.scan_number += 1;
    }

    /// Waits until something changed, registered before the caller looked: see [`Notify::notified`].
    pub fn next_change(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Notes that the fold has ended.
    pub fn set_folded(&self) {
        self.folded.store(true, Ordering::SeqCst);
    }

    /// True once the fold has ended.
    pub fn is_folded(&self) -> bool {
        self.folded.load(Ordering::SeqCst)
    }

    /// Wakes everyone that waits.
    pub fn wake(&self) {
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The oldest step that waits, of one projection or of all.
    fn oldest(&self, of: Option<Projection>) -> Option<u64> {
        let backfills =
            self.backfills.iter().filter(|backfill| of.is_none_or(|of| of == backfill.projection));
        let backfill = backfills.map(|backfill| backfill.step).min();
        let oldest =
            [self.pending.oldest(of), self.chunks.oldest(of), self.unscanned, self.oldest_task, backfill];
        oldest.into_iter().flatten().min()
    }

    /// Takes in a mark of the current step, which waits since `since`.
    fn add(&mut self, key: DocumentKey, since: u64, priority: Priority) {
        if self.is_in_flight(&key) && !bug!(WriteBeside) {
            self.send_again(&key, since);
            return;
        }
        let cooling = if priority == Priority::Direct { self.cooldowns.len() } else { 0 };
        let count = self.documents_mut(priority).len() + cooling;
        if count >= self.tuning.waiting_max && !self.waiting.contains_key(&key) {
            let oldest = |known: Option<u64>| known.map_or(since, |known| known.min(since));
            self.unscanned = Some(oldest(self.unscanned));
            let since = oldest(self.overflow.map(|overflow| overflow.since));
            self.overflow = Some(Overflow { last: self.step, since });
            return;
        }
        self.enqueue(key, since, priority);
    }

    /// Takes in a document whose mark was found in the state.
    fn find(&mut self, key: DocumentKey, oldest: u64) {
        match self.in_flight_mut(&key).map(|document| document.is_of_chunk) {
            Some(true) => self.send_again(&key, oldest),
            // It was made after the mark, so its acknowledgement covers the mark, or it is sent again anyway.
            Some(false) => self.wait_since(&key, oldest),
            None => self.enqueue(key, oldest, Priority::Background),
        }
    }

    /// Has a document wait. A document that waits already keeps the older step and the higher priority.
    fn enqueue(&mut self, key: DocumentKey, step: u64, priority: Priority) {
        let known = self.waiting.get(&key).copied();
        let entry = known.map_or(QueueEntry { step, priority }, |known| QueueEntry {
            step: known.step.min(step),
            priority: if priority == Priority::Direct { priority } else { known.priority },
        });
        if let Some(known) = known {
            self.pending.remove(key.0, known.step);
        }
        self.pending.add(key.0, entry.step);
        self.waiting.insert(key.clone(), entry);
        // A promoted document also stays in the list of its former priority, where `take` passes over it.
        if known.is_none_or(|known| known.priority != entry.priority) {
            let is_delayed = entry.priority == Priority::Direct && self.cooldowns.delay(&key, Instant::now());
            if !is_delayed {
                self.documents_mut(entry.priority).push_back(key);
            }
        }
    }

    /// Ends cool-downs that are over, and all of them when the index has no other work.
    fn requeue_cooled(&mut self) {
        let in_flight = self.in_flight.len() + self.chunks.len();
        let is_idle = self.direct.is_empty() && self.background.is_empty() && in_flight == 0;
        let now = Instant::now();
        while let Some(key) = self.cooldowns.pop_due(now, is_idle) {
            self.direct.push_back(key);
        }
    }

    fn documents_mut(&mut self, priority: Priority) -> &mut RoundRobin {
        match priority {
            Priority::Direct => &mut self.direct,
            Priority::Background => &mut self.background,
        }
    }

    fn remember(&mut self, point: CommitPoint) {
        if self.history.len() >= self.tuning.history_max {
            let mut keep = false;
            self.history.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.history.push_back(point);
    }
}
