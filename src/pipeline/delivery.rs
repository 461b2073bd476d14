//! The delivery: dirty documents go to the index, in several requests at once. Each write has an outcome of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::sync::watch;
use tokio::time::Instant;

use super::backfill::{self, BackfillsInFlight, ChunkContext, ChunkStart, Completion};
use super::command::FoldCommand;
use super::conflicts::Conflicts;
use super::context::Context;
use super::fold::DocumentKey;
use super::index_progress::IndexProgress;
use super::materialise::{DocumentBatch, materialise};
use super::pace::Pace;
use super::queue::{Priority, Queue, Scan};
use super::refresh::UnrefreshedWrites;
use super::requests::{BulkRequests, Slots};
use super::sent_write::{SentWrite, position_for};
use super::spans;
use super::status::Status;
use super::switch::Switch;
use super::tuning::Tuning;
use super::versions::{Bases, SILENT, base_of};
use super::work::blocking;
use crate::config::Refresh;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, Result};
use crate::plan::display_key;
use crate::projection::{Limits, Projection};
use crate::sink::documents::Documents;
use crate::sink::{Buffers, Outcome};
use crate::state::State;
use crate::state::keys::{Space, dirty_parts};

/// The delivery of one instance.
pub struct Delivery {
    /// The state, from which documents are made.
    state: Arc<State>,
    /// The index.
    sink: Arc<dyn Documents>,
    /// The documents that wait.
    queue: Arc<Queue>,
    /// The projections of the sink.
    projections: Vec<Projection>,
    limits: Limits,
    /// How large the parts are.
    tuning: Tuning,
    /// The commands to the fold's thread.
    commands: Sender<FoldCommand>,
    status: Arc<Status>,
    /// How far the index is.
    index_progress: Arc<IndexProgress>,
    /// How writes become searchable.
    refresh: Refresh,
    /// The bases of versions above foreign writes.
    bases: Arc<Mutex<Bases>>,
    /// The size and number of requests that the index takes.
    pace: Pace,
    /// True while no request is in flight and none may begin.
    is_idle: Arc<AtomicBool>,
    /// True while this instance is the writer. Each request asks for it, because the control loop may itself wait for a
    /// server.
    writer: watch::Receiver<bool>,
    /// The backfills that are being made.
    backfills: Mutex<BackfillsInFlight>,
    /// True while a chunk is made, because the next chunk begins where it ends.
    is_making_chunk: AtomicBool,
    /// The memory of the backfills' requests.
    buffers: Arc<Buffers>,
}

impl Delivery {
    /// The delivery of a run. `limits` are those of documents, and `refresh` says how writes become searchable.
    pub(super) fn new(context: &Context, limits: Limits, refresh: Refresh, tuning: Tuning) -> Self {
        Self {
            state: Arc::clone(context.state()),
            sink: context.sink().clone(),
            queue: Arc::clone(context.queue()),
            projections: context.projections().to_vec(),
            limits,
            tuning,
            commands: context.commands().clone(),
            status: Arc::clone(context.status()),
            index_progress: Arc::clone(context.index_progress()),
            refresh,
            bases: Arc::default(),
            pace: Pace::new(tuning),
            is_idle: Arc::default(),
            writer: context.leadership().writer(),
            backfills: Mutex::default(),
            is_making_chunk: AtomicBool::new(false),
            buffers: Arc::default(),
        }
    }

    /// The switch of this delivery, and its signal.
    pub(super) fn switch(&self) -> (Switch, watch::Receiver<bool>) {
        Switch::new(Arc::clone(&self.is_idle), Arc::clone(&self.bases))
    }

