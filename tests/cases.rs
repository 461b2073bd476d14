//! The acceptance cases: logs with the exact documents that they end in, from files and through Kafka.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::Value;

use crate::files::{entries, root};
use crate::harness::{LONG, PROJECTIONS, World, eventually, fresh, log_lines, runtime};
use crate::services;

pub fn cases() -> Vec<PathBuf> {
    let mut cases = entries(&root().join("tests/cases"));
    cases.retain(|case| case.join("expected.json").exists());
    assert!(cases.len() >= 60, "only {} cases found", cases.len());
    cases
}

pub fn json(path: &Path) -> Value {
    std::fs::read_to_string(path).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
}

/// The lines of configuration that a case asks for.
pub fn settings(case: &Path) -> String {
    let config = json(&case.join("config.json"));
    let format = config["format"].as_str().unwrap_or("cloudevents");
    let mut text = format!("organisations.format = \"{format}\"\ncontacts.format = \"{format}\"\n");
    if let Some(version) = config["version"].as_str() {
        text += &format!("organisations.version = {version:?}\ncontacts.version = {version:?}\n");
    }
    if let Some(max) = config["max_embedded_contacts"].as_u64() {
        text += &format!("index.max_embedded_contacts = {max}\n");
    }
    for (name, rule) in config["types"].as_object().into_iter().flatten() {
        text += &format!("events.types.\"{name}\" = {rule}\n");
    }
    text
}

/// The lines of configuration that a case asks for, with its own files as the source.
fn from_files(case: &Path) -> String {
    let events = case.join("events");
    format!("{}source.kind = \"files\"\nsource.path = {events:?}\n", settings(case))
}

/// The differences to the case's expectation; empty where there is none.
pub fn differences(world: &World, case: &Path, places: &dyn Fn(&Value) -> (String, i64, i64)) -> String {
    let expected = json(&case.join("expected.json"));
    let mut found = String::new();
    for projection in PROJECTIONS {
        let got = Value::Object(world.documents(projection).into_iter().collect());
        if got != expected[projection] {
            found += &format!("{projection}\n  got      {got}\n  expected {}\n", expected[projection]);
        }
    }
    let mut poison: Vec<(String, i64, i64)> =
        expected["poison"].as_array().unwrap().iter().map(places).collect();
    let mut letters: Vec<(String, i64, i64)> = world.dead_letters().iter().map(place).collect();
    poison.sort();
    letters.sort();
    if poison != letters {
        found += &format!("poison\n  got      {letters:?}\n  expected {poison:?}\n");
    }
    found
}

fn place(letter: &Value) -> (String, i64, i64) {
    let number = |name: &str| letter[name].as_i64().unwrap();
    (letter["topic"].as_str().unwrap().to_owned(), number("partition"), number("offset"))
}

fn check_all(run: impl Fn(&Path) -> String) {
    check_each(cases(), run);
}

