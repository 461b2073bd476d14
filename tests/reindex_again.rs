//! A reindex that was refused or broken off, and the course of the next one.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::harness::{GrowingLog, World, log_of};
use crate::recreated::{Topics, ids};
use crate::scene::{EMBEDDED, reaches, record};
use crate::services;

fn code_and_log(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let output = world.run(arguments);
    (output.status.code(), log_of(&output))
}

fn is_begun(world: &World) -> bool {
    world.path("state.reindex/session.json").exists()
}

#[test]
fn a_refused_log_leaves_nothing_behind_and_its_advice_can_be_followed() {
    let (servers, _turn) = services::whole();
    let topics = Topics::new(&servers, "advice", "delete", EMBEDDED);
    let world = &topics.world;
    topics.produce(0..6);
    world.succeed(&["run", "--until-end"]);
    topics.cut_off(&topics.organisations, 3);
    let (code, log) = code_and_log(world, &["reindex", "organisations"]);
    assert!(code == Some(1) && log.contains("--from state"), "{code:?} {log}");
    assert!(!is_begun(world));
    world.succeed(&["reindex", "organisations", "--from", "state"]);
    assert_eq!(topics.names(), ids(0..6));
}

#[test]
fn a_reindex_that_kafka_did_not_answer_leaves_nothing_behind() {
    let (servers, _turn) = services::whole();
    let topics = Topics::new(&servers, "absent", "delete", EMBEDDED);
    let world = &topics.world;
    topics.produce(0..3);
    world.succeed(&["run", "--until-end"]);
    let first = world.indexes_behind();
    world.succeed(&["reindex", "organisations"]);
    world.write_config(&world.config.replace(&servers.kafka, "127.0.0.1:1"));
    for from in ["log", "state"] {
        let (code, log) = code_and_log(world, &["reindex", "organisations", "--wait", "0", "--from", from]);
        assert_eq!(code, Some(1), "{log}");
        assert!(!is_begun(world), "{log}");
    }
    world.write_config(&world.config);
    world.succeed(&["reindex", "organisations", "--rollback"]);
    assert_eq!(world.indexes_behind(), first);
}

#[test]
fn a_state_that_is_not_there_leaves_nothing_behind() {
    let log = GrowingLog::new();
    log.append("organisations", "o1", &json!({"name": "Acme"}));
    log.append("contacts", "c1", &json!({"name": "Jane Doe"}));
    let world = World::embedded("stateless", &log.settings());
    world.succeed(&["run", "--until-end"]);
    std::fs::remove_dir_all(world.path("state")).unwrap();
    let (code, log) = code_and_log(&world, &["reindex", "contacts", "--from", "state"]);
    assert!(code == Some(1) && log.contains("--from log"), "{code:?} {log}");
    assert!(!is_begun(&world));
    world.succeed(&["reindex", "contacts", "--from", "log"]);
}

#[test]
fn an_index_that_is_away_is_waited_for_as_long_as_is_asked() {
    let log = GrowingLog::new();
    log.append("organisations", "o1", &json!({"name": "Acme"}));
    let world = World::embedded("patience", &log.settings());
    // No server answers at a port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = world.config.replace("index.kind = \"embedded\"\nindex.path = \"index\"\n", "");
    world.write_config(&config.replace("http://127.0.0.1:1", &format!("http://{free}")));
    for action in [&[][..], &["--rollback"], &["--abort"], &["--prune"], &["--dry-run"]] {
        let (code, log) = code_and_log(&world, &[&["reindex", "--wait", "1s"], action].concat());
        assert!(code == Some(1) && log.contains("waiting for the index"), "{action:?} {code:?} {log}");
        let (code, log) = code_and_log(&world, &[&["reindex", "--wait", "0"], action].concat());
        assert!(code == Some(1) && !log.contains("waiting for the index"), "{action:?} {code:?} {log}");
    }
}

/// Contacts whose role no index of numbers takes.
fn roles(servers: &services::Services, name: &str) -> (GrowingLog, World) {
    let log = GrowingLog::new();
    log.append("organisations", "o1", &json!({"name": "Acme"}));
    for number in 0..4 {
        log.append("contacts", &format!("c{number}"), &json!({"name": "Jane Doe", "role": "Sales"}));
    }
    let world = World::new(servers, name, &format!("{}index.mappings = \"mappings\"\n", log.settings()));
    world.write_mappings(|_, _| ());
    world.succeed(&["run", "--until-end"]);
    (log, world)
}

