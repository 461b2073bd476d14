//! A mapping that changes, and the fate of the index that was built with another one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::harness::{World, eventually, log_of};
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
    append(&world, "contacts", "c1", &json!({"name": "Jane Doe", "role": "Head of Sales", "level": "high"}));
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

#[test]
fn a_reindex_that_is_begun_after_a_rollback_and_given_up_leaves_the_rollback_as_it_was() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "given-up", "");
    world.succeed(&["run", "--until-end"]);
    let first = world.indexes_behind();
    change_type(&world, "text");
    world.succeed(&["reindex", "contacts"]);
    world.succeed(&["reindex", "contacts", "--rollback"]);
    let runs = |when: &str| {
        let (code, log) = code_and_log(&world, &["run", "--until-end"]);
        assert!(code == Some(0) && log.contains("a rollback put back"), "{when}: {code:?} {log}");
    };
    runs("before");
    change_type(&world, "integer");
    // The document's role is no number, so that the rebuild stays where it is.
    let (code, log) = code_and_log(&world, &["reindex", "contacts"]);
    assert!(code == Some(1) && log.contains("--allow-rejected"), "{code:?} {log}");
    change_type(&world, "text");
    runs("while it is under way");
    world.succeed(&["reindex", "--abort"]);
    runs("once it is given up");
    assert_eq!(world.indexes_behind(), first);
    is_told(&world, &first);
    // A reindex that comes to its end forgets it.
    world.succeed(&["reindex", "contacts"]);
    assert_ne!(world.indexes_behind(), first);
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(0) && !log.contains("a rollback put back"), "{code:?} {log}");
}

/// Every answer about the index tells that it was rolled back to.
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
    eventually("the rollback in /status", || {
        let status: Value = serde_json::from_str(&world.get("/status").1).ok()?;
        (status["rolled_back"]["contacts"] == first["contacts"]).then_some(())
    });
    world.succeed(&["reindex", "contacts", "--rollback"]);
    assert_eq!(world.indexes_behind(), second);
    eventually("nothing is rolled back in /status", || {
        let status: Value = serde_json::from_str(&world.get("/status").1).ok()?;
        (status["indexes"]["contacts"] == second["contacts"] && status["rolled_back"] == json!({}))
            .then_some(())
    });
    drop(instance);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.indexes_behind(), second);
}

/// The role of contacts in a further form, which the values that are there are not indexed in.
fn add_form(world: &World, name: &str) {
    world.write_mappings(|projection, mapping| {
        if projection == "contacts" {
            mapping["mappings"]["properties"]["role"]["fields"][name] = json!({"type": "text"});
        }
    });
}

/// The contacts with a word in a field, as Elasticsearch finds them.
fn found(world: &World, field: &str, word: &str) -> BTreeSet<String> {
    world.settle();
    let query = json!({"query": {"match": {field: word}}});
    let answer = world.es(Method::Post, &format!("/{}contacts/_search", world.prefix), Some(&query));
    let hits = answer["hits"]["hits"].as_array().unwrap_or_else(|| panic!("{answer}"));
    hits.iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()).collect()
}

fn ids(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn an_addition_is_put_in_place_by_the_next_run_and_every_document_shows_it() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "addition", "");
    world.succeed(&["run", "--until-end"]);
    let first = world.indexes_behind();
    add_form(&world, "parts");
    append(&world, "contacts", "c2", &json!({"name": "John Roe", "role": "Sales clerk"}));
    let told = world.succeed(&["reindex", "--dry-run", "contacts"]);
    assert!(told.contains("an addition that can be put in place"), "{told}");
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(0) && log.contains("additions are put in place"), "{code:?} {log}");
    assert_eq!(world.indexes_behind(), first, "no new index");
    assert_eq!(found(&world, "role.parts", "sales"), ids(&["c1", "c2"]), "old and new documents");
    let told = world.succeed(&["reindex", "--dry-run", "contacts"]);
    assert!(told.contains("nothing to do"), "{told}");
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(0) && !log.contains("in place") && !log.contains("every document"), "{log}");

    // A setting is in force at once, and one that the file no longer names stays.
    world.write_mappings(|projection, mapping| {
        if projection == "contacts" {
            mapping["mappings"]["properties"]["role"]["fields"]["parts"] = json!({"type": "text"});
            mapping["settings"]["index"]["max_result_window"] = json!(20_000);
            mapping["settings"]["index"].as_object_mut().unwrap().remove("gc_deletes");
        }
    });
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(0) && log.contains("settings.index.max_result_window"), "{code:?} {log}");
    assert!(!log.contains("every document"), "{log}");
    let settings = world.es(Method::Get, &format!("/{}contacts/_settings", world.prefix), None);
    let settings = &settings[&first["contacts"]]["settings"]["index"];
    assert_eq!((&settings["max_result_window"], &settings["gc_deletes"]), (&json!("20000"), &json!("1h")));
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(0) && !log.contains("in place"), "{log}");
}

