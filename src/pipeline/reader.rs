//! The reader's thread: records from the source, decoded, handed to the fold.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::fold::Taken;
use super::status::Status;
use crate::decode::Decoder;
use crate::error::Result;
use crate::event::Decoded;
use crate::position::{Positions, TopicPartition};
use crate::shutdown::Shutdown;
use crate::source::EventSource;

const POLL_BYTES_MAX: usize = 1 << 20;
const POLL_WAIT: Duration = Duration::from_millis(50);
const BATCHES_MAX: usize = 4;

/// Records that were read together.
#[derive(Debug, Default)]
pub struct ReadBatch {
    /// The records, decoded.
    pub taken: Vec<Taken>,
    /// Positions that moved without a record.
    pub passed: Vec<(TopicPartition, i64)>,
}

/// A request to the reader for the log's end, answered over its channel.
pub type EndRequest = SyncSender<Result<Positions>>;

/// Reads until `stop`, decoding on the way. At most four batches of about 1 MiB wait for the fold.
pub struct Reader {
    source: Box<dyn EventSource>,
    decoder: Arc<Decoder>,
    status: Arc<Status>,
    stop: Shutdown,
    end_requests: Receiver<EndRequest>,
}

impl Reader {
    /// A reader of a source that was started.
    pub fn new(
        source: Box<dyn EventSource>,
        decoder: Arc<Decoder>,
        status: Arc<Status>,
        stop: Shutdown,
        end_requests: Receiver<EndRequest>,
    ) -> Self {
        Self { source, decoder, status, stop, end_requests }
    }

    /// The channel between reader and fold.
    pub fn channel() -> (SyncSender<ReadBatch>, Receiver<ReadBatch>) {
        sync_channel(BATCHES_MAX)
    }

    /// Reads until told to stop or nobody listens any more.
    ///
    /// # Errors
    /// Those of the source.
    pub fn run(mut self, out: &SyncSender<ReadBatch>) -> Result<()> {
        while !self.stop.is_requested() {
            while let Ok(reply) = self.end_requests.try_recv() {
                let end = self.source.end();
                if let Ok(end) = &end {
                    self.status.set_end(end);
                }
                // Whoever asked may have gone meanwhile.
                let _ = reply.try_send(end);
            }
            let polled = self.source.poll(POLL_WAIT, POLL_BYTES_MAX)?;
            if polled.records.is_empty() && polled.passed.is_empty() {
                continue;
            }
            for partition in &polled.added {
                tracing::info!(%partition, "partition found");
            }
            let taken = polled.records.into_iter().map(|record| {
                let decoded = match &record.malformed {
                    Some(reason) => Decoded::Poison(reason.clone()),
                    None => self.decoder.decode(&record),
                };
                Taken { record, decoded }
            });
            let batch = ReadBatch { taken: taken.collect(), passed: polled.passed };
            if !self.hand_over(batch, out) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits for room, looking out for a stop meanwhile. What is not handed over is read again later.
    fn hand_over(&self, batch: ReadBatch, out: &SyncSender<ReadBatch>) -> bool {
        let mut batch = batch;
        loop {
            match out.try_send(batch) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) => {
                    if self.stop.is_requested() {
                        return false;
                    }
                    batch = back;
                    std::thread::park_timeout(Duration::from_millis(2));
                }
            }
        }
    }
}
