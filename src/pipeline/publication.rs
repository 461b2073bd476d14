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
    /// The log's end, as the reader answered last.
    end: Positions,
    /// The answer of the reader that was asked for the log's end.
    end_answer: Option<Receiver<Result<Positions>>>,
    looked: Option<Instant>,
}

impl Publication {
    /// The publication of a run over a log that ended at `end` when it began.
    pub(super) fn new(end: Positions) -> Self {
        Self { end, ..Self::default() }
    }

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

    /// True when these positions cover the log's end, as the reader answered last.
    pub(super) fn is_end(&mut self, positions: &Positions) -> bool {
        self.hear();
        positions.covers(&self.end)
    }

    /// Asks the reader for the log's end, unless it has not answered the last time.
    pub(super) fn ask_for_end(&mut self, context: &Context) {
        self.hear();
        if self.end_answer.is_none() {
            self.end_answer = Some(context.ask_for_end());
        }
    }

    /// Takes the reader's answer, once it is there.
    fn hear(&mut self) {
        let Some(answer) = &self.end_answer else { return };
        match answer.try_recv() {
            Err(TryRecvError::Empty) => return,
            Ok(Ok(end)) => self.end = end,
            // The log is away, or the reader has ended: the last end counts.
            Ok(Err(_)) | Err(TryRecvError::Disconnected) => {}
        }
        self.end_answer = None;
    }
}
