//! Additions to a mapping. The writer puts them in place, and every document shows them once all were sent again.

use tokio::time::Instant;

use super::gate::{Gate, in_time};
use super::run::Run;
use super::serve::AGAIN_AFTER;
use super::stream::Command;
use crate::error::{ErrorKind, Result};
use crate::projection::Projection;

/// How far the additions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Adding {
    /// There are none.
    Nothing,
    /// To be looked for from then on.
    Due(Instant),
    /// In place; every document of these projections is sent again.
    PendingBackfill(Vec<Projection>),
    /// All are sent, but for those that wait since this step or before. To be noted from then on.
    Settling(u64, Instant),
}

impl Run {
    /// Makes the next step, once this instance writes. The index is marked as complete only after every document has arrived,
    /// so a later writer begins anew until then.
    ///
    /// # Errors
    /// Exit code 3 when an index does not take the additions.
    pub(super) async fn add(&mut self) -> Result<()> {
        if !matches!(self.gate, Gate::Open) {
            return Ok(());
        }
        match &self.adding {
            Adding::Due(at) if Instant::now() >= *at => self.begin_adding().await,
            Adding::PendingBackfill(projections) => {
                if !projections.iter().any(|projection| self.queue.has_backfill(*projection)) {
                    self.adding = Adding::Settling(self.queue.step(), Instant::now());
                }
                Ok(())
            }
            Adding::Settling(step, at)
                if Instant::now() >= *at
                    && self.queue.oldest_waiting().is_none_or(|oldest| oldest > *step) =>
            {
                self.end_adding(*step).await
            }
            _ => Ok(()),
        }
    }

    async fn begin_adding(&mut self) -> Result<()> {
        let Some(numbers) = self.ask_for_additions(self.sink.put_additions()).await? else {
            self.adding = Adding::Due(Instant::now() + AGAIN_AFTER);
            return Ok(());
        };
        let named = |number: usize| Some((*self.projections.get(number)?, self.indexes.get(number)?.clone()));
        let named: Vec<(Projection, String)> = numbers.into_iter().filter_map(named).collect();
        if named.is_empty() {
            self.adding = Adding::Nothing;
            return Ok(());
        }
        for (projection, index) in &named {
            self.send_everything(*projection, index, true)?;
        }
        self.command(Command::ResumeBackfills)?;
        self.barrier().await?;
        self.adding = Adding::PendingBackfill(named.into_iter().map(|(projection, _)| projection).collect());
        Ok(())
    }

    async fn end_adding(&mut self, step: u64) -> Result<()> {
        self.adding = match self.ask_for_additions(self.sink.note_additions()).await? {
            Some(()) => Adding::Nothing,
            None => Adding::Settling(step, Instant::now() + AGAIN_AFTER),
        };
        Ok(())
    }

    /// Waits for an answer, and not for long; `None` when the index is away.
    async fn ask_for_additions<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<Option<T>> {
        match in_time(answer).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!(error = error.chain(), "waiting to put the mapping's additions in place");
                Ok(None)
            }
            answered => answered.map(Some),
        }
    }
}
