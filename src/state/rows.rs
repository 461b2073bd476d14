//! The values that are persisted, in the `postcard` format (<https://postcard.jamesmunns.com/wire-format>).

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::entity::{Fields, Liveness, Registers, holds};
use crate::error::{Error, Result};
use crate::position::{Positions, TopicPartition};
use crate::projection::effects::FanOut;
use crate::projection::{EntityReader, Projection};
use crate::source::Fingerprint;

/// The layout of everything on disk. A state of another layout is refused on opening.
pub const FORMAT: u32 = 5;

/// The format and the configuration of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFormat {
    /// See [`FORMAT`].
    pub format: u32,
    /// Formats, event types and topics of the configuration.
    pub fingerprint: String,
}

/// An entity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which partition its first event came from (a hash of its name): events that carry no version
    /// of their own are taken from there only.
    pub home: Option<u64>,
    /// Its folded state.
    pub registers: Registers,
    /// The record of its highest version, as far as it is known. Its bytes follow those of the rest: a row of before has
    /// none.
    #[serde(skip)]
    pub last: Option<Origin>,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The record's offset.
    pub offset: i64,
    /// The hash of the partition's name, where that is not the entity's home.
    pub elsewhere: Option<u64>,
}

impl Row {
    /// The bytes of the row.
    ///
    /// # Errors
    /// None that a row gives reason to.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = encode(self)?;
        if let Some(last) = &self.last {
            bytes.extend(encode(last)?);
        }
        Ok(bytes)
    }

    /// The row of these bytes.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (row, rest) = postcard::take_from_bytes::<Row>(bytes).map_err(damage_error)?;
        let last = if rest.is_empty() { None } else { Some(decode(rest)?) };
        Ok(Row { last, ..row })
    }

    /// Takes note of the record of an event of this version: the lowest of those of the highest version is kept.
    pub fn note(&mut self, version: u64, origin: Origin) {
        let newest = self.registers.write_version().max(self.registers.delete_version());
        if Some(version) > newest || Some(version) == newest && self.last.is_none_or(|last| origin < last) {
            self.last = Some(origin);
        }
    }

    /// Takes in the fold of other events of the entity.
    pub fn merge(&mut self, other: Row) {
        let newest = |row: &Row| row.registers.write_version().max(row.registers.delete_version());
        let own_home = |last: Origin| {
            let elsewhere = last.elsewhere.or(other.home).filter(|partition| Some(*partition) != self.home);
            Origin { elsewhere, ..last }
        };
        if let Some(last) = other.last.map(own_home) {
            let is_newer = newest(&other).cmp(&newest(self));
            if is_newer.then_with(|| self.last.cmp(&Some(last))).is_gt() {
                self.last = Some(last);
            }
        }
        self.registers.merge(other.registers);
    }
}

/// The beginning of a [`Row`], which says whether the entity is there.
#[derive(Deserialize)]
struct Head {
    _home: Option<u64>,
    deleted: Option<u64>,
    _replaced: Option<u64>,
    written: Option<u64>,
}

/// A [`Row`] of which only the shown part is read.
#[derive(Deserialize)]
struct ShownRow<'a> {
    _home: Option<u64>,
    #[serde(borrow)]
    fields: Fields<'a>,
}

/// Whether the entity of a [`Row`]'s bytes is there, without reading its fields.
///
/// # Errors
/// When the bytes are damaged.
pub fn liveness(row: &[u8]) -> Result<Liveness> {
    let (head, _) = postcard::take_from_bytes::<Head>(row).map_err(damage_error)?;
    Ok(Liveness::of(head.written, head.deleted))
}

/// Whether a projection has a document of the entity of a [`Row`]'s bytes: one that does not meet the conditions counts as
/// deleted.
///
/// # Errors
/// When the bytes are damaged.
pub fn document(row: &[u8], projection: Projection) -> Result<Liveness> {
    let (liveness, conditions) = (liveness(row)?, &projection.get().conditions);
    if liveness != Liveness::Alive || conditions.is_empty() {
        return Ok(liveness);
    }
    let mut meets = false;
    read(row, &mut |entity| {
        meets = holds(projection.entity_type().get(), conditions, entity);
        Ok(())
    })?;
    Ok(if meets { liveness } else { Liveness::Deleted })
}

