//! Models with logs and the exact documents that they end in, on both engines.

use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::{Value, json};

use crate::cases::{create_topics, produce};
use crate::files::root;
use crate::harness::{GrowingLog, World, eventually, fresh};
use crate::model::cases;
use crate::model_changes::{SHOP, shop, write_model};
use crate::services;

fn settings(case: &Path) -> String {
    let (model, events) = (case.join("model.toml"), case.join("events"));
    format!("model = {model:?}\nsource.kind = \"files\"\nsource.path = {events:?}\n")
}

/// The differences from the case's expectation; empty when there is none.
fn differences(world: &World, case: &Path) -> String {
    let text = std::fs::read_to_string(case.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let mut found = String::new();
    for (projection, expected) in expected.as_object().unwrap().iter().filter(|(name, _)| *name != "poison") {
        let got = Value::Object(world.documents(projection).into_iter().collect());
        if got != *expected {
            found += &format!("{projection}\n  got      {got}\n  expected {expected}\n");
        }
    }
    let place = |letter: &Value| {
        let number = |name: &str| letter[name].as_i64().unwrap();
        (letter["topic"].as_str().unwrap().to_owned(), number("partition"), number("offset"))
    };
    let mut poison: Vec<_> = expected["poison"].as_array().into_iter().flatten().map(place).collect();
    let mut letters: Vec<_> = world.dead_letters().iter().map(place).collect();
    poison.sort();
    letters.sort();
    if poison != letters {
        found += &format!("poison\n  got      {letters:?}\n  expected {poison:?}\n");
    }
    found
}

fn check_all(world: impl Fn(&str) -> World) {
    let mut failed = String::new();
    for case in cases() {
        let world = world(&settings(&case));
        world.succeed(&["run", "--until-end"]);
        let mut found = differences(&world, &case);
        // A second run finds its own index, and changes nothing.
        world.succeed(&["run", "--until-end"]);
        found += &differences(&world, &case);
        if !found.is_empty() {
            failed += &format!("{}: {found}\n", case.file_name().unwrap().display());
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn every_model_ends_in_its_documents_in_the_embedded_index() {
    check_all(|settings| World::embedded("model", settings));
}

#[test]
fn every_model_ends_in_its_documents() {
    let (servers, _turn) = services::whole();
    check_all(|settings| World::new(&servers, "model", settings));
}

#[test]
fn a_model_of_ones_own_is_read_from_kafka() {
    let (servers, _turn) = services::whole();
    let case = cases().into_iter().find(|case| case.ends_with("names-of-ones-own")).unwrap();
    let suffix = fresh("model");
    let topics = ["companies", "people"].map(|topic| format!("{topic}.{suffix}"));
    create_topics(&servers.kafka, &topics, 3);
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", &servers.kafka).create().unwrap();
    produce(&producer, &case, &suffix);
    producer.flush(Duration::from_secs(30)).unwrap();
    let mut text = std::fs::read_to_string(case.join("model.toml")).unwrap();
    for (topic, name) in ["companies", "people"].into_iter().zip(&topics) {
        text = text.replace(&format!("topics = [{topic:?}]"), &format!("topics = [{name:?}]"));
    }
    let world = World::new(&servers, "kafka-model", "model = \"own.toml\"\n");
    std::fs::write(world.path("own.toml"), text).unwrap();
    world.succeed(&["run", "--until-end"]);
    assert_eq!(differences(&world, &case), "");
}

#[test]
fn documents_of_any_model_are_answered_and_a_search_that_no_projection_declares_says_so() {
    let (world, _log) = shop();
    let running = world.start(&["run"]);
    let found = eventually("the document is answered", || {
        let (status, body) = world.status().map(|_| world.get("/products/p1"))?;
        (status == 200).then_some(body)
    });
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["brand"], json!({"id": "b1", "name": "Nordlicht"}));
    let (status, body) = world.get("/search?q=kettle");
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("[projections.NAME.search]"), "{body}");
    let model: Value = serde_json::from_str(&world.get("/model").1).unwrap();
    assert_eq!((&model["collections"], &model["projections"][0]["of"]), (&json!([]), &json!("products")));
    let described = world.get("/openapi.json").1;
    assert!(!described.contains("organisations"), "{described}");
    assert_eq!(world.get("/organisations/p1").0, 404);
    running.kill();
}

#[test]
fn the_shop_of_the_examples_makes_products_with_their_price_chart() {
    let shop = root().join("examples/shop");
    let (model, events) = (shop.join("model.toml"), shop.join("events"));
    let settings = format!("model = {model:?}\nsource.kind = \"files\"\nsource.path = {events:?}\n");
    let world = World::embedded("shop", &settings);
    world.succeed(&["run", "--until-end"]);
    let products = world.documents("products");
    assert_eq!((&products["p1"]["lowest"], &products["p1"]["priceCount"]), (&json!(34.5), &json!(2)));
    let path = json!([{"id": "kitchen", "name": "Kitchen"}, {"id": "home", "name": "Home"}]);
    assert_eq!(products["p1"]["category"]["path"], path);
    assert_eq!(products["p9"]["stub"], json!(true), "its price came before it");
    assert_eq!(world.documents("categories")["home"]["categoriesBelow"], json!(3));
    assert!(world.dead_letters().is_empty());
}

#[test]
fn a_program_that_fails_leaves_its_member_out_and_is_counted() {
    let (world, _log) = shop();
    let code =
        "code = { type = \"string\", default = { jq = \".name | .[0] + 1\" } }\nname = \"string\"\nbrandId";
    let shop = SHOP.replace("name = \"string\"\nbrandId", code);
    write_model(
        &world,
        &format!(
            "{shop}\n[projections.products.compute]\nfaulty = '.name | .[0] + 1'\nlength = '.name | length'\n"
        ),
    );
    let mut running = world.start(&["run"]);
    world.wait_until_delivered();
    let document = &world.get("/products/p1").1;
    let document: Value = serde_json::from_str(document).unwrap();
    assert_eq!((document.get("faulty"), &document["length"]), (None, &json!(6)));
    assert_eq!(document.get("code"), None);
    let metrics = world.get("/metrics").1;
    let counted = metrics.lines().find(|line| line.starts_with("tributary_compute_errors_total{")).unwrap();
    assert!(counted.contains("field=\"faulty\"") && !counted.ends_with(" 0"), "{counted}");
    let counted = metrics.lines().find(|line| line.starts_with("tributary_default_errors_total{")).unwrap();
    assert!(counted.contains("entity=\"products\",field=\"code\"") && !counted.ends_with(" 0"), "{counted}");
    // The log names the first document of each.
    let log = world.log();
    let mut told = log.lines().filter(|line| line.contains("a program of the model failed"));
    assert!(told.any(|line| line.contains("faulty") && line.contains("products/p")), "{log}");
    // The instance is asked, and afterwards the folder of the state.
    let explain = || {
        let told = world.succeed(&["explain", "products", "p1", "--format", "json"]);
        serde_json::from_str::<Value>(&told).unwrap()["computed"].clone()
    };
    let computed = explain();
    assert_eq!((&computed[0]["member"], &computed[0]["value"]), (&json!("faulty"), &Value::Null));
    assert!(computed[0]["error"].as_str().unwrap().contains("index"), "{computed}");
    assert_eq!(computed[1], json!({"member": "length", "value": 6, "error": null}));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    assert_eq!(explain(), computed);
}

#[test]
fn a_program_over_events_sees_the_id_by_the_name_that_it_is_read_as() {
    let (world, log) = shop();
    let reading = "rename = { uuid = \"id\" }\ntransform = '. + {name: (.name + \" \" + .id)}'\n";
    write_model(&world, &SHOP.replacen("format = \"plain\"", &format!("format = \"plain\"\n{reading}"), 1));
    log.append("products", "p3", &json!({"uuid": "p3", "name": "Mug"}));
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("products")["p3"]["name"], "Mug p3");
}

#[test]
fn a_model_of_ones_own_survives_kills_and_rebuilds_on_a_server() {
    let (servers, _turn) = services::whole();
    let log = GrowingLog::new();
    let put = |topic: &str, id: String, data: Value| log.append(topic, &id, &data);
    (0..300).for_each(|number| {
        put(
            "products",
            format!("p{number}"),
            json!({"name": "Thing", "brandId": format!("b{}", number % 7)}),
        );
    });
    let world = World::new(&servers, "shop", &format!("model = \"shop.toml\"\n{}", log.source()));
    write_model(&world, SHOP);
    for life in 0..3 {
        let running = world.start(&["run"]);
        (0..7).for_each(|brand| put("brands", format!("b{brand}"), json!({"name": format!("Brand {life}")})));
        // The fan-outs of the names are under way, or have not begun.
        eventually("an instance that writes", || (world.status()?["state"] == "writing").then_some(()));
        running.kill();
    }
    world.succeed(&["run", "--until-end"]);
    let right = |when: &str| {
        let products = world.documents("products");
        assert_eq!(products.len(), 300, "{when}");
        let is_right = |document: &Value| document["brand"]["name"] == "Brand 2";
        assert!(products.values().all(is_right), "{when}: {products:?}");
        world.succeed(&["verify"]);
    };
    right("after three kills");
    for from in ["state", "log"] {
        world.succeed(&["reindex", "--from", from]);
        right(from);
    }
}
