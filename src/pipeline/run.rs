//! A run: reader, fold and delivery together, from the start to a clean stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::deliver::Delivery;
use super::fold::Folder;
use super::pace::Pace;
use super::queue::Queue;
use super::reader::{EndRequest, Reader};
use super::start::{thread, while_away};
use super::status::Status;
use super::stream::{Command, Stream};
use crate::config::Refresh;
use crate::dead_letter::DeadLetters;
use crate::decode::Decoder;
use crate::entity::Liveness;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EntityKind;
use crate::position::Positions;
use crate::projection::{Entities, Limits, Projection};
use crate::shutdown::Shutdown;
use crate::sink::{DocumentSink, IndexState};
use crate::source::EventSource;
use crate::source::leadership::Leadership;
use crate::state::State;

/// How often the run looks after itself.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often the delivered frontier is written down, and the log's end asked for.
const FRONTIER_EVERY: Duration = Duration::from_secs(1);
/// How long a clean stop waits for what is under way.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// What a run is made of.
pub struct Parts<S> {
    /// The state.
    pub state: Arc<State>,
    /// The log.
    pub source: Box<dyn EventSource>,
    /// The index.
    pub sink: Arc<S>,
    /// Where poison goes.
    pub dead_letters: Box<dyn DeadLetters>,
    /// Who writes.
    pub leadership: Arc<dyn Leadership>,
    /// The projections, in the sink's order.
    pub projections: Vec<Projection>,
    /// The decoder.
    pub decoder: Arc<Decoder>,
    /// What each topic carries.
    pub kinds: Vec<(String, EntityKind)>,
    /// What shapes documents.
    pub limits: Limits,
    /// How changes become searchable.
    pub refresh: Refresh,
    /// Where the run reports.
    pub status: Arc<Status>,
    /// Commands from outside (the administrative routes) come in here.
    pub commands: (Sender<Command>, Receiver<Command>),
}

/// Runs until a stop is asked for, or, with `until_end`, until everything that was in the log at the
/// start is in the index and searchable.
///
/// # Errors
/// What no retry mends: the log is another one, the state is damaged, the mapping changed.
pub async fn run<S: DocumentSink>(parts: Parts<S>, until_end: bool, stop: &Shutdown) -> Result<()> {
    let identity = parts.source.identity();
    let opened = while_away(stop, async || parts.sink.open(&identity).await).await?;
    let Some(indexes) = opened else { return Ok(()) };
    let progress = parts.state.progress()?;
    let names = parts.projections.iter().map(|projection| projection.name().to_owned());
    parts.status.set_indexes(names.zip(indexes.iter().map(|state| state.index.clone())).collect());
    let started = {
        let (mut source, progress) = (parts.source, progress.clone());
        let work = move || {
            source.start(&progress.positions(), &progress.fingerprints())?;
            let end = source.end()?;
            Ok((source, end))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::failed("the source broke off").because(error))?
    };
    let (source, end) = started?;
    parts.status.set_end(&end);
    parts.status.set_positions(&progress.positions());

    let (commands, obeyed) = parts.commands;
    let folder = Folder::new(Arc::clone(&parts.state), parts.projections.clone(), parts.dead_letters)?;
    let queue = Arc::new(Queue::starting_at(
        progress.step,
        folder.oldest_task(),
        progress.positions(),
        parts.state.frontier()?.time_ms,
    ));
    let reading = Shutdown::default();
    let (records_in, records_out) = Reader::channel();
    let (end_requests, end_answers) = channel();
    let reader = Reader::new(
        source,
        Arc::clone(&parts.decoder),
        Arc::clone(&parts.status),
        reading.clone(),
        end_answers,
    );
    let reader = thread("reader", move || reader.run(&records_in))?;
    let stream = Stream {
        folder,
        queue: Arc::clone(&queue),
        status: Arc::clone(&parts.status),
        decoder: parts.decoder,
        kinds: parts.kinds,
    };
    let fold = thread("fold", move || stream.run(&records_out, &obeyed))?;
    let (allow, allowed) = watch::channel(false);
    let delivery = Arc::new(Delivery {
        state: Arc::clone(&parts.state),
        sink: Arc::clone(&parts.sink),
        queue: Arc::clone(&queue),
        projections: parts.projections.clone(),
        limits: parts.limits,
        commands: commands.clone(),
        status: Arc::clone(&parts.status),
        refresh: parts.refresh,
        over: std::sync::Mutex::default(),
        pace: Pace::default(),
    });
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
        reconcile: Vec::new(),
        published: None,
        asked: None,
        ticked: None,
    };
    run.plan(&indexes, progress.step > 0)?;
    let delivered = tokio::spawn(delivery.run(allowed));
    let outcome =
        run.look_after(Workers { reader, fold, delivered }, reading, until_end.then_some(end), stop).await;
    run.leadership.close();
    outcome
}

struct Workers {
    reader: oneshot::Receiver<Result<()>>,
    fold: oneshot::Receiver<Result<()>>,
    delivered: tokio::task::JoinHandle<Result<()>>,
}

