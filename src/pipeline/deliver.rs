//! The delivery: what is marked goes to the index, several requests at once, each write judged by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::time::Instant;

use super::fold::DocumentKey;
use super::materialise::{Materialised, materialise};
use super::pace::Pace;
use super::planted::{self, Bug};
use super::queue::{Lane, Queue, Scan};
use super::refresh::Unrefreshed;
use super::sizes::sized;
use super::status::Status;
use super::stream::Command;
use super::sweep::{self, Courses, Making, Next};
use super::under_way::{Places, UnderWay};
use super::versions::{Bases, SILENT, base_of, is_of_record, is_of_silent};
use super::work::blocking;
use crate::config::Refresh;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, Result};
use crate::projection::{Limits, Projection};
use crate::sink::documents::Documents;
use crate::sink::{Buffers, Outcome};
use crate::state::State;
use crate::state::keys::{Space, dirty_parts};

/// How many documents one request holds at most.
const DOCUMENTS_MAX: usize = sized(2_000, 5);
/// How many marks one part of a scan reads.
const SCAN_MAX: usize = sized(5_000, 7);

/// The parts of the delivery.
pub struct Delivery<S> {
    /// Where documents are made from.
    pub state: Arc<State>,
    /// Where they go.
    pub sink: Arc<S>,
    /// What waits.
    pub queue: Arc<Queue>,
    /// The projections, in the sink's order.
    pub projections: Vec<Projection>,
    /// What shapes documents.
    pub limits: Limits,
    /// To the fold's thread.
    pub commands: Sender<Command>,
    /// Where it reports.
    pub status: Arc<Status>,
    /// How changes become searchable.
    pub refresh: Refresh,
    /// The versions of documents that somebody else wrote.
    pub bases: Mutex<Bases>,
    /// How fast the index takes documents.
    pub pace: Pace,
    /// True while nothing is under way and nothing may begin.
    pub resting: Arc<AtomicBool>,
    /// True while this instance is the writer: asked for before each request, since the looks that allow the delivery may
    /// themselves wait for a server.
    pub writer: tokio::sync::watch::Receiver<bool>,
    /// The sweeps on their way.
    pub(super) courses: Mutex<Courses>,
    /// True while a part of a sweep is being made: where it ends is where the next one begins.
    pub(super) is_sweeping: AtomicBool,
    /// The memory of the sweeps' requests.
    pub(super) buffers: Arc<Buffers>,
}

