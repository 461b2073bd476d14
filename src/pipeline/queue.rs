//! What waits for delivery, as far as it is in memory; the marks in the state are the whole truth.
//!
//! Two lanes, with requests of their own: documents that an event changed directly overtake those of a fan-out or of a
//! scan of the state's marks. What does not fit is left to a later scan, so memory is bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::line::Line;
use self::rests::Rests;
use self::steps::Steps;
use self::swept::Swept;
use self::waits::{Flying, Left, Mark, Point};
use super::fold::DocumentKey;
use super::planted::{self, Bug};
use super::sizes::sized;
use super::sweep::Sweeping;
use crate::position::Positions;
use crate::projection::Projection;

mod in_flight;
mod line;
mod rests;
mod steps;
mod swept;
#[cfg(test)]
mod tests;
mod waits;

/// How many documents each lane holds at most.
const LANE_MAX: usize = sized(20_000, 12);

/// Which lane a document waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
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
    waiting: HashMap<DocumentKey, Mark, RandomState>,
    direct: Line,
    /// Those of the direct lane that give way for a moment.
    rests: Rests,
    background: Line,
    /// Documents on their way, those of sweeps aside that nobody has asked for.
    in_flight: HashMap<DocumentKey, Flying, RandomState>,
    swept: Swept,
    /// Since when documents wait or are on their way, those of sweeps aside that nobody has asked for.
    steps: Steps,
    /// Marks made at this step or later may lie in the state only.
    unscanned: Option<u64>,
    /// A scan under way: the step that it began at.
    scan_began: Option<u64>,
    /// Where that one goes on; empty at its beginning.
    scan_cursor: Vec<u8>,
    /// Grows when a scan under way is given up.
    scan_number: u64,
    /// What did not fit since the scan under way, or the last one, was begun.
    left: Option<Left>,
    /// The oldest change whose fan-out is not done.
    oldest_task: Option<u64>,
    /// Projections of which everything waits.
    sweeps: Vec<Sweeping>,
    step: u64,
    positions: Positions,
    /// What was folded when, sparse, oldest first.
    history: VecDeque<Point>,
}

/// A part of the marks that is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    number: u64,
    /// Read what comes after this key.
    pub cursor: Vec<u8>,
}

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Documents in memory, waiting or on their way.
    pub documents: usize,
    /// True when more marks may lie in the state.
    pub more: bool,
    /// True while a fan-out is not done.
    pub fanning_out: bool,
    /// About how many documents sweeps have still to come to.
    pub sweeping: u64,
}

impl Waiting {
    /// True when nothing is left to deliver.
    pub fn is_nothing(self) -> bool {
        self == Waiting::default()
    }
}

impl Queue {
    /// A queue that knows nothing yet: all marks are to be looked for in the state. What waits there
    /// is taken to wait since `time_ms`.
    pub fn starting_at(step: u64, oldest_task: Option<u64>, positions: Positions, time_ms: u64) -> Self {
        let history = VecDeque::from([Point { step, positions: positions.clone(), time_ms }]);
        let inner = Inner { unscanned: Some(0), oldest_task, step, positions, history, ..Inner::default() };
        Self { folded: AtomicBool::new(false), inner: Mutex::new(inner), changed: Notify::new() }
    }

