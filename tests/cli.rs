//! The program as a user runs it: exit codes, messages, a clean stop, dead letters.

use std::fs;

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::cases::create_topics;
use crate::harness::{World, eventually, fresh, log_of};
use crate::services;

fn files_world(
    name: &str,
    extra: &str,
    files: &[(&str, String)],
) -> (World, std::sync::RwLockReadGuard<'static, ()>) {
    let (servers, turn) = services::whole();
    let world =
        World::new(&servers, name, &format!("source.kind = \"files\"\nsource.path = \"events\"\n{extra}"));
    fs::create_dir_all(world.path("events")).unwrap();
    for (file, text) in files {
        fs::write(world.path("events").join(file), text).unwrap();
    }
    (world, turn)
}

fn event(key: &str, verb: &str, sequence: Option<u32>, data: &Value) -> String {
    let mut value =
        json!({"specversion": "1.0", "id": "e", "source": "/", "type": format!("x.{verb}"), "data": data});
    if let Some(sequence) = sequence {
        value["sequence"] = json!(sequence.to_string());
    }
    format!("{}\n", json!({"key": key, "value": value}))
}

fn code_and_log(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let output = world.run(arguments);
    (output.status.code(), log_of(&output))
}

#[test]
fn wrong_configuration_ends_with_2_and_says_what_is_near() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "wrong", "kafka.broker = \"x\"");
    let (code, log) = code_and_log(&world, &["run"]);
    assert_eq!(code, Some(2));
    assert!(log.contains("kafka.brokers"), "{log}");
    assert_eq!(world.run(&["rum"]).status.code(), Some(2));
}

#[test]
fn a_changed_mapping_ends_with_3_and_a_changed_format_with_2() {
    let (world, _turn) = files_world(
        "changed",
        "",
        &[("contacts.jsonl", event("c1", "created", None, &json!({"name": "J"})))],
    );
    world.succeed(&["run", "--until-end"]);
    world.write_config(&format!("{}contacts.format = \"plain\"\n", world.config));
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(2) && log.contains("delete the state"), "{code:?} {log}");
    world.write_config(&world.config);
    fs::create_dir(world.path("mappings")).unwrap();
    let own =
        json!({"settings": {}, "mappings": {"dynamic": false, "properties": {"id": {"type": "keyword"}}}});
    fs::write(world.path("mappings/contacts.json"), own.to_string()).unwrap();
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(3) && log.contains("tributary reindex contacts"), "{code:?} {log}");
}

#[test]
fn a_log_that_is_not_the_states_ends_with_1_and_names_both_offsets() {
    let lines =
        event("c1", "created", None, &json!({"name": "J"})) + &event("c2", "created", None, &json!({}));
    let (world, _turn) = files_world("other-log", "", &[("contacts.jsonl", lines)]);
    world.succeed(&["run", "--until-end"]);
    fs::write(world.path("events/contacts.jsonl"), event("c1", "created", None, &json!({}))).unwrap();
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert_eq!(code, Some(1));
    assert!(log.contains("contacts/0") && log.contains("offset 2") && log.contains("offset 1"), "{log}");
}

#[test]
fn a_kafka_position_that_the_log_no_longer_holds_ends_with_1() {
    let (servers, _turn) = services::whole();
    let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("head")));
    let extra = format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n", topics[0], topics[1]);
    let world = World::new(&servers, "head", &extra);
    let counts = ["--organisations", "5", "--contacts", "50", "--events", "100", "--partitions", "1"];
    world.succeed(&[&["generate", "--kafka"], &counts[..]].concat());
    world.succeed(&["run", "--until-end"]);
    // Another topic of the same name, shorter.
    let admin: rdkafka::admin::AdminClient<rdkafka::client::DefaultClientContext> =
        rdkafka::ClientConfig::new().set("bootstrap.servers", &servers.kafka).create().unwrap();
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    crate::harness::runtime()
        .block_on(admin.delete_topics(&names, &rdkafka::admin::AdminOptions::new()))
        .unwrap();
    eventually("the topics are gone", || {
        let metadata = admin.inner().fetch_metadata(None, std::time::Duration::from_secs(10)).unwrap();
        metadata.topics().iter().all(|topic| !names.contains(&topic.name())).then_some(())
    });
    create_topics(&servers.kafka, &topics, 1);
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert_eq!(code, Some(1), "{log}");
    assert!(
        log.contains("the log holds 0 to 0") && log.contains(&format!("{}/0: the state is at", topics[1])),
        "{log}"
    );
    // The same, grown past the position again: other records lie there.
    world.succeed(&[
        "generate",
        "--kafka",
        "--seed",
        "2",
        "--organisations",
        "5",
        "--contacts",
        "50",
        "--events",
        "300",
    ]);
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(1) && log.contains("is not the one that the state read"), "{code:?} {log}");
}

