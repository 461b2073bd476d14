//! One writer of a group: a consumer that reads nothing joins the group. The member that is assigned the first topic's
//! first partition is the writer. As a member it also commits the low watermark.
//!
//! The group's assignor deals out the partitions of a topic among the members that subscribe to it, by count. A member
//! that subscribed to the first topic could be given the deciding partition of a healthy writer. Therefore the writer
//! alone subscribes to it. The others subscribe to another topic, whose rebalances leave the writer its partitions, and
//! look whether the group has a writer. When it has none, one of them subscribes to the first topic ([`Candidacy`] says
//! which and when).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::watch;

use super::{client_config, members, no_client, rights};
use crate::config::KafkaConfig;
use crate::error::{Error, Result};
use crate::position::{Positions, TopicPartition};
use crate::source::candidacy::{Candidacy, GroupMembers};
use crate::source::leadership::{DeliveredPosition, Leadership, metadata_of, position_from_metadata};
use crate::source::throttle::LogThrottle;

const WAIT: Duration = Duration::from_secs(10);
/// How long a writer that is called off waits for its requests to be answered.
const RELEASE_WAIT: Duration = Duration::from_secs(10);
/// How often a member that does not write looks whether the group has a writer.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long such a look waits for the brokers.
const LOOK_WAIT: Duration = Duration::from_secs(3);
/// A member that asked takes another one for the writer after so long. Until then the assignment that the brokers
/// describe may be its own, on its way to it.
const ASKING_MAX: Duration = Duration::from_secs(3);

/// This instance's membership of the group.
pub struct Elector {
    consumer: Arc<BaseConsumer<ElectorContext>>,
    writer: watch::Sender<bool>,
    closing: Arc<AtomicBool>,
    joined: Arc<AtomicBool>,
    caught_up: Arc<AtomicBool>,
    group: String,
    thread: std::sync::Mutex<Option<std::thread::JoinHandle<()>>>,
    topics: Vec<String>,
    throttle: LogThrottle,
}

struct ElectorContext {
    /// The topic whose first partition decides.
    topic: String,
    /// The topic that members subscribe to which do not ask for the writing.
    aside: String,
    closing: Arc<AtomicBool>,
    writer: watch::Sender<bool>,
    in_flight: Arc<AtomicU64>,
    /// True once the broker has said that the user may not be a member.
    denied: AtomicBool,
}

impl ClientContext for ElectorContext {}

impl ElectorContext {
    fn decides(&self, list: &TopicPartitionList) -> bool {
        list.find_partition(&self.topic, 0).is_some()
    }
}

impl ConsumerContext for ElectorContext {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance
            && self.decides(list)
        {
            self.writer.send_replace(false);
            // Another may write once this returns, so that the requests in flight are let end first.
            let until = Instant::now() + RELEASE_WAIT;
            while self.in_flight.load(Ordering::SeqCst) > 0 && Instant::now() < until {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            // It comes back as one that stands by: another member may be the writer by then.
            if !self.closing.load(Ordering::Relaxed) {
                subscribe(consumer, &self.aside);
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
    /// A member that joins the group later ([`Leadership::join`]). `topics` are all topics; the first decides. `in_flight` counts the requests
    /// that must end before another may write.
    ///
    /// # Errors
    /// When a property is wrong (exit code 2) or the thread can't be started.
    pub fn start(config: &KafkaConfig, topics: Vec<String>, in_flight: Arc<AtomicU64>) -> Result<Self> {
        let topic = topics.first().cloned().unwrap_or_default();
        let aside = topics.last().cloned().unwrap_or_default();
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
        let [closing, joined, caught_up] = std::array::from_fn(|_| Arc::<AtomicBool>::default());
        let context = ElectorContext {
            topic,
            aside,
            closing: Arc::clone(&closing),
            writer: writer.clone(),
            in_flight,
            denied: AtomicBool::new(false),
        };
        let wrong = |error: KafkaError| no_client("member of the group", &error);
        let consumer: BaseConsumer<ElectorContext> = client.create_with_context(context).map_err(wrong)?;
        let consumer = Arc::new(consumer);
        let member = GroupMember {
            consumer: Arc::clone(&consumer),
            group: config.group.clone(),
            joined: Arc::clone(&joined),
            caught_up: Arc::clone(&caught_up),
            candidacy: Candidacy::default(),
            place: GroupPlace::Outside,
        };
        let thread = std::thread::Builder::new().name("elector".to_owned()).spawn(move || member.serve());
        let thread = thread.map_err(|error| {
            Error::failure("the elector's thread cannot be started; check the limit of threads")
                .because(error)
        })?;
        let group = config.group.clone();
        let thread = std::sync::Mutex::new(Some(thread));
        Ok(Self {
            consumer,
            writer,
            closing,
            joined,
            caught_up,
            group,
            thread,
            topics,
            throttle: LogThrottle::default(),
        })
    }
}

fn subscribe(consumer: &BaseConsumer<ElectorContext>, topic: &str) {
    if let Err(error) = consumer.subscribe(&[topic]) {
        tracing::warn!(%error, topic, "the election's consumer cannot subscribe");
    }
}

/// Where a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupPlace {
    /// Not in the group.
    Outside,
    /// In the group, beside the writer.
    Aside,
    /// Subscribed to the deciding topic since then.
    Asking(Instant),
    /// The writer.
    Writing,
}

/// The thread's part of a membership.
struct GroupMember {
    consumer: Arc<BaseConsumer<ElectorContext>>,
    group: String,
    joined: Arc<AtomicBool>,
    caught_up: Arc<AtomicBool>,
    candidacy: Candidacy,
    place: GroupPlace,
}

impl GroupMember {
    /// Serves the group until told to leave. Records are paused: none comes.
    fn serve(mut self) {
        let mut looked = None::<Instant>;
        while !self.consumer.context().closing.load(Ordering::Relaxed) {
            self.poll();
            self.note_turn();
            let is_in = self.joined.load(Ordering::Relaxed);
            if is_in
                && self.place != GroupPlace::Writing
                && looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY)
            {
                self.look();
                looked = Some(Instant::now());
            }
        }
        self.consumer.unsubscribe();
        // Leaving at once lets another take over without waiting for the session to end.
        let until = Instant::now() + Duration::from_secs(2);
        while self.consumer.assignment().is_ok_and(|list| list.count() > 0) && Instant::now() < until {
            self.consumer.poll(Duration::from_millis(20));
        }
    }

    fn poll(&self) {
        if let Some(Err(error)) = self.consumer.poll(Duration::from_millis(100)) {
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
                self.consumer.context().denied.store(true, Ordering::Relaxed);
            }
            tracing::debug!(%error, "the election's consumer");
        }
    }

