//! `explain`: the records behind each field, the documents that wait, and why the index differs.

use std::fs;
use std::io::Write;

use elasticsearch::http::Method;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::harness::{LONG, World, es, eventually, fresh, log_of, runtime};
use crate::services;

fn event(key: &str, verb: &str, sequence: u32, data: &Value) -> String {
    let value = json!({
        "specversion": "1.0", "id": "e", "source": "/", "type": format!("x.{verb}"),
        "sequence": sequence.to_string(), "data": data,
    });
    format!("{}\n", json!({"key": key, "value": value}))
}

fn append(world: &World, topic: &str, lines: &str) {
    fs::create_dir_all(world.path("events")).unwrap();
    let path = world.path(&format!("events/{topic}.jsonl"));
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}

const FILES: &str = "source.kind = \"files\"\nsource.path = \"events\"\n";

/// An organisation below another, with contacts, and records that come to nothing.
fn write_world(world: &World) {
    append(
        world,
        "organisations",
        &[
            event("o0", "created", 1, &json!({"name": "Group"})),
            event("o1", "created", 5, &json!({"name": "Acme", "website": "w", "status": "new"})),
            event("o1", "renamed", 3, &json!({"name": "Old"})),
            event("o1", "renamed", 7, &json!({"name": "Acme Ltd"})),
            event("o1", "renamed", 7, &json!({"name": "Acme Ltd"})),
            event("o1", "moved", 8, &json!({"parentId": "o0", "hobby": "chess"})),
            event("o1", "updated", 6, &json!({"name": "Between"})),
            event("o1", "updated", 9, &json!({"name": 5})),
            event("o2", "created", 1, &json!({"name": "Gone"})),
            event("o2", "deleted", 4, &json!({})),
            event("o2", "renamed", 2, &json!({"name": "Late"})),
        ]
        .concat(),
    );
    append(
        world,
        "contacts",
        &[
            event("c1", "created", 1, &json!({"firstName": "Jane", "organisationId": "o1"})),
            event("c1", "email-changed", 2, &json!({"email": "j@a.test", "hobby": "go"})),
        ]
        .concat(),
    );
}

fn explain(world: &World, projection: &str, id: &str) -> Value {
    serde_json::from_str(&world.succeed(&["explain", projection, id, "--format", "json"])).unwrap()
}

fn part<'a>(explained: &'a Value, role: &str, id: &str) -> &'a Value {
    let parts = explained["parts"].as_array().unwrap();
    let found = parts.iter().find(|part| part["role"] == role && part["id"] == id);
    found.unwrap_or_else(|| panic!("no {role} {id} in {explained:#}"))
}

/// Place, value and record of each field.
fn fields(part: &Value) -> Vec<(String, Value, Value)> {
    let mut fields: Vec<_> = part["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| {
            (field["shown_as"].as_str().unwrap().to_owned(), field["value"].clone(), field["record"].clone())
        })
        .collect();
    fields.sort_by(|left, right| left.0.cmp(&right.0));
    fields
}

fn of(shown_as: &str, value: &str, record: &str) -> (String, Value, Value) {
    (shown_as.to_owned(), json!(value), json!(record))
}

fn idle(part: &Value) -> Vec<(&str, &str)> {
    let list = part["without_effect"].as_array().unwrap();
    list.iter().map(|idle| (idle["record"].as_str().unwrap(), idle["because"].as_str().unwrap())).collect()
}

fn reasons(explained: &Value) -> String {
    explained["index"]["reasons"].to_string()
}