fn change_role(world: &World, kind: &str) {
    world.write_mappings(|projection, mapping| {
        if projection == "contacts" {
            mapping["mappings"]["properties"]["role"] = json!({"type": kind});
        }
    });
}

#[test]
fn a_rebuild_whose_mapping_changed_meanwhile_begins_anew_with_the_new_one() {
    let (servers, _turn) = services::whole();
    let (_log, world) = roles(&servers, "anew");
    let first = world.indexes_behind();
    change_role(&world, "integer");
    let (code, log) = code_and_log(&world, &["reindex", "contacts"]);
    assert!(code == Some(1) && log.contains("--allow-rejected"), "{code:?} {log}");
    let unfinished = record(&world, "contacts").unwrap()["index"].as_str().unwrap().to_owned();
    assert!(world.indexes().contains(&unfinished) && is_begun(&world));

    // Going on is by the way of the beginning, and another one is told how to get there.
    let (code, log) = code_and_log(&world, &["reindex", "contacts", "--from", "state"]);
    assert!(code == Some(1) && log.contains("reindex --abort"), "{code:?} {log}");

    change_role(&world, "text");
    let (code, log) = code_and_log(&world, &["reindex"]);
    assert!(code == Some(0) && log.contains("the mapping's file changed"), "{code:?} {log}");
    let after = world.indexes_behind();
    assert_ne!(after["contacts"], first["contacts"]);
    assert_eq!(after["organisations"], first["organisations"], "the rebuild was of the contacts alone");
    assert!(!world.indexes().contains(&unfinished), "{:?}", world.indexes());
    world.succeed(&["run", "--until-end"]);
    world.settle();
    assert_eq!(world.documents("contacts").len(), 4);
}

#[test]
fn a_run_to_the_end_ends_with_the_rebuild_that_failed() {
    let (servers, _turn) = services::whole();
    let (log, world) = roles(&servers, "ends");
    let first = world.indexes_behind();
    change_role(&world, "integer");
    log.append("contacts", "c9", &json!({"name": "John Roe", "role": "Sales"}));
    for _ in 0..2 {
        let mut run = world.start(&["run", "--until-end", "--reindex-on-mapping-change"]);
        assert_eq!(run.end(), Some(1), "{}", world.log());
        let told = world.log();
        assert!(told.contains("rebuild for the changed mapping failed"), "{told}");
        assert!(told.contains("rejected 5 documents"), "{told}");
    }
    assert_eq!(world.indexes_behind(), first);
    world.settle();
    assert_eq!(world.documents("contacts").len(), 5, "the old index is up to date");

    // The file that is repaired is taken up by the same command.
    change_role(&world, "text");
    world.succeed(&["run", "--until-end", "--reindex-on-mapping-change"]);
    assert_ne!(world.indexes_behind()["contacts"], first["contacts"]);
    // A mapping that no index takes is no success either.
    change_role(&world, "no-such-type");
    let (code, log) = code_and_log(&world, &["run", "--until-end", "--reindex-on-mapping-change"]);
    assert!(code == Some(2) && log.contains("rebuild for the changed mapping failed"), "{code:?} {log}");
    let status: Value = serde_json::from_str(&world.succeed(&["status", "--format", "json"])).unwrap();
    assert_eq!(status["reindex"], json!([]), "{status}");
}

#[test]
fn a_mapping_that_changed_after_the_alias_was_moved_is_rebuilt_after_the_first_one_ended() {
    let log = GrowingLog::new();
    log.append("organisations", "o1", &json!({"name": "Acme"}));
    log.append("contacts", "c1", &json!({"name": "Jane Doe", "role": "Sales"}));
    let world = World::embedded("late", &format!("{}index.mappings = \"mappings\"\n", log.settings()));
    world.write_mappings(|_, _| ());
    world.succeed(&["run", "--until-end"]);
    change_role(&world, "text");
    let mut rebuild = world.start(&["reindex", "contacts"]);
    // It stays there for a while, because no instance says where it stopped.
    reaches(&world, "feeding", &mut rebuild);
    rebuild.kill();
    let second = world.indexes_behind();
    change_role(&world, "integer");
    let (code, log) = code_and_log(&world, &["reindex"]);
    assert!(code == Some(0) && log.contains("it is ended first"), "{code:?} {log}");
    let third = world.indexes_behind();
    assert_ne!(third["contacts"], second["contacts"]);
    assert_eq!(third["organisations"], second["organisations"]);
    assert!(!is_begun(&world));
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("contacts").len(), 1);
}