impl<S: Documents> Delivery<S> {
    /// Delivers for as long as `allowed` is true; with false it ends what is under way and waits.
    /// Ends when the sender of `allowed` is gone.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn run(self: Arc<Self>, mut allowed: tokio::sync::watch::Receiver<bool>) -> Result<()> {
        let mut requests = UnderWay::default();
        let mut unrefreshed = Unrefreshed::default();
        loop {
            let changed = self.queue.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            // In this order: whoever forbids it and then finds it resting must be seen here.
            self.resting.store(false, Ordering::SeqCst);
            let may = *allowed.borrow_and_update() && self.is_writer();
            self.resting.store(!may && requests.is_empty(), Ordering::SeqCst);
            if may {
                if let Some(part) = self.queue.wants_scan() {
                    Arc::clone(&self).scan(part).await?;
                }
                if !unrefreshed.holds() {
                    self.start_requests(&mut requests);
                }
                if self.refresh == Refresh::Adaptive && requests.is_empty() {
                    let this = Arc::clone(&self);
                    let delivered = || self.queue.frontier();
                    let refresh = || async move { this.sink.refresh().await };
                    unrefreshed.refresh_if_due(&self.status, delivered, refresh);
                }
            }
            let wait = unrefreshed.wait().min(self.pace.wait());
            tokio::select! {
                biased;
                gone = allowed.changed() => if gone.is_err() { break },
                Some(ended) = requests.ended() => {
                    ended?;
                    unrefreshed.note(&self.status);
                }
                () = unrefreshed.refreshed() => {}
                () = &mut changed => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        while let Some(ended) = requests.ended().await {
            ended?;
        }
        Ok(())
    }

    fn start_requests(self: &Arc<Self>, requests: &mut UnderWay) {
        for lane in [Lane::Direct, Lane::Background] {
            while self.pace.is_open() {
                let places = Places {
                    count: self.pace.requests(),
                    has_background: self.queue.has_background(),
                    has_others: self.projections.len() > 1,
                };
                let may = |projection| requests.has_place(lane, projection, places);
                let documents = self.queue.take(lane, DOCUMENTS_MAX, &may);
                let Some((projection, _)) = documents.first() else { break };
                requests.spawn(Some((lane, *projection)), Arc::clone(self).deliver(documents));
            }
        }
        // What is marked goes first.
        if requests.has_place_for_sweep(self.pace.requests())
            && self.pace.is_open()
            && !self.is_sweeping.load(Ordering::SeqCst)
            && let Some(part) = self.courses().next(&self.queue.sweeps())
        {
            self.is_sweeping.store(true, Ordering::SeqCst);
            requests.spawn(None, Arc::clone(self).sweep(part));
        }
    }

    fn courses(&self) -> MutexGuard<'_, Courses> {
        self.courses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bases(&self) -> MutexGuard<'_, Bases> {
        self.bases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers the next part of a sweep. What did not arrive is marked.
    async fn sweep(self: Arc<Self>, part: Next) -> Result<()> {
        let swept = self.queue.begin_swept(part.projection, part.step);
        let (made, number) = {
            let (this, part) = (Arc::clone(&self), part.clone());
            let making = blocking(move || {
                let bases = this.bases().clone();
                let takes = |document: &DocumentKey| this.queue.take_swept(swept, document);
                let making = Making {
                    state: &this.state,
                    projections: &this.projections,
                    limits: this.limits,
                    bases: &bases,
                    takes: &takes,
                    is_untouched: this.sink.is_untouched(),
                    buffers: &this.buffers,
                };
                let most = (DOCUMENTS_MAX, this.pace.bytes());
                let made = sweep::make(&making, part.projection, &part.place, most)?;
                let number = this.courses().made(&part, made.next, made.passed);
                Ok((made.made, number))
            });
            let made = making.await;
            self.is_sweeping.store(false, Ordering::SeqCst);
            self.queue.wake();
            made?
        };
        if planted::is(Bug::SweepPlaceEarly)
            && let Some(arrived) = self.courses().arrived(&part, number)
        {
            let told = Command::Swept(part.projection, part.step, arrived.place, arrived.documents);
            let _ = self.commands.send(told);
        }
        let judged = if made.documents.is_empty() { Judged::default() } else { self.send(made).await };
        self.queue.finish_swept(swept);
        let is_left = |is_done: bool| !is_done && !planted::is(Bug::SweepPlaceEarly);
        let left: Vec<_> = judged.finished.into_iter().filter(|(_, is_done)| is_left(*is_done)).collect();
        let left = left.into_iter().map(|((projection, id), _)| (projection, id.to_string())).collect();
        // Were the fold's thread gone, its own error is what counts.
        let (since, rejected) = (part.step, judged.rejected);
        let _ = self.commands.send(Command::Left { since, rejected, documents: left });
        let arrived = {
            let mut courses = self.courses();
            let arrived = courses.arrived(&part, number);
            if courses.are_through() {
                self.buffers.close();
            }
            arrived
        };
        if let Some(arrived) = arrived {
            let told = Command::Swept(part.projection, part.step, arrived.place, arrived.documents);
            let _ = self.commands.send(told);
        }
        judged.gone.map_or(Ok(()), |reason| Err(Error::failed(reason)))
    }

    /// Reads a part of the marks into the queue.
    async fn scan(self: Arc<Self>, part: Scan) -> Result<()> {
        let work = move || {
            let (snapshot, plan) = (self.state.snapshot()?, self.state.plan());
            let mut found: Vec<DocumentKey> = Vec::new();
            let mut last = Vec::new();
            snapshot.view().scan(Space::DIRTY, &[], &part.cursor, &mut |key, _| {
                if let Some((number, id)) = dirty_parts(key) {
                    found.extend(plan.projection_of_number(number).map(|projection| (projection, id.into())));
                }
                last = key.to_vec();
                let full = found.len() >= SCAN_MAX;
                Ok(if full { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) })
            })?;
            let next = (found.len() >= SCAN_MAX).then_some(last);
            found.retain(|(projection, _)| self.projections.contains(projection));
            self.queue.scanned(&part, found, snapshot.progress().step, next);
            Ok(())
        };
        blocking(work).await
    }

