//! From filling to serving: an index that was made to be filled has neither refreshes nor replicas until it is full.

use std::time::Duration;

use tokio::time::Instant;

use super::gate::{ANSWER_WAIT, Gate};
use super::run::Run;
use crate::error::{Error, ErrorKind, Result};
use crate::sink::DocumentSink;
use crate::sink::generations::Aliases;

/// After a failure it is tried again so much later.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Whether the indexes that are written serve readers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Service {
    /// They do.
    Given,
    /// One was made by this instance, which fills it first.
    AfterFilling,
    /// They may lack it: whoever made one may have died filling it. To be seen to from then on.
    Due(Instant),
}

impl Service {
    /// Of indexes of which one, or none, `is_new`.
    pub(super) fn of(is_new: bool) -> Self {
        if is_new { Self::AfterFilling } else { Self::Due(Instant::now()) }
    }
}

impl<S: DocumentSink + Aliases> Run<S> {
    /// Has the indexes serve once this instance writes them and nothing fills them.
    ///
    /// # Errors
    /// When the index does not let itself be changed.
    pub(super) async fn serve(&mut self) -> Result<()> {
        if !matches!(self.gate, Gate::Open) {
            return Ok(());
        }
        let is_due = match self.service {
            Service::Given => false,
            Service::AfterFilling => self.queue.sweeps().is_empty(),
            Service::Due(at) => Instant::now() >= at,
        };
        if !is_due {
            return Ok(());
        }
        let served = tokio::time::timeout(ANSWER_WAIT, self.sink.serve()).await;
        let late = |_| Err(Error::new(ErrorKind::Unavailable, "the index does not answer in time"));
        match served.unwrap_or_else(late) {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!(error = error.chain(), "waiting to have the index serve");
                self.service = Service::Due(Instant::now() + AGAIN_AFTER);
            }
            served => {
                served?;
                self.service = Service::Given;
            }
        }
        Ok(())
    }
}