    /// Notes whether the deciding partition came or went. A member that lost it has subscribed aside already.
    fn note_turn(&mut self) {
        let is_writer = *self.consumer.context().writer.borrow();
        match (is_writer, self.place) {
            (true, _) => self.place = GroupPlace::Writing,
            (false, GroupPlace::Writing) => {
                self.candidacy.step_down();
                self.place = GroupPlace::Aside;
            }
            (false, _) => {}
        }
    }

    /// Looks at the group, and asks for the writing where that is due.
    fn look(&mut self) {
        let ElectorContext { topic, aside, .. } = self.consumer.context().as_ref();
        let own = self.consumer.assignment().ok();
        let members = members::ask(&self.consumer, (&self.group, topic), own.as_ref(), LOOK_WAIT);
        if let GroupPlace::Asking(since) = self.place {
            if members == GroupMembers::Led && since.elapsed() >= ASKING_MAX {
                tracing::debug!(self.group, "another member of the group writes");
                subscribe(&self.consumer, aside);
                self.place = GroupPlace::Aside;
            }
            return;
        }
        if self.candidacy.asks(members, self.caught_up.load(Ordering::Relaxed)) {
            tracing::debug!(
                self.group,
                ?members,
                "no member of the group writes; this instance asks for the role"
            );
            subscribe(&self.consumer, topic);
            self.place = GroupPlace::Asking(Instant::now());
        } else if self.place == GroupPlace::Outside && self.candidacy.knows_group() {
            subscribe(&self.consumer, aside);
            self.place = GroupPlace::Aside;
        }
    }
}

impl Leadership for Elector {
    fn writer(&self) -> watch::Receiver<bool> {
        self.writer.subscribe()
    }

    fn commit(&self, delivered: &DeliveredPosition) -> bool {
        let mut list = TopicPartitionList::new();
        for (at, next) in delivered.low_watermark.iter() {
            if let Err(error) = list.add_partition_offset(&at.topic, at.partition, Offset::Offset(next)) {
                tracing::warn!(%error, partition = %at, "an offset cannot be committed");
            }
        }
        // Kafka keeps a word of the committer's own beside each offset: the indexes and the log that it speaks of.
        let metadata = metadata_of(delivered);
        list.elements().iter_mut().for_each(|element| element.set_metadata(&metadata));
        match self.consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => true,
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::NoOffset) => true,
            Err(error) => {
                if self.throttle.is_due() {
                    tracing::warn!(%error, "the low watermark was not committed, it is tried again");
                }
                false
            }
        }
    }

    fn writer_position(&self) -> Result<DeliveredPosition> {
        if self.consumer.context().denied.load(Ordering::Relaxed) {
            // A user that may not be a member never becomes the writer.
            return Err(rights::on_group(&self.group));
        }
        let mut list = TopicPartitionList::new();
        for topic in &self.topics {
            let metadata = self.consumer.fetch_metadata(Some(topic), WAIT);
            let Ok(metadata) = metadata else { return Ok(DeliveredPosition::default()) };
            for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
                list.add_partition(topic, partition.id());
            }
        }
        // A broker that is away says nothing now, and is asked again.
        let Ok(committed) = self.consumer.committed_offsets(list, WAIT) else {
            return Ok(DeliveredPosition::default());
        };
        let mut words = BTreeSet::new();
        let mut low_watermark = Positions::default();
        for element in committed.elements() {
            if let Offset::Offset(next) = element.offset() {
                low_watermark.set(TopicPartition::new(element.topic(), element.partition()), next);
                words.insert(element.metadata().to_owned());
            }
        }
        Ok(position_from_metadata(low_watermark, &words))
    }

    fn join(&self) {
        self.joined.store(true, Ordering::Relaxed);
    }

    fn note_caught_up(&self) {
        self.caught_up.store(true, Ordering::Relaxed);
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(Err(_)) = thread.map(std::thread::JoinHandle::join) {
            tracing::warn!("the elector's thread broke off");
        }
    }
}
