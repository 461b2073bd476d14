//! Dead letters in a Kafka topic: the key is the dead letter's name, a tombstone takes it out.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::{DeadLetter, DeadLetters, each_once};
use crate::backoff::BackOff;
use crate::config::KafkaConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::shutdown::Shutdown;
use crate::source::kafka::{client_config, is_denied, no_client};

const WAIT: Duration = Duration::from_secs(10);
/// How long one attempt waits for the broker's acknowledgement, unless `message.timeout.ms` is set.
const DELIVERY_MS: &str = "30000";
/// The largest dead letter that our producer sends and our topic takes. A broker takes requests of 100 MB.
const LETTER_BYTES_MAX: &str = "67108864";
/// The most bytes that the producer holds: one such dead letter with its headers.
const QUEUE_KBYTES: &str = "81920";
/// Between two attempts; twice as long after each, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How often a wait looks whether a stop was asked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Keeps the first failed delivery, which a flush does not tell of.
#[derive(Default)]
struct LetterDeliveries(Mutex<Option<KafkaError>>);

impl ClientContext for LetterDeliveries {}

impl ProducerContext for LetterDeliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}

/// A topic of dead letters.
pub struct KafkaDeadLetters {
    config: KafkaConfig,
    topic: String,
    producer: ThreadedProducer<LetterDeliveries>,
    topic_checked: bool,
    /// The dead letters of the last list.
    known: KnownLetters,
    stop: Shutdown,
}

impl KafkaDeadLetters {
    /// The dead letters in `topic` of the configured cluster. The topic is made at the first dead letter when
    /// it is not there and the cluster lets us. Dead letters are tried until they are kept, or `stop` is
    /// asked for.
    ///
    /// # Errors
    /// When a property is wrong (exit code 2).
    pub fn open(config: &KafkaConfig, topic: &str, stop: Shutdown) -> Result<Self> {
        let mut client = client_config(config);
        client.set("acks", "all").set("enable.idempotence", "true");
        for (name, value) in [
            ("message.timeout.ms", DELIVERY_MS),
            ("message.max.bytes", LETTER_BYTES_MAX),
            ("queue.buffering.max.kbytes", QUEUE_KBYTES),
        ] {
            if !config.properties.contains_key(name) {
                client.set(name, value);
            }
        }
        let producer = client
            .create_with_context(LetterDeliveries::default())
            .map_err(|error| no_client("producer", &error))?;
        Ok(Self {
            config: config.clone(),
            topic: topic.to_owned(),
            producer,
            topic_checked: false,
            known: KnownLetters::default(),
            stop,
        })
    }

