//! The status of the pipeline, for `status`, `/status` and the metrics.

mod report;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use self::report::{PartitionReport, RebuildReport, Report, partitions, rebuild_report};
use super::durations::Durations;
use super::index_progress::IndexProgress;
use super::queue::WaitingWork;
use super::readiness::{Cause, Readiness, Reasons};
use super::signals::Signals;
use crate::dead_letter::Tally;
use crate::decoder::Decoder;
use crate::position::Positions;
use crate::projection::Projection;
use crate::sink::generations::Rebuild;

/// An instance with work waiting that makes no progress for so long is not ready.
const STUCK_MS: u64 = 60_000;

/// How many ends of the log are remembered, from which the age of the searches' data follows.
const ENDS_MAX: usize = 128;

/// The state of an instance that has not opened the log and the indexes yet.
const STARTING: &str = "starting";

/// The state of an instance that is not the writer.
pub const STANDING_BY: &str = "standing by";

/// Counters since the start, and the last known positions.
#[derive(Debug, Default)]
pub struct Status {
    /// Records folded.
    pub records: AtomicU64,
    /// Records that went to the dead letters.
    pub poisoned: AtomicU64,
    /// Records whose versions are below those that their entities had.
    pub superseded: AtomicU64,
    /// Documents that the index acknowledged.
    pub delivered: AtomicU64,
    /// Bytes of documents sent.
    pub bytes: AtomicU64,
    /// Writes that are tried again: overload, time-outs, lost connections.
    pub retried: AtomicU64,
    /// Conflicts that were delivered again from a fresh snapshot.
    pub conflicts: AtomicU64,
    /// Foreign writes that were written over.
    pub foreign: AtomicU64,
    /// Writes that left a document as it is, because a partial log is silent on its entity.
    pub preserved: AtomicU64,
    /// Documents that the index rejected for good.
    pub rejected: AtomicU64,
    /// Bulk requests sent.
    pub requests: AtomicU64,
    /// Dead letters that wait on the disk for their topic.
    pub letters_waiting: std::sync::Arc<AtomicU64>,
    /// True while the fold waits because no more of them have room.
    pub letters_full: std::sync::Arc<AtomicBool>,
    /// Milliseconds since the Unix epoch of the last sign of progress.
    pub progressed_ms: AtomicU64,
    /// Dead letters by their reasons.
    pub dead_letters: std::sync::Arc<Tally>,
    /// How long bulk requests took.
    pub bulk_requests: Durations,
    /// The signals of the run, which a report reads as well.
    pub signals: Signals,
    /// How far the indexes are, which a report reads as well.
    pub index_progress: Arc<IndexProgress>,
    known: Mutex<StatusValues>,
}

#[derive(Debug, Default, Clone)]
struct StatusValues {
    positions: Positions,
    end: Positions,
    /// Ends that the log had, each with when it was known, which searches have not passed; the oldest first.
    ends: VecDeque<(u64, Positions)>,
    /// When the log ended where searches have come to.
    shown_ms: u64,
    waiting: WaitingWork,
    indexes: BTreeMap<String, String>,
    /// The product and the version of the server that holds the indexes.
    index_server: Option<String>,
    rebuilds: Vec<(String, Rebuild)>,
    reasons: Reasons,
    rolled_back: BTreeMap<String, String>,
    /// Notes on the records, in sentences.
    notes: Vec<String>,
    /// The decoder of the records that are read, which holds notes on them.
    decoder: Option<Arc<Decoder>>,
}

impl StatusValues {
    /// Takes note of the log's end.
    fn set_end(&mut self, end: &Positions, progress: &IndexProgress) {
        let now = Status::now_ms();
        if self.shown_ms == 0 {
            self.shown_ms = now;
        }
        self.end = end.clone();
        if self.ends.back().is_none_or(|(_, known)| known != end) {
            self.ends.push_back((now, end.clone()));
        }
        if self.ends.len() > ENDS_MAX {
            // Every second one is enough for an age.
            let mut number = 0;
            self.ends.retain(|_| {
                number += 1;
                number % 2 == 0
            });
        }
        self.forget_ends(progress);
    }

