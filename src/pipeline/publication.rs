//! The publication of the low watermark, and the look at the log's end beside it.

use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use tokio::time::Instant;

use super::command::FoldCommand;
use super::context::Context;
use super::work::in_place;
use crate::error::Result;
use crate::position::Positions;
use crate::source::leadership::DeliveredPosition;

/// How often the low watermark is written down, the log's end asked for, and the aliases looked up.
const LOW_WATERMARK_EVERY: Duration = Duration::from_secs(1);

/// The publication of a run.
#[derive(Default)]
pub(super) struct Publication {
    /// The last one that the group heard.
    last: Option<DeliveredPosition>,
    /// The answer of the reader that was asked for the log's end.
    end_answer: Option<Receiver<Result<Positions>>>,
    looked: Option<Instant>,
}

impl Publication {
    /// True about once a second.
    pub(super) fn is_due(&mut self) -> bool {
        let is_due = self.looked.is_none_or(|at| at.elapsed() >= LOW_WATERMARK_EVERY);
        if is_due {
            self.looked = Some(Instant::now());
        }
        is_due
    }

    /// Publishes a position, unless it was published last; `now` is the time in milliseconds since the Unix epoch.
    pub(super) fn publish(&mut self, context: &Context, delivered: DeliveredPosition, now: u64) {
        if self.last.as_ref() != Some(&delivered) {
            let is_published = in_place(|| context.leadership().commit(&delivered));
            // The fold's thread is gone only when it failed, and then its own error is the one to report.
            let _ = context.command(FoldCommand::LowWatermark(delivered.low_watermark.clone(), now));
            // A publication that was not heard is repeated, also when nothing moves any more.
            self.last = is_published.then_some(delivered);
        }
    }

    /// Has the reader note the log's end in the status, unless it has not answered the last time.
    pub(super) fn ask_for_end(&mut self, context: &Context) {
        let is_answered = self
            .end_answer
            .as_ref()
            .is_none_or(|answer| !matches!(answer.try_recv(), Err(TryRecvError::Empty)));
        if is_answered {
            self.end_answer = Some(context.ask_for_end());
        }
    }
}
