//! Records in Avro, Protobuf and JSON with schemas, as real serializers wrote them (`tests/captured`).

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::capture::{captured, lines, read, reasons};
use crate::harness::{World, eventually, log_of};
use crate::registry::{Mood, Registry};
use crate::services;

/// A captured flavour, read from files.
struct Flavour {
    name: &'static str,
    format: &'static str,
    encoding: &'static str,
    organisations: &'static str,
    contacts: &'static str,
}

const DEBEZIUM: Flavour = Flavour {
    name: "debezium-avro",
    format: "debezium",
    encoding: "avro",
    organisations: "app.organisations",
    contacts: "app.contacts",
};

const AVRO: Flavour = Flavour {
    name: "registry-avro",
    format: "plain",
    encoding: "avro",
    organisations: "avro-organisations",
    contacts: "avro-contacts",
};

const PROTOBUF: Flavour = Flavour {
    name: "registry-protobuf",
    format: "plain",
    encoding: "protobuf",
    organisations: "proto-organisations",
    contacts: "proto-contacts",
};

const JSON_SCHEMA: Flavour = Flavour {
    name: "registry-json-schema",
    format: "plain",
    encoding: "json-schema",
    organisations: "json-organisations",
    contacts: "json-contacts",
};

impl Flavour {
    fn registry(&self) -> Registry {
        Registry::start(read(&captured(self.name).join("schemas.json")))
    }

    fn topics(&self) -> [&'static str; 2] {
        [self.organisations, self.contacts]
    }

    /// A deployment over the captured files, which has not run.
    fn world(&self, extra: &str) -> World {
        let Self { format, encoding, .. } = self;
        let mut settings = "source.kind = \"files\"\nsource.path = \"events\"\n".to_owned();
        for (entity, topic) in ["organisations", "contacts"].iter().zip(self.topics()) {
            settings += &format!(
                "{entity}.topics = [{topic:?}]\n{entity}.format = \"{format}\"\n{entity}.encoding = \"{encoding}\"\n"
            );
        }
        let world = World::embedded("encodings", &(settings + extra));
        fs::create_dir_all(world.path("events")).unwrap();
        for topic in self.topics() {
            fs::write(world.path("events").join(format!("{topic}.jsonl")), lines(self.name, topic)).unwrap();
        }
        world
    }

    /// The same, read to its end.
    fn folded(&self) -> World {
        let registry = self.registry();
        let world = self.world(&format!("schema_registry.url = \"{}\"\n", registry.url));
        world.succeed(&["run", "--until-end"]);
        world
    }

    /// The entities in the end, as another decoder has them.
    fn expected(&self, topic: &str) -> BTreeMap<String, Value> {
        let mut left = BTreeMap::new();
        for record in
            read(&captured(self.name).join("expected.json"))[topic].as_array().unwrap_or(&Vec::new())
        {
            let value = if record.get("json").is_some() { &record["json"] } else { &record["value"] };
            let row = if self.format == "debezium" { &value["after"] } else { value };
            let key = match &record["key"] {
                Value::Object(key) => key.values().next().unwrap().clone(),
                Value::Null => row["id"].clone(),
                key => key.clone(),
            };
            let id = id_of(&key);
            if row.is_null() {
                left.remove(&id)
            } else {
                left.insert(id, row.clone())
            };
        }
        left
    }

    /// The differences of the documents from those of the other decoder.
    fn differences(&self, world: &World) -> Vec<String> {
        let mut found = Vec::new();
        let organisations = self.expected(self.organisations);
        let is_gone = |name: &str, value: &Value| {
            let is_reference = ["parentId", "organisationId"].contains(&name);
            is_reference && !organisations.keys().any(|id| id_of(value) == *id)
        };
        for (projection, topic) in ["organisations", "contacts"].iter().zip(self.topics()) {
            let mut documents = world.documents(projection);
            for (id, row) in self.expected(topic) {
                let Some(document) = documents.remove(&id) else {
                    found.push(format!("{projection}/{id} is missing"));
                    continue;
                };
                for (name, expected) in row.as_object().unwrap() {
                    let got = field(&document, name);
                    let is_left_out = TYPED.contains(&name.as_str()) || is_gone(name, expected);
                    if shape(&got) != shape(expected) && !is_left_out {
                        found.push(format!("{projection}/{id}.{name}: {got} for {expected}"));
                    }
                }
            }
            found.extend(documents.keys().map(|id| format!("{projection}/{id} is too much")));
        }
        found
    }
}

/// The id that a key or a reference holds.
pub fn id_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The other decoder of change events leaves these as numbers.
const TYPED: [&str; 2] = ["founded", "dateOfBirth"];

/// The value of a field in a document.
pub fn field(document: &Value, name: &str) -> Value {
    match name {
        "parentId" => document["parent"]["id"].clone(),
        "organisationId" => document["organisation"]["id"].clone(),
        // A field of this name is not taken apart.
        "attributes" => document["attributes"]["attributes"].clone(),
        _ if document[name].is_null() => document["attributes"][name].clone(),
        _ => document[name].clone(),
    }
}