/// Nothing is delivered until the fold has passed the end that the log had when writing began: from
/// then on every snapshot dominates whatever was written before, by whomever.
enum Gate {
    /// The end has to be asked for.
    Closed,
    /// Asked for.
    Asked(Receiver<Result<Positions>>),
    /// To be passed.
    Until(Positions),
    /// Passed; the fan-outs that the backlog began are made first, up to this step: a document that
    /// they mark would be written twice.
    FanningOut(u64),
    /// Nothing is held back.
    Open,
}

struct Run<S> {
    state: Arc<State>,
    sink: Arc<S>,
    projections: Vec<Projection>,
    leadership: Arc<dyn Leadership>,
    status: Arc<Status>,
    queue: Arc<Queue>,
    commands: Sender<Command>,
    end_requests: Sender<EndRequest>,
    allow: watch::Sender<bool>,
    gate: Gate,
    /// Projections whose index holds documents that the state may not know of, with that index.
    reconcile: Vec<(usize, String)>,
    published: Option<Positions>,
    asked: Option<Receiver<Result<Positions>>>,
    ticked: Option<Instant>,
}

impl<S: DocumentSink> Run<S> {
    /// Decides for each projection whether its index is the one that the marks are for.
    fn plan(&mut self, indexes: &[IndexState], has_state: bool) -> Result<()> {
        for (number, (projection, index)) in self.projections.clone().into_iter().zip(indexes).enumerate() {
            // An index that was made just now is empty, whatever its name.
            if !index.created && self.state.built_for(projection.name())? == index.index {
                continue;
            }
            if has_state {
                tracing::info!(
                    projection = projection.name(),
                    index = index.index,
                    "every document is sent to this index"
                );
                self.command(Command::Everything(projection))?;
            }
            if index.created {
                self.command(Command::BuiltFor(projection, index.index.clone()))?;
            } else {
                self.reconcile.push((number, index.index.clone()));
            }
        }
        self.barrier()
    }

    /// Waits until the fold has done what was asked of it: only then does the queue know of it.
    fn barrier(&self) -> Result<()> {
        let (reply, answer) = sync_channel(1);
        self.command(Command::Barrier(reply))?;
        tokio::task::block_in_place(|| answer.recv()).map_err(|_| Error::failed("the fold's thread is gone"))
    }

