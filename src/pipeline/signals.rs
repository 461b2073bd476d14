//! The signals by which the parts of a run steer each other. [`Status`](super::status::Status) only reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The signals of one run.
#[derive(Debug, Default)]
pub struct Signals {
    is_writer: AtomicBool,
    is_past_gate: AtomicBool,
    has_rebuild: AtomicBool,
    work: AtomicU64,
    requests: Arc<AtomicU64>,
}

impl Signals {
    /// True while this instance is the writer.
    pub fn is_writer(&self) -> bool {
        self.is_writer.load(Ordering::Relaxed)
    }

    /// Sets the role; answers the former one.
    pub fn set_writer(&self, is_writer: bool) -> bool {
        self.is_writer.swap(is_writer, Ordering::Relaxed)
    }

    /// True once every partition passed the end that the log had when writing began.
    pub fn is_past_gate(&self) -> bool {
        self.is_past_gate.load(Ordering::Relaxed)
    }

    /// Opens or closes the gate.
    pub fn set_past_gate(&self, is_past_gate: bool) {
        self.is_past_gate.store(is_past_gate, Ordering::Relaxed);
    }

    /// True while a run to the end has a rebuild to wait for.
    pub fn has_rebuild(&self) -> bool {
        self.has_rebuild.load(Ordering::Relaxed)
    }

    /// Says whether a run to the end has to wait for a rebuild.
    pub fn set_rebuild(&self, has_rebuild: bool) {
        self.has_rebuild.store(has_rebuild, Ordering::Relaxed);
    }

    /// Counts records that were folded, or documents that the index acknowledged.
    pub fn note_work(&self, count: usize) {
        self.work.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// How much work was counted: a number that grows while the run moves.
    pub fn work(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }

    /// The number of bulk requests in flight. An election lets another instance write once there are none.
    pub fn requests(&self) -> &Arc<AtomicU64> {
        &self.requests
    }
}
