//! Values and keys that an index cannot use stay in the document, in any field, and are only not searchable.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Map, Value, json};

use crate::harness::{PROJECTIONS, World, log_of};
use crate::reference::{self, Does, Plain};
use crate::search::{by_http, ids};
use crate::services;

const SETTINGS: &str = "source.kind = \"files\"\nsource.path = \"events\"\norganisations.format = \"plain\"\n\
                        contacts.format = \"plain\"\n";

/// Keys that mapping, parsing or dotted paths could trip over.
fn keys() -> Vec<String> {
    let plain = [
        "",
        " ",
        ".",
        "..",
        "a..b",
        "a.b",
        "city.name",
        ".city",
        "city.",
        "country.code",
        "*",
        "_id",
        "_log",
        "_search",
        "_source",
        "$ref",
        "\u{1}",
        "\"\\",
        "é\u{10ffff}",
        "type",
        "properties",
    ];
    plain.into_iter().map(str::to_owned).chain(["k".repeat(1_000)]).collect()
}

/// The length of a long text. An address with a longer one is refused by OpenSearch, as `tests/opensearch.rs` shows.
fn long() -> usize {
    if services::is_opensearch() { 30_000 } else { 40_000 }
}

/// Values of every JSON type that an index could refuse.
fn values() -> Vec<Value> {
    let deep = (0..15).fold(json!({"": [[], {}, [null]]}), |inner, _| json!({ ".": inner }));
    vec![
        json!("x".repeat(long())),
        json!("\u{0}\u{1f}\u{ffff}"),
        json!([1, "one", true, null, {"a": {}}, [[]]]),
        json!({}),
        deep,
        serde_json::from_str("1e+400").unwrap(),
        json!(-1),
        json!(false),
    ]
}

fn texts() -> Vec<String> {
    let plain = ["", " ", "\u{0}", "\u{feff}\u{10ffff}", "2026-13-45T99:00:00Z", "-1", "{}", "*", "NaN"];
    let date = "+999999999-12-31T23:59:59Z".to_owned();
    let long = ["x", "ß ", "7", "+4420"].map(|part| part.repeat(long() / part.len()));
    plain.into_iter().map(str::to_owned).chain(long).chain([date]).collect()
}

/// One entity for each odd thing in each of its fields.
struct Log {
    events: Vec<Plain>,
}

impl Log {
    fn add(&mut self, contact: bool, id: &str, fields: Value) {
        let Value::Object(fields) = fields else { panic!("{fields}") };
        let version = self.events.iter().filter(|event| event.contact == contact).count() as u64;
        let fields: BTreeMap<String, Value> = fields.into_iter().collect();
        self.events.push(Plain { contact, id: id.to_owned(), version, does: Does::Replace, fields });
    }

    fn organisation(&mut self, fields: Value) {
        let id = format!("o{}", self.events.len());
        self.add(false, &id, fields);
    }

    fn whole() -> Self {
        let mut log = Self { events: Vec::new() };
        log.addresses();
        log.attributes();
        log.texts();
        log.ids();
        log
    }

    fn addresses(&mut self) {
        for (key, value) in keys()
            .into_iter()
            .zip(values().into_iter().chain([json!("v")]).cycle())
            .chain(keys().into_iter().map(|key| (key, json!("v"))))
        {
            let members = Map::from_iter([(key, value)]);
            self.organisation(json!({"name": "Odd", "address": Value::Object(members.clone())}));
            let mut known = members;
            known.insert("city".to_owned(), json!("Leeds"));
            known.insert("country".to_owned(), json!("GB"));
            self.organisation(json!({"name": "Odd", "address": Value::Object(known)}));
        }
        for key in ["street", "city", "region", "postcode", "country"] {
            for text in texts() {
                self.organisation(json!({"address": {key: text, "country.": "none"}}));
            }
        }
        let all: Map<_, _> = keys().into_iter().zip(values().into_iter().cycle()).collect();
        self.organisation(json!({"name": "All", "address": Value::Object(all)}));
    }

    fn attributes(&mut self) {
        for (at, key) in keys().into_iter().enumerate().filter(|(_, key)| key != "type") {
            for (number, value) in values().into_iter().enumerate() {
                let inner = Map::from_iter([(key.clone(), value)]);
                let id = format!("attributes-{at}-{number}");
                self.add(at % 2 == 0, &id, Value::Object(inner));
            }
        }
        for name in ["contacts", "ancestors", "stub", "attributes", "contactCount", "organisation", "parent"]
        {
            self.organisation(Value::Object(Map::from_iter([(name.to_owned(), json!({"": 1}))])));
        }
    }