    fn stop_error(&self) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!(
                "the run was stopped before the dead letters were in {}; the next run makes them again",
                self.topic
            ),
        )
    }

    fn topic_error(&self, what: &str, error: KafkaError) -> Error {
        let advice = match &error {
            KafkaError::AdminOp(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                "it is not there, or the user may not see it. Make it and give the user the operations Read and Write on \
                 it, or Create as well"
            }
            error if is_unauthorized(error) => {
                "the brokers do not let the user do that: give it the operations Read and Write on the topic"
            }
            _ => "check the broker",
        };
        Error::failure(format!("cannot {what} the dead letters' topic {}; {advice}", self.topic))
            .because(error)
    }

    /// A part of the dead letters must not pass for all of them.
    fn silence_error(&self, partition: i32, next: i64, high: i64) -> Error {
        let topic = &self.topic;
        Error::failure(format!(
            "the dead letters' topic {topic} was read to offset {next} of {high} of partition {partition}, and \
             nothing came for {} s. Check the broker and try again",
            WAIT.as_secs()
        ))
    }

    /// The offsets that a partition holds. One of a topic that was made just now has no leader for a moment.
    fn watermarks(&self, consumer: &BaseConsumer, partition: i32) -> KafkaResult<(i64, i64)> {
        let until = Instant::now() + WAIT;
        loop {
            match consumer.fetch_watermarks(&self.topic, partition, WAIT) {
                Err(error) if is_leaderless(&error) && Instant::now() < until && self.pause(PAUSE_MIN) => {}
                answered => return answered,
            }
        }
    }

    /// Makes the topic when it is missing: one partition, compacted, so that tombstones tidy up.
    fn ensure_topic(&mut self) -> KafkaResult<()> {
        if self.topic_checked {
            return Ok(());
        }
        let metadata = self.producer.client().fetch_metadata(Some(&self.topic), WAIT)?;
        if metadata.topics().iter().any(|topic| topic.name() == self.topic && topic.error().is_none()) {
            self.topic_checked = true;
            return Ok(());
        }
        let admin: AdminClient<DefaultClientContext> = client_config(&self.config).create()?;
        let topic = NewTopic::new(&self.topic, 1, TopicReplication::Fixed(-1))
            .set("cleanup.policy", "compact")
            .set("max.message.bytes", LETTER_BYTES_MAX);
        let options = AdminOptions::new().operation_timeout(Some(WAIT));
        for result in block_here(admin.create_topics([&topic], &options))? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(KafkaError::AdminOp(code)),
            }
        }
        self.topic_checked = true;
        Ok(())
    }

    /// One attempt, which ends when the broker or `message.timeout.ms` has decided on every dead letter, so that none
    /// is held twice. `Canceled` when a stop was requested before. A half-done attempt does no harm, because a dead
    /// letter counts once, by its name.
    fn produce(&mut self, letters: &[KeyedLetter]) -> KafkaResult<()> {
        self.ensure_topic()?;
        let mut refused = None;
        for (name, value) in letters {
            let mut record = BaseRecord::to(&self.topic).key(name);
            record.payload = value.as_ref();
            while let Err((error, back)) = self.producer.send(record) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    refused = Some(error);
                    break;
                }
                if self.stop.is_requested() {
                    return Err(KafkaError::Canceled);
                }
                record = back;
                self.producer.poll(LOOK_EVERY);
            }
        }
        while self.producer.flush(LOOK_EVERY).is_err() {
            if self.stop.is_requested() {
                return Err(KafkaError::Canceled);
            }
        }
        let failed = self.producer.context().0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Dead letters that a producer has to give up for good are only said to be purged.
        let for_good =
            self.producer.client().fatal_error().map(|(code, _)| KafkaError::MessageProduction(code));
        refused.or(failed).map_or(Ok(()), |error| Err(for_good.unwrap_or(error)))
    }

    /// Waits before the next attempt; false when a stop was asked for.
    fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.stop.is_requested() {
            std::thread::sleep(LOOK_EVERY);
        }
        !self.stop.is_requested()
    }
}

fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

fn is_unauthorized(error: &KafkaError) -> bool {
    matches!(
        code(error),
        Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)
    )
}

fn is_leaderless(error: &KafkaError) -> bool {
    matches!(
        code(error),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}

fn is_too_large(error: &KafkaError) -> bool {
    matches!(
        code(error),
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge)
    )
}

/// An error that no waiting repairs, so the operator has to.
fn is_permanent(error: &KafkaError) -> bool {
    is_too_large(error)
        || is_unauthorized(error)
        || matches!(
            code(error),
            Some(
                RDKafkaErrorCode::InvalidTopic
                    | RDKafkaErrorCode::InvalidReplicationFactor
                    | RDKafkaErrorCode::PolicyViolation
                    | RDKafkaErrorCode::UnsupportedVersion
            )
        )
}

/// A key with its dead letter; a tombstone has none.
type KeyedLetter = (String, Option<Vec<u8>>);

/// The dead letters of a list, as far as they have to be known to take some of them out.
#[derive(Default)]
struct KnownLetters {
    names: HashSet<String>,
    /// Those that lie under the key which an earlier version gave them.
    former: Vec<(String, DeadLetter)>,
}

impl KnownLetters {
    fn of(letters: &[(String, DeadLetter)]) -> Self {
        let former = letters.iter().filter(|(key, letter)| *key != letter.name());
        Self {
            names: letters.iter().map(|(_, letter)| letter.name()).collect(),
            former: former.cloned().collect(),
        }
    }

