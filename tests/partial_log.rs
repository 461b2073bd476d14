//! A log whose beginning retention has removed: it is refused, and with leave it deletes nothing that it is silent on.

use std::collections::BTreeMap;

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::harness::{eventually, log_of};
use crate::recreated::{Topics, ids};
use crate::services;

#[test]
fn a_compacted_topic_that_also_deletes_is_no_whole_log_for_a_reindex() {
    let (servers, _turn) = services::whole();
    let topics = Topics::new(&servers, "compact-delete", "compact,delete", "");
    topics.produce(0..6);
    topics.world.succeed(&["run", "--until-end"]);
    topics.cut_off(&topics.organisations, 3);
    let refused = topics.world.run(&["reindex"]);
    assert_eq!(refused.status.code(), Some(1), "{}", log_of(&refused));
    let log = log_of(&refused);
    assert!(log.contains(&topics.organisations) && log.contains("offset 3"), "{log}");
    assert!(log.contains("--allow-partial-log"), "{log}");
    assert_eq!(topics.names(), ids(0..6));
}

#[test]
fn a_run_without_a_state_refuses_a_partial_log_and_with_leave_deletes_nothing_that_it_is_silent_on() {
    let (servers, _turn) = services::whole();
    for policy in ["delete", "compact,delete"] {
        let topics = Topics::new(&servers, "partial", policy, "");
        topics.produce(0..6);
        topics.world.succeed(&["run", "--until-end"]);
        topics.cut_off(&topics.organisations, 3);
        topics.world.succeed(&["run", "--until-end"]);
        std::fs::remove_dir_all(topics.world.path("state")).unwrap();
        let refused = topics.world.run(&["run", "--until-end"]);
        assert_eq!(refused.status.code(), Some(1), "{}", log_of(&refused));
        let log = log_of(&refused);
        assert!(log.contains("offset 3") && log.contains("--allow-partial-log"), "{log}");
        assert_eq!(topics.names(), ids(0..6), "nothing was touched");

        topics.world.succeed(&["run", "--until-end", "--allow-partial-log"]);
        assert_eq!(topics.names(), ids(0..6), "the log is silent on the first three");
        // The state remembers.
        topics.tombstone(4);
        topics.world.succeed(&["run", "--until-end"]);
        let mut left = ids(0..6);
        left.retain(|id| id != "o4");
        assert_eq!(topics.names(), left, "what the log deletes is deleted");
        topics.world.succeed(&["verify", "--repair"]);
        topics.world.succeed(&["run", "--until-end"]);
        assert_eq!(topics.names(), left);
    }
}

const EMBEDDED: &str = "index.kind = \"embedded\"\nindex.path = \"index\"\n";

/// One of the documents of a projection.
fn document(topics: &Topics, projection: &str, id: &str) -> Option<Value> {
    topics.world.settle();
    topics.world.documents(projection).remove(id)
}

#[test]
fn a_document_that_the_log_is_silent_on_is_not_replaced_by_what_others_say_of_its_entity() {
    let (servers, _turn) = services::whole();
    for index in ["", EMBEDDED] {
        let topics = Topics::new(&servers, "silent", "delete", index);
        let contact = |id: &str, of: &str| {
            topics.put(&topics.contacts, id, &json!({"name": format!("Person {id}"), "organisationId": of}));
        };
        let run = || topics.world.succeed(&["run", "--until-end", "--allow-partial-log"]);
        topics.produce(0..6);
        topics.put(&topics.organisations, "o5", &json!({"name": "Child", "parentId": "o1"}));
        for (id, of) in [("c0", "o0"), ("c1", "o1"), ("c4", "o4")] {
            contact(id, of);
        }
        topics.world.succeed(&["run", "--until-end"]);
        topics.world.settle();
        let before = topics.world.all_documents();
        assert_eq!(before["organisations"]["o1"]["name"], "Firm 1");

        topics.cut_off(&topics.organisations, 3);
        std::fs::remove_dir_all(topics.world.path("state")).unwrap();
        run();
        let kept = |when: &str| {
            for (projection, id) in
                [("organisations", "o0"), ("organisations", "o1"), ("hierarchy", "o0"), ("hierarchy", "o1")]
            {
                let held = document(&topics, projection, id);
                assert_eq!(held.as_ref(), before[projection].get(id), "{projection} {id} {when}");
            }
        };
        kept("after a replay");
        contact("c2", "o1");
        run();
        kept("after a further contact");
        // Nothing refers to it any more.
        contact("c1", "o4");
        contact("c2", "o4");
        topics.put(&topics.organisations, "o5", &json!({"name": "Child", "parentId": "o4"}));
        run();
        kept("after the last reference");
        // An earlier delivery may show more of an entity in the log than the log does.
        topics.world.succeed(&["verify", "--repair"]);
        topics.world.succeed(&["verify"]);
        kept("after a repair");
        let why = topics.world.succeed(&["explain", "organisations", "o1"]);
        assert!(why.contains("holds no record of this entity"), "{why}");

        // Where the index holds none, one is made, kept up to date, and deleted.
        let contacts = |id: &str| document(&topics, "organisations", id).map(|it| it["contactCount"].clone());
        contact("c7", "new");
        run();
        assert_eq!(contacts("new"), Some(json!(1)));
        contact("c8", "new");
        run();
        assert_eq!(contacts("new"), Some(json!(2)));
        contact("c7", "o4");
        contact("c8", "o4");
        run();
        assert_eq!(contacts("new"), None);
        contact("c8", "new");
        run();
        assert_eq!(contacts("new"), Some(json!(1)));

        // A record of the entity itself makes its document.
        topics.put(&topics.organisations, "o1", &json!({"name": "Renamed"}));
        topics.put(&topics.organisations, "new", &json!({"name": "New"}));
        run();
        assert_eq!(document(&topics, "organisations", "o1").unwrap()["name"], "Renamed");
        assert_eq!(document(&topics, "organisations", "new").unwrap()["name"], "New");
        topics.world.succeed(&["verify"]);
    }
}

