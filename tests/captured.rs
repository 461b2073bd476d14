//! The bytes that real producers wrote (`tests/captured`) come by Kafka into Elasticsearch, all of them.

use std::fs;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::capture::{captured, from_base64, lines, read, reasons};
use crate::cases::create_topics;
use crate::harness::{LONG, World, eventually, fresh};
use crate::registry::{Mood, Registry};
use crate::services::{self, Services};

/// A folder of captured topics, and how they are read.
struct Flavour {
    folder: &'static str,
    format: &'static str,
    encoding: &'static str,
    topics: [&'static str; 2],
    extra: &'static str,
    /// The number of records that are poison by their contents.
    poison: usize,
}

const APP: [&str; 2] = ["app.organisations", "app.contacts"];
const CRM: [&str; 2] = ["crm.organisations", "crm.contacts"];
const OUTBOX: [&str; 2] = ["organisation", "contact"];
const NAMES: &str = "organisations.naming = \"snake_case\"\ncontacts.naming = \"snake_case\"\n\
                     organisations.from = {updatedAt = \"micros\"}\ncontacts.from = {updatedAt = \"micros\"}\n";

const fn flavour(folder: &'static str, format: &'static str, topics: [&'static str; 2]) -> Flavour {
    Flavour { folder, format, encoding: "json", topics, extra: "", poison: 0 }
}

impl Flavour {
    const fn encoded(self, encoding: &'static str) -> Self {
        Self { encoding, ..self }
    }

    const fn with(self, extra: &'static str) -> Self {
        Self { extra, ..self }
    }

    const fn poison(self, poison: usize) -> Self {
        Self { poison, ..self }
    }
}

const FLAVOURS: [Flavour; 21] = [
    flavour("debezium-json", "debezium", APP),
    flavour("debezium-json", "debezium", CRM).with(NAMES),
    flavour("debezium-json", "debezium", ["message", "crm.tenant_contacts"])
        .with("contacts.key = [\"tenant_id\", \"id\"]\ncontacts.naming = \"snake_case\"\n"),
    // Composite keys without the setting; a truncation is none.
    flavour("debezium-json", "debezium", ["message", "crm.tenant_contacts"]).poison(5),
    flavour("debezium-json-schemas", "debezium", APP),
    flavour("debezium-moved-database", "debezium", APP),
    flavour("debezium-replays", "debezium", APP),
    flavour("debezium-compacted", "debezium", APP),
    flavour("debezium-avro", "debezium", APP).encoded("avro"),
    flavour("debezium-avro", "debezium", ["crm.organisations", "none"]).encoded("avro").with(NAMES),
    flavour("flattened-rewrite", "plain", APP),
    flavour("flattened-rewrite", "plain", CRM).with(NAMES),
    flavour("flattened-tombstone", "plain", APP),
    flavour("flattened-tombstone", "plain", ["none", "crm.contacts"]).with(NAMES),
    // The router sends no type without its setting.
    flavour("outbox-default", "outbox", OUTBOX).poison(14),
    // A null, a text and a list are no data of an entity that is created.
    flavour("outbox-string", "outbox", OUTBOX).poison(3),
    flavour("outbox-text", "outbox", OUTBOX).poison(3),
    flavour("registry-avro", "plain", ["avro-organisations", "avro-contacts"]).encoded("avro"),
    flavour("registry-avro", "cloudevents", ["avro-organisation-events", "none"]).encoded("avro"),
    flavour("registry-json-schema", "plain", ["json-organisations", "json-contacts"]).encoded("json-schema"),
    flavour("registry-protobuf", "plain", ["proto-organisations", "proto-contacts"]).encoded("protobuf"),
];

impl Flavour {
    fn registry(&self) -> Registry {
        let schemas = captured(self.folder).join("schemas.json");
        Registry::start(if schemas.exists() { read(&schemas) } else { json!({}) })
    }

    fn lines(&self, topic: &str) -> String {
        lines(self.folder, topic)
    }

    fn settings(&self, topics: &[String; 2], registry: &Registry) -> String {
        let Self { format, encoding, extra, .. } = self;
        let mut settings = format!("schema_registry.url = {:?}\n{extra}", registry.url);
        for (entity, topic) in ["organisations", "contacts"].iter().zip(topics) {
            settings += &format!(
                "{entity}.topics = [{topic:?}]\n{entity}.format = {format:?}\n{entity}.encoding = {encoding:?}\n"
            );
        }
        settings
    }

    /// A deployment over topics of Kafka that hold nothing yet.
    fn by_kafka(&self, servers: &Services, registry: &Registry) -> (World, [String; 2]) {
        let topics = self.topics.map(fresh);
        create_topics(&servers.kafka, &topics, 1);
        (World::new(servers, "captured", &self.settings(&topics, registry)), topics)
    }

    /// The documents that the same records make out of files, in an embedded index.
    fn by_files(&self, registry: &Registry) -> World {
        let settings = self.settings(&self.topics.map(str::to_owned), registry);
        let world = World::embedded(
            "captured",
            &format!("source.kind = \"files\"\nsource.path = \"events\"\n{settings}"),
        );
        fs::create_dir_all(world.path("events")).unwrap();
        for topic in self.topics {
            fs::write(world.path("events").join(format!("{topic}.jsonl")), self.lines(topic)).unwrap();
        }
        world.succeed(&["run", "--until-end"]);
        world
    }
}

/// Writes captured lines to a topic, byte by byte.
fn produce(servers: &Services, topic: &str, lines: &str) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &servers.kafka).create().unwrap();
    for line in lines.lines() {
        let members: std::collections::HashMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
        let text = |name: &str| {
            let held = members.get(name).filter(|held| held.get() != "null");
            held.map(|held| serde_json::from_str::<String>(held.get()).unwrap())
        };
        let key = text("key_base64").map(|key| from_base64(&key)).or(text("key").map(String::into_bytes));
        let value = text("value_base64").map(|value| from_base64(&value)).or_else(|| {
            let held = members.get("value").filter(|held| held.get() != "null");
            held.map(|held| held.get().as_bytes().to_vec())
        });
        let headers: Value =
            members.get("headers").map_or(Value::Null, |held| serde_json::from_str(held.get()).unwrap());
        let mut sent = OwnedHeaders::new();
        for (key, value) in headers.as_object().into_iter().flatten() {
            sent = sent.insert(Header { key, value: value.as_str() });
        }
        let record = BaseRecord::<[u8], [u8]>::to(topic).partition(0).headers(sent);
        let record = key.iter().fold(record, |record, key| record.key(key));
        let record = value.iter().fold(record, |record, value| record.payload(value));
        producer.send(record).unwrap();
    }
    producer.flush(LONG).unwrap();
}

