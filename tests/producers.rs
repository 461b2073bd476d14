//! Records that real producers wrote, folded as they are (`tests/captured`), and small logs of their peculiarities.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::capture::{captured, lines, read, reasons};
use crate::harness::World;

/// A deployment without servers that reads `events` in this format.
fn world(format: &str, extra: &str) -> World {
    let settings = format!(
        "source.kind = \"files\"\nsource.path = \"events\"\norganisations.format = \"{format}\"\ncontacts.format = \"{format}\"\n"
    );
    let world = World::embedded("producers", &(settings + extra));
    fs::create_dir_all(world.path("events")).unwrap();
    world
}

/// The lines of a captured topic. Bytes that a line cannot say are written as the JSON string that holds them.
fn sayable_lines(flavour: &str, topic: &str) -> Vec<String> {
    let said = |line: &str| match line.contains("\"value_base64\":\"bnVsbA==\"") {
        true => line.replacen("\"value\":null", "\"value\":\"null\"", 1),
        false => line.to_owned(),
    };
    lines(flavour, topic).lines().map(said).collect()
}

/// Folds two captured topics to their end.
fn folded(format: &str, flavour: &str, topics: [&str; 2]) -> World {
    let [organisations, contacts] = topics;
    let extra = format!("organisations.topics = [{organisations:?}]\ncontacts.topics = [{contacts:?}]\n");
    let world = world(format, &extra);
    for topic in topics {
        append(&world, topic, &sayable_lines(flavour, topic));
    }
    world.succeed(&["run", "--until-end"]);
    world
}