#[test]
fn what_only_the_index_knows_of_an_entity_without_a_record_is_no_fault_and_is_not_taken_away() {
    let (servers, _turn) = services::whole();
    let topics = Topics::new(&servers, "unknown", "delete", "");
    let before = cut(&topics);
    std::fs::remove_dir_all(topics.world.path("state")).unwrap();
    topics.world.succeed(&["run", "--until-end", "--allow-partial-log"]);
    // Documents as they were written when the log was whole: whether a replay makes them anew depends on the group's
    // earlier deliveries.
    for (projection, id) in [("contacts", "c2"), ("organisations", "o5"), ("hierarchy", "o5")] {
        let path = format!("/{}/_doc/{id}", topics.world.index(projection));
        let held = topics.world.es(Method::Get, &path, None);
        let mut body = before[projection][id].clone();
        body["_log"] = held["_source"]["_log"].clone();
        let path = format!("{path}?version={}&version_type=external_gte", held["_version"]);
        let answer = topics.world.es(Method::Put, &path, Some(&body));
        assert_eq!(answer["_version"], held["_version"], "{answer}");
    }
    topics.world.settle();
    let richer = topics.world.all_documents();
    assert_eq!(richer["contacts"]["c2"]["organisation"]["name"], "Firm 2");
    let compared = topics.world.run(&["verify", "--format", "json"]);
    let told = log_of(&compared);
    assert_eq!(compared.status.code(), Some(0), "{told}");
    let shown = String::from_utf8(compared.stdout).unwrap();
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (projection, id) in [("contacts", "c2"), ("organisations", "o5"), ("hierarchy", "o5")] {
        assert!(lines.contains(&json!({"projection": projection, "id": id, "kind": "unknown"})), "{told}");
    }
    assert!(lines.iter().all(|line| line["kind"] == "unknown"), "{told}");
    assert!(topics.world.succeed(&["verify"]).contains("unknown to the log"), "{told}");
    topics.world.succeed(&["verify", "--repair"]);
    topics.world.settle();
    assert_eq!(topics.world.all_documents(), richer, "a repair takes nothing away");

    // Entities with a record in the log are compared as ever.
    let path = format!("/{}/_update/c2", topics.world.index("contacts"));
    topics.world.es(Method::Post, &path, Some(&json!({"doc": {"name": "somebody else"}})));
    let compared = topics.world.run(&["verify", "--format", "json"]);
    assert_eq!(compared.status.code(), Some(4), "{}", log_of(&compared));
    assert!(log_of(&compared).contains("stale"), "{}", log_of(&compared));
}

#[test]
fn a_partial_log_is_refused_before_anything_is_made() {
    let (servers, _turn) = services::whole();
    for index in ["", EMBEDDED] {
        let topics = Topics::new(&servers, "nothing-made", "delete", index);
        topics.produce(0..6);
        topics.cut_off(&topics.organisations, 3);
        let refused = topics.world.run(&["run", "--until-end"]);
        assert_eq!(refused.status.code(), Some(1), "{}", log_of(&refused));
        assert!(log_of(&refused).contains("--allow-partial-log"), "{}", log_of(&refused));
        let all = format!("/{}*/_alias?expand_wildcards=all", topics.world.prefix);
        assert_eq!(topics.world.es(Method::Get, &all, None), json!({}));
        assert!(!topics.world.path("index").exists());
        topics.world.succeed(&["run", "--until-end", "--allow-partial-log"]);
        assert_eq!(topics.names(), ids(3..6));
    }
}