    fn texts(&mut self) {
        for (number, text) in texts().into_iter().enumerate() {
            for field in
                ["name", "type", "status", "industry", "website", "email", "phone", "createdAt", "updatedAt"]
            {
                self.organisation(Value::Object(Map::from_iter([(field.to_owned(), json!(text))])));
            }
            self.organisation(json!({"tags": ["", text, text]}));
            for field in [
                "name",
                "firstName",
                "lastName",
                "email",
                "phone",
                "role",
                "department",
                "createdAt",
                "updatedAt",
            ] {
                let id = format!("{field}-{number}");
                self.add(true, &id, json!({"name": "Odd", "organisationId": "o1", field: text}));
            }
            self.add(
                true,
                &format!("tags-{number}"),
                json!({"name": "Odd", "organisationId": "o1", "tags": [text, ""]}),
            );
        }
    }

    fn ids(&mut self) {
        let odd = [" ", ".", "..", "_x", "a/b", "*", "é\u{10ffff}", "\u{1}", "a\"b\\"];
        for id in odd.into_iter().map(str::to_owned).chain(["i".repeat(512)]) {
            self.add(
                false,
                &id,
                json!({"name": "Odd id", "parentId": format!("{}p", &id[..id.len().min(500)])}),
            );
            self.add(true, &id, json!({"name": "Odd id", "organisationId": id}));
        }
    }

    fn write(&self, world: &World) {
        std::fs::create_dir_all(world.path("events")).unwrap();
        for (contact, topic) in [(false, "organisations"), (true, "contacts")] {
            let mut file =
                std::fs::File::create(world.path("events").join(topic).with_extension("jsonl")).unwrap();
            for event in self.events.iter().filter(|event| event.contact == contact) {
                writeln!(file, "{}", json!({"key": event.id, "value": event.fields})).unwrap();
            }
        }
    }
}

#[test]
fn they_stay_in_the_document_on_elasticsearch() {
    let (servers, _turn) = services::whole();
    stay(&World::new(&servers, "odd-values", SETTINGS));
}

#[test]
fn they_stay_in_the_document_in_an_embedded_index() {
    stay(&World::embedded("odd-values", SETTINGS));
}

fn stay(world: &World) {
    let log = Log::whole();
    log.write(world);
    world.succeed(&["run", "--until-end"]);
    let letters: Vec<String> =
        world.dead_letters().iter().map(|letter| letter["reason"].to_string()).collect();
    assert!(letters.is_empty(), "{} dead letters: {:#?}", letters.len(), &letters[..letters.len().min(20)]);
    let expected = reference::documents(&log.events, 10_000);
    for projection in PROJECTIONS {
        let held = world.documents(projection);
        assert!(held.keys().eq(expected[projection].keys()), "{projection}: other documents");
        for (id, document) in held {
            let wanted = &expected[projection][&id];
            assert!(document == *wanted, "{projection}/{id}: {}", difference(&document, wanted));
        }
    }
    let verified = world.run(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", log_of(&verified));
    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    searched(world);
    instance.signal("TERM");
    assert_eq!(instance.end(), Some(0));
    world.succeed(&["reindex", "organisations"]);
}

/// Where two documents first differ; the values would fill the screen.
fn difference(held: &Value, wanted: &Value) -> String {
    let (Value::Object(held), Value::Object(wanted)) = (held, wanted) else {
        return [held, wanted]
            .map(|value| value.to_string().chars().take(200).collect::<String>())
            .join(" is not ");
    };
    let names = held.keys().chain(wanted.keys());
    let at = names.into_iter().find(|name| held.get(*name) != wanted.get(*name)).unwrap();
    let of = |map: &Map<String, Value>| map.get(at).cloned().unwrap_or_default();
    format!("{at}: {}", difference(&of(held), &of(wanted)))
}

/// A value beside an odd one is found, filtered and counted as ever.
fn searched(world: &World) {
    let ask = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (code, answer) = by_http(world, &pairs);
        assert_eq!(code, 200, "{pairs:?}: {answer}");
        answer
    };
    let addresses = 2 * keys().len();
    let found = ask(&[("filter", "country:GB"), ("facets", "country"), ("size", "100")]);
    assert_eq!((ids(&found).len(), &found["total"]), (addresses, &json!(addresses)));
    assert_eq!(found["facets"]["country"]["GB"], addresses);
    assert_eq!(ask(&[("q", "leeds"), ("filter", "country:GB")])["total"], addresses);
    assert_eq!(ask(&[("filter", "country:none")])["total"], 0);
    assert_eq!(ask(&[("filter", "country:v")])["total"], 0);
    let (code, document) = world.get("/organisations/o1");
    assert!(code == 200 && document.contains("Leeds"), "{document}");
}