    /// The records that take the dead letters of these names out. Several may lie under one former key, so the others
    /// of them move to keys of their own.
    fn resolution(&self, names: &[String]) -> Vec<KeyedLetter> {
        let is_resolved = |letter: &DeadLetter| names.contains(&letter.name());
        let former = self.former.iter().filter(|(_, letter)| is_resolved(letter)).map(|(key, _)| key);
        // A key that is the name of another dead letter stays.
        let former = former.filter(|key| names.contains(key) || !self.names.contains(*key));
        let keys: BTreeSet<&String> = names.iter().chain(former).collect();
        let others = self.former.iter().filter(|(key, letter)| keys.contains(key) && !is_resolved(letter));
        let moved =
            others.filter_map(|(_, letter)| Some((letter.name(), Some(serde_json::to_vec(letter).ok()?))));
        moved.chain(keys.iter().map(|key| ((*key).clone(), None))).collect()
    }
}

/// The largest dead letter from which something can still be left out.
fn largest_whole(letters: &mut [DeadLetter]) -> Option<&mut DeadLetter> {
    letters.iter_mut().filter(|letter| letter.has_contents()).max_by_key(|letter| letter.size())
}

/// Waits for a future on this thread, which is none of a runtime's.
fn block_here<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park_timeout(Duration::from_millis(50)),
        }
    }
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

impl DeadLetters for KafkaDeadLetters {
    fn append(&mut self, letters: &[DeadLetter]) -> Result<()> {
        let mut letters = letters.to_vec();
        let mut back_off = BackOff::new(PAUSE_MIN, PAUSE_MAX);
        // The fold waits meanwhile, and with it the log: nothing piles up in memory.
        loop {
            let encode = |letter: &DeadLetter| Some((letter.name(), Some(serde_json::to_vec(letter).ok()?)));
            let records: Vec<_> = letters.iter().filter_map(encode).collect();
            let error = match self.produce(&records) {
                Ok(()) => return Ok(()),
                Err(KafkaError::Canceled) => return Err(self.stop_error()),
                Err(error) => error,
            };
            if is_too_large(&error)
                && let Some(largest) = largest_whole(&mut letters)
            {
                tracing::warn!(
                    letter = largest.name(),
                    topic = self.topic,
                    "a dead letter is too large, kept without its contents"
                );
                largest.leave_out();
                continue;
            }
            if is_permanent(&error) {
                return Err(self.topic_error("write to", error));
            }
            tracing::warn!(%error, topic = self.topic, letters = records.len(), "dead letters are tried again");
            // It may have been deleted.
            self.topic_checked = false;
            if !self.pause(back_off.pause()) {
                return Err(self.stop_error());
            }
            back_off.double();
        }
    }