#[test]
fn a_reindex_puts_an_addition_in_place_with_an_instance_and_without() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "by-reindex", "");
    let instance = world.start(&["run"]);
    world.wait_until_delivered();
    let first = world.indexes_behind();
    add_form(&world, "parts");
    let said = world.succeed(&["reindex", "contacts"]);
    assert!(said.contains("in place") && said.contains("sent again"), "{said}");
    assert_eq!(world.indexes_behind(), first);
    assert_eq!(found(&world, "role.parts", "sales"), ids(&["c1"]), "an old document");
    append(&world, "contacts", "c2", &json!({"name": "John Roe", "role": "Sales clerk"}));
    eventually("a new document", || {
        (found(&world, "role.parts", "sales") == ids(&["c1", "c2"])).then_some(())
    });
    drop(instance);
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(0) && !log.contains("in place"), "the hash is noted: {log}");

    world.write_mappings(|projection, mapping| {
        if projection == "contacts" {
            let forms = json!({"parts": {"type": "text"}, "more": {"type": "text"}});
            mapping["mappings"]["properties"]["role"]["fields"] = forms;
        }
    });
    let said = world.succeed(&["reindex", "contacts", "--format", "json"]);
    let said: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let expected = json!({"projection": "contacts", "index": first["contacts"], "sent_again": true});
    assert_eq!(said["in_place"], expected);
    assert_eq!(world.indexes_behind(), first);
    assert_eq!(found(&world, "role.more", "sales"), ids(&["c1", "c2"]));

    add_form(&world, "fourth");
    world.succeed(&["reindex", "contacts", "--rebuild"]);
    assert_ne!(world.indexes_behind()["contacts"], first["contacts"], "a new index when it is asked for");
}

#[test]
fn whoever_comes_after_one_that_died_sends_every_document_again() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "died", "");
    world.succeed(&["run", "--until-end"]);
    let index = world.indexes_behind()["contacts"].clone();
    let copied = std::process::Command::new("cp")
        .args(["-r".into(), world.path("state"), world.path("copy")])
        .status();
    assert!(copied.unwrap().success());
    let block = |value: bool| {
        let settings = json!({"index.blocks.write": value});
        let answer = world.es(Method::Put, &format!("/{index}/_settings"), Some(&settings));
        assert_eq!(answer["acknowledged"], true, "{answer}");
    };
    block(true);
    add_form(&world, "parts");
    let instance = world.start(&["run"]);
    eventually("the additions", || world.log().contains("additions are put in place").then_some(()));
    instance.kill();
    // Another instance, whose state knows nothing of the documents that the first one was about to send.
    fs::remove_dir_all(world.path("state")).unwrap();
    fs::rename(world.path("copy"), world.path("state")).unwrap();
    block(false);
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(found(&world, "role.parts", "sales"), ids(&["c1"]));
    let (_, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(!log.contains("every document"), "{log}");
}

#[test]
fn an_embedded_index_takes_an_addition_without_a_new_one() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "embedded-addition", EMBEDDED);
    world.succeed(&["run", "--until-end"]);
    let first = world.indexes_behind();
    add_form(&world, "parts");
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(0) && log.contains("additions are put in place"), "{code:?} {log}");
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(0) && !log.contains("in place"), "{log}");
    add_form(&world, "more");
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(3) && log.contains("tributary reindex contacts"), "a form went: {code:?} {log}");
    world.write_mappings(|projection, mapping| {
        if projection == "contacts" {
            let forms = json!({"parts": {"type": "text"}, "more": {"type": "text"}});
            mapping["mappings"]["properties"]["role"]["fields"] = forms;
        }
    });
    let said = world.succeed(&["reindex", "contacts"]);
    assert!(said.contains("in place"), "{said}");
    assert_eq!(world.indexes_behind(), first);
    world.succeed(&["reindex", "contacts", "--rebuild"]);
    assert_ne!(world.indexes_behind()["contacts"], first["contacts"]);
}

#[test]
fn a_rollback_is_kept_when_the_file_was_edited_again_before_it() {
    is_kept_ahead("");
    is_kept_ahead(EMBEDDED);
}

/// The file at the rollback is neither that of the index that was left nor that of the index that was put back.
fn is_kept_ahead(index: &str) {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "ahead", index);
    world.succeed(&["run", "--until-end"]);
    let first = world.indexes_behind();
    change_type(&world, "text");
    world.succeed(&["reindex", "contacts"]);
    change_type(&world, "integer");
    world.succeed(&["reindex", "contacts", "--rollback"]);
    assert_eq!(world.indexes_behind(), first);
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(0) && log.contains("a rollback put back"), "{code:?} {log}");
    world.succeed(&["run", "--until-end", "--reindex-on-mapping-change"]);
    assert_eq!(world.indexes_behind(), first, "it does not roll forward by itself");
    is_told(&world, &first);
    // Any other file is a change, also that of the index that was left.
    change_type(&world, "text");
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(3) && log.contains("tributary reindex contacts"), "{code:?} {log}");
}

#[test]
fn a_rollback_goes_by_what_was_added_in_place_and_not_by_the_name_of_the_index() {
    let world = World::embedded(
        "added",
        "source.kind = \"files\"\nsource.path = \"events\"\norganisations.format = \"plain\"\ncontacts.format = \"plain\"\nindex.mappings = \"mappings\"",
    );
    fs::create_dir_all(world.path("events")).unwrap();
    append(&world, "contacts", "c1", &json!({"name": "Jane Doe", "role": "Head of Sales"}));
    append(&world, "organisations", "o1", &json!({"name": "Acme"}));
    world.write_mappings(|_, _| ());
    world.succeed(&["run", "--until-end"]);
    let first = world.indexes_behind();
    add_form(&world, "parts");
    world.succeed(&["run", "--until-end"]);
    change_type(&world, "text");
    world.succeed(&["reindex", "contacts"]);
    // The file that the index has its name from lacks the later addition.
    world.write_mappings(|_, _| ());
    world.succeed(&["reindex", "contacts", "--rollback"]);
    assert_eq!(world.indexes_behind(), first);
    let (code, log) = code_and_log(&world, &["run", "--until-end"]);
    assert!(code == Some(0) && log.contains("a rollback put back"), "{code:?} {log}");
}