/// A value as both sides can have it. It has no empty lists and nulls, numbers as text, JSON out of its string, and
/// times without zeros at their end.
pub fn shape(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.to_string().trim_end_matches(".0")),
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), shape(value)));
            let members: serde_json::Map<String, Value> =
                members.filter(|(_, value)| !value.is_null()).collect();
            if members.is_empty() { Value::Null } else { Value::Object(members) }
        }
        Value::String(text) if text.starts_with('{') => {
            serde_json::from_str(text).map_or_else(|_| value.clone(), |held| shape(&held))
        }
        Value::String(text) if text.is_empty() => Value::Null,
        Value::String(text) if text.len() > 18 && text.as_bytes()[10] == b'T' => {
            let text = text.replace("+00:00", "").replace('Z', "");
            json!(if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text })
        }
        _ => value.clone(),
    }
}

#[test]
fn what_serializers_wrote_ends_in_what_another_decoder_reads() {
    for flavour in [DEBEZIUM, AVRO, PROTOBUF, JSON_SCHEMA] {
        let world = flavour.folded();
        assert_eq!(
            (reasons(&world), flavour.differences(&world)),
            (Vec::new(), Vec::new()),
            "{}",
            flavour.name
        );
        assert!(!world.documents("organisations").is_empty(), "{}", flavour.name);
    }
}

#[test]
fn dates_decimals_and_json_are_what_the_schema_says() {
    let flavour = Flavour { organisations: "crm.organisations", contacts: "crm.contacts", ..DEBEZIUM };
    let world = flavour.folded();
    assert_eq!(reasons(&world), Vec::<String>::new());
    let documents = world.documents("organisations");
    let document = &documents["0b8f2e64-0000-4000-8000-000000000001"];
    assert_eq!(document["address"]["city"], json!("Leeds"), "{document}");
    let attributes = &document["attributes"];
    for (name, expected) in [
        ("annual_revenue", "1234567890.12"),
        ("rating", "3.5"),
        ("founded", "\"1987-03-09\""),
        ("opens_at", "\"08:30:00\""),
        ("created_at", "\"2024-01-05T09:30:00.123456Z\""),
    ] {
        assert_eq!(attributes[name].to_string(), expected, "{name} in {attributes}");
    }
    assert!(attributes["updated_at"].as_str().is_some_and(|time| time.ends_with('Z')), "{attributes}");
    let other = &documents["0b8f2e64-0000-4000-8000-000000000002"]["attributes"];
    assert_eq!(other["annual_revenue"].to_string(), "-0.01", "{other}");
    assert_eq!(other["score"], json!("NaN"));
}

#[test]
fn events_in_avro_are_read_in_the_binary_mode_of_cloudevents() {
    let flavour = Flavour {
        name: "registry-avro",
        format: "cloudevents",
        encoding: "avro",
        organisations: "avro-organisation-events",
        contacts: "none",
    };
    let registry = flavour.registry();
    let world = flavour.world(&format!("schema_registry.url = \"{}/\"\n", registry.url));
    let path = world.path("events/avro-organisation-events.jsonl");
    let lines = fs::read_to_string(&path).unwrap();
    let events: Vec<&str> = lines.lines().collect();
    fs::write(&path, format!("{}\n{}\n", events[0], events[1])).unwrap();
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("organisations")["o-1"]["name"], json!("Aldergate Group plc"));
    fs::write(&path, lines).unwrap();
    world.succeed(&["run", "--until-end"]);
    assert_eq!((world.documents("organisations"), reasons(&world)), (BTreeMap::new(), Vec::new()));
}

#[test]
fn a_schema_is_asked_for_once_with_what_it_refers_to() {
    let registry = PROTOBUF.registry();
    let world = PROTOBUF.world(&format!("schema_registry.url = \"{}\"\n", registry.url));
    world.succeed(&["run", "--until-end"]);
    let mut asked = registry.asked();
    let all = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(all, asked.len(), "each once");
    assert!(asked.iter().any(|path| path.ends_with("/subjects/common.proto/versions/1")), "{asked:?}");
}

#[test]
fn the_frame_of_a_registry_is_named_where_none_is_configured() {
    let world = Flavour { encoding: "json", ..AVRO }.world("");
    world.succeed(&["run", "--until-end"]);
    let told = reasons(&world);
    assert!(
        told.len() == 6
            && told.iter().all(|reason| reason.contains("the frame of a schema registry (schema")),
        "{told:?}"
    );
    let world = Flavour { encoding: "json", ..DEBEZIUM }.world("");
    world.succeed(&["run", "--until-end"]);
    let told = reasons(&world);
    assert!(told.iter().all(|reason| reason.contains("schema_registry.url")), "{told:?}");
    assert_eq!(world.documents("organisations"), BTreeMap::new(), "no id is made of a framed key");
}