#[test]
fn a_partition_that_retention_has_emptied_is_read_to_its_end() {
    let (servers, _turn) = services::whole();
    let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("emptied")));
    let extra = format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n", topics[0], topics[1]);
    let world = World::new(&servers, "emptied", &extra);
    let counts = ["--organisations", "5", "--contacts", "50", "--events", "100", "--partitions", "1"];
    // This seed deletes no organisation.
    world.succeed(&[&["generate", "--kafka", "--seed", "2"], &counts[..]].concat());
    let admin: rdkafka::admin::AdminClient<rdkafka::client::DefaultClientContext> =
        rdkafka::ClientConfig::new().set("bootstrap.servers", &servers.kafka).create().unwrap();
    let mut all = rdkafka::TopicPartitionList::new();
    all.add_partition_offset(&topics[1], 0, rdkafka::Offset::End).unwrap();
    let emptied = admin.delete_records(&all, &rdkafka::admin::AdminOptions::new());
    crate::harness::runtime().block_on(emptied).unwrap();
    // It has an end above 0, and no record leads there.
    world.succeed(&["run", "--until-end", "--allow-partial-log"]);
    assert_eq!(world.documents("contacts").len(), 0);
    assert_eq!(world.documents("organisations").len(), 5);
}

#[test]
fn sigterm_stops_cleanly_and_new_lines_are_followed() {
    let (world, _turn) =
        files_world("follow", "", &[("contacts.jsonl", event("c1", "created", None, &json!({"name": "J"})))]);
    let mut running = world.start(&["run"]);
    eventually("the first document", || {
        world.log().contains("writes the index").then_some(())?;
        world.refresh();
        world.documents("contacts").contains_key("c1").then_some(())
    });
    let more = fs::read_to_string(world.path("events/contacts.jsonl")).unwrap()
        + &event("c2", "created", None, &json!({}));
    fs::write(world.path("events/contacts.jsonl"), more).unwrap();
    // Searchable by a refresh of our own, without one of the test's.
    eventually("the second document", || world.documents("contacts").contains_key("c2").then_some(()));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    let status: Value = serde_json::from_str(&world.succeed(&["status", "--format", "json"])).unwrap();
    assert_eq!(status["state"], "stopped");
    assert_eq!(status["documents_waiting"], 0);
    assert_eq!(status["partitions"][0]["position"], 2);
    assert_eq!(status["partitions"][0]["delivered"], 2);
}

#[test]
fn an_event_without_sequence_in_a_second_partition_is_poison() {
    let first = event("c1", "created", None, &json!({"name": "first"}));
    let second = event("c1", "updated", None, &json!({"name": "second"}))
        + &event("c1", "updated", Some(9), &json!({"role": "r"}));
    let (world, _turn) =
        files_world("home", "", &[("contacts-0.jsonl", first), ("contacts-1.jsonl", second)]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("contacts")["c1"], json!({"id": "c1", "name": "first", "role": "r"}));
    let letters = world.dead_letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0]["reason"].as_str().unwrap().contains("contacts/0 before contacts/1"), "{letters:?}");
}

#[test]
fn a_dead_letter_is_retried_by_the_same_fold_and_never_puts_back_older_data() {
    let archived = event("c1", "archived", Some(2), &json!({"name": 5, "role": "r"}))
        + &event("c2", "created", Some(1), &json!({"name": 5}));
    let lines = event("c1", "created", Some(5), &json!({"name": "newest"})) + &archived;
    let (world, _turn) = files_world("retry", "", &[("contacts.jsonl", lines)]);
    world.succeed(&["run", "--until-end"]);
    let listed = world.succeed(&["dead-letters", "list"]);
    assert!(
        listed.contains("contacts/0:1") && listed.contains("contacts/0:2") && listed.contains("name:"),
        "{listed}"
    );
    let shown: Value =
        serde_json::from_str(&world.succeed(&["dead-letters", "show", "contacts/0:2"])).unwrap();
    for field in ["topic", "partition", "offset", "key", "value", "headers", "reason", "time"] {
        assert!(shown.get(field).is_some(), "{field} is missing in {shown}");
    }
    let (code, log) = code_and_log(&world, &["dead-letters", "retry"]);
    assert!(code == Some(1) && log.contains("still poison"), "{log}");
    // The dead letters are repaired by hand, as one would after a service's bug.
    let path = world.path("dead-letters.jsonl");
    let repaired = fs::read_to_string(&path).unwrap().replace("\\\"name\\\":5", "\\\"name\\\":\\\"old\\\"");
    fs::write(&path, repaired).unwrap();
    let retried: Value =
        serde_json::from_str(&world.succeed(&["dead-letters", "retry", "--format", "json"])).unwrap();
    assert_eq!(retried["done"], 2);
    assert_eq!(world.succeed(&["dead-letters", "list"]), "none\n");
    world.succeed(&["run", "--until-end"]);
    let documents = world.documents("contacts");
    assert_eq!(
        documents["c1"],
        json!({"id": "c1", "name": "newest"}),
        "the write of version 2 lies below the replace at 5"
    );
    assert_eq!(documents["c2"], json!({"id": "c2", "name": "old"}));
}