    /// Delivers while `allowed` is true. With false the requests in flight end, and none begins. The delivery ends when the
    /// sender of `allowed` is gone.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn run(self: Arc<Self>, mut allowed: watch::Receiver<bool>) -> Result<()> {
        let mut requests = BulkRequests::default();
        let mut unrefreshed = UnrefreshedWrites::default();
        loop {
            let changed = self.queue.next_change();
            tokio::pin!(changed);
            changed.as_mut().enable();
            // In this order, because a caller that forbids delivery and then finds it idle must be seen here.
            self.is_idle.store(false, Ordering::SeqCst);
            let may = *allowed.borrow_and_update() && self.is_writer();
            self.is_idle.store(!may && requests.is_empty(), Ordering::SeqCst);
            if may {
                if let Some(part) = self.queue.next_scan() {
                    Arc::clone(&self).scan(part).await?;
                }
                if !unrefreshed.holds() {
                    self.start_requests(&mut requests);
                }
                if self.refresh == Refresh::Adaptive && requests.is_empty() {
                    let this = Arc::clone(&self);
                    let delivered = || self.queue.low_watermark();
                    let refresh = || async move { this.sink.refresh().await };
                    unrefreshed.refresh_if_due(&self.index_progress, delivered, refresh);
                    if unrefreshed.shows_all() {
                        self.index_progress.note_refreshed(&delivered().unwrap_or_default());
                    }
                }
            } else {
                unrefreshed.forget();
            }
            let wait = unrefreshed.wait().min(self.pace.wait());
            tokio::select! {
                biased;
                change = allowed.changed() => if change.is_err() { break },
                Some(ended) = requests.next_ended() => {
                    ended?;
                    unrefreshed.note(&self.index_progress);
                }
                () = unrefreshed.wait_for_end() => {}
                () = &mut changed => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        while let Some(ended) = requests.next_ended().await {
            ended?;
        }
        Ok(())
    }

    fn start_requests(self: &Arc<Self>, requests: &mut BulkRequests) {
        for priority in [Priority::Direct, Priority::Background] {
            while self.pace.is_open() {
                let slots = Slots {
                    count: self.pace.requests(),
                    has_background: self.queue.has_background(),
                    has_others: self.projections.len() > 1,
                };
                let may = |projection| requests.has_slot(priority, projection, slots);
                let documents = self.queue.take(priority, self.tuning.request_documents_max, &may);
                let Some(projection) = documents.first().map(|(projection, _)| *projection) else { break };
                requests.spawn(Some((priority, projection)), Arc::clone(self).deliver(projection, documents));
            }
        }
        // Dirty documents go before those of a backfill.
        if requests.has_slot_for_chunk(self.pace.requests())
            && self.pace.is_open()
            && !self.is_making_chunk.load(Ordering::SeqCst)
            && let Some(start) = self.backfills().next(&self.queue.backfills())
        {
            self.is_making_chunk.store(true, Ordering::SeqCst);
            requests.spawn(None, Arc::clone(self).deliver_chunk(start));
        }
    }

    fn backfills(&self) -> MutexGuard<'_, BackfillsInFlight> {
        self.backfills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bases(&self) -> MutexGuard<'_, Bases> {
        self.bases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers the next chunk of a backfill. Documents that the index did not acknowledge are marked.
    async fn deliver_chunk(self: Arc<Self>, start: ChunkStart) -> Result<()> {
        let in_queue = self.queue.begin_chunk(start.projection, start.step);
        let chunk = self.make_chunk(&start, in_queue).await;
        self.is_making_chunk.store(false, Ordering::SeqCst);
        self.queue.wake();
        let (documents, number) = chunk?;
        if bug!(BackfillCursorEarly) {
            self.complete_chunk(&start, number);
        }
        let outcome = if documents.documents.is_empty() {
            RequestOutcome::default()
        } else {
            self.send(documents).await
        };
        self.queue.finish_chunk(in_queue);
        let undelivered = outcome.finished.into_iter().filter(|(_, is_done)| !is_done);
        let undelivered = undelivered.filter(|_| !bug!(BackfillCursorEarly));
        let documents = undelivered.map(|((projection, id), _)| (projection, id.to_string())).collect();
        // If the fold's thread is gone, its own error is the one to report.
        let (since, rejected) = (start.step, outcome.rejected);
        let _ = self.commands.send(FoldCommand::MarkUndelivered { since, rejected, documents });
        self.complete_chunk(&start, number);
        if self.backfills().are_complete() {
            self.buffers.close();
        }
        outcome.failure.map_or(Ok(()), |reason| Err(Error::failure(reason)))
    }

    /// Makes the documents of a chunk, which the queue knows by its number there; answers them with the chunk's own number.
    async fn make_chunk(self: &Arc<Self>, start: &ChunkStart, in_queue: u64) -> Result<(DocumentBatch, u64)> {
        let (this, start) = (Arc::clone(self), start.clone());
        blocking(move || {
            let bases = this.bases().clone();
            let takes = |document: &DocumentKey| this.queue.take_for_chunk(in_queue, document);
            let (projections, ids_max) = (&this.projections, this.tuning.chunk_ids_max);
            let context =
                ChunkContext::new(&this.state, projections, this.limits, &bases, &this.buffers, ids_max)
                    .with_takes(&takes)
                    .with_untouched(this.sink.is_untouched());
            let most = (this.tuning.request_documents_max, this.pace.bytes());
            let chunk = backfill::make_chunk(&context, start.projection, &start.cursor, most)?;
            let number = this.backfills().add_chunk(&start, chunk.next, chunk.passed);
            Ok((chunk.made, number))
        })
        .await
    }

    /// Notes that a chunk is delivered or marked, and has the state's cursor follow.
    fn complete_chunk(&self, start: &ChunkStart, number: u64) {
        let completion = self.backfills().complete_chunk(start, number);
        if let Some(Completion { cursor, documents }) = completion {
            let command = FoldCommand::AdvanceBackfill(start.projection, start.step, cursor, documents);
            let _ = self.commands.send(command);
        }
    }

    /// Reads a part of the dirty documents into the queue.
    async fn scan(self: Arc<Self>, part: Scan) -> Result<()> {
        let work = move || {
            let (snapshot, plan) = (self.state.snapshot()?, self.state.plan());
            let mut found: Vec<DocumentKey> = Vec::new();
            let (mut last, most) = (Vec::new(), self.tuning.scan_documents_max);
            snapshot.view().scan(Space::DIRTY, &[], &part.cursor, &mut |key, _| {
                if let Some((number, id)) = dirty_parts(key) {
                    found.extend(plan.projection_of_number(number).map(|projection| (projection, id.into())));
                }
                last = key.to_vec();
                let full = found.len() >= most;
                Ok(if full { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) })
            })?;
            let next = (found.len() >= most).then_some(last);
            found.retain(|(projection, _)| self.projections.contains(projection));
            self.queue.add_scanned(&part, found, snapshot.progress().step, next);
            Ok(())
        };
        blocking(work).await
    }

