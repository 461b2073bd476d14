//! A run: reader, fold and delivery together, from the start to a clean stop.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::additions::Adding;
use super::deliver::Delivery;
use super::fold::StateWriter;
use super::gate::{Gate, in_time};
use super::pace::Pace;
use super::queue::Queue;
use super::reader::{EndRequest, Reader};
use super::serve::Service;
use super::standby::Filling;
use super::start::{LogStart, Patience, claim, warn_of_gone, while_away};
use super::status::Status;
use super::stream::{Command, First, Stream};
use super::tuning::Tuning;
use super::versions::Bases;
use super::watch::{self as others, Seen};
use super::work::{self, in_place};
use crate::config::Refresh;
use crate::dead_letter::DeadLetters;
use crate::decode::Decoder;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::EntityType;
use crate::position::Positions;
use crate::projection::{Limits, Projection};
use crate::shutdown::Shutdown;
use crate::sink::IndexState;
use crate::sink::generations::Aliases;
use crate::sink::tenure::Claimant;
use crate::source::EventSource;
use crate::source::leadership::{Delivered, Leadership};
use crate::state::State;
use crate::state::rows::Progress;

/// How often the run looks after itself.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A start waits this long for its refresh; a later one serves as well.
const REFRESH_TIME: Duration = Duration::from_secs(2);
/// How long a clean stop waits for requests in flight.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// The parts of a run.
pub struct Parts {
    /// The state.
    pub state: Arc<State>,
    /// The log.
    pub source: Box<dyn EventSource>,
    /// The index.
    pub sink: Arc<dyn Aliases>,
    /// Where poison goes.
    pub dead_letters: Box<dyn DeadLetters>,
    /// Who writes.
    pub leadership: Arc<dyn Leadership>,
    /// The projections, in the sink's order.
    pub projections: Vec<Projection>,
    /// The decoder.
    pub decoder: Arc<Decoder>,
    /// The entity type of each topic.
    pub kinds: Vec<(String, EntityType)>,
    /// The limits of documents.
    pub limits: Limits,
    /// How large the parts are that work is cut into.
    pub tuning: Tuning,
    /// How changes become searchable.
    pub refresh: Refresh,
    /// Go on with an index that was built with another mapping.
    pub mapping_may_differ: bool,
    /// The group that writes, where others may.
    pub claimant: Option<Claimant>,
    /// Fold a log that no longer begins at its beginning.
    pub allow_partial_log: bool,
    /// How long an index that is away is waited for at the start.
    pub patience: Patience,
    /// Where the run reports.
    pub status: Arc<Status>,
    /// Commands from outside (the administrative routes) come in here.
    pub commands: (Sender<Command>, Receiver<Command>),
}

/// When a run ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Never: it goes on until a stop is asked for.
    Stopped,
    /// When everything that was in the log at its start is in the index.
    Delivered,
    /// When all of that is searchable as well.
    Searchable,
}