    /// Forgets the ends that searches have passed.
    fn forget_ends(&mut self, progress: &IndexProgress) {
        while let Some((at, end)) = self.ends.front() {
            if !progress.shows(end) {
                return;
            }
            self.shown_ms = *at;
            self.ends.pop_front();
        }
    }

    /// True when there is something to fold or to deliver. Dirty documents of a standby are the writer's work.
    fn has_work(&self, is_writer: bool) -> bool {
        !self.positions.covers(&self.end) || is_writer && !self.waiting.is_nothing()
    }
}

impl Status {
    /// The time now in milliseconds since the Unix epoch.
    pub fn now_ms() -> u64 {
        super::work::wall_ms()
    }

    /// Takes note of something of the records that is to be reported.
    pub fn note(&self, sentence: String) {
        self.lock().notes.push(sentence);
    }

    /// Takes note of the decoder, whose notes are reported.
    pub fn set_decoder(&self, decoder: Arc<Decoder>) {
        self.lock().decoder = Some(decoder);
    }

    /// Takes note of the fold's positions.
    pub fn set_positions(&self, positions: &Positions) {
        self.lock().positions = positions.clone();
        self.progressed_ms.store(Self::now_ms(), Ordering::Relaxed);
    }

    /// Takes note of the log's end.
    pub fn set_end(&self, end: &Positions) {
        self.lock().set_end(end, &self.index_progress);
    }

    /// How old the log is that searches show, in milliseconds; 0 while they show all of it.
    pub fn behind_ms(&self) -> u64 {
        let mut known = self.lock();
        known.forget_ends(&self.index_progress);
        if known.ends.is_empty() { 0 } else { Self::now_ms().saturating_sub(known.shown_ms) }
    }

    /// Takes note of how much waits.
    pub fn set_waiting(&self, waiting: WaitingWork) {
        self.lock().waiting = waiting;
    }

    /// Takes note of the concrete index of each projection.
    pub fn set_indexes(&self, indexes: BTreeMap<String, String>) {
        self.lock().indexes = indexes;
    }

    /// Takes note of the server that holds the indexes.
    pub fn set_index_server(&self, server: Option<String>) {
        self.lock().index_server = server;
    }

    /// Takes note of the rebuilds under way, each with its projection.
    pub fn set_rebuilds(&self, rebuilds: impl Iterator<Item = (String, Rebuild)>) {
        self.lock().rebuilds = rebuilds.collect();
    }

    /// Takes note of a reason for which this instance is not ready, with a sentence for people. It counts until it is
    /// [cleared](Self::clear).
    pub fn raise(&self, cause: Cause, detail: impl Into<String>) {
        let detail = detail.into();
        if self.lock().reasons.raise(cause, None, detail.clone()) {
            tracing::debug!(cause = cause.name(), detail, "not ready");
        }
    }

    /// Takes note that such a reason is gone.
    pub fn clear(&self, cause: Cause) {
        if self.lock().reasons.clear(cause, None) {
            tracing::debug!(cause = cause.name(), "a reason for not being ready is gone");
        }
    }

