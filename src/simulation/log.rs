//! The simulated log, and a source that reads it as the Kafka source does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::domain::Domain;
use super::events::Event;
use super::plan::Plan;
use super::reference::Does;
use super::world::{Process, World};
use crate::error::{Error, Result};
use crate::event::Record;
use crate::plan::EntityType;
use crate::position::{Positions, TopicPartition};
use crate::source::{EventSource, Fingerprint, SourceBatch};

/// A record, and its event unless it cannot be read.
type LogEntry = (Option<Event>, Record);

/// One partition: its first offset and its records; nothing stands where a transaction's marker lies.
#[derive(Debug, Default)]
struct Part {
    low: i64,
    records: Vec<Option<LogEntry>>,
}

impl Part {
    fn high(&self) -> i64 {
        self.low + i64::try_from(self.records.len()).unwrap()
    }

    fn at(&self, offset: i64) -> Option<&LogEntry> {
        self.records.get(usize::try_from(offset - self.low).ok()?)?.as_ref()
    }
}

/// The log.
#[derive(Debug, Default)]
pub(super) struct Log {
    parts: BTreeMap<TopicPartition, Part>,
    /// Events that were cut off and that the instances know of.
    cut: Vec<Event>,
    /// The topics, by the numbers of the entity types that they carry.
    topics: Vec<(String, EntityType)>,
    /// How often its topics were deleted and created again.
    generation: u64,
}

impl Log {
    pub(super) fn new(plan: &Plan, domain: &Domain) -> Self {
        let mut log = Self { topics: domain.types.clone(), ..Self::default() };
        for (number, (topic, _)) in domain.types.iter().enumerate() {
            for partition in 0..plan.partitions_of(number) {
                log.add(&TopicPartition::new(topic.as_str(), partition), plan.base);
            }
        }
        log
    }

    fn add(&mut self, at: &TopicPartition, low: i64) {
        self.parts.insert(at.clone(), Part { low, records: Vec::new() });
    }

    /// Adds a partition to a topic.
    pub(super) fn add_partition(&mut self, topic: &str) {
        let at = TopicPartition::new(topic, self.count(topic));
        self.add(&at, 0);
    }

    /// Deletes the topics and creates them again.
    pub(super) fn recreate(&mut self) {
        self.parts.values_mut().for_each(|part| *part = Part::default());
        self.cut.clear();
        self.generation += 1;
    }

    pub(super) fn count(&self, topic: &str) -> i32 {
        i32::try_from(self.parts.keys().filter(|at| *at.topic == *topic).count()).unwrap()
    }

    /// Appends an event; without a sequence its version is the offset. Answers where it lies.
    pub(super) fn append(
        &mut self,
        partition: i32,
        mut event: Event,
        sequenced: bool,
        timestamp_ms: i64,
    ) -> (TopicPartition, i64) {
        let (topic, kind) = self.topics[event.entity].clone();
        let at = TopicPartition::new(topic, partition);
        let part = self.parts.get_mut(&at).unwrap();
        let offset = part.high();
        let verb = match event.does {
            Does::Merge => "updated",
            Does::Replace => "created",
            Does::Delete => "deleted",
        };
        let mut value = json!({"type": format!("x.{verb}"), "data": event.data});
        if sequenced {
            value["sequence"] = event.version.to_string().into();
        } else {
            event.version = u64::try_from(offset).unwrap();
        }
        let record = record(kind, (&at, offset), &event.id, value.to_string(), timestamp_ms);
        part.records.push(Some((Some(event), record)));
        (at, offset)
    }

    /// Appends a record that cannot be read. Answers where it lies.
    pub(super) fn append_poison(&mut self, number: usize, timestamp_ms: i64) -> (TopicPartition, i64) {
        let number = number % self.parts.len();
        let (at, part) = self.parts.iter_mut().nth(number).unwrap();
        let kind = self.topics.iter().find(|(topic, _)| *topic == *at.topic).unwrap().1;
        let offset = part.high();
        let record = record(kind, (at, offset), "p", "{".to_owned(), timestamp_ms);
        part.records.push(Some((None, record)));
        (at.clone(), offset)
    }

