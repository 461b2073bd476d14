//! Topics that go, come back as others, or lose their beginning under a running instance.

use std::time::Instant;

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::cases::await_topic;
use crate::harness::{LONG, World, eventually, fresh, log_of, runtime};
use crate::services::{self, Services};

/// A topic of organisations, one of contacts, and an instance's world.
pub struct Topics {
    pub world: World,
    pub organisations: String,
    pub contacts: String,
    kafka: String,
}

impl Topics {
    pub fn new(servers: &Services, name: &str, policy: &str, extra: &str) -> Self {
        let [organisations, contacts] =
            ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh(name)));
        let settings = format!(
            "organisations.topics = [{organisations:?}]\ncontacts.topics = [{contacts:?}]\n\
             organisations.format = \"plain\"\ncontacts.format = \"plain\"\n{extra}"
        );
        let world = World::new(servers, name, &settings);
        let topics = Self { world, organisations, contacts, kafka: servers.kafka.clone() };
        topics.create(&topics.organisations, policy);
        topics.create(&topics.contacts, policy);
        topics
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.kafka).create().unwrap()
    }

    /// Creates a topic of one partition; one that is being deleted goes first.
    pub fn create(&self, topic: &str, policy: &str) {
        let admin = self.admin();
        eventually("the topic is created", || {
            let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("cleanup.policy", policy);
            let made = runtime().block_on(admin.create_topics([&new], &AdminOptions::new())).ok()?;
            made.into_iter().next()?.ok()
        });
        await_topic(&admin, topic);
    }

    /// Has the records of a topic deleted after so many milliseconds.
    pub fn keep(&self, topic: &str, milliseconds: &str) {
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("retention.ms", milliseconds);
        let altered = self.admin();
        let altered = runtime().block_on(altered.alter_configs([&change], &AdminOptions::new())).unwrap();
        altered.into_iter().for_each(|altered| drop(altered.unwrap()));
    }

    pub fn delete(&self, topic: &str) {
        let deleted = self.admin();
        let deleted = runtime().block_on(deleted.delete_topics(&[topic], &AdminOptions::new())).unwrap();
        deleted.into_iter().for_each(|deleted| drop(deleted.unwrap()));
    }

    /// Produces one organisation for each number.
    pub fn produce(&self, numbers: std::ops::Range<u32>) {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &self.kafka).create().unwrap();
        for number in numbers {
            let (key, value) = (format!("o{number}"), json!({"name": format!("Firm {number}")}).to_string());
            producer.send(BaseRecord::to(&self.organisations).key(&key).payload(&value)).unwrap();
        }
        producer.flush(LONG).unwrap();
    }

    /// Produces one record.
    pub fn put(&self, topic: &str, key: &str, value: &Value) {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &self.kafka).create().unwrap();
        producer.send(BaseRecord::to(topic).key(key).payload(&value.to_string())).unwrap();
        producer.flush(LONG).unwrap();
    }

    /// Produces the deletion of an organisation.
    pub fn tombstone(&self, number: u32) {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &self.kafka).create().unwrap();
        let key = format!("o{number}");
        producer.send(BaseRecord::<str, str>::to(&self.organisations).key(&key)).unwrap();
        producer.flush(LONG).unwrap();
    }

    /// Removes the records below `offset`, as retention does.
    pub fn cut_off(&self, topic: &str, offset: i64) {
        let mut head = TopicPartitionList::new();
        head.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
        runtime().block_on(self.admin().delete_records(&head, &AdminOptions::new())).unwrap();
    }

    /// The names of the organisations' documents.
    pub fn names(&self) -> Vec<String> {
        self.world.settle();
        self.world.documents("organisations").into_keys().collect()
    }
}

pub fn ids(numbers: std::ops::Range<u32>) -> Vec<String> {
    let mut ids: Vec<String> = numbers.map(|number| format!("o{number}")).collect();
    ids.sort();
    ids
}

#[test]
fn a_topic_that_is_recreated_under_an_instance_stops_it_before_a_record_is_folded() {
    let (servers, _turn) = services::whole();
    // As many records as before, fewer, and more.
    for count in [6, 3, 12] {
        let topics = Topics::new(&servers, "recreated", "delete", "");
        topics.produce(0..6);
        let mut running = topics.world.start(&["run"]);
        topics.world.wait_until_delivered();
        topics.delete(&topics.organisations);
        topics.create(&topics.organisations, "delete");
        topics.produce(100..100 + count);
        assert_eq!(running.end(), Some(1), "{}", topics.world.log());
        let log = topics.world.log();
        assert!(log.contains("recreated") && log.contains(&topics.organisations), "{log}");
        assert!(!log.contains("panicked"), "{log}");
        assert_eq!(topics.names(), ids(0..6), "no record of the new topic was folded");
        let again = topics.world.run(&["run", "--until-end"]);
        assert_eq!(again.status.code(), Some(1), "the state is of the old topic: {}", log_of(&again));
        std::fs::remove_dir_all(topics.world.path("state")).unwrap();
        topics.world.succeed(&["run", "--until-end"]);
        assert_eq!(topics.names(), ids(100..100 + count), "a replay speaks of the new topic only");
    }
}

