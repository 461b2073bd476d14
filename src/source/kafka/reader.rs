//! The consumer: assigned partitions, read from stored positions.

mod log_identity;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::notices::Notices;
use super::{client_config, ids, no_client, retention, rights};
use crate::config::KafkaConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Record;
use crate::plan::EntityType;
use crate::position::{Positions, TopicPartition};
use crate::source::throttle::LogThrottle;
use crate::source::trouble::Trouble;
use crate::source::{EventSource, Fingerprint, LogOutage, SourceBatch};

const WAIT: Duration = Duration::from_secs(10);
/// How long one question waits before the first answer.
const MEET_WAIT: Duration = Duration::from_millis(500);
/// How often new partitions are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How much librdkafka may hold for us, dealt out to the partitions.
const QUEUE_KBYTES: usize = 16 << 10;
const RECORDS_MAX: usize = 10_000;
/// How many events are looked at for the reason why no broker answers, and how long each is waited for.
const NOTICES_MAX: usize = 50;
const NOTICES_WAIT: Duration = Duration::from_millis(100);

/// A Kafka cluster's topics.
pub struct KafkaSource {
    /// Reads, once it was started.
    consumer: Option<BaseConsumer<Notices>>,
    /// True once the consumer was told the partitions to read.
    is_assigned: bool,
    /// Asks the brokers, over connections on which no fetch waits. A broker answers one request of a connection after
    /// the other. A question on the consumer's connections would therefore wait for `fetch.wait.max.ms`. It is of no
    /// group, and therefore closed at once.
    asker: BaseConsumer<Notices>,
    cluster: String,
    config: KafkaConfig,
    topics: Vec<(Arc<str>, EntityType)>,
    /// The next offset of each assigned partition.
    next: BTreeMap<TopicPartition, i64>,
    /// Partitions whose first offset is above 0, until it is told: the offsets below it are passed.
    beginnings: BTreeMap<TopicPartition, i64>,
    /// The same partitions, until it is asked whether they are whole.
    cut: BTreeMap<TopicPartition, i64>,
    looked: Instant,
    throttle: LogThrottle,
    /// Why the log does not answer now.
    trouble: Trouble,
    /// The last record read of each partition whose topic's id is not known, and the one compared last.
    last: BTreeMap<TopicPartition, Fingerprint>,
    baseline: BTreeMap<TopicPartition, Fingerprint>,
    /// Reads the records to compare, once there is one to compare: only a member of a group may be assigned partitions.
    comparer: Option<BaseConsumer<Notices>>,
}

impl KafkaSource {
    /// Connects, and learns which cluster it is. Waits for a broker that is not there yet.
    ///
    /// # Errors
    /// When a property is wrong (exit code 2) or no broker answers (exit code 1).
    pub fn open(config: &KafkaConfig, topics: Vec<(String, EntityType)>) -> Result<Self> {
        let topics: Vec<(Arc<str>, EntityType)> =
            topics.into_iter().map(|(topic, kind)| (topic.into(), kind)).collect();
        let asker = create(&settings(config, 1))?;
        meet(&asker, &topics)?;
        let cluster = asker.client().fetch_cluster_id(WAIT).unwrap_or_default();
        let config = config.clone();
        Ok(Self {
            consumer: None,
            is_assigned: false,
            asker,
            cluster,
            config,
            topics,
            next: BTreeMap::new(),
            beginnings: BTreeMap::new(),
            cut: BTreeMap::new(),
            looked: Instant::now(),
            throttle: LogThrottle::default(),
            trouble: Trouble::default(),
            last: BTreeMap::new(),
            baseline: BTreeMap::new(),
            comparer: None,
        })
    }