    /// The names of the records that cannot be read.
    pub(super) fn poison(&self) -> Vec<String> {
        let records = self.parts.values().flat_map(|part| part.records.iter().flatten());
        let poison = records.filter(|(plain, _)| plain.is_none());
        poison.map(|(_, record)| format!("{}:{}", record.partition, record.offset)).collect()
    }

    /// Appends a marker, which takes an offset and is no record.
    pub(super) fn append_marker(&mut self, number: usize) {
        let number = number % self.parts.len();
        if let Some(part) = self.parts.values_mut().nth(number) {
            part.records.push(None);
        }
    }

    pub(super) fn end(&self) -> Positions {
        self.parts.iter().map(|(at, part)| (at.clone(), part.high())).collect()
    }

    /// Cuts off the records below `positions`; with `is_known` an instance still holds their
    /// events.
    pub(super) fn cut(&mut self, positions: &Positions, is_known: bool) {
        for (at, part) in &mut self.parts {
            let to = positions.get(at).unwrap_or(part.low).clamp(part.low, part.high());
            let records = part.records.drain(..usize::try_from(to - part.low).unwrap());
            let events = records.flatten().filter_map(|(plain, _)| plain);
            if is_known {
                self.cut.extend(events);
            } else {
                drop(events);
            }
            part.low = to;
        }
    }

    /// Every event that documents are made of.
    pub(super) fn events(&self) -> Vec<Event> {
        let records = self.parts.values().flat_map(|part| part.records.iter().flatten());
        self.cut.iter().cloned().chain(records.filter_map(|(plain, _)| plain.clone())).collect()
    }
}

fn record(
    kind: EntityType,
    (at, offset): (&TopicPartition, i64),
    key: &str,
    value: String,
    timestamp_ms: i64,
) -> Record {
    Record {
        timestamp_ms,
        key: Some(key.to_owned().into_bytes()),
        value: Some(value.into_bytes()),
        ..Record::new(kind, at.clone(), offset)
    }
}

/// A source over the log, of one process.
pub(super) struct Source {
    world: Arc<World>,
    process: Arc<Process>,
    next: BTreeMap<TopicPartition, i64>,
    beginnings: BTreeMap<TopicPartition, i64>,
    looked: Instant,
    look_every: Duration,
    /// The generation of the log that it began to read.
    generation: u64,
}

impl Source {
    pub(super) fn new(world: &Arc<World>, process: &Arc<Process>) -> Self {
        Self {
            world: Arc::clone(world),
            process: Arc::clone(process),
            next: BTreeMap::new(),
            beginnings: BTreeMap::new(),
            looked: Instant::now(),
            look_every: world.millis(200..5_000),
            generation: 0,
        }
    }

    fn look_for_partitions(&mut self) -> Vec<TopicPartition> {
        if self.looked.elapsed() < self.look_every {
            return Vec::new();
        }
        self.looked = Instant::now();
        let log = self.world.log.lock().unwrap();
        let added: Vec<_> = log.parts.keys().filter(|at| !self.next.contains_key(at)).cloned().collect();
        for at in &added {
            let low = log.parts[at].low;
            self.next.insert(at.clone(), low);
            self.beginnings.extend((low > 0).then(|| (at.clone(), low)));
        }
        added
    }

    /// Reads some records of one partition.
    fn read(&mut self, at: &TopicPartition, most: u64, polled: &mut SourceBatch) -> Result<()> {
        let log = self.world.log.lock().unwrap();
        let (part, next) = (&log.parts[at], self.next.get_mut(at).unwrap());
        if *next < part.low {
            return Err(missing_records(at, *next, part.low, part.high()));
        }
        let mut offset = *next;
        let mut left = most;
        while left > 0 && offset < part.high() {
            if let Some((_, record)) = part.at(offset) {
                polled.records.push(record.clone());
                *next = offset + 1;
                left -= 1;
            }
            offset += 1;
        }
        if offset == part.high() && *next < offset {
            *next = offset;
            polled.passed.push((at.clone(), offset));
        }
        Ok(())
    }
}

