//! Suggestions that can be told apart.

use serde_json::{Value, json};

use crate::harness::{GrowingLog, World};

#[test]
fn suggestions_of_one_name_say_what_tells_them_apart_and_none_is_there_twice() {
    let log = GrowingLog::new();
    let organisations = [
        ("o1", json!({"name": "Harbour", "address": {"city": "Leeds"}})),
        ("o2", json!({"name": "Harbour", "address": {"city": "York"}})),
        ("o3", json!({"name": "Harbour", "address": {"city": "York"}})),
        ("o4", json!({"name": "Harbour", "parentId": "o5"})),
        ("o5", json!({"name": "Plum"})),
        ("o6", json!({"name": "Harbour"})),
    ];
    organisations.iter().for_each(|(id, fields)| log.append("organisations", id, fields));
    for (id, organisation) in [("c1", Some("o5")), ("c2", Some("o1")), ("c3", Some("o1")), ("c4", None)] {
        let contact = json!({"name": "Harbour Bree", "organisationId": organisation});
        log.append("contacts", id, &contact);
    }
    let world = World::embedded("suggest", &log.settings());
    let _running = world.start(&["run"]);
    world.wait_until_delivered();
    let answer: Value = serde_json::from_str(&world.get("/suggest?q=harb").1).unwrap();
    let suggestions: Vec<Value> = answer["suggestions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| json!([one["id"], one["detail"]]))
        .collect();
    let expected = json!([
        ["o1", "Leeds"],
        ["o2", "York"],
        ["o4", "Plum"],
        ["o6", null],
        ["c2", "Harbour"],
        ["c1", "Plum"],
        ["c4", null],
    ]);
    assert_eq!(json!(suggestions), expected, "{answer}");
}