/// Runs until then, or until a stop is asked for.
///
/// # Errors
/// Errors that no retry repairs: another log, a damaged state, a changed mapping.
pub async fn run(parts: Parts, until: Until, stop: &Shutdown) -> Result<()> {
    let progress = parts.state.progress()?;
    // A log that is refused is refused before anything is made.
    let log_start = LogStart { stop, status: &parts.status, patience: parts.patience };
    let source = log_start.start(parts.source, &parts.state, &progress, parts.allow_partial_log).await?;
    let Some(source) = source else { return Ok(()) };
    if !claim(parts.claimant.as_ref(), &*parts.sink, parts.patience, stop).await? {
        return Ok(());
    }
    let identity = source.identity();
    let opened =
        while_away(stop, "the index", parts.patience, async || match parts.sink.open(&identity).await {
            Err(error) if parts.mapping_may_differ && error.kind() == ErrorKind::MappingChanged => {
                parts.sink.adopt(&identity).await
            }
            opened => opened,
        });
    let opened = opened.await?;
    let Some(indexes) = opened else { return Ok(()) };
    if parts.claimant.is_some()
        && let Err(error) = in_time(warn_of_gone(&*parts.sink)).await
    {
        tracing::debug!(error = error.chain(), "indexes of former projections cannot be looked up");
    }
    parts.leadership.join();
    // Who waited for the index may have waited for long.
    let Some((source, end)) = log_start.end(source).await? else { return Ok(()) };
    parts.status.set_refresh_interval(parts.sink.refresh_interval());
    // An earlier instance may have written documents that no search shows yet.
    let refreshed = tokio::time::timeout(REFRESH_TIME, parts.sink.refresh()).await;
    if let Ok(Ok(())) = refreshed {
        parts.status.note_refreshed(&parts.state.low_watermark()?.positions());
    }
    parts.status.set_end(&end);
    parts.status.set_positions(&progress.positions());

    let (commands, command_rx) = parts.commands;
    let (tuning, projections) = (parts.tuning, parts.projections.clone());
    let mut state_writer =
        StateWriter::new(Arc::clone(&parts.state), projections, parts.dead_letters, tuning)?;
    state_writer.forget_unfinished_load()?;
    if progress.step == 0 {
        // Nothing was folded yet, so every document of every index will be sent.
        parts
            .projections
            .iter()
            .try_for_each(|projection| state_writer.begin_backfill(*projection).map(|_| ()))?;
    }
    let queue = Arc::new(Queue::starting_at(
        progress.step,
        state_writer.oldest_task(),
        progress.positions(),
        parts.state.low_watermark()?.time_ms,
        tuning,
    ));
    let reading = Shutdown::default();
    let (records_in, records_out) = Reader::channel();
    let (end_requests, end_answers) = unbounded();
    let reader = Reader::new(
        source,
        Arc::clone(&parts.decoder),
        Arc::clone(&parts.status),
        reading.clone(),
        end_answers,
        records_in,
    );
    let reader = work::start("reader", reader.with_partial(parts.state.is_partial()))?;
    queue.set_backfills(state_writer.pending_backfills());
    let stream = Stream {
        state_writer,
        queue: Arc::clone(&queue),
        status: Arc::clone(&parts.status),
        decoder: parts.decoder,
        kinds: parts.kinds,
        writer: parts.leadership.writer(),
        cleared: progress.step,
        first: First::Undecided(end.clone()),
        records: Some(records_out),
        commands: command_rx,
        synced: Instant::now(),
        folded: Instant::now(),
    };
    let fold = work::start("fold", stream)?;
    let (allow, allowed) = watch::channel(false);
    let delivery = Arc::new(Delivery {
        state: Arc::clone(&parts.state),
        sink: parts.sink.clone(),
        queue: Arc::clone(&queue),
        projections: parts.projections.clone(),
        limits: parts.limits,
        tuning,
        commands: commands.clone(),
        status: Arc::clone(&parts.status),
        refresh: parts.refresh,
        bases: Arc::default(),
        pace: Pace::new(tuning),
        is_idle: Arc::default(),
        writer: parts.leadership.writer(),
        backfills: std::sync::Mutex::default(),
        is_making_chunk: AtomicBool::new(false),
        buffers: Arc::default(),
    });
    let others = others::spawn(Arc::clone(&parts.sink));
    let mut run = Run {
        state: parts.state,
        sink: parts.sink,
        projections: parts.projections,
        leadership: parts.leadership,
        status: parts.status,
        queue,
        commands,
        end_requests,
        allow,
        gate: Gate::Until(end.clone()),
        rebuilt: Vec::new(),
        cleared_to: Some(progress.positions()),
        filling: Filling::Nothing,
        service: Service::of(indexes.iter().any(|state| state.is_filling)),
        adding: Adding::Due(Instant::now()),
        reconcile: Vec::new(),
        published: None,
        end_answer: None,
        ticked: None,
        folded_at: None,
        refused: Vec::new(),
        others,
        identity,
        claimant: parts.claimant,
        indexes: indexes.iter().map(|state| state.index.clone()).collect(),
        is_idle: Arc::clone(&delivery.is_idle),
        bases: Arc::clone(&delivery.bases),
    };
    run.status.set_indexes(run.written());
    let planned = run.plan(&indexes, &progress).await;
    let delivered = tokio::spawn(delivery.run(allowed));
    let workers = Workers { reader, fold, delivered };
    let outcome = run.look_after(planned, workers, reading, (until, end), stop).await;
    run.leadership.close();
    outcome
}

struct Workers {
    reader: oneshot::Receiver<Result<()>>,
    fold: oneshot::Receiver<Result<()>>,
    delivered: tokio::task::JoinHandle<Result<()>>,
}