#[test]
fn a_topic_that_was_recreated_while_nothing_ran_is_another_one_also_where_it_begins_at_the_states_position() {
    let (servers, _turn) = services::whole();
    // Nothing behind the position, and something.
    for count in [6, 8] {
        let topics = Topics::new(&servers, "recreated-begins", "delete", "");
        topics.produce(0..6);
        topics.world.succeed(&["run", "--until-end"]);
        topics.delete(&topics.organisations);
        topics.create(&topics.organisations, "delete");
        topics.produce(100..100 + count);
        topics.cut_off(&topics.organisations, 6);
        let refused = topics.world.run(&["run", "--until-end"]);
        let log = log_of(&refused);
        assert_eq!(refused.status.code(), Some(1), "{log}");
        assert!(log.contains("was recreated") && log.contains(&topics.organisations), "{log}");
        let checked = log_of(&topics.world.run(&["check"]));
        assert!(
            checked.lines().any(|line| line.starts_with("state: ") && line.contains("recreated")),
            "{checked}"
        );
        assert_eq!(topics.names(), ids(0..6), "no record of the new topic was folded");
    }
}

#[test]
fn what_an_earlier_log_made_is_no_foreign_write_for_a_new_state() {
    let (servers, _turn) = services::whole();
    for index in ["", "index.kind = \"embedded\"\nindex.path = \"index\"\n"] {
        let topics = Topics::new(&servers, "recreated-foreign", "delete", index);
        topics.produce(0..6);
        topics.produce(0..6);
        topics.tombstone(4);
        topics.world.succeed(&["run", "--until-end"]);
        topics.delete(&topics.organisations);
        topics.create(&topics.organisations, "delete");
        topics.produce(0..5);
        std::fs::remove_dir_all(topics.world.path("state")).unwrap();
        let foreign = |running: &mut crate::harness::Running| {
            topics.world.wait_until_delivered();
            let status: Value = serde_json::from_str(&topics.world.get("/status").1).unwrap();
            running.signal("TERM");
            assert_eq!(running.end(), Some(0), "{}", topics.world.log());
            status["counters"]["foreign"].as_u64().unwrap()
        };
        assert_eq!(foreign(&mut topics.world.start(&["run"])), 0, "{}", topics.world.log());
        assert_eq!(topics.names(), ids(0..5));
        topics.world.succeed(&["verify"]);
        // A write of another program is foreign as before, also with a position that was copied.
        if index.is_empty() {
            let path = format!("/{}/_doc/o1", topics.world.index("organisations"));
            let mut held = topics.world.es(elasticsearch::http::Method::Get, &path, None)["_source"].clone();
            held["name"] = json!("somebody else");
            let version = format!("{path}?version={}&version_type=external", 1u64 << 62);
            let answer = topics.world.es(elasticsearch::http::Method::Put, &version, Some(&held));
            assert_eq!(answer["_version"], 1u64 << 62, "{answer}");
            topics.put(&topics.organisations, "o1", &json!({"name": "Changed"}));
            assert_eq!(foreign(&mut topics.world.start(&["run"])), 1, "{}", topics.world.log());
        }
    }
}

#[test]
fn a_topic_that_stays_away_is_told_once_a_minute_and_by_readyz() {
    let (servers, _turn) = services::whole();
    let topics = Topics::new(&servers, "away", "delete", "");
    topics.produce(0..6);
    let mut running = topics.world.start(&["run"]);
    topics.world.wait_until_delivered();
    eventually("ready", || (topics.world.get("/readyz").0 == 200).then_some(()));
    let began = Instant::now();
    topics.delete(&topics.organisations);
    let reason = eventually("not ready", || {
        let (code, body) = topics.world.get("/readyz");
        (code == 503).then_some(body)
    });
    assert!(reason.contains(&topics.organisations), "{reason}");
    topics.create(&topics.organisations, "delete");
    topics.produce(100..112);
    assert_eq!(running.end(), Some(1), "{}", topics.world.log());
    let log = topics.world.log();
    let most = 1 + began.elapsed().as_secs() / 60;
    let warnings = log.lines().filter(|line| line.contains("WARN")).count() as u64;
    assert!((1..=most).contains(&warnings), "{log}");
    assert!(log.contains("recreated") && !log.contains("panicked"), "{log}");
}
