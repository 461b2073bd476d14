//! Rebuilds in bad company: servers that go, a state that is wrong, a log that is cut off, documents that
//! are refused.

use std::collections::BTreeMap;
use std::fs;

use elasticsearch::http::Method;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use serde_json::{Value, json};

use crate::harness::{GrowingLog, World, eventually, log_of};
use crate::scene::{Scene, ends_well, phase, reaches, record};
use crate::services;
use crate::verify::plant;

#[test]
fn elasticsearch_is_restarted_meanwhile() {
    let (servers, _turn) = services::alone();
    let scene = Scene::new(&servers, "");
    let instance = scene.run();
    let events = scene.events();
    scene.change_mappings();
    let mut rebuild = scene.world.start(&["reindex"]);
    reaches(&scene.world, "loading", &mut rebuild);
    services::control("restart", "elasticsearch");
    reaches(&scene.world, "settling", &mut rebuild);
    services::control("restart", "elasticsearch");
    assert_eq!(rebuild.end(), Some(0), "{}", scene.world.log());
    ends_well(scene, instance, events);
}

#[test]
fn a_wrong_state_is_found_and_replaced_by_that_of_a_rebuild_from_the_log() {
    let log = GrowingLog::new();
    for number in 0..40 {
        log.append("organisations", &format!("o{number}"), &json!({"name": format!("Firm {number}")}));
        let contact = json!({"name": format!("Person {number}"), "organisationId": format!("o{number}")});
        log.append("contacts", &format!("c{number}"), &contact);
    }
    let world = World::embedded("keep", &log.settings());
    world.succeed(&["run", "--until-end"]);
    let right = world.all_documents();
    plant(&world, "c3", "o4", "c4");
    assert_eq!(world.run(&["verify"]).status.code(), Some(4));
    // The content of the wrong state is now in the index as well.
    world.succeed(&["verify", "--repair"]);
    assert_ne!(world.all_documents(), right);
    let said = world.succeed(&["reindex", "--from", "log", "--keep-state"]);
    let kept = world.path("state.reindex/state");
    assert!(said.contains(kept.to_str().unwrap()), "{said}");
    assert_eq!(world.all_documents(), right, "the new index is what the log says");
    let found = world.run(&["verify"]);
    assert_eq!(found.status.code(), Some(4), "the old state is wrong still: {}", log_of(&found));
    std::fs::remove_dir_all(world.path("state")).unwrap();
    std::fs::rename(kept, world.path("state")).unwrap();
    world.succeed(&["verify"]);
    log.append("contacts", "c99", &json!({"name": "New", "organisationId": "o4"}));
    world.succeed(&["run", "--until-end"]);
    assert!(!world.log().contains("every document is sent"), "it was taken over");
    assert_eq!(world.all_documents()["organisations"]["o4"]["contactCount"], 2);
}

#[test]
fn an_embedded_alias_that_is_moved_to_an_index_of_another_log_leaves_the_former_index_written() {
    let log = GrowingLog::new();
    log.append("organisations", "o1", &json!({"name": "Acme"}));
    log.append("contacts", "c1", &json!({"name": "Jane Doe"}));
    let world = World::embedded("moved", &log.settings());
    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    let index = world.indexes_behind()["contacts"].clone();
    let foreign = format!("{index}-of-another-log");
    let (from, to) = (world.path("index").join(&index), world.path("index").join(&foreign));
    fs::create_dir(&to).unwrap();
    let meta = fs::read_to_string(from.join("tributary.json")).unwrap();
    let mut meta: Value = serde_json::from_str(&meta).unwrap();
    meta["log"] = json!("another");
    fs::write(to.join("tributary.json"), meta.to_string()).unwrap();
    let move_alias = |from: &str, to: &str| {
        let path = world.path("index/aliases.json");
        let aliases = fs::read_to_string(&path).unwrap();
        // Replaced as a whole, because the instance reads it all the time.
        fs::write(world.path("aliases.new"), aliases.replace(from, to)).unwrap();
        fs::rename(world.path("aliases.new"), path).unwrap();
    };
    move_alias(&index, &foreign);
    eventually("the instance goes on with the former index", || {
        assert_eq!(instance.0.try_wait().unwrap(), None, "{}", world.log());
        world.log().contains("goes on with the index that it stood for before").then_some(())
    });
    log.append("contacts", "c2", &json!({"name": "John Roe"}));
    eventually("the new contact is delivered", || {
        assert_eq!(instance.0.try_wait().unwrap(), None, "{}", world.log());
        let status: Value = serde_json::from_str(&world.get("/status").1).ok()?;
        let mut partitions = status["partitions"].as_array()?.iter();
        partitions.any(|at| at["topic"] == "contacts" && at["delivered"] == 2).then_some(())
    });
    move_alias(&foreign, &index);
    assert_eq!(world.documents("contacts").len(), 2);
    instance.signal("TERM");
    assert_eq!(instance.end(), Some(0), "{}", world.log());
}