#[test]
fn a_record_of_an_unknown_schema_is_poison_and_can_be_retried() {
    let mut schemas = read(&captured("registry-avro/schemas.json"));
    let second = schemas.as_object_mut().unwrap().remove("2").unwrap();
    let registry = Registry::start(schemas);
    let world = AVRO.world(&format!("schema_registry.url = \"{}\"\n", registry.url));
    world.succeed(&["run", "--until-end"]);
    let told = reasons(&world);
    assert!(
        told.len() == 2 && told.iter().all(|reason| reason.contains("schema 2 is not known")),
        "{told:?}"
    );
    registry.register("2", second);
    world.succeed(&["dead-letters", "retry"]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!((reasons(&world), AVRO.differences(&world)), (Vec::new(), Vec::new()));
}

#[test]
fn a_registry_that_is_away_is_waited_for_and_nothing_is_lost() {
    for mood in [Mood::Away, Mood::Status(500), Mood::Status(429), Mood::Status(401)] {
        let registry = AVRO.registry();
        registry.set(mood);
        let world = AVRO.world(&format!("schema_registry.url = \"{}\"\n", registry.url));
        let mut running = world.start(&["run"]);
        eventually("the reason", || {
            let (code, body) = world.get("/readyz");
            (code == 503 && body.contains("registry_away") && body.contains(&registry.url)).then_some(())
        });
        let status = world.get("/status").1;
        assert!(status.contains("registry_away"), "{status}");
        registry.set(Mood::Well);
        world.wait_until_delivered();
        eventually("it is ready", || (world.get("/readyz").0 == 200).then_some(()));
        running.signal("TERM");
        assert_eq!(running.end(), Some(0), "{}", world.log());
        assert!(world.log().contains("waiting for the schema registry"), "{}", world.log());
        assert_eq!((reasons(&world), AVRO.differences(&world)), (Vec::new(), Vec::new()), "{mood:?}");
    }
}

#[test]
fn a_rebuild_from_the_log_waits_for_a_registry_and_an_explanation_says_that_it_lacks_the_records() {
    let registry = AVRO.registry();
    let world = AVRO.world(&format!("schema_registry.url = \"{}\"\n", registry.url));
    world.succeed(&["run", "--until-end"]);
    registry.set(Mood::Away);
    let id = world.documents("organisations").into_keys().next().unwrap();
    let explained = world.run(&["explain", "organisations", &id, "--format", "json"]);
    let (shown, log) = (String::from_utf8_lossy(&explained.stdout), log_of(&explained));
    assert_eq!(explained.status.code(), Some(1), "{log}");
    assert!(
        shown.contains(&id) && log.contains("the log was not read: the schema registry"),
        "{shown}\n{log}"
    );
    let mut rebuild = world.start(&["reindex", "--from", "log"]);
    eventually("the rebuild waits", || world.log().contains("waiting for the schema registry").then_some(()));
    registry.set(Mood::Well);
    assert_eq!(rebuild.end(), Some(0), "{}", world.log());
    assert_eq!((reasons(&world), AVRO.differences(&world)), (Vec::new(), Vec::new()));
}

#[test]
fn a_registry_that_asks_for_a_user_is_told_one() {
    let registry = AVRO.registry();
    registry.demand("Basic YW5uYTpzZWNyZXQ=");
    let world = AVRO
        .world(&format!("schema_registry.url = {:?}\nschema_registry.username = \"anna\"\n", registry.url));
    fs::write(world.path("password"), "secret\n").unwrap();
    let refused = world.run(&["check"]);
    let told = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(refused.status.code() == Some(1) && told.contains("\nschema_registry.username: "), "{told}");
    let password = format!("schema_registry.password_file = {:?}\n", world.path("password"));
    world.write_config(&(world.config.clone() + &password));
    world.succeed(&["check"]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!((reasons(&world), AVRO.differences(&world)), (Vec::new(), Vec::new()));
}

#[test]
fn a_registry_behind_tls_is_believed_by_its_authority_alone() {
    let secured = services::secured();
    let world = |authority: &str| {
        // It is no registry, and answers as one that refuses the user.
        let url = &secured.elasticsearch;
        let authority = secured.certificates.join(authority);
        AVRO.world(&format!(
            "schema_registry.url = {url:?}\nschema_registry.ca_certificate = {authority:?}\n"
        ))
    };
    let told = |authority: &str| String::from_utf8(world(authority).run(&["check"]).stdout).unwrap();
    let known = told("ca.pem");
    assert!(known.contains("\nschema_registry.username: ") && known.contains("401"), "{known}");
    let unknown = told("other-ca.pem");
    assert!(unknown.contains("\nschema_registry.url: ") && unknown.contains("certificate"), "{unknown}");
}
