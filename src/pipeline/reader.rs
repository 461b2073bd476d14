//! The reader's thread: records from the source, decoded, handed to the fold.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};

use super::fold::DecodedRecord;
use super::readiness::Cause;
use super::status::Status;
use super::work::{self, Turn, Turns};
use crate::decoder::{Decoder, RecordReadiness};
use crate::error::{Error, Result};
use crate::event::{DecodeOutcome, Record, Truncation};
use crate::position::{Positions, TopicPartition};
use crate::shutdown::Shutdown;
use crate::source::{EventSource, LogOutage, partial_log};

const POLL_BYTES_MAX: usize = 1 << 20;
/// How long it waits for records, and for room, before it looks at its other requests.
const POLL_WAIT: Duration = Duration::from_millis(50);
const BATCHES_MAX: usize = 4;

/// Records that were read together.
#[derive(Debug, Default)]
pub struct ReadBatch {
    /// The records, decoded.
    pub records: Vec<DecodedRecord>,
    /// Positions that moved without a record.
    pub skipped: Vec<(TopicPartition, i64)>,
}

/// A request to the reader for the log's end, answered over its channel.
pub type EndRequest = Sender<Result<Positions>>;

/// Reads until `stop`, decoding on the way. At most four batches of about 1 MiB wait for the fold.
pub struct LogReader {
    /// The first part that is dropped at its end. Its receivers need not wait until the source is closed.
    out: Sender<ReadBatch>,
    source: Box<dyn EventSource>,
    decoder: Arc<Decoder>,
    status: Arc<Status>,
    stop: Shutdown,
    end_requests: Receiver<EndRequest>,
    /// Read, while there is no room for it.
    backlog: Option<ReadBatch>,
    /// Read, and not decoded while the schema registry does not say how.
    waiting: VecDeque<Record>,
    /// The positions that moved behind those.
    skipped: Vec<(TopicPartition, i64)>,
    /// The error after which no record can be read, reported once the earlier records are handed over.
    refused: Option<Error>,
    /// True while the status holds that the registry does not answer.
    is_registry_away: bool,
    /// True while the status holds a trouble of the log.
    is_troubled: bool,
    /// The log's generation, once it is known.
    generation: Arc<OnceLock<String>>,
    /// True when the state knows that the log does not begin at its beginning.
    is_partial: bool,
}

impl LogReader {
    /// A reader of a source that was started.
    pub fn new(
        source: Box<dyn EventSource>,
        decoder: Arc<Decoder>,
        status: Arc<Status>,
        stop: Shutdown,
        end_requests: Receiver<EndRequest>,
        out: Sender<ReadBatch>,
    ) -> Self {
        status.set_decoder(Arc::clone(&decoder));
        Self {
            out,
            source,
            decoder,
            status,
            stop,
            end_requests,
            backlog: None,
            waiting: VecDeque::new(),
            skipped: Vec::new(),
            refused: None,
            is_registry_away: false,
            is_troubled: false,
            generation: Arc::default(),
            is_partial: false,
        }
    }

    /// The same; `is_partial` says that the log is known not to begin at its beginning.
    #[must_use]
    pub fn with_partial(self, is_partial: bool) -> Self {
        Self { is_partial, ..self }
    }

    /// The same, which sets the log's generation here.
    #[must_use]
    pub fn with_generation(self, generation: Arc<OnceLock<String>>) -> Self {
        Self { generation, ..self }
    }

    /// The channel between reader and fold.
    pub fn channel() -> (Sender<ReadBatch>, Receiver<ReadBatch>) {
        bounded(BATCHES_MAX)
    }

    /// Reads on this thread until it is told to stop or its receiver is gone.
    ///
    /// # Errors
    /// Those of the source.
    pub fn run(self) -> Result<()> {
        work::run(self)
    }

    /// Answers those who ask for the log's end.
    fn answer(&mut self) {
        while let Ok(reply) = self.end_requests.try_recv() {
            let end = self.source.end();
            if let Ok(end) = &end {
                self.status.set_end(end);
            }
            self.note_trouble();
            // The receiver may have gone meanwhile.
            let _ = reply.try_send(end);
        }
    }