    async fn deliver(self: Arc<Self>, projection: Projection, documents: Vec<DocumentKey>) -> Result<()> {
        // No document of a projection without an index is marked.
        if !self.projections.contains(&projection) {
            return Ok(());
        }
        let mut made = {
            let this = Arc::clone(&self);
            blocking(move || {
                let bases = this.bases().clone();
                let bytes_max = this.pace.bytes_of_marked();
                materialise(&this.state, projection, documents, this.limits, bytes_max, &bases)
            })
            .await?
        };
        let left = std::mem::take(&mut made.left);
        self.queue.put_back(left);
        if made.documents.is_empty() {
            return Ok(());
        }
        let step = made.step;
        if bug!(MarkClearedEarly) {
            let acknowledged = made.documents.iter().map(|document| (document.clone(), step)).collect();
            let (rejected, finished) = (Vec::new(), Vec::new());
            let _ = self.commands.send(FoldCommand::Delivered { acknowledged, rejected, finished });
        }
        let sizes =
            made.batch.writes().iter().map(|write| write.body.as_ref().map_or(0, ExactSizeIterator::len));
        self.queue.note_sent(made.documents.iter().zip(sizes));
        let bytes = made.batch.bytes().len();
        let outcome = self.send(made).await;
        if let Some(took) = outcome.took {
            self.pace.note_marked(bytes, took);
        }
        let acknowledged = outcome.finished.iter().filter(|(_, is_done)| *is_done);
        let acknowledged = acknowledged.map(|(document, _)| (document.clone(), step)).collect();
        let RequestOutcome { rejected, finished, failure, .. } = outcome;
        // The fold's thread ends after this one. If it is gone, its own error is the one to report.
        let _ = self.commands.send(FoldCommand::Delivered { acknowledged, rejected, finished });
        failure.map_or(Ok(()), |reason| Err(Error::failure(reason)))
    }

    fn is_writer(&self) -> bool {
        *self.writer.borrow() || bug!(NoStandBy)
    }

    async fn send(&self, made: DocumentBatch) -> RequestOutcome {
        let DocumentBatch { batch, documents, claims, .. } = made;
        self.status.signals.requests().fetch_add(1, Ordering::SeqCst);
        // A revoked writer waits until no request is in flight, so the role is read after the request is counted.
        if !self.is_writer() {
            self.status.signals.requests().fetch_sub(1, Ordering::SeqCst);
            let finished = documents.into_iter().map(|document| (document, false)).collect();
            return RequestOutcome { finished, ..RequestOutcome::default() };
        }
        let versions: Vec<u64> = batch.writes().iter().map(|write| write.version).collect();
        let projection = batch.projection();
        Status::add(&self.status.bytes, batch.bytes().len());
        Status::add(&self.status.requests, 1);
        let traced = spans::RequestSpan::begin(&self.queue, &documents, batch.bytes().len());
        let began = Instant::now();
        let outcomes = self.sink.write(batch).await;
        self.status.signals.requests().fetch_sub(1, Ordering::SeqCst);
        let took = began.elapsed();
        self.status.bulk_requests.note(took);
        let mut writes = SentWrite::of(documents, &versions, claims, outcomes);
        let position = position_for(&self.state, &mut writes);
        if let Some(position) = position {
            let conflicts = Conflicts::new(&*self.sink, &self.bases, projection, position);
            conflicts.find_kept(&mut writes).await;
            conflicts.find_earlier(&mut writes).await;
        }
        let outcome = self.judge(writes, position, took);
        if let Some(traced) = traced {
            let undelivered = outcome.finished.iter().filter(|(_, is_done)| !is_done).count();
            traced.end(undelivered, outcome.rejected.len());
        }
        outcome
    }