    fn list(&mut self) -> Result<Vec<DeadLetter>> {
        let mut client = client_config(&self.config);
        client
            .set("group.id", &self.config.group)
            .set("enable.auto.commit", "false")
            // The markers of transactions have offsets and are no messages.
            .set("enable.partition.eof", "true");
        let consumer: BaseConsumer = client.create().map_err(|error| no_client("consumer", &error))?;
        let metadata = consumer
            .fetch_metadata(Some(&self.topic), WAIT)
            .map_err(|error| self.topic_error("read", error))?;
        if metadata.topics().iter().any(|topic| is_denied(topic.error())) {
            let denied = KafkaError::MetadataFetch(RDKafkaErrorCode::TopicAuthorizationFailed);
            return Err(self.topic_error("read", denied));
        }
        let partitions: Vec<i32> = metadata
            .topics()
            .iter()
            .filter(|topic| topic.name() == self.topic && topic.error().is_none())
            .flat_map(|topic| topic.partitions().iter().map(|partition| partition.id()))
            .collect();
        let mut letters = Vec::new();
        let mut resolved = HashSet::new();
        for partition in partitions {
            let (low, high) =
                self.watermarks(&consumer, partition).map_err(|error| self.topic_error("read", error))?;
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&self.topic, partition, Offset::Offset(low))
                .and_then(|()| consumer.assign(&list))
                .map_err(|error| self.topic_error("read", error))?;
            let mut next = low;
            let mut heard = Instant::now();
            while next < high && heard.elapsed() < WAIT {
                let message = match consumer.poll(Duration::from_millis(200)) {
                    None => continue,
                    Some(Err(KafkaError::PartitionEOF(_))) => {
                        next = high;
                        continue;
                    }
                    Some(message) => message.map_err(|error| self.topic_error("read", error))?,
                };
                heard = Instant::now();
                next = message.offset() + 1;
                let name = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
                match message.payload().map(serde_json::from_slice::<DeadLetter>) {
                    Some(Ok(letter)) => {
                        resolved.remove(&name);
                        // A key that no version gives says nothing.
                        let key = if name == letter.former_name() { name } else { letter.name() };
                        letters.push((key, letter));
                    }
                    Some(Err(_)) => tracing::warn!(
                        topic = self.topic,
                        offset = message.offset(),
                        "the record is no dead letter and is passed over"
                    ),
                    None => {
                        resolved.insert(name);
                    }
                }
            }
            if next < high {
                return Err(self.silence_error(partition, next, high));
            }
        }
        letters.retain(|(key, letter)| !resolved.contains(key) && !resolved.contains(&letter.name()));
        self.known = KnownLetters::of(&letters);
        Ok(each_once(letters.into_iter().map(|(_, letter)| letter)))
    }

    fn resolve(&mut self, names: &[String]) -> Result<()> {
        let records = self.known.resolution(names);
        if records.is_empty() {
            return Ok(());
        }
        self.produce(&records).map_err(|error| self.topic_error("write to", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter_under(key: &str, letter: &DeadLetter) -> (String, DeadLetter) {
        (key.to_owned(), letter.clone())
    }

    /// The keys that get a dead letter, and those that get a tombstone.
    fn keys(known: &KnownLetters, name: &str) -> [Vec<String>; 2] {
        let (moved, tombstones): (Vec<_>, Vec<_>) =
            known.resolution(&[name.to_owned()]).into_iter().partition(|(_, letter)| letter.is_some());
        [moved, tombstones].map(|records| records.into_iter().map(|(key, _)| key).collect())
    }

    #[test]
    fn a_dead_letter_is_taken_out_under_the_key_of_an_earlier_version_too() {
        let letter = |id: &str| DeadLetter::from_document("contacts", id, "why");
        let known = KnownLetters::of(&[
            letter_under("contacts/0:5", &letter("0:5")),
            letter_under("contacts/c1", &letter("c1")),
            letter_under("contacts/0:6@", &letter("0:6")),
        ]);
        assert_eq!(known.former.len(), 1);
        let none = Vec::<String>::new();
        assert_eq!(
            keys(&known, "contacts/0:5@"),
            [none.clone(), vec!["contacts/0:5".to_owned(), "contacts/0:5@".to_owned()]]
        );
        assert_eq!(keys(&known, "contacts/c1"), [none, vec!["contacts/c1".to_owned()]]);
        assert!(known.resolution(&[]).is_empty());
    }

    #[test]
    fn the_other_dead_letters_of_one_former_key_stay() {
        let letter = |id: &str, owner: Option<&str>| DeadLetter {
            owner: owner.map(str::to_owned),
            ..DeadLetter::from_document("contacts", id, "why")
        };
        let key = "contacts/contacts/c1";
        let known = KnownLetters::of(&[
            letter_under(key, &letter("contacts/c1", Some("o1"))),
            letter_under(key, &letter("contacts/c1", Some("o2"))),
        ]);
        assert_eq!(
            keys(&known, "contacts/contacts/c1@o2"),
            [vec![format!("{key}@o1")], vec![key.to_owned(), format!("{key}@o2")]]
        );
        // A record has taken the key, so that a tombstone there is the record's.
        let mut record = letter("", None);
        record.projection = None;
        (record.topic, record.partition, record.offset) = (Some("contacts".to_owned()), Some(0), Some(5));
        let document = letter("0:5", None);
        let known = KnownLetters::of(&[
            letter_under("contacts/0:5", &document),
            letter_under("contacts/0:5", &record),
        ]);
        assert_eq!(keys(&known, "contacts/0:5@"), [vec![], vec!["contacts/0:5@".to_owned()]]);
        assert_eq!(
            keys(&known, "contacts/0:5"),
            [vec!["contacts/0:5@".to_owned()], vec!["contacts/0:5".to_owned()]]
        );
    }
}