pub(super) struct Run {
    pub(super) state: Arc<State>,
    pub(super) sink: Arc<dyn Aliases>,
    pub(super) projections: Vec<Projection>,
    pub(super) leadership: Arc<dyn Leadership>,
    pub(super) status: Arc<Status>,
    pub(super) queue: Arc<Queue>,
    pub(super) commands: Sender<Command>,
    pub(super) end_requests: Sender<EndRequest>,
    pub(super) allow: watch::Sender<bool>,
    pub(super) gate: Gate,
    /// How far rebuilds delivered the log to the indexes that they handed over; nothing is delivered before the fold is there.
    pub(super) rebuilt: Vec<Positions>,
    /// Marks were cleared of no event above; `None` when that is where the fold is.
    pub(super) cleared_to: Option<Positions>,
    pub(super) filling: Filling,
    /// Whether the indexes that are written serve readers.
    pub(super) service: Service,
    /// The parts of the mappings that the indexes lack and take in place.
    pub(super) adding: Adding,
    /// Projections whose index holds documents that the state may not know of, with that index.
    pub(super) reconcile: Vec<(usize, String)>,
    pub(super) published: Option<Delivered>,
    pub(super) end_answer: Option<Receiver<Result<Positions>>>,
    pub(super) ticked: Option<Instant>,
    /// The step at which a run to the end had folded everything that was there at its start.
    pub(super) folded_at: Option<u64>,
    /// Indexes that an alias was put on and that cannot be written.
    pub(super) refused: Vec<String>,
    /// The aliases and rebuilds of others.
    pub(super) others: watch::Receiver<Seen>,
    /// The log's identity.
    pub(super) identity: String,
    /// The group that writes.
    pub(super) claimant: Option<Claimant>,
    /// The concrete indexes that are written, in the projections' order.
    pub(super) indexes: Vec<String>,
    /// True while the delivery has nothing under way and may begin nothing.
    pub(super) is_idle: Arc<AtomicBool>,
    /// The versions that the delivery goes on from.
    pub(super) bases: Arc<Mutex<Bases>>,
}

impl Run {
    /// Has every document sent to the indexes that are new.
    async fn plan(&mut self, indexes: &[IndexState], progress: &Progress) -> Result<()> {
        for (projection, index) in self.projections.clone().into_iter().zip(indexes) {
            if index.is_filling {
                // Its maker may have died before it was full.
                self.filling = Filling::Marking;
            }
            // An index that was made just now is empty, even under a known name.
            if index.created {
                self.send_everything(projection, &index.index, progress.step > 0)?;
                self.command(Command::BuiltFor(projection, index.index.clone()))?;
            }
        }
        self.barrier().await
    }

    /// Has every document sent, those that the state knows and those that it comes to know until then.
    pub(super) fn send_everything(&self, projection: Projection, index: &str, has_state: bool) -> Result<()> {
        if has_state {
            let projection_name = projection.name();
            tracing::info!(projection = projection_name, index, "every document is sent to this index");
        }
        self.command(Command::BeginBackfill(projection))
    }

