//! `layout = "join"`: contacts as children of their organisations.

use std::collections::BTreeMap;

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::harness::{GrowingLog, World, eventually, log_of, shown};
use crate::services;

/// The configuration of the layout, with mappings beside it.
pub const SETTINGS: &str = "index.layout = \"join\"\nindex.mappings = \"mappings\"\n";

/// Has organisations lie on several shards.
pub fn spread(world: &World) {
    world.write_mappings(|projection, mapping| {
        if projection == "organisations" {
            mapping["settings"]["index"]["number_of_shards"] = json!(3);
        }
    });
}

/// All documents of the organisations' index: the organisations by their ids, and the contacts by their routing and id.
fn held(world: &World) -> (BTreeMap<String, Value>, BTreeMap<(String, String), Value>) {
    world.refresh();
    let body = json!({"size": 5_000, "version": true});
    let answer = world.es(Method::Post, &format!("/{}/_search", world.index("organisations")), Some(&body));
    let (mut owners, mut children) = (BTreeMap::new(), BTreeMap::new());
    for hit in answer["hits"]["hits"].as_array().unwrap_or_else(|| panic!("{answer}")) {
        let (id, source) = (hit["_id"].as_str().unwrap().to_owned(), hit["_source"].clone());
        match hit["_routing"].as_str() {
            Some(owner) => {
                assert_eq!(source["_join"], json!({"name": "contacts", "parent": owner}), "{hit}");
                assert_eq!(id, format!("contacts/{}", source["contacts"]["id"].as_str().unwrap()));
                children.insert((owner.to_owned(), id), source["contacts"].clone());
            }
            None => {
                assert_eq!(source["_join"], "organisations", "{hit}");
                owners.insert(id, source);
            }
        }
    }
    (owners, children)
}

/// The organisations with their children in the place of nested contacts.
pub fn whole(world: &World) -> BTreeMap<String, Value> {
    try_whole(world).expect("every child has its owner")
}

/// The same; none while a child lacks its owner.
fn try_whole(world: &World) -> Option<BTreeMap<String, Value>> {
    let (mut owners, children) = held(world);
    for document in owners.values_mut() {
        document["contacts"] = json!([]);
    }
    let mut sorted: Vec<_> = children.into_iter().collect();
    sorted.sort_by(|((_, one), _), ((_, other), _)| one.cmp(other));
    for ((owner, id), child) in sorted {
        let Some(document) = owners.get_mut(&owner) else {
            println!("{id} has no owner {owner}");
            return None;
        };
        document["contacts"].as_array_mut().unwrap().push(child);
    }
    Some(owners.into_iter().map(|(id, document)| (id, shown(&document))).collect())
}

/// Organisations o0 to o5 with contacts, o9 known by a contact only.
fn log() -> GrowingLog {
    let log = GrowingLog::new();
    for number in 0..6 {
        log.append("organisations", &format!("o{number}"), &json!({"name": format!("Acme {number}")}));
    }
    for (id, owner) in
        [("c1", "o1"), ("c2", "o1"), ("c3", "o2"), ("c4", "o4"), ("c5", "o5"), ("c6", "o5"), ("c9", "o9")]
    {
        log.append("contacts", id, &json!({"name": format!("Jane {id}"), "organisationId": owner}));
    }
    log
}

/// The documents of organisations with nested contacts, from the beginning of the log.
fn nested(servers: &services::Services, log: &GrowingLog) -> BTreeMap<String, Value> {
    let world = World::new(servers, "nested", &log.settings());
    world.succeed(&["run", "--until-end"]);
    world.documents("organisations")
}

fn contact(log: &GrowingLog, id: &str, owner: &str) {
    log.append("contacts", id, &json!({"name": format!("Joan {id}"), "organisationId": owner}));
}

fn version(world: &World, path: &str) -> u64 {
    let found = world.es(Method::Get, &format!("/{}/_doc/{path}", world.index("organisations")), None);
    found["_version"].as_u64().unwrap_or_else(|| panic!("{found}"))
}