fn check_each(cases: impl IntoIterator<Item = PathBuf>, run: impl Fn(&Path) -> String) {
    let mut failed = String::new();
    for case in cases {
        let found = run(&case);
        if !found.is_empty() {
            failed += &format!("{}: {found}\n", case.file_name().unwrap().display());
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn every_case_ends_in_its_documents_from_files() {
    let (servers, _turn) = services::whole();
    check_all(|case| {
        let extra = from_files(case);
        let world = World::new(&servers, "case", &extra);
        world.succeed(&["run", "--until-end"]);
        differences(&world, case, &place)
    });
}

/// Each contact is a document of its own there, on one of several shards. Put together again they are the same documents.
/// Every second case is enough, because children are made as nested contacts are.
#[test]
fn every_case_ends_in_its_documents_as_owners_and_children() {
    if !services::has_join() {
        return;
    }
    let (servers, _turn) = services::whole();
    check_each(cases().into_iter().step_by(2), |case| {
        let mut expected = json(&case.join("expected.json"));
        if settings(case).contains("max_embedded_contacts") {
            // No child is left out.
            return String::new();
        }
        let extra = from_files(case);
        let world = World::new(&servers, "case", &format!("{extra}{}", crate::join::SETTINGS));
        crate::join::spread(&world);
        world.succeed(&["run", "--until-end"]);
        let got = Value::Object(crate::join::whole(&world).into_iter().collect());
        match expected["organisations"].take() {
            expected if expected == got => String::new(),
            expected => format!("got      {got}\n  expected {expected}\n"),
        }
    });
}

#[test]
fn every_case_ends_in_its_documents_in_the_embedded_index() {
    check_all(|case| {
        let extra = from_files(case);
        let world = World::embedded("case", &extra);
        world.succeed(&["run", "--until-end"]);
        // A second run finds its own index, and changes nothing.
        world.succeed(&["run", "--until-end"]);
        differences(&world, case, &place)
    });
}

#[test]
fn every_case_ends_in_its_documents_through_kafka_with_several_partitions() {
    let (servers, _turn) = services::whole();
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", &servers.kafka).create().unwrap();
    check_all(|case| {
        let suffix = fresh("case");
        let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{suffix}"));
        create_topics(&servers.kafka, &topics, 3);
        // Where each line went: by topic, partition and offset of the file.
        let placed = produce(&producer, case, &suffix);
        producer.flush(Duration::from_secs(30)).unwrap();
        let extra = format!(
            "{}organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n",
            settings(case),
            topics[0],
            topics[1]
        );
        let world = World::new(&servers, "kafka-case", &extra);
        world.succeed(&["run", "--until-end"]);
        let lookup = |poison: &Value| {
            let (topic, partition, offset) = place(poison);
            let found = placed.iter().find(|(from, _)| *from == (topic.clone(), partition, offset));
            let (_, (partition, offset)) = found.unwrap_or_else(|| panic!("{poison} is nowhere"));
            (format!("{topic}.{suffix}"), *partition, *offset)
        };
        differences(&world, case, &lookup)
    });
}

pub fn create_topics(brokers: &str, topics: &[String], partitions: i32) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let topics: Vec<_> =
        topics.iter().map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(1))).collect();
    create(&admin, &topics);
}

/// Creates topics that a client may read at once.
pub fn create(admin: &AdminClient<DefaultClientContext>, topics: &[NewTopic<'_>]) {
    let options = AdminOptions::new().operation_timeout(Some(LONG));
    for made in runtime().block_on(admin.create_topics(topics, &options)).unwrap() {
        made.unwrap();
    }
    topics.iter().for_each(|topic| await_topic(admin, topic.name));
}

/// Waits until the broker knows a topic, because the controller answers before the broker has heard of it.
pub fn await_topic(admin: &AdminClient<DefaultClientContext>, topic: &str) {
    eventually("the broker knows the topic", || {
        let metadata = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
        let partitions = metadata.topics().first().filter(|topic| topic.error().is_none())?.partitions();
        let has_leaders = partitions.iter().all(|partition| partition.leader() >= 0);
        (has_leaders && !partitions.is_empty()).then_some(())
    });
}

pub type Place = (String, i64, i64);

/// Writes a case's log into topics of three partitions; keys stay together, order is kept.
pub fn produce(
    producer: &ThreadedProducer<DefaultProducerContext>,
    case: &Path,
    suffix: &str,
) -> Vec<(Place, (i64, i64))> {
    let mut placed = Vec::new();
    let mut lines_of = std::collections::HashMap::new();
    let mut next = std::collections::HashMap::new();
    for (topic, file_partition, line) in log_lines(&case.join("events")) {
        let line_number: &mut i64 = lines_of.entry((topic.clone(), file_partition)).or_default();
        let record: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
        let key = record["key"].as_str().map(str::to_owned);
        let hash = xxhash_rust::xxh3::xxh3_64(key.as_deref().unwrap_or_default().as_bytes());
        let partition = if file_partition >= 0 { file_partition } else { i32::try_from(hash % 3).unwrap() };
        let offset: &mut i64 = next.entry((topic.clone(), partition)).or_default();
        let from = (topic.clone(), i64::from(file_partition.max(0)), *line_number);
        placed.push((from, (i64::from(partition), *offset)));
        *line_number += 1;
        *offset += 1;
        // A line that is no record goes as it is.
        let value = if record.is_null() {
            Some(line.clone())
        } else {
            Some(record["value"].clone()).filter(|v| !v.is_null()).map(|v| v.to_string())
        };
        let headers = record["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: value.as_str() })
            });
        let name = format!("{topic}.{suffix}");
        let mut message: BaseRecord<'_, String, String> =
            BaseRecord::to(&name).partition(partition).headers(headers);
        message.key = key.as_ref();
        message.payload = value.as_ref();
        producer.send(message).map_err(|(error, _)| error).unwrap();
    }
    placed
}