fn missing_records(at: &TopicPartition, next: i64, low: i64, high: i64) -> Error {
    Error::failure(format!(
        "{at}: the state is at offset {next}, the log holds {low} to {high}; records are missing"
    ))
}

fn recreation_error(at: &TopicPartition) -> Error {
    Error::failure(format!("{at}: the topic was recreated"))
}

impl EventSource for Source {
    fn identity(&self) -> String {
        "simulated".to_owned()
    }

    fn start(&mut self, positions: &Positions, fingerprints: &[(TopicPartition, Fingerprint)]) -> Result<()> {
        self.process.check()?;
        let log = self.world.log.lock().unwrap();
        for (at, part) in &log.parts {
            let position = positions.get(at).unwrap_or(part.low);
            if position < part.low || position > part.high() {
                return Err(missing_records(at, position, part.low, part.high()));
            }
            let fingerprint =
                fingerprints.iter().find(|(known, _)| known == at).map(|(_, fingerprint)| fingerprint);
            let is_same = |fingerprint: &Fingerprint| {
                let record = part.at(fingerprint.offset).map(|(_, record)| record);
                record.map_or(log.generation == 0, |record| fingerprint.is_of(record))
            };
            if !fingerprint.is_none_or(is_same) {
                assert!(log.generation > 0, "{at}: another record than the one that was read");
                return Err(recreation_error(at));
            }
            if positions.get(at).is_none() && part.low > 0 {
                self.beginnings.insert(at.clone(), part.low);
            }
            self.next.insert(at.clone(), position);
        }
        self.generation = log.generation;
        Ok(())
    }

    fn find_cut_partitions(&mut self) -> Result<Vec<(TopicPartition, i64)>> {
        self.process.check()?;
        Ok(self.beginnings.iter().map(|(at, low)| (at.clone(), *low)).collect())
    }

    fn end(&mut self) -> Result<Positions> {
        self.process.check()?;
        let log = self.world.log.lock().unwrap();
        let is_known = |at: &TopicPartition| self.next.is_empty() || self.next.contains_key(at);
        let known = log.parts.iter().filter(|(at, _)| is_known(at));
        Ok(known.map(|(at, part)| (at.clone(), part.high())).collect())
    }

    fn generation(&self) -> Option<String> {
        Some(self.generation.to_string())
    }

    fn poll(&mut self, _: Duration, _: usize) -> Result<SourceBatch> {
        self.process.check()?;
        if self.world.group.lock().unwrap().is_cut_off(&self.process.name) {
            return Ok(SourceBatch::default());
        }
        let generation = self.world.log.lock().unwrap().generation;
        if let Some(at) = self.next.keys().next().filter(|_| generation != self.generation) {
            return Err(recreation_error(at));
        }
        let mut polled = SourceBatch { added: self.look_for_partitions(), ..SourceBatch::default() };
        let mut known: Vec<_> = self.next.keys().cloned().collect();
        let mut beginnings = std::mem::take(&mut self.beginnings);
        for _ in 0..self.world.draw(0..4) {
            if known.is_empty() {
                break;
            }
            let drawn = self.world.draw(0..known.len() as u64);
            let at = known.swap_remove(usize::try_from(drawn).unwrap());
            let most = self.world.draw(1..20);
            self.read(&at, most, &mut polled)?;
        }
        beginnings.retain(|at, _| {
            let has_moved = |record: &Record| record.partition == *at;
            !polled.records.iter().any(has_moved) && !polled.passed.iter().any(|(passed, _)| passed == at)
        });
        polled.passed.extend(beginnings);
        Ok(polled)
    }
}
