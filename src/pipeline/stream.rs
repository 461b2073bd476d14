//! The fold's thread: the only writer of the state, between the reader and the delivery.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Select, TryRecvError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::bulk_load::BulkLoad;
use super::command::FoldCommand;
use super::dead_letter_outcomes::discard;
use super::fold::{StateWriter, Step};
use super::queue::{Priority, Queue};
use super::reader::ReadBatch;
use super::status::Status;
use super::work::{self, Turn, Turns};
use super::{spans, superseded_records};
use crate::decoder::Decoder;
use crate::error::Result;
use crate::event::Record;
use crate::plan::EntityType;
use crate::position::Positions;
use crate::projection::Projection;
use crate::source::leadership::DeliveredPosition;

/// How long records are gathered after a fold. Each fold is a commit, which costs more than its records. Many commits
/// make the store hold the fold until the disk has caught up.
const GATHER: Duration = Duration::from_millis(5);
/// How often the state is forced to the disk. A power loss costs no more than this much repeated work.
const SYNC_EVERY: Duration = Duration::from_secs(2);

/// The fold's thread.
pub struct Stream {
    state_writer: StateWriter,
    /// The documents that wait for delivery.
    queue: Arc<Queue>,
    status: Arc<Status>,
    /// Decodes dead letters that are tried again.
    decoder: Arc<Decoder>,
    /// Which kind of entity each topic carries.
    kinds: Vec<(String, EntityType)>,
    /// True while this instance is the writer.
    writer: watch::Receiver<bool>,
    /// No mark was cleared of a later step than this.
    cleared: u64,
    /// Whether the log is folded for the first time.
    first: First,
    /// The batches of the reader; none once it has ended.
    records: Option<Receiver<ReadBatch>>,
    commands: Receiver<FoldCommand>,
    /// When the state was forced to the disk the last time.
    synced: Instant,
    /// When something was folded the last time.
    folded: Instant,
}

/// The first fold of a log.
enum First {
    /// It may be, up to this end.
    Undecided(Positions),
    /// Under way.
    Loading(Box<BulkLoad>),
    /// Done, or not called for.
    Done,
}

impl Stream {
    /// A fold of commands alone, which reads no log. `kinds` are the entity types of the topics.
    pub fn new(
        state_writer: StateWriter,
        queue: Arc<Queue>,
        status: Arc<Status>,
        decoder: Arc<Decoder>,
        kinds: Vec<(String, EntityType)>,
        commands: Receiver<FoldCommand>,
    ) -> Self {
        Self {
            state_writer,
            queue,
            status,
            decoder,
            kinds,
            writer: watch::channel(false).1,
            cleared: u64::MAX,
            first: First::Done,
            records: None,
            commands,
            synced: Instant::now(),
            folded: Instant::now(),
        }
    }

    /// The same with the records of a log, which ended at `end` when this instance started. `writer` says whether this
    /// instance is the writer. No mark was cleared of a later step than `cleared`.
    #[must_use]
    pub fn with_log(
        self,
        records: Receiver<ReadBatch>,
        end: Positions,
        writer: watch::Receiver<bool>,
        cleared: u64,
    ) -> Self {
        Self { records: Some(records), first: First::Undecided(end), writer, cleared, ..self }
    }

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