    fn watermarks(&self, at: &TopicPartition) -> Result<(i64, i64)> {
        self.asker.fetch_watermarks(&at.topic, at.partition, WAIT).map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                format!("{at}: the broker does not say which offsets it holds"),
            )
            .because(error)
        })
    }

    /// The consumer that was started.
    fn consumer(&self) -> Result<&BaseConsumer<Notices>> {
        self.consumer
            .as_ref()
            .ok_or_else(|| Error::failure("the log was read before it was started; this is a bug, report it"))
    }

    /// Tells the consumer the partitions to read, at the first read. A consumer that is closed right after it was told
    /// may abort the process (an assertion of librdkafka's, `rktp_started`).
    fn assign(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_assigned, true) {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for (at, next) in &self.next {
            list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*next))
                .map_err(|error| partition_error(at, error))?;
        }
        self.consumer()?.assign(&list).map_err(assignment_error)
    }

    /// Looks whether every topic is there, and takes up partitions that were added; each begins at its first offset. A
    /// log that is away for a while is no reason to stop.
    fn look_for_partitions(&mut self) -> Result<Vec<TopicPartition>> {
        if self.looked.elapsed() < LOOK_EVERY {
            return Ok(Vec::new());
        }
        self.looked = Instant::now();
        let looked = partitions(&self.asker, &self.topics).and_then(|found| {
            let added = found.into_iter().filter(|at| !self.next.contains_key(at));
            added.map(|at| self.watermarks(&at).map(|(low, _)| (at, low))).collect::<Result<Vec<_>>>()
        });
        let added = match looked {
            Ok(added) => added,
            Err(error) => {
                self.trouble.note(&error);
                return Ok(Vec::new());
            }
        };
        self.trouble.end();
        self.verify()?;
        for (at, low) in &added {
            self.next.insert(at.clone(), *low);
            if *low > 0 {
                self.beginnings.insert(at.clone(), *low);
                self.cut.insert(at.clone(), *low);
            }
            let mut list = TopicPartitionList::new();
            let consumer = self.consumer()?;
            list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*low))
                .and_then(|()| consumer.incremental_assign(&list))
                .map_err(|error| partition_error(at, error))?;
        }
        Ok(added.into_iter().map(|(at, _)| at).collect())
    }

    /// The record of a message; none of a topic that is not read.
    fn record(&self, message: &BorrowedMessage<'_>) -> Option<Record> {
        let (topic, kind) = self.topics.iter().find(|(topic, _)| **topic == *message.topic())?;
        let headers = message.headers().map(|headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
        });
        let at = TopicPartition { topic: Arc::clone(topic), partition: message.partition() };
        Some(Record {
            timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
            ..Record::new(*kind, at, message.offset())
        })
    }

    /// Lets an error pass that librdkafka repairs by itself; any other ends the run.
    fn judge(&self, error: &KafkaError) -> Result<()> {
        use RDKafkaErrorCode as Code;
        self.check_ids()?;
        match error.rdkafka_error_code() {
            Some(Code::OffsetOutOfRange | Code::AutoOffsetReset) => Err(self.out_of_range(error)),
            Some(Code::TopicAuthorizationFailed) => Err(rights::on_topics(&self.topics)),
            Some(Code::GroupAuthorizationFailed) => Err(rights::on_group(&self.config.group)),
            Some(Code::Fatal | Code::SaslAuthenticationFailed | Code::Authentication) => {
                Err(Error::failure("the log cannot be read; check the brokers and the topics")
                    .because(error.clone()))
            }
            _ => {
                if self.trouble.outage().is_none() && self.throttle.is_due() {
                    tracing::warn!(error = %error, "the broker is away or slow and is asked again");
                }
                Ok(())
            }
        }
    }

    fn out_of_range(&self, error: &KafkaError) -> Error {
        for (at, next) in &self.next {
            if let Ok((low, high)) = self.asker.fetch_watermarks(&at.topic, at.partition, WAIT)
                && (*next < low || *next > high)
            {
                return no_such_offset(at, *next, low, high);
            }
        }
        Error::failure(
            "a position is no longer in the log; delete the state's folder and start again to replay",
        )
        .because(error.clone())
    }
}

/// Those of a client that may read; its memory is dealt out to the partitions that there are.
fn settings(config: &KafkaConfig, partitions: usize) -> ClientConfig {
    let mut client = client_config(config);
    let kbytes = (QUEUE_KBYTES / partitions.max(1)).clamp(512, QUEUE_KBYTES).to_string();
    let defaults = [
        // With small queues the pause after which a full one is looked at again decides the rate.
        ("fetch.queue.backoff.ms", "1"),
        // A fetch goes without a partition whose queue is full, and until it is answered none goes with it.
        ("fetch.wait.max.ms", "50"),
        ("queued.max.messages.kbytes", kbytes.as_str()),
        ("fetch.message.max.bytes", "524288"),
        ("fetch.max.bytes", "8388608"),
        ("message.max.bytes", "8388608"),
        ("isolation.level", "read_committed"),
    ];
    for (name, value) in defaults {
        if !config.properties.contains_key(name) {
            client.set(name, value);
        }
    }
    // These are ours: positions come from the state, and a gap must never be skipped.
    client.set("enable.auto.commit", "false").set("auto.offset.reset", "error");
    client.set("enable.partition.eof", "true");
    client
}