    /// Takes in a committed step and what it marked.
    pub fn stepped(
        &self,
        step: u64,
        positions: &Positions,
        marked: Vec<DocumentKey>,
        lane: Lane,
        oldest_task: Option<u64>,
        time_ms: u64,
    ) {
        let mut inner = self.lock();
        inner.step = inner.step.max(step);
        // What a fan-out marks waits since the change that began it: the frontier must not pass that change before.
        let since =
            inner.oldest_task.filter(|_| lane == Lane::Background).map_or(step, |task| task.min(step));
        inner.oldest_task = oldest_task;
        if inner.positions != *positions {
            inner.positions = positions.clone();
            inner.remember(Point { step, positions: positions.clone(), time_ms });
        }
        for key in marked {
            inner.add(key, since, lane);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Takes in documents that a sweep sent and the index did not acknowledge. They wait since the commit that called
    /// for the sweep: were they to wait since now, the low watermark would pass changes that the index lacks.
    pub fn add_undelivered(&self, documents: Vec<DocumentKey>, since: u64) {
        let mut inner = self.lock();
        let since = if planted::is(Bug::UndeliveredWaitSinceNow) { inner.step } else { since };
        for key in documents {
            inner.add(key, since, Lane::Background);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Takes up to `max` documents of a lane, all of the projection whose turn it is among those that `may` go: those first
    /// that have waited longest.
    pub fn take(&self, lane: Lane, max: usize, may: &dyn Fn(Projection) -> bool) -> Vec<DocumentKey> {
        let mut inner = self.lock();
        inner.wake_rested();
        let (mut taken, mut projection) = (Vec::new(), None);
        while taken.len() < max {
            let Some(key) = inner.lane_mut(lane).pop_front(projection, may) else { break };
            // One that has moved up has left its place here.
            if inner.waiting.get(&key).is_none_or(|mark| mark.lane != lane) {
                continue;
            }
            let Some(Mark { step, .. }) = inner.waiting.remove(&key) else { continue };
            if inner.is_in_flight(&key) && !planted::is(Bug::WriteBeside) {
                // On its way by a sweep: it goes again after that.
                inner.send_again(&key, step);
                inner.steps.uncount(key.0, step);
                continue;
            }
            projection = Some(key.0);
            inner.in_flight.insert(key.clone(), Flying { step, again: None, lane, is_swept: false });
            taken.push(key);
        }
        taken
    }

    /// Ends the way of documents that were taken. Those with `false` go back to wait.
    pub fn finish(&self, documents: impl IntoIterator<Item = (DocumentKey, bool)>) {
        let mut inner = self.lock();
        for (key, delivered) in documents {
            let Some(Flying { step, again, lane, .. }) = inner.in_flight.remove(&key) else { continue };
            inner.steps.uncount(key.0, step);
            if !delivered {
                let lane = if again.is_some() { Lane::Direct } else { lane };
                inner.enqueue(key, step, lane);
            } else if let Some(step) = again {
                inner.enqueue(key, step, Lane::Direct);
            }
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Takes note of documents that were sent, each with its bytes.
    pub fn sent<'a>(&self, documents: impl Iterator<Item = (&'a DocumentKey, usize)>) {
        let (mut inner, now) = (self.lock(), Instant::now());
        documents.for_each(|(key, bytes)| inner.rests.sent(key, bytes, now));
    }

    /// Puts documents back, for which there was no room, in front of those that came after them: the oldest of what
    /// waits is what everything waits for.
    pub fn put_back(&self, documents: Vec<DocumentKey>) {
        if documents.is_empty() {
            return;
        }
        let mut inner = self.lock();
        for key in documents.into_iter().rev() {
            let Some(Flying { step, again, lane, .. }) = inner.in_flight.remove(&key) else { continue };
            let lane = if again.is_some() { Lane::Direct } else { lane };
            // It is counted as before.
            inner.waiting.insert(key.clone(), Mark { step, lane });
            inner.lane_mut(lane).push_front(key);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// True when documents of a fan-out, or found by a scan, wait.
    pub fn has_background(&self) -> bool {
        !self.lock().background.is_empty()
    }

    /// The next part of the state's marks, when it should be read now: little waits, and more may lie there.
    pub fn wants_scan(&self) -> Option<Scan> {
        let mut inner = self.lock();
        let wanted = inner.unscanned.is_some() && inner.background.len() < LANE_MAX / 4;
        if wanted && inner.scan_began.is_none() {
            // What was left before is in the state, where this scan reads it.
            inner.left = None;
        }
        wanted.then(|| Scan { number: inner.scan_number, cursor: inner.scan_cursor.clone() })
    }

    /// Takes in what a scan found; `began` is the step of what it read, and `next` where it goes on, nowhere
    /// when it has reached the end of the marks.
    pub fn scanned(&self, scan: &Scan, found: Vec<DocumentKey>, began: u64, next: Option<Vec<u8>>) {
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
                // Marks that were left to the state since the scan began need another one.
                let left = inner.left.filter(|left| left.last > began && !planted::is(Bug::ScanForgotten));
                inner.unscanned = left.map(|left| left.since);
            }
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Takes note of the sweeps that are not done.
    pub fn set_sweeps(&self, sweeps: Vec<Sweeping>) {
        self.lock().sweeps = sweeps;
        self.changed.notify_waiters();
    }

    /// The sweeps that are not done.
    pub fn sweeps(&self) -> Vec<Sweeping> {
        self.lock().sweeps.clone()
    }

    /// How much waits.
    pub fn waiting(&self) -> Waiting {
        let inner = self.lock();
        Waiting {
            documents: inner.waiting.len() + inner.in_flight.len() + inner.swept.len(),
            more: inner.unscanned.is_some(),
            fanning_out: inner.oldest_task.is_some(),
            sweeping: inner.sweeps.iter().map(|sweep| sweep.left).sum(),
        }
    }

    /// The positions below which nothing waits; `None` when they are not known yet.
    pub fn frontier(&self) -> Option<Positions> {
        self.frontier_of(None)
    }

    /// As [`Self::frontier`], of what is to go to one projection's index only, which is at least as far.
    pub fn frontier_of(&self, projection: Option<Projection>) -> Option<Positions> {
        let inner = self.lock();
        let oldest = inner.oldest(projection).filter(|_| !planted::is(Bug::FrontierEager));
        let Some(oldest) = oldest else { return Some(inner.positions.clone()) };
        let known = inner.history.iter().rev().find(|point| point.step < oldest);
        known.map(|point| point.positions.clone())
    }

    /// Since when the oldest change waits, in milliseconds since the Unix epoch; `None` when none does.
    pub fn waiting_since(&self) -> Option<u64> {
        let inner = self.lock();
        let oldest = inner.oldest(None)?;
        let known = inner.history.iter().find(|point| point.step >= oldest).or(inner.history.back());
        known.map(|point| point.time_ms)
    }

    /// The step of the oldest change that is not in the index; `None` when everything is.
    pub fn oldest_waiting(&self) -> Option<u64> {
        self.lock().oldest(None)
    }

    /// How far the fold is.
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
        if planted::is(Bug::TrimmedTooFar) {
            return Some(inner.step);
        }
        inner.history.iter().rev().find(|point| delivered.covers(&point.positions)).map(|point| point.step)
    }

    /// Forgets what waits in memory: it is to be looked for in the state again.
    pub fn forget(&self) {
        let mut inner = self.lock();
        let oldest = inner.steps.oldest(None);
        inner.waiting.clear();
        inner.direct.clear();
        inner.rests.clear();
        inner.background.clear();
        inner.steps.clear();
        let Inner { in_flight, steps, .. } = &mut *inner;
        in_flight.iter().for_each(|(key, flying)| steps.count(key.0, flying.step));
        inner.unscanned = inner.unscanned.into_iter().chain(oldest).min();
        // One under way has passed marks of documents that were in memory.
        inner.scan_began = None;
        inner.scan_cursor.clear();
        inner.scan_number += 1;
    }

    /// Waits until something changed, registered before the caller looked: see [`Notify::notified`].
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Takes note that nothing more is folded.
    pub fn set_folded(&self) {
        self.folded.store(true, Ordering::SeqCst);
    }

    /// True once nothing more is folded.
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

/// How many points of the history are kept; thinned out by half when full.
const HISTORY_MAX: usize = sized(4_096, 32);

impl Inner {
    /// Since which step anything waits; without a projection, of any.
    fn oldest(&self, of: Option<Projection>) -> Option<u64> {
        let sweeps = self.sweeps.iter().filter(|sweep| of.is_none_or(|of| of == sweep.projection));
        let sweep = sweeps.map(|sweep| sweep.step).min();
        let oldest = [self.steps.oldest(of), self.swept.oldest(of), self.unscanned, self.oldest_task, sweep];
        oldest.into_iter().flatten().min()
    }

    /// Takes in a mark that the current step made. A fan-out's waits since an older one.
    fn add(&mut self, key: DocumentKey, since: u64, lane: Lane) {
        if self.is_in_flight(&key) && !planted::is(Bug::WriteBeside) {
            self.send_again(&key, since);
            return;
        }
        let resting = if lane == Lane::Direct { self.rests.len() } else { 0 };
        if self.lane_mut(lane).len() + resting >= LANE_MAX && !self.waiting.contains_key(&key) {
            let oldest = |known: Option<u64>| known.map_or(since, |known| known.min(since));
            self.unscanned = Some(oldest(self.unscanned));
            self.left = Some(Left { last: self.step, since: oldest(self.left.map(|left| left.since)) });
            return;
        }
        self.enqueue(key, since, lane);
    }

    /// Takes in a document whose mark was found in the state.
    fn find(&mut self, key: DocumentKey, oldest: u64) {
        match self.flying(&key).map(|flying| flying.is_swept) {
            Some(true) => self.send_again(&key, oldest),
            // Made after it was taken: its acknowledgement speaks of the mark, or it goes again anyway.
            Some(false) => self.wait_since(&key, oldest),
            None => self.enqueue(key, oldest, Lane::Background),
        }
    }

    /// Has a document wait in a lane; one that waits already keeps the older of the two steps, and the faster lane.
    fn enqueue(&mut self, key: DocumentKey, step: u64, lane: Lane) {
        let known = self.waiting.get(&key).copied();
        let mark = known.map_or(Mark { step, lane }, |known| Mark {
            step: known.step.min(step),
            lane: if lane == Lane::Direct { lane } else { known.lane },
        });
        if let Some(known) = known {
            self.steps.uncount(key.0, known.step);
        }
        self.steps.count(key.0, mark.step);
        self.waiting.insert(key.clone(), mark);
        // One that moves up leaves its place in the other lane, where nothing is found then.
        if known.is_none_or(|known| known.lane != mark.lane) {
            let rests = mark.lane == Lane::Direct && self.rests.hold(&key, Instant::now());
            if !rests {
                self.lane_mut(mark.lane).push_back(key);
            }
        }
    }

    /// Has those wait with the others whose rest is over, and all when the index has nothing else to do.
    fn wake_rested(&mut self) {
        let in_flight = self.in_flight.len() + self.swept.len();
        let is_idle = self.direct.is_empty() && self.background.is_empty() && in_flight == 0;
        let now = Instant::now();
        while let Some(key) = self.rests.wake(now, is_idle) {
            self.direct.push_back(key);
        }
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut Line {
        match lane {
            Lane::Direct => &mut self.direct,
            Lane::Background => &mut self.background,
        }
    }

    fn remember(&mut self, point: Point) {
        if self.history.len() >= HISTORY_MAX {
            let mut keep = false;
            self.history.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.history.push_back(point);
    }
}
