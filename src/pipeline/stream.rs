//! The fold's thread: the only writer of the state, between the reader and the delivery.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::bulk_load::BulkLoad;
use super::fold::{DecodedRecord, DocumentKey, StateWriter, Step};
use super::planted::{self, Bug};
use super::queue::{Priority, Queue};
use super::reader::ReadBatch;
use super::status::Status;
use super::work::{self, Turn, Turns};
use super::{superseded, traced};
use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::decode::{Decoder, Readiness};
use crate::error::Result;
use crate::event::{Decoded, Record};
use crate::plan::EntityType;
use crate::position::{Positions, TopicPartition};
use crate::projection::Projection;
use crate::source::leadership::Delivered;

/// How long records are gathered after a fold. Each fold is a commit, which costs more than its records. Many commits
/// make the store hold the fold until the disk has caught up.
const GATHER: Duration = Duration::from_millis(5);
/// How often the state is forced to the disk. A power loss costs no more than this much repeated work.
const SYNC_EVERY: Duration = Duration::from_secs(2);
/// Why the truncation of a table stays in the dead letters, where an earlier version put it.
const TRUNCATION: &str = "a truncation cannot be retried, because it would delete what came after it as well; delete the \
     state's folder and start again to replay";
/// How long the retry of a dead letter waits for the schema registry.
const SCHEMA_WAIT: Duration = Duration::from_secs(2);

/// A command of the delivery or of an administrative route to the fold.
pub enum Command {
    /// The index acknowledged documents, each made at a step, or rejected them.
    Delivered {
        /// The documents with the steps of their snapshots.
        acknowledged: Vec<(DocumentKey, u64)>,
        /// Letters for those rejected; written before the marks are cleared.
        rejected: Vec<DeadLetter>,
        /// Every document of the request, with whether it is through. They leave the queue only once
        /// their marks are cleared: a scan would find them again.
        finished: Vec<(DocumentKey, bool)>,
    },
    /// Write the low watermark down.
    LowWatermark(Positions, u64),
    /// Follow the low watermark of another instance.
    DeliveredElsewhere(Delivered),
    /// Mark documents that were found in an index.
    Mark(Vec<(Projection, String)>),
    /// Begin a backfill of a projection.
    BeginBackfill(Projection),
    /// Documents of a backfill that the index did not acknowledge.
    MarkUndelivered {
        /// The step that began the backfill. The low watermark stays below it until they are delivered.
        since: u64,
        /// Dead letters of rejected documents.
        rejected: Vec<DeadLetter>,
        /// The documents, to be marked.
        documents: Vec<(Projection, String)>,
    },
    /// Resume the paused backfills, because writing begins.
    ResumeBackfills,
    /// Move the backfill that a step began to an id, after so many documents. Without an id it is complete.
    AdvanceBackfill(Projection, u64, Option<String>, u64),
    /// A projection's marks are complete for this concrete index.
    BuiltFor(Projection, String),
    /// Fold dead letters again, all or those named; answers how many were folded and how many are poison still.
    Retry(Option<Vec<String>>, Sender<Result<Retried>>),
    /// Take dead letters out for good, all or those named.
    Discard(Option<Vec<String>>, Sender<Result<Discarded>>),
    /// Answer, once everything asked before is done.
    Barrier(oneshot::Sender<()>),
    /// End, once everything asked before is done.
    Stop,
}

/// The outcome of a retry of dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retried {
    /// Folded, or marked to be delivered again.
    pub done: usize,
    /// Poison still, each with its reason.
    pub failed: Vec<(String, String)>,
    /// Names that no dead letter has.
    pub unknown: Vec<String>,
}

/// The outcome of discarding dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discarded {
    /// How many were taken out.
    pub discarded: usize,
    /// Names that no dead letter has.
    pub unknown: Vec<String>,
}

/// Takes dead letters out for good, all or those named.
///
/// # Errors
/// Those of the dead letters.
pub fn discard(dead_letters: &mut dyn DeadLetters, names: Option<&[String]>) -> Result<Discarded> {
    let known: Vec<String> = dead_letters.list()?.iter().map(DeadLetter::name).collect();
    let unknown = names.unwrap_or_default().iter().filter(|name| !known.contains(name)).cloned().collect();
    let is_named = |name: &String| names.is_none_or(|names| names.contains(name));
    let chosen: Vec<String> = known.into_iter().filter(is_named).collect();
    dead_letters.resolve(&chosen)?;
    chosen.iter().for_each(|name| tracing::info!(name, "dead letter discarded"));
    Ok(Discarded { discarded: chosen.len(), unknown })
}