    /// Folds the records that have come, as one step.
    fn step(&mut self, batches: &Receiver<ReadBatch>, gather: Duration) -> Result<ReadOutcome> {
        let first = match batches.try_recv() {
            Ok(batch) => batch,
            Err(TryRecvError::Empty) => return Ok(ReadOutcome::Nothing),
            Err(TryRecvError::Disconnected) => return Ok(ReadOutcome::Ended),
        };
        let ReadBatch { mut records, mut skipped } = first;
        while records.len() < self.state_writer.tuning.step_records_max {
            let Ok(more) = batches.recv_timeout(gather.saturating_sub(self.folded.elapsed())) else { break };
            records.extend(more.records);
            skipped.extend(more.skipped);
        }
        self.folded = Instant::now();
        if self.load(&records, &skipped)? {
            return Ok(ReadOutcome::Some);
        }
        let is_past_gate = self.status.signals.is_past_gate();
        self.state_writer.set_settled(is_past_gate && *self.writer.borrow());
        let step = spans::commit(&records, || self.state_writer.fold(&records, &skipped))?;
        Status::add(&self.status.records, records.len());
        self.status.signals.note_work(records.len());
        Status::add(&self.status.poisoned, step.poisoned);
        self.publish(step, Priority::Direct)?;
        Ok(ReadOutcome::Some)
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
        if read == ReadOutcome::Ended {
            drop(records);
            self.end_reading()?;
        } else {
            self.records = Some(records);
        }
        Ok(read == ReadOutcome::Some)
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
            let sentence = superseded_records::sentence(at, self.state_writer.tuning.superseded_run);
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
                Ok(FoldCommand::Stop) | Err(TryRecvError::Disconnected) => return Ok(false),
                Err(TryRecvError::Empty) => return Ok(true),
                Ok(command) => self.handle(command)?,
            }
        }
    }

    fn handle(&mut self, command: FoldCommand) -> Result<()> {
        match command {
            FoldCommand::Delivered { acknowledged, rejected, finished } => {
                if bug!(RejectionToldLate) {
                    self.state_writer.acknowledge(&acknowledged)?;
                }
                self.state_writer.reject(rejected)?;
                self.state_writer.acknowledge(&acknowledged)?;
                self.cleared = self.state_writer.progress().step;
                self.queue.finish(finished);
                self.status.set_waiting(self.queue.waiting());
                Ok(())
            }
            FoldCommand::LowWatermark(positions, time_ms) => {
                self.state_writer.set_low_watermark(&positions, time_ms)
            }
            FoldCommand::DeliveredElsewhere(delivered) => self.trim(&delivered),
            FoldCommand::Mark(documents) => {
                let step = self.state_writer.mark(documents)?;
                self.publish(step, Priority::Background)
            }
            FoldCommand::BeginBackfill(projection) => {
                let step = self.state_writer.begin_backfill(projection)?;
                self.queue.set_backfills(self.state_writer.pending_backfills());
                self.publish(step, Priority::Background)
            }
            FoldCommand::MarkUndelivered { since, rejected, documents } => {
                self.state_writer.reject(rejected)?;
                if documents.is_empty() { Ok(()) } else { self.mark_undelivered(documents, since) }
            }
            FoldCommand::ResumeBackfills => {
                self.state_writer.resume_backfills()?;
                self.queue.set_backfills(self.state_writer.pending_backfills());
                Ok(())
            }
            FoldCommand::AdvanceBackfill(projection, step, place, count) => {
                self.state_writer.advance_backfill(projection, step, place, count)?;
                self.cleared = self.state_writer.progress().step;
                self.queue.set_backfills(self.state_writer.pending_backfills());
                self.status.set_waiting(self.queue.waiting());
                Ok(())
            }
            FoldCommand::BuiltFor(projection, index) => self.state_writer.set_built_for(projection, &index),
            FoldCommand::Retry(names, reply) => {
                self.end_load()?;
                let retried = self.retry(names.as_deref());
                // The caller may have gone meanwhile.
                let _ = reply.try_send(retried);
                Ok(())
            }
            FoldCommand::Discard(names, reply) => {
                let _ = reply.try_send(discard(self.state_writer.dead_letters(), names.as_deref()));
                Ok(())
            }
            FoldCommand::Barrier(reply) => {
                let _ = reply.send(());
                Ok(())
            }
            FoldCommand::Stop => Ok(()),
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
    fn trim(&mut self, delivered: &DeliveredPosition) -> Result<()> {
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
}

/// The result of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadOutcome {
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

mod dead_letters;
mod load;