fn check_records(world: &World) {
    write_world(world);
    world.succeed(&["run", "--until-end"]);
    let explained = explain(world, "organisations", "o1");
    let itself = part(&explained, "itself", "o1");
    assert_eq!(
        fields(itself),
        [
            of("attributes.hobby", "chess", "organisations/0:5"),
            of("name", "Acme Ltd", "organisations/0:3"),
            of("parent", "o0", "organisations/0:5"),
            of("status", "new", "organisations/0:1"),
            of("website", "w", "organisations/0:1"),
        ]
    );
    assert_eq!((&itself["is"], &itself["by"]), (&json!("alive"), &json!("organisations/0:5")));
    let found = idle(itself);
    let why = |record: &str| found.iter().find(|(name, _)| *name == record).map_or("", |(_, why)| why);
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(why("organisations/0:2"), "below the replacement by organisations/0:1");
    assert_eq!(why("organisations/0:4"), "repeats organisations/0:3");
    assert_eq!(why("organisations/0:6"), "name is overwritten by organisations/0:3");
    assert!(
        why("organisations/0:7").starts_with("dead letter: ")
            && !why("organisations/0:7").contains("not among")
    );
    assert_eq!(
        fields(part(&explained, "ancestors", "o0")),
        [of("ancestors[o0].name", "Group", "organisations/0:0")]
    );
    assert_eq!(
        fields(part(&explained, "contacts", "c1")),
        [
            of("contacts[c1]", "o1", "contacts/0:0"),
            of("contacts[c1].email", "j@a.test", "contacts/0:1"),
            of("contacts[c1].firstName", "Jane", "contacts/0:0"),
        ]
    );
    assert_eq!(explained["index"]["equal"], true, "{explained:#}");
    assert_eq!(explained["index"]["version"], explained["index"]["position"]);
    assert_eq!((&explained["marked_since_step"], &explained["waiting_in_all"]), (&Value::Null, &json!(0)));

    let contact = explain(world, "contacts", "c1");
    assert_eq!(fields(part(&contact, "organisation", "o1")).len(), 2, "{contact:#}");
    assert_eq!(part(&contact, "organisation.ancestorIds", "o0")["id"], "o0");
    let above = explain(world, "hierarchy", "o0");
    let child = fields(part(&above, "children", "o1"));
    assert_eq!(
        child,
        [
            of("children[o1]", "o0", "organisations/0:5"),
            of("children[o1].name", "Acme Ltd", "organisations/0:3")
        ]
    );

    // A deleted one has no document; the record that deleted it is named.
    let deleted = explain(world, "organisations", "o2");
    let itself = part(&deleted, "itself", "o2");
    assert_eq!((&itself["is"], &itself["by"]), (&json!("deleted"), &json!("organisations/0:9")));
    assert_eq!((&deleted["expected"], &deleted["index"]["equal"]), (&json!(false), &json!(true)));
    assert!(idle(itself).contains(&("organisations/0:10", "at or below the delete of organisations/0:9")));

    let text = world.succeed(&["explain", "organisations", "o1"]);
    for said in
        ["organisations/0:3", "Acme Ltd", "contacts[c1].email", "as the state calls for", "no delivery"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn every_field_names_its_record_and_every_other_record_says_why_it_has_no_effect() {
    let (servers, _turn) = services::whole();
    check_records(&World::new(&servers, "explain", FILES));
    check_records(&World::embedded("explain", FILES));
}

#[test]
fn an_unknown_projection_ends_with_2_and_an_unknown_id_with_1() {
    let world = World::embedded("explain-unknown", &format!("{FILES}index.projections = [\"contacts\"]\n"));
    write_world(&world);
    let output = world.run(&["explain", "contacts", "c1"]);
    assert!(output.status.code() == Some(1) && log_of(&output).contains("no state"), "{}", log_of(&output));
    assert!(!world.path("state").exists(), "asking makes no state");
    world.succeed(&["run", "--until-end"]);
    for (projection, id, code, said) in [
        ("people", "c1", 2, "organisations, contacts, hierarchy"),
        ("organisations", "o1", 2, "index.projections"),
        ("contacts", "c9", 1, "nothing knows contacts/c9"),
    ] {
        let output = world.run(&["explain", projection, id]);
        assert_eq!(output.status.code(), Some(code), "{projection}: {}", log_of(&output));
        assert!(log_of(&output).contains(said), "{}", log_of(&output));
    }
}

#[test]
fn records_beyond_the_state_wait_and_so_do_those_that_will_join() {
    let world = World::embedded("explain-waiting", FILES);
    write_world(&world);
    world.succeed(&["run", "--until-end"]);
    append(&world, "organisations", &event("o1", "renamed", 20, &json!({"name": "New"})));
    append(
        &world,
        "contacts",
        &[
            event("c2", "created", 1, &json!({"name": "Joins", "organisationId": "o1"})),
            event("c3", "created", 1, &json!({"name": "Another's", "organisationId": "o7"})),
            event("c1", "updated", 9, &json!({"name": 1})),
        ]
        .concat(),
    );
    let explained = explain(&world, "organisations", "o1");
    let waiting: Vec<(&str, &str)> = explained["waiting"]
        .as_array()
        .unwrap()
        .iter()
        .map(|waiting| (waiting["record"].as_str().unwrap(), waiting["of"].as_str().unwrap()))
        .collect();
    assert_eq!(
        waiting,
        [
            ("organisations/0:11", "organisations o1"),
            ("contacts/0:2", "contacts c2"),
            ("contacts/0:4", "contacts c1")
        ]
    );
    let lag: i64 =
        explained["partitions"].as_array().unwrap().iter().map(|at| at["lag"].as_i64().unwrap()).sum();
    assert_eq!((lag, &explained["index"]["equal"]), (4, &json!(true)));
    // One that only the log knows is known.
    let coming = explain(&world, "contacts", "c2");
    assert_eq!((&coming["expected"], &coming["waiting_in_all"]), (&json!(false), &json!(1)));
}

#[test]
fn a_log_that_is_not_the_states_is_told() {
    let world = World::embedded("explain-other", FILES);
    write_world(&world);
    world.succeed(&["run", "--until-end"]);
    let path = world.path("events/contacts.jsonl");
    let log = fs::read_to_string(&path).unwrap();
    fs::write(&path, log.replace("\"go\"", "\"checkers\"")).unwrap();
    let explained = explain(&world, "contacts", "c1");
    assert!(explained["notes"].to_string().contains("contacts/0:1 is not the record"), "{explained:#}");
    let fields = fields(part(&explained, "itself", "c1"));
    assert_eq!(fields[0], ("attributes.hobby".to_owned(), json!("go"), Value::Null));
}

#[test]
fn a_document_of_many_parts_is_told_within_bounds() {
    let world = World::embedded("explain-many", FILES);
    append(&world, "organisations", &event("o1", "created", 1, &json!({"name": "Acme"})));
    let contacts =
        (0..250).map(|n| event(&format!("c{n:03}"), "created", 1, &json!({"organisationId": "o1"})));
    append(&world, "contacts", &contacts.collect::<String>());
    world.succeed(&["run", "--until-end"]);
    let explained = explain(&world, "organisations", "o1");
    assert_eq!(explained["parts"].as_array().unwrap().len(), 100);
    assert_eq!(explained["parts_left_out"], 151);
    assert!(world.succeed(&["explain", "organisations", "o1"]).contains("and 151 more parts"));
}

#[test]
fn a_difference_in_the_index_is_named_with_its_reason() {
    let (servers, _turn) = services::whole();
    let mut world = World::new(&servers, "explain-index", &format!("{FILES}http.token = \"secret\"\n"));
    write_world(&world);
    let running = world.start(&["run"]);
    world.wait_until_delivered();
    // The state is open in the instance: it is asked, with the token.
    let explained = explain(&world, "organisations", "o1");
    assert_eq!((&explained["instance"], &explained["index"]["equal"]), (&json!("writing"), &json!(true)));
    let address = format!("http://{}", fs::read_to_string(world.path("state/instance")).unwrap());
    let asked = json!({"projection": "organisations", "id": "o1"});
    let refused = es(&address, Method::Post, "/admin/explain", Some(&asked));
    assert_eq!(refused["status"], 401, "{refused}");

    let index = world.index("organisations");
    let path = format!("/{index}/_doc/o1");
    let stored = world.es(Method::Get, &path, None);
    let version = stored["_version"].as_u64().unwrap();

    let write = |source: &Value, version: u64| {
        let at = format!("{path}?version_type=external_gte&version={version}");
        let answer = world.es(Method::Put, &at, Some(source));
        assert!(answer["result"].is_string(), "{answer}");
    };
    let mut source = stored["_source"].clone();
    source["name"] = json!("Tampered");
    source["contacts"][0]["email"] = json!("other");
    source["_search"]["words"] = json!("ours, and no difference");
    write(&source, version);
    let explained = explain(&world, "organisations", "o1");
    let named: Vec<&str> = explained["index"]["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| difference["field"].as_str().unwrap())
        .collect();
    assert_eq!(named, ["contacts", "name"]);
    assert_eq!(explained["index"]["differences"][0]["members"], json!(["c1"]));
    assert!(reasons(&explained).contains("another program changed it in the index"), "{explained:#}");

    write(&source, version + 1_000);
    assert!(reasons(&explain(&world, "organisations", "o1")).contains("foreign write"));
    world.es(Method::Delete, &path, None);
    assert!(reasons(&explain(&world, "organisations", "o1")).contains("another program deleted it"));
    write(&json!({"id": "o2"}), version + 2_000);
    running.kill();

    // No instance runs, and the index can't be written: the waiting document stays marked.
    world.es(Method::Put, &format!("/{index}/_settings"), Some(&json!({"index.blocks.write": true})));
    append(&world, "contacts", &event("c2", "created", 1, &json!({"name": "New", "organisationId": "o1"})));
    let mut running = world.start(&["run"]);
    eventually("the new contact is marked", || {
        // Before the instance says where it answers, the state is merely in use.
        let output = world.run(&["explain", "organisations", "o1", "--format", "json"]);
        let explained: Value = serde_json::from_slice(&output.stdout).ok()?;
        let reasons = reasons(&explained);
        (explained["marked_since_step"].is_u64() && reasons.contains("marked since step")).then_some(())
    });
    running.signal("TERM");
    running.end();
    let explained = explain(&world, "organisations", "o1");
    assert_eq!(explained["instance"], "stopped");
    assert!(reasons(&explained).contains("no instance runs"), "{explained:#}");
    world.es(Method::Put, &format!("/{index}/_settings"), Some(&json!({"index.blocks.write": false})));

    // An index that the state was not sent to, and one that can't be asked.
    let other = format!("{index}-copy");
    world.es(Method::Put, &format!("/{other}"), Some(&json!({})));
    let alias = format!("{}organisations", world.prefix);
    let moved = json!({"actions": [
        {"remove": {"index": index, "alias": alias}}, {"add": {"index": other, "alias": alias}},
    ]});
    world.es(Method::Post, "/_aliases", Some(&moved));
    let told = reasons(&explain(&world, "organisations", "o1"));
    assert!(told.contains("was sent to") && told.contains("not made by this program"), "{told}");
    world.es(Method::Delete, &format!("/{index}"), None);
    world.environment.push(("TRIBUTARY_INDEX__URL", "http://127.0.0.1:1".to_owned()));
    let output = world.run(&["explain", "organisations", "o1"]);
    assert_eq!(output.status.code(), Some(1));
    let log = log_of(&output);
    assert!(log.contains("the index was not asked") && log.contains("organisations/0:3"), "{log}");
}

#[test]
fn a_rejected_document_says_so() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "explain-rejected", FILES);
    fs::create_dir_all(world.path("mappings")).unwrap();
    let strict = json!({"mappings": {"dynamic": "strict", "properties": {"id": {"type": "keyword"}}}});
    fs::write(world.path("mappings/contacts.json"), strict.to_string()).unwrap();
    write_world(&world);
    world.succeed(&["run", "--until-end"]);
    let explained = explain(&world, "contacts", "c1");
    assert_eq!(explained["index"]["found"], false);
    assert!(reasons(&explained).contains("rejected the document"), "{explained:#}");
}

#[test]
fn what_the_log_no_longer_holds_is_said_of_each_field() {
    let (servers, _turn) = services::whole();
    let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("explain")));
    let extra = format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n", topics[0], topics[1]);
    let world = World::new(&servers, "explain-kafka", &extra);
    crate::cases::create_topics(&servers.kafka, &topics, 1);
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &servers.kafka).create().unwrap();
    let send = |topic: &str, id: &str, line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let value = line["value"].to_string();
        producer.send(BaseRecord::to(topic).key(id).payload(&value)).unwrap();
        producer.flush(LONG).unwrap();
    };
    send(&topics[0], "o1", &event("o1", "created", 1, &json!({"name": "Acme", "website": "w"})));
    send(&topics[0], "o1", &event("o1", "renamed", 2, &json!({"name": "Acme Ltd"})));
    send(&topics[1], "c1", &event("c1", "created", 1, &json!({"name": "Jane", "organisationId": "o1"})));
    let running = world.start(&["run"]);
    world.wait_until_delivered();
    let name = of("name", "Acme Ltd", &format!("{}/0:1", topics[0]));
    let explained = explain(&world, "organisations", "o1");
    let website = of("website", "w", &format!("{}/0:0", topics[0]));
    assert_eq!(fields(part(&explained, "itself", "o1")), [name.clone(), website]);

    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &servers.kafka).create().unwrap();
    let mut head = TopicPartitionList::new();
    head.add_partition_offset(&topics[0], 0, Offset::Offset(1)).unwrap();
    runtime().block_on(admin.delete_records(&head, &AdminOptions::new())).unwrap();
    let explained = explain(&world, "organisations", "o1");
    let gone = ("website".to_owned(), json!("w"), Value::Null);
    assert_eq!(fields(part(&explained, "itself", "o1")), [name, gone]);
    assert!(explained["notes"].to_string().contains("begins at offset 1"), "{explained:#}");
    assert!(world.succeed(&["explain", "organisations", "o1"]).contains("no longer in the log"));
    // Nothing is left of the contacts' log: it is read to its end all the same.
    let mut head = TopicPartitionList::new();
    head.add_partition_offset(&topics[1], 0, Offset::Offset(1)).unwrap();
    runtime().block_on(admin.delete_records(&head, &AdminOptions::new())).unwrap();
    let explained = explain(&world, "organisations", "o1");
    assert_eq!(part(&explained, "contacts", "c1")["by"], Value::Null);
    assert!(
        explained["notes"].to_string().contains(&format!("{}/0 begins at offset 1", topics[1])),
        "{explained:#}"
    );
    running.kill();
}