/// The thread's parts.
pub struct Stream {
    /// The writer of the state.
    pub state_writer: StateWriter,
    /// The documents that wait for delivery.
    pub queue: Arc<Queue>,
    /// Where it reports.
    pub status: Arc<Status>,
    /// Decodes dead letters that are tried again.
    pub decoder: Arc<Decoder>,
    /// Which kind of entity each topic carries.
    pub kinds: Vec<(String, EntityType)>,
    /// True while this instance is the writer.
    pub writer: tokio::sync::watch::Receiver<bool>,
    /// No mark was cleared of a later step than this.
    pub cleared: u64,
    /// Whether the log is folded for the first time.
    pub first: First,
    /// The batches of the reader; none once it has ended.
    pub records: Option<Receiver<ReadBatch>>,
    /// The commands to the fold.
    pub commands: Receiver<Command>,
    /// When the state was forced to the disk the last time.
    pub synced: Instant,
    /// When something was folded the last time.
    pub folded: Instant,
}

/// The first fold of a log.
pub enum First {
    /// It may be, up to this end.
    Undecided(Positions),
    /// Under way.
    Loading(Box<BulkLoad>),
    /// Done, or not called for.
    Done,
}

impl Stream {
    /// Goes on, on this thread, until it is told to stop; the state then lies on the disk.
    ///
    /// # Errors
    /// Those of the state and of the dead letters: nothing can go on without them.
    pub fn run(self) -> Result<()> {
        work::run(self)
    }

    /// Nothing more comes to be folded.
    fn end_reading(&mut self) -> Result<()> {
        self.records = None;
        self.end_load()?;
        self.queue.set_folded();
        Ok(())
    }

