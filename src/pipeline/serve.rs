//! From filling to serving: an index that was made to be filled has neither refreshes nor replicas until it is full.

use std::time::Duration;

use tokio::time::Instant;

use super::gate::{Gate, in_time};
use super::run::Run;
use crate::error::{ErrorKind, Result};

/// After a failure it is tried again so much later.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Whether the indexes that are written serve readers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Service {
    /// They do.
    Given,
    /// One was made to be filled first, by this instance or by one that died filling it.
    AfterFilling,
    /// It is full, and was not reached to be told so. To be tried again from then on.
    Filled(Instant),
    /// They may lack them, because their maker may have died while it filled one. They are checked from then on.
    Due(Instant),
}

impl Service {
    /// Of indexes of which one, or none, `is_filling`.
    pub(super) fn of(is_filling: bool) -> Self {
        if is_filling { Self::AfterFilling } else { Self::Due(Instant::now()) }
    }

    /// True while readers may not see everything that the index acknowledged: nothing counts as delivered.
    pub(super) fn is_withheld(self) -> bool {
        matches!(self, Self::AfterFilling | Self::Filled(_))
    }

    /// After a failure.
    fn later(self) -> Self {
        let at = Instant::now() + AGAIN_AFTER;
        if self.is_withheld() { Self::Filled(at) } else { Self::Due(at) }
    }
}

impl Run {
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
            Service::AfterFilling => self.queue.backfills().is_empty() && !self.is_filling(),
            Service::Due(at) | Service::Filled(at) => Instant::now() >= at,
        };
        if !is_due {
            return Ok(());
        }
        match in_time(self.sink.serve()).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!(error = error.chain(), "waiting to have the index serve");
                self.service = self.service.later();
            }
            served => {
                served?;
                self.service = Service::Given;
                self.status.note_filled();
            }
        }
        Ok(())
    }
}