    /// Acts on the outcome of each write; `position` is that of [`position_for`].
    fn judge(&self, writes: Vec<SentWrite>, position: Option<u64>, took: Duration) -> RequestOutcome {
        let mut result = RequestOutcome::default();
        let mut retry: Option<String> = None;
        let (mut retried, mut delivered, mut preserved) = (0, 0, 0);
        let projection = writes.first().map(|write| write.document.0);
        for write in writes {
            let document = &write.document;
            let done = match &write.outcome {
                Outcome::Done => match (write.version, write.claim) {
                    // Its versions rise from the next write on, so that a late request undoes no write.
                    (SILENT, Some(turn)) => {
                        self.bases().claim(document.clone(), SILENT, 0, turn);
                        false
                    }
                    _ => true,
                },
                Outcome::Conflict { .. } if write.is_kept => {
                    let (projection, id) = (document.0.name(), &document.1);
                    tracing::debug!(projection, %id, "the log has no record of it, so the document stays");
                    preserved += 1;
                    true
                }
                Outcome::Conflict { stored } => {
                    let is_foreign = self.conflict(&write, stored.zip(position));
                    bug!(NoGateAndConflictsDone) || is_foreign && bug!(ForeignLeft)
                }
                Outcome::Retry(reason) => {
                    retried += 1;
                    retry.get_or_insert_with(|| reason.clone());
                    bug!(RetryDone)
                }
                Outcome::Gone(reason) | Outcome::Refused(reason) => {
                    result.failure.get_or_insert_with(|| reason.clone());
                    false
                }
                Outcome::Rejected(reason) => {
                    tracing::debug!(projection = document.0.name(), id = %document.1, reason, "document rejected");
                    result.rejected.push(DeadLetter::from_document(document.0.name(), &document.1, reason));
                    true
                }
            };
            delivered += usize::from(done);
            result.finished.push((write.document, done));
        }
        Status::add(&self.status.retried, retried);
        Status::add(&self.status.rejected, result.rejected.len());
        Status::add(&self.status.preserved, preserved);
        let acknowledged = delivered - result.rejected.len() - preserved;
        Status::add(&self.status.delivered, acknowledged);
        self.status.signals.note_work(acknowledged);
        if delivered > 0 {
            self.status.progressed_ms.store(Status::now_ms(), Ordering::Relaxed);
        }
        if let Some(projection) = projection {
            self.status.note_writes(projection, retry.as_deref().filter(|_| delivered == 0));
        }
        match retry {
            Some(reason) => self.pace.slow_down(&reason, retried),
            None => {
                result.took = Some(took);
                self.pace.speed_up(took);
            }
        }
        let arrived = result.finished.iter().filter(|(_, is_done)| *is_done);
        self.bases().note_arrivals(arrived.map(|(document, _)| document));
        result
    }

    /// A stored version above ours never counts as success: the document is delivered again from a fresh snapshot. A version
    /// above our position has a base of ours, or comes from an earlier log, or is foreign. True for a foreign one.
    fn conflict(&self, write: &SentWrite, stored_and_position: Option<(u64, u64)>) -> bool {
        let (document, claim) = (&write.document, write.claim);
        // While another instance writes, a version above our position is most likely its own.
        let above = stored_and_position.filter(|(stored, position)| stored > position && self.is_writer());
        let own = above.and_then(|(stored, position)| base_of(stored, position));
        if let (Some((stored, position)), None) = (above, own) {
            self.bases().rise_above(document.clone(), stored, position, claim);
            let (projection, id) = (document.0.name(), display_key(&document.1));
            if !write.is_earlier {
                Status::add(&self.status.foreign, 1);
                tracing::warn!(projection, %id, stored, position, "a foreign write is written over");
                return true;
            }
            tracing::debug!(projection, %id, stored, position, "an earlier log's document is written over");
        }
        if let Some(base) = own {
            self.bases().adopt(document.clone(), base, claim);
        }
        Status::add(&self.status.conflicts, 1);
        false
    }
}

/// The outcome of a request.
#[derive(Default)]
struct RequestOutcome {
    /// Every document, with whether it is done.
    finished: Vec<(DocumentKey, bool)>,
    /// Dead letters of rejected documents, which are done.
    rejected: Vec<DeadLetter>,
    /// Why an index cannot be written any more. Its documents still wait.
    failure: Option<String>,
    /// How long the index took, if no write is tried again.
    took: Option<Duration>,
}