    /// Brings a load to its end before it is through, or gives it up when that would take long.
    fn end_load(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.first, First::Done) {
            First::Loading(load) if load.is_short() => {
                let step = self.state_writer.loaded(*load)?;
                self.publish(step, Priority::Direct)
            }
            First::Loading(_) => {
                tracing::warn!("the first fold of the log was broken off; it begins anew");
                Ok(())
            }
            First::Undecided(_) | First::Done => Ok(()),
        }
    }

    /// Takes records into a load while there is one; true when it took them.
    fn load(&mut self, records: &[DecodedRecord], skipped: &[(TopicPartition, i64)]) -> Result<bool> {
        if let First::Undecided(end) = &self.first {
            let load = self.state_writer.first_load(end)?;
            self.first = load.map_or(First::Done, |load| First::Loading(Box::new(load)));
        }
        let First::Loading(load) = &mut self.first else { return Ok(false) };
        let poisoned = self.state_writer.load(load, records, skipped)?;
        Status::add(&self.status.records, records.len());
        Status::add(&self.status.poisoned, poisoned);
        self.status.set_positions(&load.positions());
        if load.is_through()
            && let First::Loading(load) = std::mem::replace(&mut self.first, First::Done)
        {
            let step = self.state_writer.loaded(*load)?;
            self.publish(step, Priority::Direct)?;
        }
        Ok(true)
    }

    /// Folds the records that have come, as one step.
    fn step(&mut self, batches: &Receiver<ReadBatch>, gather: Duration) -> Result<Read> {
        let first = match batches.try_recv() {
            Ok(batch) => batch,
            Err(TryRecvError::Empty) => return Ok(Read::Nothing),
            Err(TryRecvError::Disconnected) => return Ok(Read::Ended),
        };
        let ReadBatch { mut records, mut skipped } = first;
        while records.len() < self.state_writer.tuning.step_records_max {
            let Ok(more) = batches.recv_timeout(gather.saturating_sub(self.folded.elapsed())) else { break };
            records.extend(more.records);
            skipped.extend(more.skipped);
        }
        self.folded = Instant::now();
        if self.load(&records, &skipped)? {
            return Ok(Read::Some);
        }
        let is_past_gate = self.status.signals.is_past_gate();
        self.state_writer.set_settled(is_past_gate && *self.writer.borrow());
        let step = traced::commit(&records, || self.state_writer.fold(&records, &skipped))?;
        Status::add(&self.status.records, records.len());
        Status::add(&self.status.poisoned, step.poisoned);
        self.publish(step, Priority::Direct)?;
        Ok(Read::Some)
    }

    /// Waits until there are records or commands, or until the state is to be forced to the disk.
    fn wait(&self) {
        let mut either = Select::new();
        either.recv(&self.commands);
        if let Some(records) = &self.records {
            either.recv(records);
        }
        // The caller looks for both next.
        let _ = either.ready_timeout(SYNC_EVERY.saturating_sub(self.synced.elapsed()));
    }

    /// Folds the reader's records, and those that come within `gather` of the last fold; true when there were any.
    fn read(&mut self, gather: Duration) -> Result<bool> {
        let Some(records) = self.records.take() else { return Ok(false) };
        let read = self.step(&records, gather)?;
        if read == Read::Ended {
            drop(records);
            self.end_reading()?;
        } else {
            self.records = Some(records);
        }
        Ok(read == Read::Some)
    }

    fn is_fanning_out(&self) -> bool {
        self.queue.oldest_task().is_some()
    }

    fn fan_out(&mut self) -> Result<()> {
        if self.is_fanning_out() {
            let step = self.state_writer.fan_out()?;
            self.publish(step, Priority::Background)?;
        }
        Ok(())
    }

    fn publish(&mut self, step: Step, priority: Priority) -> Result<()> {
        Status::add(&self.status.superseded, step.superseded);
        for at in &step.begun_anew {
            let sentence = superseded::sentence(at, self.state_writer.tuning.superseded_run);
            tracing::warn!("{sentence}");
            self.status.note(sentence);
        }
        let oldest = self.state_writer.oldest_task();
        let positions = self.state_writer.progress().positions();
        self.status.set_positions(&positions);
        self.queue.note_commit(
            self.state_writer.progress().step,
            &positions,
            step.marked,
            priority,
            oldest,
            Status::now_ms(),
        );
        self.status.set_waiting(self.queue.waiting());
        Ok(())
    }

    /// Carries out the commands; false when the last one ends the fold.
    fn commands(&mut self) -> Result<bool> {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return Ok(false),
                Err(TryRecvError::Empty) => return Ok(true),
                Ok(command) => self.handle(command)?,
            }
        }
    }

    fn handle(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Delivered { acknowledged, rejected, finished } => {
                if planted::is(Bug::RejectionToldLate) {
                    self.state_writer.acknowledge(&acknowledged)?;
                }
                self.state_writer.reject(rejected)?;
                self.state_writer.acknowledge(&acknowledged)?;
                self.cleared = self.state_writer.progress().step;
                self.queue.finish(finished);
                self.status.set_waiting(self.queue.waiting());
                Ok(())
            }
            Command::LowWatermark(positions, time_ms) => {
                self.state_writer.set_low_watermark(&positions, time_ms)
            }
            Command::DeliveredElsewhere(delivered) => self.trim(&delivered),
            Command::Mark(documents) => {
                let step = self.state_writer.mark(documents)?;
                self.publish(step, Priority::Background)
            }
            Command::BeginBackfill(projection) => {
                let step = self.state_writer.begin_backfill(projection)?;
                self.queue.set_backfills(self.state_writer.pending_backfills());
                self.publish(step, Priority::Background)
            }
            Command::MarkUndelivered { since, rejected, documents } => {
                self.state_writer.reject(rejected)?;
                if documents.is_empty() { Ok(()) } else { self.mark_undelivered(documents, since) }
            }
            Command::ResumeBackfills => {
                self.state_writer.resume_backfills()?;
                self.queue.set_backfills(self.state_writer.pending_backfills());
                Ok(())
            }
            Command::AdvanceBackfill(projection, step, place, count) => {
                self.state_writer.advance_backfill(projection, step, place, count)?;
                self.cleared = self.state_writer.progress().step;
                self.queue.set_backfills(self.state_writer.pending_backfills());
                self.status.set_waiting(self.queue.waiting());
                Ok(())
            }
            Command::BuiltFor(projection, index) => self.state_writer.set_built_for(projection, &index),
            Command::Retry(names, reply) => {
                self.end_load()?;
                let retried = self.retry(names.as_deref());
                // The caller may have gone meanwhile.
                let _ = reply.try_send(retried);
                Ok(())
            }
            Command::Discard(names, reply) => {
                let _ = reply.try_send(discard(self.state_writer.dead_letters(), names.as_deref()));
                Ok(())
            }
            Command::Barrier(reply) => {
                let _ = reply.send(());
                Ok(())
            }
            Command::Stop => Ok(()),
        }
    }

    /// Marks documents that a backfill sent and the index did not acknowledge. They wait since the backfill was called for,
    /// because no document of its index counts as delivered before that.
    fn mark_undelivered(&mut self, documents: Vec<(Projection, String)>, since: u64) -> Result<()> {
        let Step { marked, .. } = self.state_writer.mark(documents)?;
        self.publish(Step::default(), Priority::Background)?;
        self.queue.add_undelivered(marked, since);
        self.status.set_waiting(self.queue.waiting());
        Ok(())
    }

    /// Clears the marks of documents that another instance delivered. If this instance never cleared a mark itself, the
    /// marks left are exactly those that the writer's indexes lack.
    fn trim(&mut self, delivered: &Delivered) -> Result<()> {
        if self.state_writer.progress().partitions.is_empty() {
            // A first fold brings all at once, and its backfills speak of all of it.
            return Ok(());
        }
        let Some(step) = self.queue.step_covered_by(&delivered.low_watermark) else { return Ok(()) };
        self.state_writer.trim(step)?;
        self.queue.set_backfills(self.state_writer.pending_backfills());
        if step < self.cleared {
            return Ok(());
        }
        self.cleared = step;
        for (name, index) in &delivered.indexes {
            if let Some(projection) = self.state_writer.plan().projection(name) {
                self.state_writer.set_built_for(projection, index)?;
            }
        }
        Ok(())
    }

    /// Tries dead letters again: records are folded by their own versions, documents marked.
    fn retry(&mut self, names: Option<&[String]>) -> Result<Retried> {
        let mut retried = Retried::default();
        self.decoder.forget_unknown_schemas();
        let letters = self.state_writer.dead_letters().list()?;
        let is_named = |letter: &&DeadLetter| names.is_none_or(|names| names.contains(&letter.name()));
        let mut records = Vec::new();
        let mut documents = Vec::new();
        let mut resolved = Vec::new();
        for letter in letters.iter().filter(is_named) {
            match letter.document_key() {
                Some((projection, id)) => {
                    resolved.push(letter.name());
                    let projection = self.state_writer.plan().projection(projection);
                    documents.extend(projection.map(|projection| (projection, id)));
                }
                None => match letter.to_record(&self.kinds) {
                    Ok(record) => records.push(self.decoded(record)),
                    Err(error) => retried.failed.push((letter.name(), error.chain())),
                },
            }
        }
        for input in &records {
            if let Decoded::Poison(reason) = &input.decoded {
                retried.failed.push((record_name(&input.record), reason.clone()));
            }
        }
        if let Some(names) = names {
            let known: Vec<String> = letters.iter().map(DeadLetter::name).collect();
            retried.unknown = names.iter().filter(|name| !known.contains(name)).cloned().collect();
        }
        records.retain(|input| !matches!(input.decoded, Decoded::Poison(_)));
        if !records.is_empty() {
            let (step, poison) = self.state_writer.fold_retried(&records)?;
            let still =
                |input: &&DecodedRecord| !poison.iter().any(|(name, _)| *name == record_name(&input.record));
            resolved.extend(records.iter().filter(still).map(|input| record_name(&input.record)));
            retried.failed.extend(poison);
            self.publish(step, Priority::Direct)?;
        }
        if !documents.is_empty() {
            let step = self.state_writer.mark(documents)?;
            self.publish(step, Priority::Direct)?;
        }
        retried.done = resolved.len();
        self.state_writer.sync()?;
        self.state_writer.dead_letters().resolve(&resolved)?;
        Ok(retried)
    }

    fn decoded(&self, record: Record) -> DecodedRecord {
        let decoded = match self.decoder.readiness(&record, SCHEMA_WAIT) {
            Readiness::Ready => match self.decoder.decode(&record) {
                Decoded::Truncation(_) => Decoded::Poison(TRUNCATION.to_owned()),
                decoded => decoded,
            },
            Readiness::Waiting(Some(why)) => Decoded::Poison(why.to_string()),
            Readiness::Waiting(None) => {
                Decoded::Poison("the schema registry has not answered yet; retry the letter".to_owned())
            }
        };
        DecodedRecord { record, decoded }
    }
}

/// The result of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Some,
    Nothing,
    Ended,
}

/// Folds until it is told to stop; the state then lies on the disk.
impl Turns for Stream {
    fn turn(&mut self, waits: bool) -> Result<Turn> {
        // A turn that may not wait, and a turn with work left, take the records that are there.
        let waits = waits && !self.is_fanning_out();
        if waits {
            self.wait();
        }
        if !self.commands()? {
            self.end_load()?;
            self.state_writer.sync()?;
            return Ok(Turn::Ended);
        }
        let fanning_out = self.is_fanning_out();
        let has_read = self.read(if waits { GATHER } else { Duration::ZERO })?;
        self.fan_out()?;
        if self.synced.elapsed() >= SYNC_EVERY {
            self.state_writer.sync()?;
            self.synced = Instant::now();
        }
        Ok(if has_read || fanning_out { Turn::Busy } else { Turn::Idle })
    }
}

/// How a record is named among the dead letters.
pub fn record_name(record: &Record) -> String {
    format!("{}:{}", record.partition, record.offset)
}