    async fn deliver(self: Arc<Self>, documents: Vec<DocumentKey>) -> Result<()> {
        let mut made = {
            let this = Arc::clone(&self);
            blocking(move || {
                let bases = this.bases().clone();
                let bytes_max = this.pace.marked_bytes();
                materialise(&this.state, &this.projections, documents, this.limits, bytes_max, &bases)
            })
            .await?
        };
        let left = std::mem::take(&mut made.left);
        self.queue.put_back(left);
        if made.documents.is_empty() {
            return Ok(());
        }
        let step = made.step;
        if planted::is(Bug::MarkClearedEarly) {
            let acknowledged = made.documents.iter().map(|document| (document.clone(), step)).collect();
            let (rejected, finished) = (Vec::new(), Vec::new());
            let _ = self.commands.send(Command::Delivered { acknowledged, rejected, finished });
        }
        let sizes =
            made.batch.writes().iter().map(|write| write.body.as_ref().map_or(0, ExactSizeIterator::len));
        self.queue.sent(made.documents.iter().zip(sizes));
        let bytes = made.batch.bytes().len();
        let judged = self.send(made).await;
        if let Some(took) = judged.took {
            self.pace.note_marked(bytes, took);
        }
        let acknowledged = judged.finished.iter().filter(|(_, is_done)| *is_done);
        let acknowledged = acknowledged.map(|(document, _)| (document.clone(), step)).collect();
        let Judged { rejected, finished, gone, .. } = judged;
        // The fold's thread ends after this one; were it gone, its own error is what counts.
        let _ = self.commands.send(Command::Delivered { acknowledged, rejected, finished });
        gone.map_or(Ok(()), |reason| Err(Error::failed(reason)))
    }

    fn is_writer(&self) -> bool {
        *self.writer.borrow() || planted::is(Bug::NoStandBy)
    }

    async fn send(&self, made: Materialised) -> Judged {
        let Materialised { batch, documents, .. } = made;
        self.status.in_flight.fetch_add(1, Ordering::SeqCst);
        // Whoever is called off is waited for until nothing is in flight: so this is asked once that is said.
        if !self.is_writer() {
            self.status.in_flight.fetch_sub(1, Ordering::SeqCst);
            let finished = documents.into_iter().map(|document| (document, false)).collect();
            return Judged { finished, ..Judged::default() };
        }
        let versions: Vec<u64> = batch.writes().iter().map(|write| write.version).collect();
        let number = batch.projection();
        Status::add(&self.status.bytes, batch.bytes().len());
        Status::add(&self.status.requests, 1);
        let began = Instant::now();
        let outcomes = self.sink.write(batch).await;
        self.status.in_flight.fetch_sub(1, Ordering::SeqCst);
        let took = began.elapsed();
        self.status.bulk_requests.note(took);
        let mut outcomes = self.look_behind(number, &documents, &versions, outcomes).await;
        let are_earlier = self.find_earlier(number, &documents, &mut outcomes).await;
        self.judge(documents, &versions, (outcomes, are_earlier), took)
    }

    /// A document of which a partial log holds no record gives way to a document, and not to the version that a deleted
    /// one left behind: such a write goes above that, and is sent again.
    async fn look_behind(
        &self,
        number: usize,
        documents: &[DocumentKey],
        versions: &[u64],
        mut outcomes: Vec<Outcome>,
    ) -> Vec<Outcome> {
        let mut behind = Vec::new();
        for ((document, version), outcome) in documents.iter().zip(versions).zip(&mut outcomes) {
            if let Outcome::Conflict { stored: Some(stored) } = *outcome
                && self.gives_way(*version, stored)
            {
                behind.push((document, stored, outcome));
            }
        }
        if behind.is_empty() {
            return outcomes;
        }
        let ids: Vec<String> = behind.iter().map(|(document, ..)| document.1.to_string()).collect();
        let are_there = self.sink.are_there(number, &ids).await.map_err(|error| error.chain());
        for (at, (document, stored, outcome)) in behind.into_iter().enumerate() {
            match &are_there {
                Ok(are_there) if are_there.get(at) == Some(&true) => {}
                Ok(_) => {
                    let position = self.state.progress().map_or(stored, |progress| progress.version());
                    self.bases().rise_above(document.clone(), stored, position, true);
                    *outcome = Outcome::Conflict { stored: None };
                }
                Err(reason) => *outcome = Outcome::Retry(reason.clone()),
            }
        }
        outcomes
    }

