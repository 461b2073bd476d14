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

const SHOP: &str = r#"
[entities.products]
format = "plain"
[entities.products.fields]
title = "string"
sku = "string"
makerId = { references = "makers" }
[entities.makers]
format = "plain"
[entities.makers.fields]
name = "string"
country = "string"
[projections.products]
of = "products"
[[projections.products.embed]]
as = "maker"
reference = "makerId"
[projections.products.search]
title = "title"
hit = ["title", "sku", "maker"]
[projections.makers]
of = "makers"
[projections.makers.search]
"#;

#[test]
fn the_name_of_a_hit_is_not_its_detail() {
    let log = GrowingLog::new();
    let products = [
        ("p1", json!({"title": "Kettle", "sku": "K-1"})),
        ("p2", json!({"title": "Kettle"})),
        ("p3", json!({"title": "Kettle", "sku": "K-3", "makerId": "m1"})),
        ("p4", json!({"title": "Kettle", "sku": "K-4", "makerId": "m2"})),
    ];
    products.iter().for_each(|(id, fields)| log.append("products", id, fields));
    log.append("makers", "m1", &json!({"name": "Nordlicht"}));
    log.append("makers", "m2", &json!({"name": "Kettle", "country": "DE"}));
    let world = World::embedded("suggest-shop", &format!("model = \"model.toml\"\n{}", log.source()));
    std::fs::write(world.path("model.toml"), SHOP).unwrap();
    let _running = world.start(&["run"]);
    world.wait_until_delivered();
    let answer: Value = serde_json::from_str(&world.get("/suggest?q=kett").1).unwrap();
    let mut details: Vec<(&str, Option<&str>)> = answer["suggestions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["id"].as_str().unwrap(), one["detail"].as_str()))
        .collect();
    details.sort_unstable();
    let expected = [
        ("m2", Some("DE")),
        ("p1", Some("K-1")),
        ("p2", None),
        ("p3", Some("Nordlicht")),
        ("p4", Some("K-4")),
    ];
    assert_eq!(details, expected, "{answer}");
    // The total names the collection, because the model has two.
    let printed = world.succeed(&["search", "kettle"]);
    assert!(printed.lines().any(|line| line.starts_with("4 found in products in ")), "{printed}");
    let printed = world.succeed(&["search", "kettle", "--in", "makers"]);
    assert!(printed.lines().any(|line| line.starts_with("1 found in makers in ")), "{printed}");
}
