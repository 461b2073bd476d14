//! Who writes the index: one instance of a group, the others stand by.

use tokio::sync::watch;

use crate::error::Result;
use crate::position::Positions;

/// The port to an election.
pub trait Leadership: Send + Sync {
    /// True while this instance is the writer.
    fn writer(&self) -> watch::Receiver<bool>;
    /// Publishes the delivered frontier to the group.
    fn commit(&self, frontier: &Positions);
    /// The frontier that the group's writer published; empty when none.
    fn committed(&self) -> Result<Positions>;
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
    fn commit(&self, _: &Positions) {}
    fn committed(&self) -> Result<Positions> {
        Ok(Positions::default())
    }
    fn close(&self) {}
}