fn append(world: &World, topic: &str, lines: &[String]) {
    let path = world.path("events").join(format!("{topic}.jsonl"));
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(&path, before + &lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

fn names(world: &World) -> Value {
    let documents = world.documents("organisations").into_iter();
    Value::Object(documents.map(|(id, document)| (id, document["name"].clone())).collect())
}

const APP: [&str; 2] = ["app.organisations", "app.contacts"];

#[test]
fn a_schema_that_comes_along_says_what_dates_and_decimals_are() {
    let world = folded("debezium", "debezium-json-schemas", APP);
    assert_eq!(reasons(&world), Vec::<String>::new());
    // The row with these columns was given another key, and that was captured too.
    let document = &world.documents("organisations")["11"];
    assert_eq!(document["attributes"]["revenue"].to_string(), "1234567890.12", "{document}");
    assert_eq!(document["attributes"]["founded"], json!("1987-03-09"));
    assert_eq!(document["address"]["city"], json!("Leeds"));
}

#[test]
fn a_database_that_was_moved_and_rows_that_were_replayed_end_in_their_last_state() {
    for flavour in ["debezium-moved-database", "debezium-replays"] {
        let world = folded("debezium", flavour, APP);
        let expected = read(&captured(flavour).join("expected.json"));
        let names = names(&world);
        for (id, name) in expected["names"].as_object().unwrap() {
            assert_eq!(&names[id], name, "{flavour}: {id}");
        }
        assert_eq!(reasons(&world), Vec::<String>::new(), "{flavour}");
    }
}

#[test]
fn a_tombstone_that_compaction_left_alone_deletes() {
    let lines = sayable_lines("debezium-compacted", APP[0]);
    let world = world("debezium", "organisations.topics = [\"app.organisations\"]\n");
    append(&world, APP[0], &lines[..2]);
    world.succeed(&["run", "--until-end"]);
    assert!(names(&world)["6"].is_string());
    append(&world, APP[0], &lines[2..]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(names(&world), json!({"5": "Egret Group SE"}));
}

#[test]
fn a_structured_event_is_read_as_one_though_headers_were_copied() {
    let world = world("cloudevents", "");
    let event = |id: &str, headers: Value| {
        let value = json!({"specversion": "1.0", "id": "event-1", "source": "/t", "type": "x.created", "subject": id, "data": {"name": id}});
        json!({"value": value, "headers": headers}).to_string()
    };
    let lines = [
        event(
            "o1",
            json!({"content-type": "application/cloudevents+json; charset=UTF-8", "ce_specversion": "1.0", "ce_type": "x.created"}),
        ),
        event("o2", json!({"content-type": "application/cloudevents+json", "ce_specversion": "1.0"})),
        event("o3", json!({"content-type": "application/cloudevents-batch+json"})),
    ];
    append(&world, "organisations", &lines);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(names(&world), json!({"o1": "o1", "o2": "o2"}));
    let reasons = reasons(&world);
    assert!(reasons.len() == 1 && reasons[0].contains("a batch of CloudEvents"), "{reasons:?}");
}

#[test]
fn a_deletion_is_known_by_its_verb_whatever_follows_and_an_unknown_verb_is_told_of_once() {
    let world = world("cloudevents", "");
    let event = |id: usize, name: &str| {
        let value = json!({"specversion": "1.0", "id": "e", "source": "/t", "type": name, "data": {"firstName": "Jane"}});
        json!({"key": id.to_string(), "value": value}).to_string()
    };
    let deletions = [
        "com.acme.ContactDeletedEvent",
        "contact.deleted.event",
        "contact.deleted.v1.0",
        "contact.deleted.1",
        "contact.deleted.v1beta1",
        "contact.deleted/v1",
        "contact.deleted:v2",
        "contact.deleted v2",
        "contact.terminated",
        "contact.destroyed",
        "com.acme.ContactTerminated",
    ];
    let created = (0..deletions.len()).map(|id| event(id, "com.acme.ContactCreatedEvent"));
    let lines: Vec<String> =
        created.chain(deletions.iter().enumerate().map(|(id, name)| event(id, name))).collect();
    append(&world, "contacts", &lines);
    let output = world.run(&["run", "--until-end"]);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    assert_eq!(world.documents("contacts").into_keys().collect::<Vec<_>>(), ["10", "8", "9"]);
    for verb in ["terminated", "destroyed"] {
        assert_eq!(log.matches(&format!("the verb \"{verb}\"")).count(), 1, "{log}");
    }
}

#[test]
fn a_state_of_records_that_were_ordered_by_their_lsn_asks_for_a_replay() {
    let world = world("debezium", "");
    let row = json!({"key": "1", "value": {"op": "c", "after": {"name": "A"}, "source": {"lsn": 900}}});
    append(&world, "organisations", &[row.to_string()]);
    world.succeed(&["run", "--until-end"]);
    let by_lsn = world.config.clone() + "organisations.version = \"lsn\"\n";
    world.write_config(&by_lsn);
    let output = world.run(&["run", "--until-end"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("debezium/lsn") && told.contains("start again to replay"), "{told}");
}

#[test]
fn a_truncation_deletes_what_came_from_its_topic_before_and_nothing_else() {
    let world = folded("debezium", "debezium-json", ["crm.organisations", "crm.contacts"]);
    assert_eq!(reasons(&world), Vec::<String>::new());
    let tables = read(&captured("expected-tables.json"));
    let ids = |name: &str| {
        let rows = tables[name].as_array().unwrap().iter();
        rows.map(|row| row["id"].as_str().map_or_else(|| row["id"].to_string(), str::to_owned))
            .collect::<BTreeSet<_>>()
    };
    for (projection, table) in [("organisations", "crm.organisations"), ("contacts", "crm.contacts")] {
        let documents: BTreeSet<String> = world.documents(projection).into_keys().collect();
        assert_eq!(documents, ids(table), "{table}");
    }
}

fn change(op: &str, id: usize, field: &str) -> String {
    let after = json!({"id": id, "name": field, "firstName": field});
    json!({"key": id.to_string(), "value": {"op": op, "after": after}}).to_string()
}

/// The record of a truncated table: no key and no row.
const TRUNCATION: &str = r#"{"key":null,"value":{"op":"t","before":null,"after":null}}"#;

#[test]
fn a_truncation_in_a_long_log_deletes_in_the_first_load_and_in_the_steps_after() {
    let world = world("debezium", "");
    let rows: Vec<String> = (0..7_000).map(|id| change("c", id, "before")).collect();
    append(&world, "organisations", &rows);
    append(&world, "contacts", &rows[..10]);
    let again = |id: usize| vec![TRUNCATION.to_owned(), change("c", id, "after")];
    append(&world, "organisations", &again(5));
    world.succeed(&["run", "--until-end"]);
    assert_eq!(names(&world), json!({"5": "after"}));
    assert_eq!(world.documents("contacts").len(), 10, "another topic");
    append(&world, "organisations", &rows[..6_500]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("organisations").len(), 6_500);
    append(&world, "organisations", &again(8));
    world.succeed(&["run", "--until-end"]);
    assert_eq!(names(&world), json!({"8": "after"}));
    world.succeed(&["verify"]);
    let explained = world.succeed(&["explain", "organisations", "8"]);
    assert!(explained.contains("organisations/0:13502"), "{explained}");
}

#[test]
fn a_truncation_that_cannot_be_ordered_stops_and_one_to_ignore_is_passed_over() {
    let world = world("debezium", "");
    append(&world, "organisations-0", &[change("c", 1, "a"), TRUNCATION.to_owned()]);
    append(&world, "organisations-1", &[change("c", 2, "b")]);
    let stopped = |world: &World, why: &str| {
        let output = world.run(&["run", "--until-end"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains("organisations/0: a table was truncated at offset 1") && told.contains(why),
            "{told}"
        );
    };
    stopped(&world, "2 partitions");
    let config = world.config.clone();
    world.write_config(&(config.clone() + "organisations.truncate = \"ignore\"\n"));
    world.succeed(&["run", "--until-end"]);
    assert_eq!((names(&world), reasons(&world)), (json!({"1": "a", "2": "b"}), Vec::new()));
    world.write_config(&(config + "contacts.truncate = \"stop\"\n"));
    append(&world, "contacts", &[TRUNCATION.to_owned()]);
    let output = world.run(&["run", "--until-end"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("truncate is \"stop\""));
}

#[test]
fn names_of_another_service_are_read_as_those_of_the_model() {
    let naming = "organisations.naming = \"snake_case\"\ncontacts.naming = \"snake_case\"\n";
    let world =
        world("plain", &format!("{naming}[contacts.rename]\nsurname = \"lastName\"\ncontact_id = \"id\"\n"));
    let line = |value: Value| json!({"value": value}).to_string();
    append(
        &world,
        "organisations",
        &[
            line(json!({"id": 1, "name": "Acme", "created_at": "2024-01-05T09:30:00Z"})),
            line(json!({"id": 2, "name": "Below", "parent_id": 1, "annual_revenue": 5, "parent": "x"})),
        ],
    );
    append(
        &world,
        "contacts",
        &[
            line(json!({"contact_id": 7, "first_name": "Ada", "surname": "Byron", "organisation_id": 2})),
            line(json!({"contact_id": 8, "first_name": "Not", "firstName": "Ada", "organisation_id": 2})),
        ],
    );
    let output = world.run(&["run", "--until-end"]);
    assert!(output.status.success());
    assert_eq!(reasons(&world), Vec::<String>::new());
    let organisations = world.documents("organisations");
    assert_eq!(organisations["1"]["createdAt"], json!("2024-01-05T09:30:00Z"));
    assert_eq!(organisations["2"]["parent"]["id"], json!("1"));
    assert_eq!(
        organisations["2"]["attributes"]["annual_revenue"],
        json!(5),
        "a name that no declaration knows stays"
    );
    let contacts = world.documents("contacts");
    assert_eq!(
        (&contacts["7"]["name"], &contacts["7"]["organisation"]["id"]),
        (&json!("Ada Byron"), &json!("2"))
    );
    assert_eq!(contacts["8"]["firstName"], json!("Ada"), "the model's own name goes before");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(log.matches("annual_revenue").count(), 1, "{log}");
}

#[test]
fn numbers_are_read_as_what_is_said_of_them() {
    let from = "[organisations.from]\ncreatedAt = \"micros\"\nfounded = \"days\"\nphone = \"number\"\n";
    let world = world("debezium", from);
    let row = json!({"key": "1", "value": {"op": "c", "after": {"name": "A", "createdAt": 1706782272654321_i64, "founded": 6276, "phone": 4402079460001_i64, "employees": 3}}});
    append(&world, "organisations", &[row.to_string()]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(reasons(&world), Vec::<String>::new());
    let document = &world.documents("organisations")["1"];
    assert_eq!(document["createdAt"], json!("2024-02-01T10:11:12.654321Z"), "{document}");
    assert_eq!(document["phone"], json!("4402079460001"));
    assert_eq!(document["attributes"], json!({"founded": "1987-03-09", "employees": 3}));
}

#[test]
fn fields_that_no_declaration_knows_are_counted_and_told_of_once() {
    let world = world("plain", "");
    let lines: Vec<String> = (0..12)
        .map(|id| json!({"key": id.to_string(), "value": {"surname": "B", "email": "e@x"}}).to_string())
        .collect();
    append(&world, "contacts", &lines);
    let mut running = world.start(&["run"]);
    world.wait_until_delivered();
    let told = "the field \"surname\" of contacts came 12 times and is not declared";
    let status: Value = serde_json::from_str(&world.get("/status").1).unwrap();
    assert_eq!(status["notes"], json!([told]));
    assert!(world.succeed(&["status"]).contains(told));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    assert_eq!(world.log().matches("surname").count(), 1, "{}", world.log());
}

#[test]
fn versions_that_begin_anew_are_told_of_once() {
    let world = world("cloudevents", "");
    let event = |sequence: usize| {
        let value = json!({"specversion": "1.0", "id": "e", "source": "/t", "type": "x.renamed", "sequence": sequence.to_string(), "data": {"name": "A"}});
        json!({"key": (sequence % 10).to_string(), "value": value}).to_string()
    };
    append(&world, "organisations", &(50_000..50_010).map(event).collect::<Vec<_>>());
    append(&world, "organisations", &(0..1_500).map(event).collect::<Vec<_>>());
    let mut running = world.start(&["run"]);
    world.wait_until_delivered();
    let told = "1000 records in a row on organisations/0 have lower versions";
    let status: Value = serde_json::from_str(&world.get("/status").1).unwrap();
    assert!(status["notes"][0].as_str().is_some_and(|note| note.starts_with(told)), "{status}");
    assert_eq!(status["counters"]["superseded"], json!(1_500));
    assert!(world.get("/metrics").1.contains("tributary_records_superseded_total 1500"));
    assert!(world.succeed(&["status"]).contains(told));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    assert_eq!(world.log().matches(told).count(), 1, "{}", world.log());
}
