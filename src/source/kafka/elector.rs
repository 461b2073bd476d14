//! One writer of a group: a consumer that reads nothing joins the group, and whoever is assigned the
//! first topic's first partition is the writer. As a member it also commits the delivered frontier.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::watch;

use super::{client_config, no_client, rights};
use crate::config::KafkaConfig;
use crate::error::{Error, Result};
use crate::position::{Positions, TopicPartition};
use crate::source::leadership::{Delivered, Leadership};

const WAIT: Duration = Duration::from_secs(10);
/// How long a writer that is called off waits for its requests to be answered.
const RELEASE_WAIT: Duration = Duration::from_secs(10);

/// This instance's membership of the group.
pub struct Elector {
    consumer: Arc<BaseConsumer<Context>>,
    writer: watch::Sender<bool>,
    closing: Arc<AtomicBool>,
    group: String,
    thread: std::sync::Mutex<Option<std::thread::JoinHandle<()>>>,
    topics: Vec<String>,
}

struct Context {
    topic: String,
    writer: watch::Sender<bool>,
    in_flight: Arc<AtomicU64>,
    /// True once the broker has said that the user may not be a member.
    denied: AtomicBool,
}

impl ClientContext for Context {}

impl Context {
    fn decides(&self, list: &TopicPartitionList) -> bool {
        list.find_partition(&self.topic, 0).is_some()
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance
            && self.decides(list)
        {
            self.writer.send_replace(false);
            // Another may write once this returns: first let what is under way end.
            let until = Instant::now() + RELEASE_WAIT;
            while self.in_flight.load(Ordering::SeqCst) > 0 && Instant::now() < until {
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            if let Err(error) = consumer.pause(list) {
                tracing::warn!(%error, "a partition of the election cannot be paused");
            }
            if self.decides(list) {
                self.writer.send_replace(true);
            }
        }
    }
}

impl Elector {
    /// Joins the group. `topics` are all topics; the first decides. `in_flight` counts the requests
    /// that must end before another may write.
    ///
    /// # Errors
    /// When a property is wrong (exit code 2) or the thread can't be started.
    pub fn start(config: &KafkaConfig, topics: Vec<String>, in_flight: Arc<AtomicU64>) -> Result<Self> {
        let topic = topics.first().cloned().unwrap_or_default();
        let mut client = client_config(config);
        for (name, value) in [("session.timeout.ms", "10000"), ("heartbeat.interval.ms", "1000")] {
            if !config.properties.contains_key(name) {
                client.set(name, value);
            }
        }
        client
            .set("group.id", &config.group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "latest")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("queued.max.messages.kbytes", "64")
            .set("fetch.message.max.bytes", "1024");
        let writer = watch::Sender::new(false);
        let context = Context {
            topic: topic.clone(),
            writer: writer.clone(),
            in_flight,
            denied: AtomicBool::new(false),
        };
        let wrong = |error: KafkaError| no_client("member of the group", &error);
        let consumer: BaseConsumer<Context> = client.create_with_context(context).map_err(wrong)?;
        consumer.subscribe(&[&topic]).map_err(wrong)?;
        let consumer = Arc::new(consumer);
        let closing = Arc::new(AtomicBool::new(false));
        let thread = {
            let (consumer, closing) = (Arc::clone(&consumer), Arc::clone(&closing));
            std::thread::Builder::new()
                .name("elector".to_owned())
                .spawn(move || heartbeat(&consumer, &closing))
        };
        let thread =
            thread.map_err(|error| Error::failed("the elector's thread cannot be started").because(error))?;
        let group = config.group.clone();
        Ok(Self { consumer, writer, closing, group, thread: std::sync::Mutex::new(Some(thread)), topics })
    }
}

/// The indexes that every committed offset speaks of; empty when they differ or name none.
fn said_by_all(words: &BTreeSet<String>) -> BTreeMap<String, String> {
    match words.first() {
        Some(word) if words.len() == 1 => serde_json::from_str(word).unwrap_or_default(),
        _ => BTreeMap::new(),
    }
}

/// Serves the group until told to leave. Records are paused: none comes.
fn heartbeat(consumer: &BaseConsumer<Context>, closing: &AtomicBool) {
    while !closing.load(Ordering::Relaxed) {
        if let Some(Err(error)) = consumer.poll(Duration::from_millis(100)) {
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
                consumer.context().denied.store(true, Ordering::Relaxed);
            }
            tracing::debug!(%error, "the election's consumer");
        }
    }
    consumer.unsubscribe();
    // Leaving at once lets another take over without waiting for the session to end.
    let until = Instant::now() + Duration::from_secs(2);
    while consumer.assignment().is_ok_and(|held| held.count() > 0) && Instant::now() < until {
        consumer.poll(Duration::from_millis(20));
    }
}

impl Leadership for Elector {
    fn writer(&self) -> watch::Receiver<bool> {
        self.writer.subscribe()
    }

    fn commit(&self, delivered: &Delivered) -> bool {
        let mut list = TopicPartitionList::new();
        for (at, next) in delivered.frontier.iter() {
            if let Err(error) = list.add_partition_offset(&at.topic, at.partition, Offset::Offset(next)) {
                tracing::warn!(%error, partition = %at, "an offset cannot be committed");
            }
        }
        // Kafka keeps a word of the committer's own beside each offset: the indexes that it speaks of.
        let indexes = serde_json::to_string(&delivered.indexes).unwrap_or_default();
        list.elements().iter_mut().for_each(|element| element.set_metadata(&indexes));
        match self.consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => true,
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::NoOffset) => true,
            Err(error) => {
                tracing::warn!(%error, "the frontier was not committed, it is tried again");
                false
            }
        }
    }

    fn committed(&self) -> Result<Delivered> {
        if self.consumer.context().denied.load(Ordering::Relaxed) {
            // Whoever may not be a member never becomes the writer.
            return Err(rights::on_group(&self.group));
        }
        let mut list = TopicPartitionList::new();
        for topic in &self.topics {
            let metadata = self.consumer.fetch_metadata(Some(topic), WAIT);
            let Ok(metadata) = metadata else { return Ok(Delivered::default()) };
            for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
                list.add_partition(topic, partition.id());
            }
        }
        // A broker that is away says nothing now, and is asked again.
        let Ok(committed) = self.consumer.committed_offsets(list, WAIT) else {
            return Ok(Delivered::default());
        };
        let mut words = BTreeSet::new();
        let mut frontier = Positions::default();
        for element in committed.elements() {
            if let Offset::Offset(next) = element.offset() {
                frontier.set(TopicPartition::new(element.topic(), element.partition()), next);
                words.insert(element.metadata().to_owned());
            }
        }
        Ok(Delivered { frontier, indexes: said_by_all(&words) })
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(Err(_)) = thread.map(std::thread::JoinHandle::join) {
            tracing::warn!("the elector's thread broke off");
        }
    }
}