    async fn look_after(
        &mut self,
        mut workers: Workers,
        reading: Shutdown,
        target: Option<Positions>,
        stop: &Shutdown,
    ) -> Result<()> {
        let mut is_reading = true;
        let ended: Result<()> = loop {
            tokio::select! {
                ended = &mut workers.fold => break forgive(flat(ended), stop),
                ended = &mut workers.delivered => break ended.unwrap_or_else(|error| Err(broken(error))),
                ended = &mut workers.reader, if is_reading => match flat(ended) {
                    Err(error) => break Err(error),
                    Ok(()) => is_reading = false,
                },
                () = stop.requested() => break Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Err(error) = self.look().await {
                break Err(error);
            }
            if target.as_ref().is_some_and(|target| self.is_done(target)) {
                break self.finish(stop).await;
            }
        };
        reading.request();
        if ended.is_ok() {
            self.deliver_the_rest().await;
            self.publish();
        }
        self.allow.send_replace(false);
        let (gone, _) = watch::channel(false);
        // Dropping the sender ends the delivery once its requests are answered.
        drop(std::mem::replace(&mut self.allow, gone));
        let mut outcome = ended;
        if !workers.delivered.is_finished() {
            let delivered = (&mut workers.delivered).await.unwrap_or_else(|error| Err(broken(error)));
            outcome = outcome.and(delivered);
        }
        if self.command(Command::Stop).is_ok() {
            outcome = outcome.and(forgive(flat(workers.fold.await), stop));
        }
        outcome
    }

    /// One look: who writes, whether the gate is passed, what is to be published.
    async fn look(&mut self) -> Result<()> {
        let writer = *self.leadership.writer().borrow();
        if self.status.writer.swap(writer, Ordering::Relaxed) != writer {
            tracing::info!(writer, "this instance {}", if writer { "writes the index" } else { "stands by" });
            if !writer {
                self.gate = Gate::Closed;
            }
        }
        if writer {
            self.pass_gate().await?;
        }
        let open = matches!(self.gate, Gate::Open);
        self.status.gate_passed.store(open, Ordering::Relaxed);
        self.allow.send_if_modified(|allowed| std::mem::replace(allowed, writer && open) != (writer && open));
        if writer && self.status.watchers() > 0 {
            self.note_frontier(Status::now_ms());
        }
        if self.ticked.is_none_or(|at| at.elapsed() >= FRONTIER_EVERY) {
            self.ticked = Some(Instant::now());
            if writer {
                self.publish()
            } else {
                self.follow()?
            }
            self.ask_for_end();
        }
        Ok(())
    }

    /// Has the reader note the log's end in the status, unless it has not answered the last time.
    fn ask_for_end(&mut self) {
        let answered =
            self.asked.as_ref().is_none_or(|answer| !matches!(answer.try_recv(), Err(TryRecvError::Empty)));
        if answered {
            let (reply, answer) = sync_channel(1);
            // Without a reader there is no end to ask for.
            self.asked = self.end_requests.send(reply).is_ok().then_some(answer);
        }
    }

    async fn pass_gate(&mut self) -> Result<()> {
        match &self.gate {
            Gate::Open => {}
            Gate::Closed => {
                let (reply, answer): (SyncSender<_>, _) = sync_channel(1);
                let _ = self.end_requests.send(reply);
                self.gate = Gate::Asked(answer);
            }
            Gate::Asked(answer) => {
                self.gate = match answer.try_recv() {
                    Ok(Ok(end)) => Gate::Until(end),
                    // A broker that is away is asked again; any other error is the reader's own end.
                    Ok(Err(_)) | Err(TryRecvError::Disconnected) => Gate::Closed,
                    Err(TryRecvError::Empty) => return Ok(()),
                };
            }
            Gate::Until(end) => {
                if self.queue.positions().covers(end) {
                    self.gate = Gate::FanningOut(self.queue.step());
                }
            }
            Gate::FanningOut(step) => {
                if self.queue.oldest_task().is_none_or(|oldest| oldest > *step) {
                    self.gate = Gate::Open;
                    self.queue.forget();
                    self.reconcile().await?;
                }
            }
        }
        Ok(())
    }

    /// Marks the documents of an index that the state knows nothing living of: they are deleted.
    async fn reconcile(&mut self) -> Result<()> {
        for (number, index) in std::mem::take(&mut self.reconcile) {
            let Some(projection) = self.projections.get(number).copied() else { continue };
            let mut cursor = None;
            let mut found = 0;
            loop {
                let page = self.sink.ids(number, cursor).await?;
                let unknown = unknown_to(&self.state, projection, page.ids)?;
                found += unknown.len();
                if !unknown.is_empty() {
                    self.command(Command::Mark(unknown))?;
                }
                cursor = page.cursor;
                if cursor.is_none() {
                    break;
                }
            }
            tracing::info!(
                projection = projection.name(),
                index,
                found,
                "looked for documents that the log no longer speaks of"
            );
            self.command(Command::BuiltFor(projection, index))?;
        }
        self.barrier()
    }

    /// True when everything up to `target` is folded, delivered, and nothing more is on its way.
    fn is_done(&self, target: &Positions) -> bool {
        matches!(self.gate, Gate::Open)
            && self.reconcile.is_empty()
            && self.queue.positions().covers(target)
            && self.queue.waiting().is_nothing()
    }

    /// Makes what was delivered searchable.
    async fn finish(&self, stop: &Shutdown) -> Result<()> {
        while_away(stop, async || self.sink.refresh().await).await.map(|_| ())
    }

    /// Waits a while for what is on its way at a clean stop; the rest stays marked.
    async fn deliver_the_rest(&self) {
        let until = Instant::now() + STOP_WAIT;
        while *self.allow.borrow() && !self.queue.waiting().is_nothing() && Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Notes in the status how far the index is.
    fn note_frontier(&self, now: u64) -> Option<Positions> {
        let frontier = self.queue.frontier()?;
        self.status.set_frontier(&frontier, self.queue.waiting_since().unwrap_or(now));
        Some(frontier)
    }

    fn publish(&mut self) {
        let now = Status::now_ms();
        let Some(frontier) = self.note_frontier(now) else { return };
        if self.published.as_ref() != Some(&frontier) {
            tokio::task::block_in_place(|| self.leadership.commit(&frontier));
            // The fold's thread is gone only when it failed, and then its own error is what counts.
            let _ = self.command(Command::Frontier(frontier.clone(), now));
            self.published = Some(frontier);
        }
    }

    /// A standby forgets what the writer has delivered.
    fn follow(&self) -> Result<()> {
        let committed = tokio::task::block_in_place(|| self.leadership.committed())?;
        if !committed.is_empty() {
            self.status.set_frontier(&committed, Status::now_ms());
            self.command(Command::DeliveredElsewhere(committed))?;
        }
        Ok(())
    }

    fn command(&self, command: Command) -> Result<()> {
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

/// Those of `ids` whose entity is not alive: stubs are among them, and are found alive when made.
fn unknown_to(state: &State, projection: Projection, ids: Vec<String>) -> Result<Vec<(Projection, String)>> {
    let snapshot = state.snapshot()?;
    let mut unknown = Vec::new();
    for id in ids {
        let registers = match projection {
            Projection::Contacts => snapshot.contact(&id)?,
            Projection::Organisations | Projection::Hierarchy => snapshot.organisation(&id)?,
        };
        if registers.liveness() != Liveness::Alive {
            unknown.push((projection, id));
        }
    }
    Ok(unknown)
}