#[test]
fn a_running_instance_retries_on_request_and_letters_may_lie_in_kafka() {
    let (servers, _turn) = services::whole();
    let topic = fresh("letters");
    let extra = format!(
        "source.kind = \"files\"\nsource.path = \"events\"\ndead_letters.kind = \"kafka\"\ndead_letters.topic = \"{topic}\"\n"
    );
    let world = World::new(&servers, "kafka-letters", &extra);
    fs::create_dir_all(world.path("events")).unwrap();
    fs::write(
        world.path("events/contacts.jsonl"),
        "no record\n".to_owned() + &event("c1", "created", None, &json!({"name": 1})),
    )
    .unwrap();
    let mut running = world.start(&["run"]);
    eventually("both letters", || {
        (world.succeed(&["dead-letters", "list"]).lines().count() == 2).then_some(())
    });
    let (code, log) = code_and_log(&world, &["dead-letters", "retry", "contacts/0:1", "contacts/0:9"]);
    assert!(
        code == Some(1) && log.contains("still poison") && log.contains("no dead letter has this name"),
        "{log}"
    );
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
}

#[test]
fn a_document_that_the_index_rejects_goes_to_the_dead_letters_and_the_stream_goes_on() {
    let lines = event("c1", "created", None, &json!({"name": "a"}))
        + &event("c2", "created", None, &json!({"role": "r"}));
    let (world, _turn) = files_world("rejected", "", &[("contacts.jsonl", lines)]);
    fs::create_dir(world.path("mappings")).unwrap();
    let own = json!({"settings": {}, "mappings": {"dynamic": "strict", "properties": {
        "id": {"type": "keyword"}, "name": {"type": "keyword"},
        "_search": {"type": "object", "enabled": false}, "_log": {"type": "object", "enabled": false}}}});
    fs::write(world.path("mappings/contacts.json"), own.to_string()).unwrap();
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("contacts").keys().collect::<Vec<_>>(), ["c1"]);
    let letters = world.dead_letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0]["reason"].as_str().unwrap().starts_with("contacts/c2: 400"), "{letters:?}");
}

#[test]
fn a_new_state_deletes_what_the_log_no_longer_speaks_of() {
    let lines = event("c1", "created", None, &json!({"name": "a"}))
        + &event("c2", "created", None, &json!({"name": "b"}));
    let (world, _turn) = files_world("reconcile", "", &[("contacts.jsonl", lines)]);
    world.succeed(&["run", "--until-end"]);
    fs::remove_dir_all(world.path("state")).unwrap();
    fs::write(world.path("events/contacts.jsonl"), event("c2", "created", None, &json!({"name": "c"})))
        .unwrap();
    world.succeed(&["run", "--until-end"]);
    // A lower log position than the index holds: both are written over and counted as foreign.
    assert_eq!(
        world.documents("contacts"),
        [("c2".to_owned(), json!({"id": "c2", "name": "c"}))].into_iter().collect()
    );
}

#[test]
fn an_index_that_was_deleted_is_filled_again_from_the_state() {
    let lines = event("c1", "created", None, &json!({"organisationId": "o1", "name": "a"}));
    let (world, _turn) = files_world("deleted", "", &[("contacts.jsonl", lines)]);
    world.succeed(&["run", "--until-end"]);
    let before = world.all_documents();
    assert_eq!(before["organisations"]["o1"]["stub"], true);
    world.es(Method::Delete, &format!("/{}", world.index("organisations")), None);
    world.es(Method::Delete, &format!("/{}", world.index("contacts")), None);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.all_documents(), before);
}