    /// Decides for each write by itself; beside each outcome stands whether it comes of an earlier log.
    fn judge(
        &self,
        documents: Vec<DocumentKey>,
        versions: &[u64],
        (outcomes, are_earlier): (Vec<Outcome>, Vec<bool>),
        took: Duration,
    ) -> Judged {
        let mut judged = Judged::default();
        let mut retry: Option<String> = None;
        let (mut retried, mut delivered, mut kept) = (0, 0, 0);
        let projection = documents.first().map(|document| document.0);
        let outcomes = outcomes.into_iter().zip(are_earlier);
        let outcomes =
            outcomes.chain(std::iter::repeat_with(|| (Outcome::Retry("no answer".to_owned()), false)));
        for ((document, version), (outcome, is_earlier)) in documents.into_iter().zip(versions).zip(outcomes)
        {
            let done = match outcome {
                // Only from the next write on its versions rise, so that a late request undoes none.
                Outcome::Done if *version == SILENT && self.state.is_partial() => {
                    self.bases().claim_silent(document.clone());
                    false
                }
                Outcome::Done => true,
                Outcome::Conflict { stored: Some(stored) } if self.gives_way(*version, stored) => {
                    let (projection, id) = (document.0.name(), &document.1);
                    tracing::debug!(projection, %id, "the log is silent on it: the index keeps its document");
                    kept += 1;
                    true
                }
                Outcome::Conflict { stored } => {
                    let is_foreign = self.conflict(&document, *version, stored, is_earlier);
                    planted::is(Bug::NoGateAndConflictsDone) || is_foreign && planted::is(Bug::ForeignLeft)
                }
                Outcome::Retry(reason) => {
                    retried += 1;
                    retry.get_or_insert(reason);
                    planted::is(Bug::RetryDone)
                }
                Outcome::Gone(reason) | Outcome::Refused(reason) => {
                    judged.gone.get_or_insert(reason);
                    false
                }
                Outcome::Rejected(reason) => {
                    tracing::debug!(projection = document.0.name(), id = %document.1, reason, "document rejected");
                    judged.rejected.push(DeadLetter::from_document(document.0.name(), &document.1, &reason));
                    true
                }
            };
            delivered += usize::from(done);
            judged.finished.push((document, done));
        }
        Status::add(&self.status.retried, retried);
        Status::add(&self.status.rejected, judged.rejected.len());
        Status::add(&self.status.kept, kept);
        Status::add(&self.status.delivered, delivered - judged.rejected.len() - kept);
        if delivered > 0 {
            self.status.progressed_ms.store(Status::now_ms(), Ordering::Relaxed);
        }
        if let Some(projection) = projection {
            self.status.note_writes(projection, retry.as_deref().filter(|_| delivered == 0));
        }
        match retry {
            Some(reason) => self.pace.slow_down(&reason, retried),
            None => {
                judged.took = Some(took);
                self.pace.speed_up(took);
            }
        }
        let arrived = judged.finished.iter().filter(|(_, is_done)| *is_done);
        self.bases().arrived(arrived.map(|(document, _)| document));
        judged
    }

    /// True when a document of which a partial log holds no record gives way to what the index holds: a record made that.
    fn gives_way(&self, version: u64, stored: u64) -> bool {
        let position = self.state.progress().map_or(0, |progress| progress.version());
        self.state.is_partial() && is_of_silent(version) && is_of_record(stored, position)
    }

    /// A stored version above ours is never taken for done: the document is delivered again from a fresh snapshot. One
    /// above our present position is either ours, from above a foreign write of earlier or from an earlier log, or is
    /// foreign: true then.
    fn conflict(&self, document: &DocumentKey, version: u64, stored: Option<u64>, is_earlier: bool) -> bool {
        let position = self.state.progress().map(|progress| progress.version()).unwrap_or(version);
        // Once another instance writes, a version above our position is most likely that one's.
        let stored = stored.filter(|stored| *stored > position && self.is_writer());
        let own = stored.and_then(|stored| base_of(stored, position));
        if let (Some(stored), None) = (stored, own) {
            let is_silent = self.state.is_partial() && is_of_silent(version);
            self.bases().rise_above(document.clone(), stored, position, is_silent);
            let (projection, id) = (document.0.name(), &document.1);
            if !is_earlier {
                Status::add(&self.status.foreign, 1);
                tracing::warn!(projection, %id, stored, position, "foreign write, writing over it");
                return true;
            }
            tracing::debug!(projection, %id, stored, position, "left by an earlier log, writing over it");
        }
        if let Some(base) = own {
            self.bases().adopt(document.clone(), base);
        }
        Status::add(&self.status.conflicts, 1);
        false
    }
}

/// What became of the documents of a request.
#[derive(Default)]
struct Judged {
    /// Every document, with whether it is through.
    finished: Vec<(DocumentKey, bool)>,
    /// Letters for those that were rejected; they are through.
    rejected: Vec<DeadLetter>,
    /// Why an index cannot be written any more: its documents wait still.
    gone: Option<String>,
    /// How long the index took, when its answer was final for all.
    took: Option<Duration>,
}