/// Shows the entity of a [`Row`]'s bytes to `read`.
///
/// # Errors
/// When the bytes are damaged, and those of `read`.
pub fn read(row: &[u8], read: &mut EntityReader<'_>) -> Result<()> {
    let shown: ShownRow<'_> = postcard::from_bytes(row).map_err(damage_error)?;
    read(&shown.fields)
}

/// How far one partition was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionProgress {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offset of the next record.
    pub next: i64,
    /// Offset, timestamp and hash of the last record read.
    pub last: Option<(i64, i64, u64)>,
}

/// How far the fold is: written with every step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldProgress {
    /// The number of the last step.
    pub step: u64,
    /// Changes that came from beside the log (retried dead letters); part of the log position.
    pub beside: u64,
    /// The number of the next fan-out task.
    pub task: u64,
    /// How many tasks there are of each step.
    pub task_steps: BTreeMap<u64, u64>,
    /// How far each partition was read.
    pub partitions: Vec<PartitionProgress>,
}

impl FoldProgress {
    /// Counts a task that is done.
    pub fn task_done(&mut self, step: u64) {
        if let Some(count) = self.task_steps.get_mut(&step) {
            *count -= 1;
            if *count == 0 {
                self.task_steps.remove(&step);
            }
        }
    }

    /// The positions as a value.
    pub fn positions(&self) -> Positions {
        self.partitions
            .iter()
            .map(|at| (TopicPartition::new(at.topic.as_str(), at.partition), at.next))
            .collect()
    }

    /// The log position that a document made from this state carries as its version.
    pub fn version(&self) -> u64 {
        self.positions().sum() + self.beside
    }

    /// The last record of each partition: its offset, time stamp and hash.
    pub fn fingerprints(&self) -> Vec<(TopicPartition, Fingerprint)> {
        let known = self.partitions.iter().filter_map(|at| {
            let (offset, timestamp_ms, hash) = at.last?;
            let partition = TopicPartition::new(at.topic.as_str(), at.partition);
            Some((partition, Fingerprint { offset, timestamp_ms, hash }))
        });
        known.collect()
    }
}

/// The positions below which no mark remains, and when that was so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowWatermark {
    /// Topic, partition and next offset.
    pub partitions: Vec<(String, i32, i64)>,
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
}

impl LowWatermark {
    /// The positions.
    pub fn positions(&self) -> Positions {
        let next = |(topic, number, next): &(String, i32, i64)| {
            (TopicPartition::new(topic.as_str(), *number), *next)
        };
        self.partitions.iter().map(next).collect()
    }
}

/// Marks that a change calls for, made in bounded steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The step of the change.
    pub step: u64,
    /// The documents to be marked.
    pub fan_out: FanOut,
    /// The last key that was handled; empty at the beginning.
    pub after: Vec<u8>,
}

/// Every document of a projection waits, because its index is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// The step that called for it.
    pub step: u64,
    /// The step from which on changes are marked; none while it pauses.
    pub marks_from: Option<u64>,
    /// The documents up to this id are delivered, or marked; none when it is empty.
    pub cursor: String,
    /// How many these are.
    pub done: u64,
}

/// The bytes of a row.
pub fn encode<T: Serialize>(row: &T) -> Result<Vec<u8>> {
    postcard::to_allocvec(row)
        .map_err(|error| Error::failure("a row of the state cannot be encoded").because(error))
}

/// The row of these bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(damage_error)
}

fn damage_error(error: postcard::Error) -> Error {
    Error::failure("a row of the state is damaged; delete the state's folder and start again to replay")
        .because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Action, Event};
    use crate::plan::CONTACT;

    #[test]
    fn the_beginning_of_a_row_says_whether_the_entity_is_there() {
        let mut row = Row { home: Some(u64::MAX), ..Row::default() };
        let event = |version, action| {
            let (kind, id, fields) = (CONTACT, "c".to_owned(), Vec::new());
            Event { kind, id, version, sequenced: true, action, fields }
        };
        assert_eq!(liveness(&encode(&row).unwrap()).unwrap(), Liveness::Unseen);
        for (version, action) in [(3, Action::Replace), (5, Action::Delete), (700, Action::Merge)] {
            row.registers.apply(&event(version, action));
            assert_eq!(liveness(&encode(&row).unwrap()).unwrap(), row.registers.liveness());
        }
        assert!(liveness(&[1]).is_err());
    }
}
