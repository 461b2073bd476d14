//! A mapping that changes, and what becomes of the index that was built with another one.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::harness::{World, log_of};
use crate::scene::EMBEDDED;
use crate::services;

/// A few entities in a files source, and mappings in a folder.
fn world(servers: &services::Services, name: &str, index: &str) -> World {
    let extra = format!(
        "source.kind = \"files\"\nsource.path = \"events\"\norganisations.format = \"plain\"\n\
         contacts.format = \"plain\"\nindex.mappings = \"mappings\"\n{index}"
    );
    let world = World::new(servers, name, &extra);
    fs::create_dir_all(world.path("events")).unwrap();
    append(&world, "contacts", "c1", &json!({"name": "Jane Doe", "role": "CTO", "level": "high"}));
    append(&world, "organisations", "o1", &json!({"name": "Acme"}));
    world.write_mappings(|_, _| ());
    world
}

fn append(world: &World, topic: &str, key: &str, value: &Value) {
    let path = world.path("events").join(format!("{topic}.jsonl"));
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, before + &format!("{}\n", json!({"key": key, "value": value}))).unwrap();
}

/// Another type of a field, which only a new index can have.
fn change_type(world: &World, kind: &str) {
    world.write_mappings(|projection, mapping| {
        if projection == "contacts" {
            mapping["mappings"]["properties"]["role"] = json!({"type": kind});
        }
    });
}

fn code_and_log(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let output = world.run(arguments);
    (output.status.code(), log_of(&output))
}

#[test]
fn an_index_that_was_rolled_back_to_is_kept_until_the_file_changes_again() {
    is_kept("");
}

#[test]
fn an_embedded_index_that_was_rolled_back_to_is_kept_until_the_file_changes_again() {
    is_kept(EMBEDDED);
}

fn is_kept(index: &str) {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "rollback", index);
    world.succeed(&["run", "--until-end"]);
    let first = world.indexes_behind();
    change_type(&world, "text");
    world.succeed(&["reindex", "contacts"]);
    assert_ne!(world.indexes_behind(), first);
    world.succeed(&["reindex", "contacts", "--rollback"]);
    assert_eq!(world.indexes_behind(), first);

    append(&world, "contacts", "c2", &json!({"name": "John Roe"}));
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(0) && log.contains("a rollback put back"), "{code:?} {log}");
    world.succeed(&["run", "--until-end", "--reindex-on-mapping-change"]);
    assert_eq!(world.indexes_behind(), first, "it does not roll forward by itself");
    world.settle();
    assert!(world.documents("contacts").contains_key("c2"));
    is_told(&world, &first);

    change_type(&world, "wildcard");
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(3) && log.contains("tributary reindex contacts"), "{code:?} {log}");
    // The file that was rolled back, as if it had never been another one.
    change_type(&world, "text");
    world.succeed(&["run", "--until-end"]);
    // The file of the index: from here on any other is a change.
    world.write_mappings(|_, _| ());
    world.succeed(&["run", "--until-end"]);
    change_type(&world, "text");
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(3) && log.contains("tributary reindex contacts"), "{code:?} {log}");
    world.succeed(&["reindex", "contacts"]);
    assert_ne!(world.indexes_behind(), first);
    world.succeed(&["run", "--until-end"]);
}

/// Whoever asks is told that the index was rolled back to.
fn is_told(world: &World, indexes: &BTreeMap<&'static str, String>) {
    let status: Value = serde_json::from_str(&world.succeed(&["status", "--format", "json"])).unwrap();
    assert_eq!(status["rolled_back"], json!({"contacts": indexes["contacts"]}), "{status}");
    let told = world.succeed(&["status"]);
    assert!(told.contains("contacts was rolled back to"), "{told}");
    let told = world.succeed(&["reindex", "--dry-run"]);
    assert!(told.contains("put back by a rollback"), "{told}");
    let told = world.succeed(&["check"]);
    assert!(told.contains("a rollback put back"), "{told}");
}

#[test]
fn a_running_instance_tells_of_a_rollback_and_a_rollback_of_a_rollback_goes_forward() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "forth", "");
    let instance = world.start(&["run"]);
    world.wait_until_delivered();
    let first = world.indexes_behind();
    change_type(&world, "text");
    world.succeed(&["reindex", "contacts"]);
    let second = world.indexes_behind();
    world.succeed(&["reindex", "contacts", "--rollback"]);
    crate::harness::eventually("the rollback in /status", || {
        let status: Value = serde_json::from_str(&world.get("/status").1).ok()?;
        (status["rolled_back"]["contacts"] == first["contacts"]).then_some(())
    });
    world.succeed(&["reindex", "contacts", "--rollback"]);
    assert_eq!(world.indexes_behind(), second);
    crate::harness::eventually("nothing is rolled back in /status", || {
        let status: Value = serde_json::from_str(&world.get("/status").1).ok()?;
        (status["indexes"]["contacts"] == second["contacts"] && status["rolled_back"] == json!({}))
            .then_some(())
    });
    drop(instance);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.indexes_behind(), second);
}