#[test]
fn children_follow_their_owners_through_moves_deletes_repairs_and_rebuilds() {
    if !services::has_join() {
        return;
    }
    let (servers, _turn) = services::whole();
    let log = log();
    let world = World::new(&servers, "join", &log.settings());
    let plain = world.config.clone();
    world.succeed(&["run", "--until-end"]);
    let before = world.documents("organisations");

    // From one layout to the other.
    world.write_config(&format!("{plain}{SETTINGS}"));
    spread(&world);
    assert_eq!(world.run(&["run", "--until-end"]).status.code(), Some(3));
    world.succeed(&["reindex", "organisations", "--from", "state"]);
    assert_eq!(whole(&world), before);

    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    let (owner, child) = (version(&world, "o5"), version(&world, "contacts%2Fc5?routing=o5"));
    contact(&log, "c5", "o5");
    eventually("the contact is written", || {
        (version(&world, "contacts%2Fc5?routing=o5") > child).then_some(())
    });
    world.wait_until_delivered();
    assert_eq!(version(&world, "o5"), owner, "its contact alone was written");

    for owner in ["o2", "o3", "o0", "o3"] {
        contact(&log, "c1", owner);
        contact(&log, "c3", owner);
    }
    world.wait_until_delivered();
    contact(&log, "c1", "o1");
    log.append("contacts", "c2", &Value::Null);
    log.append("organisations", "o4", &Value::Null);
    contact(&log, "c7", "o8");
    log.append("organisations", "o9", &json!({"name": "Late"}));
    log.append("organisations", "o8", &json!({"name": "Later"}));
    let wanted = nested(&servers, &log);
    eventually("the same documents", || (try_whole(&world).as_ref() == Some(&wanted)).then_some(()));
    assert_eq!(wanted["o1"]["contacts"].as_array().map(Vec::len), Some(1));
    assert_eq!(wanted.get("o4"), None);
    world.succeed(&["verify"]);

    // One that is missing, one that is changed, one without an entity, and one that stayed at an owner of before.
    let index = world.index("organisations");
    let stray = |member: &str, owner: &str| {
        let join = json!({"name": "contacts", "parent": owner});
        let body = json!({"contacts": {"id": member, "name": "Stray"}, "_join": join});
        let path = format!("/{index}/_doc/contacts%2F{member}?routing={owner}&refresh=true");
        world.es(Method::Put, &path, Some(&body));
    };
    world.es(Method::Delete, &format!("/{index}/_doc/contacts%2Fc6?routing=o5&refresh=true"), None);
    stray("c7", "o8");
    stray("x", "o1");
    for owner in ["o0", "o2", "o3"] {
        stray("c5", owner);
    }
    let output = world.run(&["verify", "--format", "json"]);
    let text = log_of(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    for told in [
        r#"{"id":"contacts/c6","kind":"missing","owner":"o5","projection":"organisations"}"#,
        r#"{"id":"contacts/c7","kind":"stale","owner":"o8","projection":"organisations"}"#,
        r#"{"id":"contacts/x","kind":"extra","owner":"o1","projection":"organisations"}"#,
    ] {
        assert!(text.contains(told), "{told} of {text}");
    }
    world.succeed(&["verify", "--repair"]);
    assert_eq!(whole(&world), wanted);

    let explained: Value = serde_json::from_str(&world.succeed(&[
        "explain",
        "organisations",
        "contacts/c5",
        "--format",
        "json",
    ]))
    .unwrap();
    assert_eq!(
        (&explained["expected"], &explained["index"]["equal"]),
        (&json!(true), &json!(true)),
        "{explained}"
    );
    assert_eq!(explained["parts"][0]["fields"][0]["shown_as"], "contacts[c5].name", "{explained}");
    instance.signal("TERM");
    assert_eq!(instance.end(), Some(0));

    // Back to nested contacts, and by a rollback to children again.
    world.write_config(&plain);
    assert_eq!(world.run(&["run", "--until-end"]).status.code(), Some(3));
    world.succeed(&["reindex", "organisations"]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("organisations"), wanted);
    world.write_config(&format!("{plain}{SETTINGS}"));
    world.succeed(&["reindex", "--rollback", "organisations"]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(whole(&world), wanted);
}

#[test]
fn a_child_is_no_document_under_its_id_alone() {
    if !services::has_join() {
        return;
    }
    let (servers, _turn) = services::whole();
    let log = log();
    // On one shard, where a child is found by its id without its routing.
    let world = World::new(&servers, "join-id", &format!("{}index.layout = \"join\"\n", log.settings()));
    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    world.refresh();
    let child = "%F4%8F%BF%BFcontacts%00o1%00%00c1";
    let (code, of_owner) = world.get("/organisations/o1");
    let of_owner: Value = serde_json::from_str(&of_owner).unwrap();
    assert_eq!((code, &of_owner["contacts"][0]["id"]), (200, &json!("c1")));
    for (projection, id) in [
        ("organisations", "contacts%2Fc1"),
        ("organisations", child),
        ("organisations", "c1"),
        ("contacts", "contacts%2Fc1"),
        ("organisations", "contacts%2Fc1/children"),
        ("organisations", "contacts%2Fc1/ancestors"),
    ] {
        let (code, body) = world.get(&format!("/{projection}/{id}"));
        assert_eq!(code, 404, "/{projection}/{id}: {body}");
    }
    for query in ["q=contacts%2Fc1", "under=contacts%2Fc1", "under=c1"] {
        let (code, body) = world.get(&format!("/search?in=organisations&{query}"));
        let page: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((code, &page["total"]), (200, &json!(0)), "{query}: {body}");
    }
    instance.signal("TERM");
    assert_eq!(instance.end(), Some(0));
}

#[test]
fn an_owner_with_the_id_of_a_child_is_a_dead_letter_in_every_order() {
    if !services::has_join() {
        return;
    }
    let (servers, _turn) = services::whole();
    let log = log();
    // On one shard, where one id is one document.
    let world = World::new(&servers, "join-taken", &format!("{}index.layout = \"join\"\n", log.settings()));
    let thief = |id: &str, name: &str| log.append("organisations", id, &json!({"name": name}));
    let ends = |expected: &[&str]| {
        world.succeed(&["run", "--until-end"]);
        let letters = world.dead_letters();
        let keys: Vec<&str> = letters.iter().map(|letter| letter["key"].as_str().unwrap()).collect();
        assert_eq!(keys, expected, "{letters:?}");
        let mut wanted = nested(&servers, &log);
        wanted.retain(|id, _| !id.starts_with("contacts/"));
        assert_eq!(whole(&world), wanted);
    };
    // At once, then before the child, and then behind it.
    thief("contacts/c1", "Thief");
    ends(&["contacts/c1"]);
    thief("contacts/c8", "Thief");
    ends(&["contacts/c1", "contacts/c8"]);
    contact(&log, "c8", "o2");
    thief("contacts/c2", "Thief");
    ends(&["contacts/c1", "contacts/c8", "contacts/c2"]);
    // Its change is refused as well, and its delete takes no child away.
    thief("contacts/c1", "Other");
    log.append("organisations", "contacts/c2", &Value::Null);
    ends(&["contacts/c1", "contacts/c8", "contacts/c2", "contacts/c1"]);
    world.succeed(&["reindex", "organisations", "--from", "state", "--allow-rejected"]);
    let letters = world.dead_letters();
    assert_eq!(letters[0]["projection"], "organisations");
    assert_eq!(letters[0]["owner"], Value::Null);
    let reason = letters[0]["reason"].as_str().unwrap();
    for told in ["\"contacts/c1\"", "Give the entity another id", "layout = \"nested\""] {
        assert!(reason.contains(told), "{told} of {reason}");
    }
    let (_, children) = held(&world);
    assert_eq!(children[&("o2".to_owned(), "contacts/c8".to_owned())]["name"], "Joan c8");
    assert_eq!(children.len(), 8);
}

/// Shelves and their books, which are children.
const SHELVES: &str = r#"
[entities.shelves]
format = "plain"
[entities.shelves.fields]
name = "string"

[entities.books]
format = "plain"
[entities.books.fields]
title = "string"
shelfId = { references = "shelves" }

[projections.shelves]
of = "shelves"
layout = "join"
[[projections.shelves.embed]]
as = "books"
from = "books.shelfId"
show = ["title"]
"#;

#[test]
fn a_member_writes_its_owner_only_where_that_shows_a_count() {
    if !services::has_join() {
        return;
    }
    let (servers, _turn) = services::whole();
    for (counted, is_written) in [("", false), ("count = \"bookCount\"\n", true)] {
        let log = GrowingLog::new();
        let book = |id: &str, shelf: &str| log.append("books", id, &json!({"title": id, "shelfId": shelf}));
        log.append("shelves", "s1", &json!({"name": "Left"}));
        log.append("shelves", "s2", &json!({"name": "Right"}));
        book("b1", "s1");
        let world =
            World::new(&servers, "join-owner", &format!("model = \"shelves.toml\"\n{}", log.source()));
        std::fs::write(world.path("shelves.toml"), format!("{SHELVES}{counted}")).unwrap();
        let index = || {
            world.refresh();
            let body = json!({"size": 100, "version": true, "_source": false});
            let answer = world.es(Method::Post, &format!("/{}/_search", world.index("shelves")), Some(&body));
            let hits = answer["hits"]["hits"].as_array().unwrap_or_else(|| panic!("{answer}"));
            let version = |hit: &Value| (hit["_id"].as_str().unwrap().to_owned(), hit["_version"].as_u64());
            hits.iter().map(version).collect::<BTreeMap<_, _>>()
        };
        // The documents that a run writes, by their versions.
        let written = || {
            let before = index();
            world.succeed(&["run", "--until-end"]);
            let after = index();
            let written = after.into_iter().filter(|(id, version)| before.get(id) != Some(version));
            written.map(|(id, _)| id).collect::<Vec<_>>()
        };
        world.succeed(&["run", "--until-end"]);
        assert_eq!(index().into_keys().collect::<Vec<_>>(), ["books/b1", "s1", "s2"]);
        let all = |child: &[&str], owners: &[&str]| -> Vec<String> {
            let owners = if is_written { owners } else { &[] };
            child.iter().chain(owners).map(|id| (*id).to_owned()).collect()
        };
        book("b2", "s1");
        assert_eq!(written(), all(&["books/b2"], &["s1"]), "one comes");
        log.append("books", "b2", &json!({"title": "Other", "shelfId": "s1"}));
        assert_eq!(written(), all(&["books/b2"], &[]), "one changes");
        book("b1", "s2");
        assert_eq!(written(), all(&["books/b1"], &["s1", "s2"]), "one moves");
        log.append("books", "b2", &Value::Null);
        assert_eq!(written(), all(&[], &["s1"]), "one goes");
    }
}

#[test]
fn every_page_shows_children_of_the_moment_of_the_first() {
    if !services::has_join() {
        return;
    }
    let (servers, _turn) = services::whole();
    let log = GrowingLog::new();
    let numbers = 1..=9;
    let book = |number: usize, title: &str| {
        log.append("books", &format!("b{number}"), &json!({"title": title, "shelfId": format!("s{number}")}));
    };
    for number in numbers.clone() {
        log.append("shelves", &format!("s{number}"), &json!({"name": "Shelf"}));
        book(number, "Old");
    }
    let world = World::new(&servers, "join-pages", &format!("model = \"shelves.toml\"\n{}", log.source()));
    let search = "[projections.shelves.search]\ntitle = \"name\"\nhit = [\"books\"]\n";
    std::fs::write(world.path("shelves.toml"), format!("{SHELVES}{search}")).unwrap();
    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    world.refresh();
    let page = |more: &str| -> (Vec<Value>, Value) {
        let (code, body) = world.get(&format!("/search?in=shelves{more}"));
        assert_eq!(code, 200, "{body}");
        let page: Value = serde_json::from_str(&body).unwrap();
        let hits = page["hits"].as_array().unwrap_or_else(|| panic!("{page}"));
        (hits.iter().map(|hit| hit["books"].clone()).collect(), page["next"].clone())
    };
    let books = |numbers: std::ops::RangeInclusive<usize>, title: &str| -> Vec<Value> {
        numbers.map(|number| json!([{"id": format!("b{number}"), "title": title}])).collect()
    };
    let (first, next) = page("&size=2");
    assert_eq!(first, books(1..=2, "Old"));
    for number in numbers {
        book(number, "New");
    }
    let consistent = format!("&consistent_with=books/0:{}", log.lines("books") - 1);
    assert_eq!(page(&format!("&size=9{consistent}")).0, books(1..=9, "New"));
    let (second, _) = page(&format!("&size=2&after={}", next.as_str().unwrap()));
    assert_eq!(second, books(3..=4, "Old"));
    instance.signal("TERM");
    assert_eq!(instance.end(), Some(0));
}

#[test]
fn a_child_that_the_index_refuses_is_a_dead_letter_with_its_owner() {
    if !services::has_join() {
        return;
    }
    let (servers, _turn) = services::whole();
    let log = log();
    // The name of the embed before it makes the id too long.
    let long = "x".repeat(508);
    contact(&log, &long, "o1");
    let world = World::new(&servers, "join-letter", &format!("{}index.layout = \"join\"\n", log.settings()));
    let ends = || {
        world.succeed(&["run", "--until-end"]);
        let letters = world.dead_letters();
        let told = |letter: &Value| ["key", "owner", "topic"].map(|name| letter[name].clone());
        let wanted = [json!(format!("contacts/{long}")), json!("o1"), json!("contacts")];
        assert_eq!(letters.iter().map(told).collect::<Vec<_>>(), [wanted], "{letters:?}");
    };
    ends();
    // Tried again it is refused again, and another child is written beside it.
    world.succeed(&["dead-letters", "retry"]);
    contact(&log, "c1", "o2");
    ends();
    let (_, children) = held(&world);
    assert_eq!(children.len(), 7);
    assert_eq!(children[&("o2".to_owned(), "contacts/c1".to_owned())]["name"], "Joan c1");
}

#[test]
fn a_server_without_the_type_join_is_refused_at_the_start() {
    if services::has_join() {
        return;
    }
    let (servers, _turn) = services::whole();
    let log = log();
    let world = World::new(&servers, "no-join", &format!("{}index.layout = \"join\"\n", log.settings()));
    for command in [&["run", "--until-end"][..], &["check"]] {
        let output = world.run(command);
        let text = log_of(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("no fields of the type join"), "{text}");
    }
}
