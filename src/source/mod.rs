//! The log: records in order by partition, from where the state left off.
//!
//! A source is read by one thread. It never skips a record: a position that the log no longer
//! holds is an error that names topic, partition and both offsets.

pub(crate) mod candidacy;
pub(crate) mod driver;
pub(crate) mod drivers;
pub mod files;
pub mod kafka;
pub mod leadership;
pub mod postgres;
mod throttle;
mod trouble;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::event::Record;
use crate::position::{Positions, TopicPartition};

/// The fingerprint of the last record read of a partition, to see that the log is still the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The offset of the record.
    pub offset: i64,
    /// Its timestamp in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// xxh3 of its key, value and id (see [`fingerprint_hash`]).
    pub hash: u64,
}

impl Fingerprint {
    /// The fingerprint of a record.
    pub fn of(record: &Record) -> Self {
        Self { offset: record.offset, timestamp_ms: record.timestamp_ms, hash: fingerprint_hash(record) }
    }

    /// True for the record itself, wherever it lies.
    pub fn is_of(&self, record: &Record) -> bool {
        record.timestamp_ms == self.timestamp_ms && fingerprint_hash(record) == self.hash
    }
}

/// The hash kept in a [`Fingerprint`].
pub fn fingerprint_hash(record: &Record) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for part in [record.key.as_deref(), record.value.as_deref()] {
        hasher.update(&[u8::from(part.is_some())]);
        hasher.update(part.unwrap_or_default());
        hasher.update(&[0xff]);
    }
    if let Some(id) = &record.id {
        hasher.update(id.as_bytes());
    }
    hasher.digest()
}

/// A batch of the records and partitions that a source found.
#[derive(Debug, Default)]
pub struct SourceBatch {
    /// Records, in offset order within each partition.
    pub records: Vec<Record>,
    /// Positions that moved without a record (transaction markers, aborted or compacted offsets):
    /// the next offset of those partitions once `records` are taken.
    pub passed: Vec<(TopicPartition, i64)>,
    /// Partitions met for the first time in this batch; each begins at its first offset.
    pub added: Vec<TopicPartition>,
}

/// The part of a log that is away, with a sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOutage<'a> {
    /// The log's servers.
    Log(&'a str),
    /// A topic, or a file.
    Topic(&'a str),
}

/// A log that can be read from stored positions.
pub trait EventSource: Send {
    /// The identity of the log (cluster id and topics); kept in the index's `_meta`.
    fn identity(&self) -> String;

    /// Starts at `positions` (a partition that is not named starts at its first offset), after
    /// checking each fingerprint against the record that now lies there.
    ///
    /// # Errors
    /// A position outside the log, or another record than the one that was read (exit code 1),
    /// with topic, partition and both offsets.
    fn start(&mut self, positions: &Positions, fingerprints: &[(TopicPartition, Fingerprint)]) -> Result<()>;

    /// Partitions of a started log that were read from their first offset on, where that is not their beginning, each
    /// with that offset. Each is named once. Topics that are compacted and never delete are aside, because they hold every
    /// entity's last state.
    ///
    /// # Errors
    /// When the log does not say.
    fn find_cut_partitions(&mut self) -> Result<Vec<(TopicPartition, i64)>> {
        Ok(Vec::new())
    }

    /// The end of every partition now: the next offset after the last stable record. Also of a log that was not started.
    fn end(&mut self) -> Result<Positions>;

    /// The mark by which the log's present topics differ from deleted topics of the same names; `None` while there is
    /// none. It does not change while the log is read.
    fn generation(&self) -> Option<String> {
        None
    }

    /// The ids of the topics of a started log, where the brokers tell them: a topic that is deleted and created again has
    /// another one.
    fn topic_ids(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// True when offsets have gaps, also before the first record, that stand for no records.
    fn has_gaps(&self) -> bool {
        false
    }

    /// Why nothing can be read now; `None` while the log answers. An error that [`Self::end`] and [`Self::poll`] meet
    /// counts.
    fn trouble(&self) -> Option<LogOutage<'_>> {
        None
    }

    /// Waits up to `wait` for records; at most about `bytes_max` bytes of them.
    /// An empty answer means that nothing came in time.
    fn poll(&mut self, wait: Duration, bytes_max: usize) -> Result<SourceBatch>;
}

/// Compares the topics of a log with those that a state was made of, by their ids.
///
/// # Errors
/// When a topic was deleted and created again.
pub fn check_topic_ids(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Result<()> {
    let changed = before.iter().find_map(|(topic, id)| {
        let now = now.get(topic).filter(|now| *now != id)?;
        Some((topic, id, now))
    });
    let Some((topic, before, now)) = changed else { return Ok(()) };
    Err(Error::failure(format!(
        "{topic}: the topic was recreated, so that the log is not the one of the state. Its id was {before} when the \
         state read it, and is {now}. Delete the state's folder and start again to replay"
    )))
}

/// The refusal of a log whose partition `at` begins at the offset `first`.
pub fn partial_log(at: &TopicPartition, first: i64, instead: &str) -> Error {
    Error::failure(format!(
        "{at} begins at offset {first}, and its topic deletes records (cleanup.policy). Earlier records are gone, and \
         a replay would not know of them. {instead}--allow-partial-log goes without them, and deletes no document \
         that the log has no record of"
    ))
}