/// Those of the client that reads records: its debug log tells the topics' ids.
fn reading(config: &KafkaConfig, partitions: usize) -> ClientConfig {
    let mut client = settings(config, partitions);
    let debug = config.properties.iter().find(|(name, _)| *name == "debug");
    let debug = debug.map_or(ids::DEBUG.to_owned(), |(_, theirs)| format!("{theirs},{}", ids::DEBUG));
    client.set("group.id", &config.group).set("debug", debug);
    client.set_log_level(RDKafkaLogLevel::Debug);
    client
}

fn create(settings: &ClientConfig) -> Result<BaseConsumer<Notices>> {
    settings.create_with_context(Notices::default()).map_err(|error| no_client("consumer", &error))
}

/// Asks for the topics for the first time; brokers that all refuse the connection are not waited for.
fn meet(asker: &BaseConsumer<Notices>, topics: &[(Arc<str>, EntityType)]) -> Result<()> {
    let until = Instant::now() + WAIT;
    loop {
        match partitions_within(asker, topics, MEET_WAIT) {
            Err(error)
                if error.kind() == ErrorKind::Unavailable
                    && Instant::now() < until
                    && !asker.context().are_all_down() => {}
            answered => return answered.map(drop),
        }
    }
}

fn assignment_error(error: KafkaError) -> Error {
    Error::failure("the partitions cannot be assigned; check the topics").because(error)
}

fn partitions(
    consumer: &BaseConsumer<Notices>,
    topics: &[(Arc<str>, EntityType)],
) -> Result<BTreeSet<TopicPartition>> {
    partitions_within(consumer, topics, WAIT)
}

fn partitions_within(
    consumer: &BaseConsumer<Notices>,
    topics: &[(Arc<str>, EntityType)],
    wait: Duration,
) -> Result<BTreeSet<TopicPartition>> {
    let mut found = BTreeSet::new();
    for (topic, _) in topics {
        let metadata = consumer.fetch_metadata(Some(topic), wait).map_err(|error| {
            // The brokers' reasons lie in the queue of events, one after the other, until it is asked for.
            let mut remainder = NOTICES_MAX;
            while remainder > 0 && !consumer.context().is_refused() && consumer.poll(NOTICES_WAIT).is_some() {
                remainder -= 1;
            }
            consumer.context().outage_error(error)
        })?;
        if metadata.topics().iter().any(|known| known.name() == &**topic && rights::is_denied(known.error()))
        {
            return Err(rights::on_topic(topic));
        }
        let known =
            metadata.topics().iter().filter(|known| known.name() == &**topic && known.error().is_none());
        let before = found.len();
        for known in known {
            found.extend(
                known
                    .partitions()
                    .iter()
                    .map(|partition| TopicPartition::new(Arc::clone(topic), partition.id())),
            );
        }
        if found.len() == before {
            return Err(Error::failure(format!(
                "the topic {topic} does not exist; create it, or name another in the configuration"
            )));
        }
    }
    Ok(found)
}

fn partition_error(at: &TopicPartition, error: KafkaError) -> Error {
    Error::failure(format!("{at}: the partition cannot be read")).because(error)
}

fn no_such_offset(at: &TopicPartition, next: i64, low: i64, high: i64) -> Error {
    Error::failure(format!(
        "{at}: the state is at offset {next}, the log holds {low} to {high}; records are missing, or it is another \
         log. Delete the state's folder and start again to replay what there is"
    ))
}

impl EventSource for KafkaSource {
    fn identity(&self) -> String {
        let topics: Vec<&str> = self.topics.iter().map(|(topic, _)| &**topic).collect();
        format!("kafka:{}:{}", self.cluster, topics.join(","))
    }

    fn start(&mut self, positions: &Positions, fingerprints: &[(TopicPartition, Fingerprint)]) -> Result<()> {
        let (mut next, mut beginnings, mut held_now) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let found = partitions(&self.asker, &self.topics)?;
        self.consumer = Some(create(&reading(&self.config, found.len()))?);
        self.learn_ids()?;
        if let Some((at, offset)) = positions.iter().find(|(at, _)| !found.contains(at)) {
            return Err(Error::failure(format!(
                "{at}: the state is at offset {offset}, the log has no such partition. It is another log: delete \
                 the state's folder and start again to replay"
            )));
        }
        for at in found {
            let (low, high) = self.watermarks(&at)?;
            let position = positions.get(&at).unwrap_or(low);
            if position < low || position > high {
                return Err(no_such_offset(&at, position, low, high));
            }
            let fingerprint = fingerprints.iter().find(|(known, _)| *known == at);
            // A record that the log no longer holds cannot be compared.
            held_now.extend(
                fingerprint
                    .filter(|(_, print)| (low..high).contains(&print.offset))
                    .map(|(at, print)| (at, print)),
            );
            if positions.get(&at).is_none() && low > 0 {
                beginnings.insert(at.clone(), low);
            }
            next.insert(at, position);
        }
        self.check_fingerprints(self.consumer()?, held_now)?;
        self.baseline = fingerprints.iter().cloned().collect();
        self.next = next;
        self.cut.clone_from(&beginnings);
        self.beginnings = beginnings;
        self.is_assigned = false;
        Ok(())
    }