#[test]
fn captured_bytes_by_kafka_end_in_the_documents_that_files_make() {
    let (servers, _turn) = services::whole();
    for flavour in &FLAVOURS {
        let registry = flavour.registry();
        let (world, topics) = flavour.by_kafka(&servers, &registry);
        for (topic, captured) in topics.iter().zip(flavour.topics) {
            produce(&servers, topic, &flavour.lines(captured));
        }
        world.succeed(&["run", "--until-end"]);
        world.refresh();
        let files = flavour.by_files(&registry);
        let name = (flavour.folder, flavour.topics);
        assert_eq!(reasons(&world).len(), flavour.poison, "{name:?}: {:?}", reasons(&world));
        assert_eq!(reasons(&world).len(), reasons(&files).len(), "{name:?}");
        assert_eq!(world.all_documents(), files.all_documents(), "{name:?}");
    }
}

#[test]
fn a_registry_that_goes_away_in_the_middle_loses_no_record() {
    let (servers, _turn) = services::whole();
    let flavour = &FLAVOURS[8];
    let registry = flavour.registry();
    let (world, topics) = flavour.by_kafka(&servers, &registry);
    let half = flavour.lines(flavour.topics[0]);
    let (before, after) = half.split_at(half.match_indices('\n').nth(5).unwrap().0 + 1);
    produce(&servers, &topics[0], before);
    let mut running = world.start(&["run"]);
    world.wait_until_delivered();
    registry.set(Mood::Away);
    // The contacts' schemas are not known yet. The organisations' are, and their records wait for nothing.
    produce(&servers, &topics[1], &flavour.lines(flavour.topics[1]));
    eventually("the reason", || world.get("/readyz").1.contains("registry_away").then_some(()));
    produce(&servers, &topics[0], after);
    let asked = registry.unheard();
    eventually("that it is asked again and again", || (registry.unheard() > asked + 2).then_some(()));
    assert_eq!(reasons(&world), Vec::<String>::new());
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    // Also a run that starts meanwhile waits.
    let mut running = world.start(&["run"]);
    eventually("the reason", || world.get("/readyz").1.contains("registry_away").then_some(()));
    registry.set(Mood::Well);
    world.wait_until_delivered();
    world.refresh();
    let files = flavour.by_files(&registry);
    assert_eq!((reasons(&world), world.all_documents()), (Vec::new(), files.all_documents()));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
}