    /// Waits until the fold has carried out every earlier command, because only then the queue knows of it.
    pub(super) async fn barrier(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Barrier(reply))?;
        answer.await.map_err(|_| Error::failed("the fold's thread is gone"))
    }

    async fn look_after(
        &mut self,
        planned: Result<()>,
        mut workers: Workers,
        reading: Shutdown,
        (until, end): (Until, Positions),
        stop: &Shutdown,
    ) -> Result<()> {
        let mut is_reading = true;
        let mut ended: Result<()> = loop {
            if planned.is_err() {
                break planned;
            }
            tokio::select! {
                biased;
                ended = &mut workers.fold => break forgive(flat(ended), stop),
                ended = &mut workers.delivered => break ended.unwrap_or_else(|error| Err(broken(error))),
                ended = &mut workers.reader, if is_reading => {
                    is_reading = false;
                    if let Err(error) = flat(ended) {
                        break Err(error);
                    }
                }
                () = stop.requested() => break Ok(()),
                // A search waits for the documents that were just delivered.
                () = self.queue.changed(), if self.status.signals.waiting_searches() > 0 => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Err(error) = self.look().await {
                break Err(error);
            }
            if until != Until::Stopped && self.is_done(&end) {
                break if until == Until::Searchable { self.finish(stop).await } else { Ok(()) };
            }
        };
        reading.request();
        if let Err(error) = ended {
            ended = self.cause(error, &mut workers.fold, stop).await;
        }
        if ended.is_ok() {
            self.deliver_the_rest().await;
        }
        self.allow.send_replace(false);
        if ended.is_ok() {
            self.publish();
        }
        let (replacement, _) = watch::channel(false);
        // Dropping the sender ends the delivery once its requests are answered.
        drop(std::mem::replace(&mut self.allow, replacement));
        let mut outcome = ended;
        if !workers.delivered.is_finished() {
            let delivered = (&mut workers.delivered).await.unwrap_or_else(|error| Err(broken(error)));
            outcome = outcome.and(delivered);
        }
        if self.command(Command::Stop).is_ok() {
            outcome = outcome.and(forgive(flat(workers.fold.await), stop));
        }
        if is_reading {
            // It closes its connections.
            work::leave(workers.reader);
        }
        outcome
    }

    /// True when everything up to `target` is folded, and everything that was marked when it was is
    /// delivered. Later changes may still wait.
    fn is_done(&mut self, target: &Positions) -> bool {
        let is_served = matches!(self.service, Service::Given);
        let is_added = matches!(self.adding, Adding::Nothing);
        let is_busy =
            !self.reconcile.is_empty() || !is_served || !is_added || self.status.signals.has_rebuild();
        if is_busy || !matches!(self.gate, Gate::Open) {
            return false;
        }
        if self.folded_at.is_none() && self.queue.positions().covers(target) {
            self.folded_at = Some(self.queue.step());
        }
        let oldest = self.queue.oldest_waiting();
        self.folded_at.is_some_and(|step| oldest.is_none_or(|oldest| oldest > step))
    }

    /// Makes the delivered documents searchable.
    async fn finish(&self, stop: &Shutdown) -> Result<()> {
        while_away(stop, "the index", Patience::default(), async || self.sink.refresh().await)
            .await
            .map(|_| ())
    }

    /// An error that follows from the fold's end says less than the fold's own error.
    async fn cause(
        &self,
        error: Error,
        fold: &mut oneshot::Receiver<Result<()>>,
        stop: &Shutdown,
    ) -> Result<()> {
        let (nobody, _) = oneshot::channel();
        if fold.is_terminated() || self.command(Command::Barrier(nobody)).is_ok() {
            return Err(error);
        }
        match flat(fold.await) {
            Ok(()) => Err(error),
            ended => forgive(ended, stop),
        }
    }

    /// Waits a while for requests in flight at a clean stop, unless another instance becomes the writer. The rest stays
    /// marked.
    async fn deliver_the_rest(&self) {
        let until = Instant::now() + STOP_WAIT;
        let is_through = || self.queue.is_folded() && self.queue.waiting().is_nothing();
        let writer = self.leadership.writer();
        while *writer.borrow() && *self.allow.borrow() && !is_through() && Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Notes in the status how far the index is.
    pub(super) fn note_low_watermark(&mut self, now: u64) -> Option<Positions> {
        if self.is_filling() || self.service.is_withheld() {
            return None;
        }
        let low_watermark = self.queue.low_watermark()?;
        let shown =
            |projection: &Projection| Some((*projection, self.queue.low_watermark_of(Some(*projection))?));
        let shown = self.projections.iter().filter_map(shown).collect();
        self.status.set_low_watermark(&low_watermark, self.queue.waiting_since().unwrap_or(now), shown);
        Some(low_watermark)
    }

    pub(super) fn publish(&mut self) {
        let now = Status::now_ms();
        let Some(low_watermark) = self.note_low_watermark(now) else { return };
        let delivered = Delivered { low_watermark, indexes: self.written(), log: self.status.log() };
        if self.published.as_ref() != Some(&delivered) {
            let is_published = in_place(|| self.leadership.commit(&delivered));
            // The fold's thread is gone only when it failed, and then its own error is the one to report.
            let _ = self.command(Command::LowWatermark(delivered.low_watermark.clone(), now));
            // A publication that was not heard is repeated, also when nothing moves any more.
            self.published = is_published.then_some(delivered);
        }
    }

    pub(super) fn command(&self, command: Command) -> Result<()> {
        self.commands.send(command).map_err(|_| Error::failed("the fold's thread is gone"))
    }
}

fn flat(ended: Result<Result<()>, oneshot::error::RecvError>) -> Result<()> {
    ended.unwrap_or_else(|_| {
        Err(Error::failed("a thread of the pipeline broke off; this is a bug, start again to recover"))
    })
}

/// A fold that waited for a server when a stop was asked for has lost nothing: its positions stay.
fn forgive(ended: Result<()>, stop: &Shutdown) -> Result<()> {
    match ended {
        Err(error) if stop.is_requested() && error.kind() == ErrorKind::Unavailable => {
            tracing::warn!(error = error.chain(), "stopped while waiting");
            Ok(())
        }
        ended => ended,
    }
}

fn broken(error: tokio::task::JoinError) -> Error {
    Error::failed("the delivery broke off; this is a bug, start again to recover").because(error)
}