    /// The next records, decoded; `None` when none came in time.
    fn read(&mut self, wait: Duration) -> Result<Option<ReadBatch>> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        if !self.waiting.is_empty() {
            let batch = self.decode_waiting(wait);
            return self.check_batch(batch);
        }
        let polled = self.source.poll(wait, POLL_BYTES_MAX)?;
        self.note_trouble();
        if self.generation.get().is_none()
            && let Some(generation) = self.source.generation()
        {
            self.generation.get_or_init(|| generation);
        }
        for partition in &polled.added {
            tracing::info!(%partition, "partition found");
        }
        if !polled.added.is_empty()
            && !self.is_partial
            && let Some((at, first)) = self.source.find_cut_partitions()?.first()
        {
            return Err(partial_log(at, *first, "Restore the topic. "));
        }
        if polled.records.is_empty() && polled.passed.is_empty() {
            return Ok(None);
        }
        if self.decoder.is_always_ready() {
            let records = polled.records.into_iter().map(|record| take(&self.decoder, record));
            let batch = ReadBatch { records: records.collect(), skipped: polled.passed };
            return self.check_batch(Some(batch));
        }
        self.waiting = polled.records.into();
        self.skipped = polled.passed;
        let batch = self.decode_waiting(wait);
        self.check_batch(batch)
    }

    /// The batch up to a truncation that cannot be folded. Earlier records are folded before the reader stops.
    fn check_batch(&mut self, batch: Option<ReadBatch>) -> Result<Option<ReadBatch>> {
        let Some(mut batch) = batch else { return Ok(None) };
        for (at, input) in batch.records.iter().enumerate() {
            let DecodeOutcome::Truncation(truncation) = &input.decoded else { continue };
            if let Some(refusal) = self.refusal(&input.record, truncation)? {
                if at == 0 {
                    return Err(refusal);
                }
                self.refused = Some(refusal);
                batch.records.truncate(at);
                batch.skipped.clear();
                break;
            }
        }
        Ok(Some(batch))
    }

    /// Why a truncation cannot be folded, if so.
    fn refusal(&mut self, record: &Record, truncation: &Truncation) -> Result<Option<Error>> {
        let topic = &record.partition.topic;
        let why = if truncation.stops {
            "truncate is \"stop\"".to_owned()
        } else {
            let partitions = self.source.end()?.iter().filter(|(at, _)| at.topic == *topic).count();
            if partitions <= 1 {
                return Ok(None);
            }
            format!(
                "its topic has {partitions} partitions, so that the changes in the others have no order with it"
            )
        };
        Ok(Some(Error::failure(format!(
            "{}: a table was truncated at offset {}, and {why}. Set truncate = \"ignore\" for the topic {topic} to \
             keep the rows of the table. Or delete the state's folder and start again once the topic begins behind \
             this record",
            record.partition, record.offset
        ))))
    }

    /// Decodes the records that were read, up to a record whose schema the registry has not answered yet.
    fn decode_waiting(&mut self, wait: Duration) -> Option<ReadBatch> {
        let mut batch = ReadBatch::default();
        while let Some(record) = self.waiting.front() {
            // Decoded records must not wait for the others.
            let wait = if batch.records.is_empty() { wait } else { Duration::ZERO };
            match self.decoder.readiness(record, wait) {
                RecordReadiness::Ready => self.note_registry(None),
                RecordReadiness::Waiting(why) => {
                    self.note_registry(why.as_deref());
                    break;
                }
            }
            batch.records.extend(self.waiting.pop_front().map(|record| take(&self.decoder, record)));
        }
        if self.waiting.is_empty() {
            batch.skipped = std::mem::take(&mut self.skipped);
        }
        (!batch.records.is_empty() || !batch.skipped.is_empty()).then_some(batch)
    }

    /// Has the status tell whether the schema registry answers.
    fn note_registry(&mut self, away: Option<&str>) {
        match away {
            Some(why) => self.status.raise(Cause::RegistryAway, why),
            None if self.is_registry_away => self.status.clear(Cause::RegistryAway),
            None => {}
        }
        self.is_registry_away = away.is_some();
    }

    /// Has the status tell whether the log answers.
    fn note_trouble(&mut self) {
        let away = self.source.trouble();
        if away.is_none() && !self.is_troubled {
            return;
        }
        self.is_troubled = away.is_some();
        let (log, topic) = match away {
            Some(LogOutage::Log(why)) => (Some(why), None),
            Some(LogOutage::Topic(why)) => (None, Some(why)),
            None => (None, None),
        };
        for (cause, why) in [(Cause::LogAway, log), (Cause::TopicAway, topic)] {
            match why {
                Some(why) => self.status.raise(cause, why),
                None => self.status.clear(cause),
            }
        }
    }

    /// Hands the batch over that waits for room. Records that are not handed over are read again later.
    fn hand_over(&mut self, batch: ReadBatch, waits: bool) -> Turn {
        match self.out.send_timeout(batch, if waits { POLL_WAIT } else { Duration::ZERO }) {
            Ok(()) => Turn::Busy,
            Err(SendTimeoutError::Disconnected(_)) => Turn::Ended,
            Err(SendTimeoutError::Timeout(back)) => {
                self.backlog = Some(back);
                Turn::Idle
            }
        }
    }
}

fn take(decoder: &Decoder, record: Record) -> DecodedRecord {
    let decoded = decoder.decode(&record);
    DecodedRecord { record, decoded }
}

/// Reads until told to stop or the receiver is gone.
impl Turns for LogReader {
    fn turn(&mut self, waits: bool) -> Result<Turn> {
        if self.stop.is_requested() {
            return Ok(Turn::Ended);
        }
        if let Some(batch) = self.backlog.take() {
            return Ok(self.hand_over(batch, waits));
        }
        self.answer();
        match self.read(if waits { POLL_WAIT } else { Duration::ZERO })? {
            Some(batch) => Ok(self.hand_over(batch, waits)),
            None => Ok(Turn::Idle),
        }
    }
}