/// Six organisations with a contact each, of which the log loses the first three.
fn cut(topics: &Topics) -> All {
    topics.produce(0..6);
    topics.put(&topics.organisations, "o5", &json!({"name": "Child", "parentId": "o1"}));
    for number in 0..6 {
        let contact =
            json!({"name": format!("Person {number}"), "organisationId": format!("o{}", number % 5)});
        topics.put(&topics.contacts, &format!("c{number}"), &contact);
    }
    topics.world.succeed(&["run", "--until-end"]);
    topics.world.settle();
    let before = topics.world.all_documents();
    topics.cut_off(&topics.organisations, 3);
    topics.cut_off(&topics.contacts, 2);
    before
}

type All = BTreeMap<&'static str, BTreeMap<String, Value>>;

/// An entity on which the log is silent is as it was, and no document is gone.
fn is_carried(topics: &Topics, before: &All, when: &str) {
    topics.world.settle();
    let after = topics.world.all_documents();
    for (projection, before) in before {
        let ids = |documents: &BTreeMap<String, Value>| documents.keys().cloned().collect::<Vec<_>>();
        assert_eq!(ids(&after[projection]), ids(before), "{projection} {when}");
        let silent = if *projection == "contacts" { &["c0", "c1"][..] } else { &["o0", "o1", "o2"] };
        for id in silent {
            assert_eq!(after[projection][*id], before[*id], "{projection} {id} {when}");
        }
    }
}

#[test]
fn a_rebuild_from_a_partial_log_carries_what_that_is_silent_on() {
    let (servers, _turn) = services::whole();
    for index in ["", EMBEDDED] {
        let topics = Topics::new(&servers, "carry", "delete", index);
        let before = cut(&topics);
        let told = topics.world.succeed(&["reindex", "--allow-partial-log", "--format", "json"]);
        is_carried(&topics, &before, "after a rebuild");
        let done: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        let evidence = done["outcome"]["evidence"].as_array().unwrap_or_else(|| panic!("{done}"));
        let carried: Vec<_> = evidence.iter().map(|seen| seen["carried"].as_u64()).collect();
        assert_eq!(carried, [Some(3), Some(2), Some(3)], "{done}");
        // And by another one, and by a state that is as partial as the log.
        topics.world.succeed(&["reindex", "--allow-partial-log"]);
        is_carried(&topics, &before, "after a second rebuild");
        std::fs::remove_dir_all(topics.world.path("state")).unwrap();
        topics.world.succeed(&["run", "--until-end", "--allow-partial-log"]);
        topics.world.succeed(&["verify"]);
        topics.world.succeed(&["reindex", "--from", "state"]);
        is_carried(&topics, &before, "after a rebuild from the state");
        topics.world.succeed(&["reindex", "--rollback", "--from", "state"]);
        is_carried(&topics, &before, "after a rollback");
        topics.world.succeed(&["verify"]);
    }
}

#[test]
fn an_instance_that_knows_more_than_the_log_goes_on_with_what_was_carried() {
    let (servers, _turn) = services::whole();
    for index in ["", EMBEDDED] {
        let topics = Topics::new(&servers, "whole-state", "delete", index);
        let before = cut(&topics);
        let running = topics.world.start(&["run"]);
        topics.world.wait_until_delivered();
        topics.world.succeed(&["reindex", "--allow-partial-log"]);
        is_carried(&topics, &before, "after a rebuild");
        topics.put(&topics.contacts, "c5", &json!({"name": "Renamed", "organisationId": "o1"}));
        topics.put(&topics.contacts, "c2", &json!({"name": "Person 2", "organisationId": "o1"}));
        let wanted = json!([
            {"id": "c1", "name": "Person 1"},
            {"id": "c2", "name": "Person 2"},
            {"id": "c5", "name": "Renamed"},
        ]);
        eventually("the document shows every contact", || {
            let held = document(&topics, "organisations", "o1")?;
            (held["contacts"] == wanted && held["name"] == "Firm 1").then_some(())
        });
        topics.world.wait_until_delivered();
        topics.world.succeed(&["verify", "--repair"]);
        drop(running);
        topics.world.settle();
        let healed = topics.world.all_documents();
        assert_eq!(healed["contacts"]["c2"]["organisation"]["name"], "Firm 1");
    }
}
