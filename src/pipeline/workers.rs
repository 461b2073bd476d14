//! The workers of a run: the reader, the fold and the delivery.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use super::command::FoldCommand;
use super::context::Context;
use super::fold::StateWriter;
use super::reader::{EndRequest, LogReader, ReadBatch};
use super::stream::Stream;
use super::work;
use crate::decoder::Decoder;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::EntityType;
use crate::position::Positions;
use crate::shutdown::Shutdown;
use crate::source::EventSource;

/// The outcome of a thread, once it ends.
type End = oneshot::Receiver<Result<()>>;

/// The workers of a run.
pub(super) struct Workers {
    reader: End,
    fold: End,
    delivery: JoinHandle<Result<()>>,
    /// Ends the reader.
    reading: Shutdown,
    is_reading: bool,
}

/// Starts the reader, which ends by `reading`; answers its batches as well.
///
/// # Errors
/// When its thread cannot be started.
pub(super) fn start_reader(
    context: &Context,
    source: Box<dyn EventSource>,
    decoder: &Arc<Decoder>,
    end_requests: Receiver<EndRequest>,
    reading: &Shutdown,
) -> Result<(End, Receiver<ReadBatch>)> {
    let (batches, records) = LogReader::channel();
    let status = Arc::clone(context.status());
    let reader = LogReader::new(source, Arc::clone(decoder), status, reading.clone(), end_requests, batches);
    let reader = reader.with_generation(Arc::clone(context.generation_cell()));
    let reader = work::start("reader", reader.with_partial(context.state().is_partial()))?;
    Ok((reader, records))
}

/// Starts the fold of a log that ended at `end` when the state was at a step.
///
/// # Errors
/// When its thread cannot be started.
pub(super) fn start_fold(
    context: &Context,
    state_writer: StateWriter,
    (decoder, kinds): (Arc<Decoder>, Vec<(String, EntityType)>),
    commands: Receiver<FoldCommand>,
    records: Receiver<ReadBatch>,
    (end, step): (Positions, u64),
) -> Result<End> {
    let (queue, status) = (Arc::clone(context.queue()), Arc::clone(context.status()));
    queue.set_backfills(state_writer.pending_backfills());
    let stream = Stream::new(state_writer, queue, status, decoder, kinds, commands);
    work::start("fold", stream.with_log(records, end, context.leadership().writer(), step))
}

impl Workers {
    /// Workers that go on. The reader ends by `reading`.
    pub(super) fn new(reader: End, fold: End, delivery: JoinHandle<Result<()>>, reading: Shutdown) -> Self {
        Self { reader, fold, delivery, reading, is_reading: true }
    }

    /// Waits until a worker ends; answers the outcome of the run, or none where the reader has read everything.
    pub(super) async fn wait(&mut self, stop: &Shutdown) -> Option<Result<()>> {
        tokio::select! {
            biased;
            ended = &mut self.fold => Some(ignore_unavailable_at_stop(flatten_outcome(ended), stop)),
            ended = &mut self.delivery => Some(ended.unwrap_or_else(|error| Err(delivery_error(error)))),
            ended = &mut self.reader, if self.is_reading => {
                self.is_reading = false;
                flatten_outcome(ended).err().map(Err)
            }
        }
    }

    /// Has the reader end.
    pub(super) fn end_reading(&self) {
        self.reading.request();
    }

    /// An error that follows from the fold's end says less than the fold's own error.
    pub(super) async fn cause(&mut self, error: Error, context: &Context, stop: &Shutdown) -> Result<()> {
        let (reply, _) = oneshot::channel();
        if self.fold.is_terminated() || context.command(FoldCommand::Barrier(reply)).is_ok() {
            return Err(error);
        }
        match flatten_outcome((&mut self.fold).await) {
            Ok(()) => Err(error),
            ended => ignore_unavailable_at_stop(ended, stop),
        }
    }

    /// Waits until the workers have ended, the delivery first; answers the run's outcome with theirs.
    pub(super) async fn close(
        mut self,
        mut outcome: Result<()>,
        context: &Context,
        stop: &Shutdown,
    ) -> Result<()> {
        if !self.delivery.is_finished() {
            let delivered = (&mut self.delivery).await.unwrap_or_else(|error| Err(delivery_error(error)));
            outcome = outcome.and(delivered);
        }
        if context.command(FoldCommand::Stop).is_ok() {
            outcome = outcome.and(ignore_unavailable_at_stop(flatten_outcome(self.fold.await), stop));
        }
        if self.is_reading {
            // It closes its connections.
            work::leave(self.reader);
        }
        outcome
    }
}

fn flatten_outcome(ended: Result<Result<()>, oneshot::error::RecvError>) -> Result<()> {
    ended.unwrap_or_else(|_| {
        Err(Error::failure("a thread of the pipeline broke off; this is a bug, start again to recover"))
    })
}

/// A fold that waited for a server when a stop was asked for has lost nothing: its positions stay.
fn ignore_unavailable_at_stop(ended: Result<()>, stop: &Shutdown) -> Result<()> {
    match ended {
        Err(error) if stop.is_requested() && error.kind() == ErrorKind::Unavailable => {
            tracing::warn!(
                error = error.chain(),
                "the fold was stopped while it waited for a server; nothing is lost"
            );
            Ok(())
        }
        ended => ended,
    }
}

fn delivery_error(error: JoinError) -> Error {
    Error::failure("the delivery broke off; this is a bug, start again to recover").because(error)
}
