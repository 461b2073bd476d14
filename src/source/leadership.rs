//! Who writes the index: one instance of a group, the others stand by.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::error::Result;
use crate::position::Positions;

/// What a writer publishes to its group: everything below the low watermark is in the indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The next position of each partition.
    pub low_watermark: Positions,
    /// The concrete index of each projection, by its name; empty when it was not said.
    pub indexes: BTreeMap<String, String>,
    /// The generation of the log that the low watermark speaks of ([`EventSource::generation`](super::EventSource::generation));
    /// empty when it is not known.
    pub log: String,
}

/// The port to an election.
pub trait Leadership: Send + Sync {
    /// Takes part from now on: the indexes are open, and this instance may become the writer.
    fn join(&self) {}
    /// True while this instance is the writer.
    fn writer(&self) -> watch::Receiver<bool>;
    /// Publishes what is delivered to the group; false when that did not come to pass, or is not known to have.
    fn commit(&self, delivered: &Delivered) -> bool;
    /// What the group's writer published; empty when nothing.
    fn committed(&self) -> Result<Delivered>;
    /// Notes that this instance has folded the log to its end: only from then on does it take the writing from a group that
    /// others are members of.
    fn note_caught_up(&self) {}
    /// Leaves the group, so that another takes over at once.
    fn close(&self);
}

/// The writer where there can't be another.
#[derive(Debug)]
pub struct Alone(watch::Sender<bool>);

impl Default for Alone {
    fn default() -> Self {
        Self(watch::Sender::new(true))
    }
}

impl Leadership for Alone {
    fn writer(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
    fn commit(&self, _: &Delivered) -> bool {
        true
    }
    fn committed(&self) -> Result<Delivered> {
        Ok(Delivered::default())
    }
    fn close(&self) {}
}