/// Cuts off the first records of every partition that has some.
fn cut_off(scene: &Scene<'_>, topic: &str) {
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", &scene.servers.kafka);
    let admin: AdminClient<DefaultClientContext> = AdminClient::from_config(&config).unwrap();
    let mut head = TopicPartitionList::new();
    for partition in 0..3 {
        head.add_partition_offset(topic, partition, Offset::Offset(10)).unwrap();
    }
    crate::harness::runtime().block_on(admin.delete_records(&head, &AdminOptions::new())).unwrap();
}

#[test]
fn a_log_without_its_beginning_is_refused_unless_allowed_and_a_state_will_do() {
    let (servers, _turn) = services::whole();
    let scene = Scene::new(&servers, "");
    scene.world.succeed(&["run", "--until-end"]);
    scene.world.settle();
    let before = scene.world.all_documents();
    let topic = scene.log.split('"').nth(1).unwrap().to_owned();
    cut_off(&scene, &topic);
    let refused = scene.world.run(&["reindex", "organisations"]);
    assert_eq!(refused.status.code(), Some(1));
    let log = log_of(&refused);
    assert!(
        log.contains(&topic) && log.contains("--from state") && log.contains("--allow-partial-log"),
        "{log}"
    );
    scene.world.succeed(&["reindex", "organisations", "--from", "state"]);
    scene.world.settle();
    assert_eq!(scene.world.all_documents(), before, "the state knows what was cut off");
    scene.world.succeed(&["reindex", "organisations", "--allow-partial-log"]);
    scene.world.settle();
    let after = scene.world.documents("organisations");
    let whole = |documents: &BTreeMap<String, Value>| {
        documents.iter().filter(|(_, it)| it["stub"] != true).map(|(id, _)| id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(whole(&after), whole(&before["organisations"]), "what a replay does not know of is carried");
    assert_ne!(after, before["organisations"], "of what it does know it shows what the log says");
}

#[test]
fn documents_that_the_new_index_refuses_keep_the_alias_where_it_is_unless_allowed() {
    let (servers, _turn) = services::whole();
    let scene = Scene::new(&servers, "");
    scene.world.succeed(&["run", "--until-end"]);
    let before = scene.world.indexes_behind();
    scene.change_mappings();
    let path = scene.world.path("mappings/contacts.json");
    let mut mapping: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    mapping["mappings"]["properties"]["role"] = json!({"type": "integer"});
    std::fs::write(&path, mapping.to_string()).unwrap();
    let dry = scene.world.succeed(&["reindex", "--dry-run", "contacts", "--format", "json"]);
    let dry: Value = serde_json::from_str(dry.trim()).unwrap();
    assert_eq!(dry["calls_for"], "rebuild", "{dry}");
    assert!(dry["differences"].to_string().contains("role"), "{dry}");
    assert!(dry["estimate"]["documents"].as_u64().unwrap() > 200, "{dry}");
    assert_eq!(scene.world.indexes_behind(), before, "nothing is done");

    let refused = scene.world.run(&["reindex", "contacts"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(log_of(&refused).contains("--allow-rejected"), "{}", log_of(&refused));
    assert_eq!(scene.world.indexes_behind(), before);
    assert!(!scene.world.dead_letters().is_empty());
    assert_eq!(phase(&record(&scene.world, "contacts").unwrap()), 2, "it stands at its check");
    // The same session goes on, and knows the refused documents.
    let still = scene.world.run(&["reindex", "contacts"]);
    assert_eq!(still.status.code(), Some(1), "{}", log_of(&still));
    scene.world.succeed(&["reindex", "contacts", "--allow-rejected"]);
    assert_ne!(scene.world.indexes_behind()["contacts"], before["contacts"]);
    let answer = scene.world.es(Method::Get, &format!("/{}contacts/_count", scene.world.prefix), None);
    assert!(answer["count"].as_u64().is_some(), "{answer}");
}