    /// Whether this instance is ready, and why not.
    pub fn readiness(&self) -> Readiness {
        let (known, now) = (self.lock(), Self::now_ms());
        let mut reasons = known.reasons.clone();
        let unfilled = self.index_progress.projections_to_fill();
        if let Some(unfilled) = unfilled.as_ref().filter(|unfilled| !unfilled.names.is_empty()) {
            let detail = format!(
                "the index of {} is being filled and does not hold every document yet",
                unfilled.names.join(", ")
            );
            reasons.raise_since(Cause::Filling, detail, unfilled.since_ms);
        }
        if known.indexes.is_empty() || unfilled.is_none() {
            reasons.raise(Cause::Starting, None, "the log and the indexes are being opened".to_owned());
            return reasons.readiness(now);
        }
        if self.letters_full.load(Ordering::Relaxed) {
            let detail =
                "dead letters have no more room on the disk, and the fold waits for their topic".to_owned();
            reasons.raise(Cause::LettersFull, None, detail);
        }
        let readiness = reasons.readiness(now);
        let idle_ms = now.saturating_sub(self.progressed_ms.load(Ordering::Relaxed));
        if !readiness.ready || idle_ms <= STUCK_MS || !known.has_work(self.signals.is_writer()) {
            return readiness;
        }
        let detail = format!("work waits and nothing moved for {} s", idle_ms / 1_000);
        reasons.raise(Cause::Stuck, None, detail);
        reasons.readiness(now)
    }

    /// Notes the outcome of a request of a projection's documents: `refused` says why when none was taken.
    pub fn note_writes(&self, projection: Projection, refused: Option<&str>) {
        let mut known = self.lock();
        match refused {
            None => known.reasons.clear(Cause::WritesRefused, Some(projection)),
            Some(reason) => {
                let detail = format!("the index of {} takes no writes: {reason}", projection.name());
                known.reasons.raise(Cause::WritesRefused, Some(projection), detail)
            }
        };
    }

    /// Another instance writes from here on, or this one from the beginning.
    pub fn forget_refusals(&self) {
        self.lock().reasons.clear_all(Cause::WritesRefused);
    }

    /// Takes note of the indexes that a rollback put back, by projection.
    pub fn set_rolled_back(&self, rolled_back: BTreeMap<String, String>) {
        self.lock().rolled_back = rolled_back;
    }

    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Everything at once; `documents_waiting` when it was counted in the state.
    pub fn report(&self, documents_waiting: Option<u64>) -> Report {
        let progress = &self.index_progress;
        let (refreshed, low_watermark) = (progress.positions_after_refresh(), progress.low_watermark());
        let low_watermark_ms = progress.low_watermark_ms();
        let known = self.lock().clone();
        let state = match (self.signals.is_writer(), self.signals.is_past_gate()) {
            _ if known.indexes.is_empty() => STARTING,
            (false, _) => STANDING_BY,
            (true, false) => "catching up",
            (true, true) => "writing",
        };
        let documents_waiting =
            documents_waiting.unwrap_or(known.waiting.documents as u64 + known.waiting.backfill_left);
        let idle = known.waiting.is_nothing() && documents_waiting == 0;
        let oldest =
            if idle || low_watermark_ms == 0 { 0 } else { Self::now_ms().saturating_sub(low_watermark_ms) };
        Report {
            readiness: self.readiness(),
            partitions: partitions(&known.positions, &known.end, &low_watermark, &refreshed),
            documents_waiting,
            oldest_waiting_ms: oldest,
            index_server: known.index_server,
            indexes: known.indexes,
            reindex: known.rebuilds.into_iter().map(rebuild_report).collect(),
            rolled_back: known.rolled_back,
            notes: known
                .notes
                .into_iter()
                .chain(known.decoder.map(|decoder| decoder.notes()).unwrap_or_default())
                .collect(),
            counters: self.counters(),
            ..Report::new(state)
        }
    }

    /// The counters by name.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("records", read(&self.records)),
            ("poisoned", read(&self.poisoned)),
            ("superseded", read(&self.superseded)),
            ("delivered", read(&self.delivered)),
            ("bytes", read(&self.bytes)),
            ("retried", read(&self.retried)),
            ("conflicts", read(&self.conflicts)),
            ("foreign", read(&self.foreign)),
            ("kept", read(&self.preserved)),
            ("rejected", read(&self.rejected)),
            ("requests", read(&self.requests)),
            ("dead_letters_waiting", read(&self.letters_waiting)),
        ]
        .into()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, StatusValues> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