#[test]
fn secrets_are_never_shown() {
    let (servers, _turn) = services::whole();
    let secret = "s3cr3t-value";
    let extra = format!(
        "index.username = \"u\"\nindex.password = \"{secret}\"\nhttp.token = \"{secret}\"\n[kafka.properties]\n\"sasl.password\" = \"{secret}\"\n"
    );
    let world = World::new(&servers, "secrets", &extra);
    for arguments in [&["check", "--offline"][..], &["check", "-v"], &["run", "--until-end", "-v"]] {
        let log = log_of(&world.run(arguments));
        assert!(!log.contains(secret), "{arguments:?} showed it");
    }
    // In an address that is none, and in one where no server answers.
    for url in [format!("u:{secret}@nowhere"), format!("http://u:{secret}@127.0.0.1:9")] {
        for arguments in [&["check", "--offline"][..], &["check", "-v"]] {
            let log = log_of(&world.run(&[arguments, &["--index-url", &url]].concat()));
            assert!(!log.contains(secret), "{arguments:?} with {url} showed it:\n{log}");
        }
    }
    for url in [
        format!("postgres://u:{secret}@127.0.0.1:9/d"),
        format!("postgres://u@127.0.0.1:9/d?password={secret}"),
        format!("host=127.0.0.1 port=9 user=u password={secret}"),
    ] {
        let world =
            World::embedded("secrets", &format!("source.kind = \"postgres\"\npostgres.url = {url:?}\n"));
        for arguments in [&["check", "-v"][..], &["doctor"], &["run", "--until-end", "--wait", "0", "-v"]] {
            let log = log_of(&world.run(arguments));
            assert!(!log.contains(secret), "{arguments:?} with {url} showed it:\n{log}");
        }
    }
}

#[test]
fn a_partition_that_is_added_later_is_picked_up() {
    let (servers, _turn) = services::whole();
    let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("added")));
    let extra = format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n", topics[0], topics[1]);
    let world = World::new(&servers, "added", &extra);
    create_topics(&servers.kafka, &topics, 1);
    let mut running = world.start(&["run"]);
    let partitions = || -> Option<usize> {
        let status: Value =
            serde_json::from_slice(&world.run(&["status", "--format", "json"]).stdout).ok()?;
        Some(status["partitions"].as_array()?.len())
    };
    eventually("the first partitions", || (partitions()? == 2).then_some(()));
    let admin: rdkafka::admin::AdminClient<rdkafka::client::DefaultClientContext> =
        rdkafka::ClientConfig::new().set("bootstrap.servers", &servers.kafka).create().unwrap();
    let more = rdkafka::admin::NewPartitions::new(&topics[1], 2);
    crate::harness::runtime()
        .block_on(admin.create_partitions([&more], &rdkafka::admin::AdminOptions::new()))
        .unwrap();
    let producer: rdkafka::producer::BaseProducer =
        rdkafka::ClientConfig::new().set("bootstrap.servers", &servers.kafka).create().unwrap();
    let value = json!({"type": "x.created", "data": {"name": "late"}}).to_string();
    let record = || rdkafka::producer::BaseRecord::to(&topics[1]).partition(1).key("c1").payload(&value);
    eventually("the producer knows the partition", || producer.send(record()).ok());
    rdkafka::producer::Producer::flush(&producer, std::time::Duration::from_secs(30)).unwrap();
    eventually("the document of the new partition", || {
        world.refresh();
        world.documents("contacts").contains_key("c1").then_some(())
    });
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    world.succeed(&["run", "--until-end"]);
}

#[test]
fn a_transactional_log_is_followed_to_its_last_stable_offset() {
    let (servers, _turn) = services::whole();
    let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("transactions")));
    let extra = format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n", topics[0], topics[1]);
    let world = World::new(&servers, "transactions", &extra);
    create_topics(&servers.kafka, &topics, 1);
    let wait = std::time::Duration::from_secs(60);
    let producer: rdkafka::producer::BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &servers.kafka)
        .set("transactional.id", fresh("writer"))
        .create()
        .unwrap();
    use rdkafka::producer::Producer;
    producer.init_transactions(wait).unwrap();
    for (id, commits) in [("c1", true), ("c2", false), ("c3", true)] {
        producer.begin_transaction().unwrap();
        let value = json!({"type": "x.created", "data": {"name": id}}).to_string();
        let record = rdkafka::producer::BaseRecord::to(&topics[1]).partition(0).key(id).payload(&value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(wait).unwrap();
        if commits { producer.commit_transaction(wait) } else { producer.abort_transaction(wait) }.unwrap();
    }
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("contacts").keys().collect::<Vec<_>>(), ["c1", "c3"]);
    // Markers behind the last record are no gap at the next start.
    world.succeed(&["run", "--until-end"]);
}
