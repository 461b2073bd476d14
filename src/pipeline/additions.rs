//! Additions to a mapping. The writer puts them in place, and every document shows them once all were sent again.

use tokio::time::Instant;

use super::command::FoldCommand;
use super::context::Context;
use super::deadline::{AGAIN_AFTER, in_time};
use super::indexes::Indexes;
use super::queue::Queue;
use crate::error::{ErrorKind, Result};
use crate::projection::Projection;
use crate::sink::generations::projection_error;

/// How far the additions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AdditionsProgress {
    /// There are none.
    Nothing,
    /// To be looked for from then on.
    Due(Instant),
    /// In place; every document of these projections is sent again.
    PendingBackfill(Vec<Projection>),
    /// All are sent, but for those that wait since this step or before. To be noted from then on.
    Settling(u64, Instant),
}

/// The next step of the additions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AdditionAction {
    /// None yet.
    Wait,
    /// Put them in place.
    Put,
    /// Wait for the documents that are sent.
    Settle,
    /// Note that every document has arrived that waited since this step or before.
    Note(u64),
}

impl AdditionsProgress {
    fn next(&self, now: Instant, queue: &Queue) -> AdditionAction {
        let has_backfill = |projection: &Projection| queue.has_backfill(*projection);
        let is_delivered = |step| queue.oldest_waiting().is_none_or(|oldest| oldest > step);
        match self {
            Self::Due(at) if now >= *at => AdditionAction::Put,
            Self::PendingBackfill(projections) if !projections.iter().any(has_backfill) => {
                AdditionAction::Settle
            }
            Self::Settling(step, at) if now >= *at && is_delivered(*step) => AdditionAction::Note(*step),
            _ => AdditionAction::Wait,
        }
    }

    /// Has the additions looked for again, unless some are under way.
    pub(super) fn repeat(&mut self) {
        if *self == Self::Nothing {
            *self = Self::Due(Instant::now());
        }
    }

    /// Makes the next step, once this instance writes. The index is marked as complete only after every document has arrived,
    /// so a later writer begins anew until then.
    ///
    /// # Errors
    /// Exit code 3 when an index does not take the additions.
    pub(super) async fn advance(&mut self, context: &Context, indexes: &Indexes) -> Result<()> {
        match self.next(Instant::now(), context.queue()) {
            AdditionAction::Wait => {}
            AdditionAction::Put => *self = put(context, indexes).await?,
            AdditionAction::Settle => *self = Self::Settling(context.queue().step(), Instant::now()),
            AdditionAction::Note(step) => *self = note(context, step).await?,
        }
        Ok(())
    }
}

/// Puts the additions in place, and has every document sent again where there are some.
async fn put(context: &Context, indexes: &Indexes) -> Result<AdditionsProgress> {
    let Some(projections) = ask(context.sink().put_additions()).await? else {
        return Ok(AdditionsProgress::Due(Instant::now() + AGAIN_AFTER));
    };
    let mut named = Vec::new();
    for projection in projections {
        let index = indexes.get(projection).ok_or_else(|| projection_error(projection))?;
        named.push((projection, index));
    }
    if named.is_empty() {
        return Ok(AdditionsProgress::Nothing);
    }
    for (projection, index) in &named {
        context.send_everything(*projection, index, true)?;
    }
    context.command(FoldCommand::ResumeBackfills)?;
    context.barrier().await?;
    Ok(AdditionsProgress::PendingBackfill(named.into_iter().map(|(projection, _)| projection).collect()))
}

async fn note(context: &Context, step: u64) -> Result<AdditionsProgress> {
    Ok(match ask(context.sink().note_additions()).await? {
        Some(()) => AdditionsProgress::Nothing,
        None => AdditionsProgress::Settling(step, Instant::now() + AGAIN_AFTER),
    })
}

/// Waits for an answer, and not for long; `None` when the index is away.
async fn ask<T>(answer: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    match in_time(answer).await {
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            tracing::warn!(error = error.chain(), "the mapping's additions are waiting for the index");
            Ok(None)
        }
        answered => answered.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::backfill::PendingBackfill;
    use crate::pipeline::tuning::Tuning;
    use crate::plan::CONTACTS;
    use crate::position::Positions;

    #[test]
    fn additions_are_noted_once_their_backfill_is_complete() {
        let queue = Queue::starting_at(4, None, Positions::default(), 0, Tuning::small());
        let now = Instant::now();
        assert_eq!(AdditionsProgress::Nothing.next(now, &queue), AdditionAction::Wait);
        assert_eq!(AdditionsProgress::Due(now).next(now, &queue), AdditionAction::Put);
        assert_eq!(AdditionsProgress::Due(now + AGAIN_AFTER).next(now, &queue), AdditionAction::Wait);
        let pending = AdditionsProgress::PendingBackfill(vec![CONTACTS]);
        assert_eq!(pending.next(now, &queue), AdditionAction::Settle);
        // The queue was not filled from the state yet, so documents wait since the first step.
        assert_eq!(AdditionsProgress::Settling(4, now).next(now, &queue), AdditionAction::Wait);
        let backfill = PendingBackfill { projection: CONTACTS, step: 4, cursor: None, left: 1 };
        queue.set_backfills(vec![backfill]);
        assert_eq!(pending.next(now, &queue), AdditionAction::Wait);
    }
}