    fn find_cut_partitions(&mut self) -> Result<Vec<(TopicPartition, i64)>> {
        if self.cut.is_empty() {
            return Ok(Vec::new());
        }
        let topics: BTreeSet<&str> = self.cut.keys().map(|at| &*at.topic).collect();
        let compacted = retention::find_compacted(&self.config, &topics)?;
        let mut cut = std::mem::take(&mut self.cut);
        cut.retain(|at, _| !compacted.contains(&*at.topic));
        Ok(cut.into_iter().collect())
    }

    fn end(&mut self) -> Result<Positions> {
        let end = self.ask_end();
        match &end {
            Ok(_) => self.trouble.end(),
            Err(error) => self.trouble.note(error),
        }
        end
    }

    fn trouble(&self) -> Option<LogOutage<'_>> {
        self.trouble.outage()
    }

    fn generation(&self) -> Option<String> {
        self.consumer.as_ref()?.context().generation(self.topics.iter().map(|(topic, _)| &**topic))
    }

    fn topic_ids(&self) -> BTreeMap<String, String> {
        let topics = self.topics.iter().map(|(topic, _)| &**topic);
        self.consumer.as_ref().map(|consumer| consumer.context().topic_ids(topics)).unwrap_or_default()
    }

    fn poll(&mut self, wait: Duration, bytes_max: usize) -> Result<SourceBatch> {
        self.assign()?;
        let mut polled = SourceBatch { added: self.look_for_partitions()?, ..SourceBatch::default() };
        let mut ends: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        let (mut bytes, mut wait) = (0, wait);
        while bytes < bytes_max && polled.records.len() < RECORDS_MAX {
            match self.consumer()?.poll(wait) {
                Some(Ok(message)) => {
                    let Some(record) = self.record(&message) else { continue };
                    bytes += message.payload_len() + message.key_len() + 128;
                    if let Some(next) = self.next.get_mut(&record.partition) {
                        *next = record.offset + 1;
                    }
                    polled.records.push(record);
                }
                // The end of a partition may lie behind transaction markers, which are no records.
                Some(Err(KafkaError::PartitionEOF(_))) => self.note_ends(&mut ends)?,
                Some(Err(error)) => self.judge(&error)?,
                None => break,
            }
            wait = Duration::ZERO;
        }
        // Records of a topic that was recreated come after the line that says so, and are not handed on.
        self.check_ids()?;
        self.remember(&polled.records);
        // A partition that is emptied and gets no record has reached its end as well.
        let mut passed = std::mem::take(&mut self.beginnings);
        passed.retain(|at, _| !polled.records.iter().any(|record| record.partition == *at));
        passed.extend(ends);
        polled.passed = passed.into_iter().collect();
        Ok(polled)
    }
}

impl KafkaSource {
    fn ask_end(&self) -> Result<Positions> {
        let found =
            if self.next.is_empty() { partitions(&self.asker, &self.topics)? } else { BTreeSet::new() };
        let known = self.next.keys().chain(&found);
        known.map(|at| Ok((at.clone(), self.watermarks(at)?.1))).collect()
    }

    /// Takes over the consumer's positions where they are ahead of the last record's.
    fn note_ends(&mut self, ends: &mut BTreeMap<TopicPartition, i64>) -> Result<()> {
        let positions = self
            .consumer()?
            .position()
            .map_err(|error| Error::failure("the consumer does not know its positions").because(error))?;
        for element in positions.elements() {
            let Some((at, next)) = self
                .next
                .iter_mut()
                .find(|(at, _)| at.partition == element.partition() && *at.topic == *element.topic())
            else {
                continue;
            };
            if let Offset::Offset(position) = element.offset()
                && position > *next
            {
                *next = position;
                ends.insert(at.clone(), position);
            }
        }
        Ok(())
    }
}
