//! Models with logs and the exact documents that they end in, on both engines.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{GrowingLog, World, eventually, log_of};
use crate::scene::record;
use crate::services;

fn cases() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases-models");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|case| case.join("expected.json").exists());
    cases.sort();
    assert!(cases.len() >= 8, "only {} cases found", cases.len());
    cases
}

fn settings(case: &Path) -> String {
    let (model, events) = (case.join("model.toml"), case.join("events"));
    format!("model = {model:?}\nsource.kind = \"files\"\nsource.path = {events:?}\n")
}

/// What differs from the case's expectation; empty when nothing does.
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

const SHOP: &str = r#"
[entities.products]
format = "plain"
[entities.products.fields]
name = "string"
brandId = { references = "brands" }

[entities.brands]
format = "plain"
[entities.brands.fields]
name = "string"

[projections.products]
of = "products"
[[projections.products.embed]]
as = "brand"
reference = "brandId"
show = ["name"]
"#;

/// A log of two products of one brand, and a world whose model is in a file beside its configuration.
fn shop() -> (World, GrowingLog) {
    shop_in(|settings| World::embedded("shop", settings))
}

fn shop_in(world: impl Fn(&str) -> World) -> (World, GrowingLog) {
    let log = GrowingLog::new();
    log.append("products", "p1", &json!({"name": "Kettle", "brandId": "b1"}));
    log.append("products", "p2", &json!({"name": "Lamp", "brandId": "b1"}));
    log.append("brands", "b1", &json!({"name": "Nordlicht"}));
    let path = log.path("products");
    let source = format!("source.kind = \"files\"\nsource.path = {:?}\n", path.parent().unwrap());
    let world = world(&format!("model = \"shop.toml\"\n{source}"));
    write_model(&world, SHOP);
    (world, log)
}

/// The shop with kettles alone: another projection of the same entities.
fn with_kettles_alone() -> String {
    SHOP.replace("of = \"products\"", "of = \"products\"\nwhere = { name = \"Kettle\" }")
}

/// The shop with one more field of the products: another entity type.
fn with_sku() -> String {
    let name = "name = { type = \"string\", default = { value = \"?\" } }";
    SHOP.replace("name = \"string\"\nbrandId", &format!("{name}\nsku = \"string\"\nbrandId"))
}

fn write_model(world: &World, text: &str) {
    std::fs::write(world.path("shop.toml"), text).unwrap();
}

#[test]
fn a_changed_projection_stops_a_run_until_it_is_reindexed_from_the_state() {
    let (world, _log) = shop();
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("products")["p1"]["brand"]["name"], "Nordlicht");
    write_model(&world, &with_kettles_alone());
    let stopped = world.run(&["run", "--until-end"]);
    assert_eq!(stopped.status.code(), Some(3), "{}", log_of(&stopped));
    world.succeed(&["reindex", "--from", "state"]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("products").into_keys().collect::<Vec<_>>(), ["p1"]);
}

#[test]
fn a_dry_run_tells_which_parts_of_the_model_call_for_a_rebuild_and_of_which_projections() {
    let (world, _log) = shop();
    let brands = "[projections.brands]\nof = \"brands\"\n";
    write_model(&world, &format!("{SHOP}\n{brands}"));
    world.succeed(&["run", "--until-end"]);
    let changed = SHOP
        .replace("of = \"products\"", "of = \"products\"\nwhere = { name = \"Kettle\" }")
        .replace("show = [\"name\"]", "show = []");
    write_model(&world, &format!("{changed}\n{brands}"));
    let told = world.run(&["reindex", "--dry-run", "--format", "json"]);
    assert_eq!(told.status.code(), Some(0), "{}", log_of(&told));
    let lines = String::from_utf8(told.stdout).unwrap();
    let reports: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let report = |name: &str| reports.iter().find(|report| report["projection"] == name).unwrap();
    let paths: Vec<_> =
        report("products")["differences"].as_array().unwrap().iter().map(|one| one["path"].clone()).collect();
    assert!(
        paths.contains(&json!("model: where")) && paths.contains(&json!("model: embed brand")),
        "{paths:?}"
    );
    assert_eq!(report("products")["calls_for"], "rebuild");
    assert_eq!(report("brands")["calls_for"], "nothing", "it shows nothing of what changed");
}

#[test]
fn a_new_projection_is_made_of_the_state_beside_the_others() {
    let (world, _log) = shop();
    world.succeed(&["run", "--until-end"]);
    let brands = "[projections.brands]\nof = \"brands\"\n[[projections.brands.embed]]\nas = \"products\"\n\
                  from = \"products.brandId\"\nshow = [\"name\"]\ncount = \"productCount\"\n";
    write_model(&world, &format!("{SHOP}\n{brands}"));
    world.succeed(&["run", "--until-end"]);
    let brand = &world.documents("brands")["b1"];
    let products = json!([{"id": "p1", "name": "Kettle"}, {"id": "p2", "name": "Lamp"}]);
    assert_eq!((&brand["products"], &brand["productCount"]), (&products, &json!(2)));
    assert_eq!(world.documents("products").len(), 2);
}

#[test]
fn changed_entities_are_refused_with_what_to_do() {
    let (world, log) = shop();
    world.succeed(&["run", "--until-end"]);
    write_model(&world, &with_sku());
    let refused = world.run(&["run", "--until-end"]);
    assert_eq!(refused.status.code(), Some(2), "{}", log_of(&refused));
    assert!(log_of(&refused).contains("replay"), "{}", log_of(&refused));
    // The page on models says how to go on.
    log.append("products", "p3", &json!({"name": "Mug", "sku": "m-1", "brandId": "b1"}));
    std::fs::remove_dir_all(world.path("state")).unwrap();
    world.succeed(&["reindex", "--from", "log"]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("products")["p3"]["sku"], "m-1");
    world.succeed(&["verify"]);
}

#[test]
fn a_field_that_is_declared_later_is_searchable_after_a_reindex_from_the_state() {
    let (world, log) = shop();
    let searched = |fields: &str| {
        let model =
            SHOP.replace("name = \"string\"\nbrandId", &format!("name = \"string\"\n{fields}brandId"));
        model + "[projections.products.search]\nwords = [\"name\"]\n"
    };
    write_model(&world, &searched(""));
    log.append("products", "p3", &json!({"name": "Mug", "sku": "m-77", "weight": 310, "brandId": "b1"}));
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("products")["p3"].get("sku"), None);
    // The state has a number there, which no replay would take for a string.
    write_model(&world, &searched("weight = \"string\"\n"));
    let refused = world.run(&["run", "--until-end"]);
    assert_eq!(refused.status.code(), Some(2), "{}", log_of(&refused));
    assert!(
        log_of(&refused).contains("products.weight") && log_of(&refused).contains("p3"),
        "{}",
        log_of(&refused)
    );
    let model = searched("sku = \"string\"\nweight = \"integer\"\n")
        .replace("words = [\"name\"]", "words = [\"name\", \"sku\"]");
    write_model(&world, &model);
    let stopped = world.run(&["run", "--until-end"]);
    assert_eq!(stopped.status.code(), Some(3), "{}", log_of(&stopped));
    world.succeed(&["reindex", "--from", "state"]);
    world.succeed(&["run", "--until-end"]);
    let found: Value = serde_json::from_str(&world.succeed(&["search", "--format", "json", "m-77"])).unwrap();
    assert_eq!((&found["hits"][0]["id"], &found["hits"][0]["weight"]), (&json!("p3"), &json!(310)));
    world.succeed(&["verify"]);
    // A field that is taken away again is another meaning of the state.
    write_model(&world, &searched(""));
    assert_eq!(world.run(&["run", "--until-end"]).status.code(), Some(2));
}

/// The folder of the embedded index and that of rebuilds: what is in them, and what aliases stand for.
fn entries(world: &World) -> (BTreeSet<String>, String) {
    let names = ["index", "state.reindex"].into_iter().flat_map(|folder| {
        let entries = std::fs::read_dir(world.path(folder)).into_iter().flatten();
        entries.map(move |entry| format!("{folder}/{}", entry.unwrap().file_name().display()))
    });
    // Locks stay where they are.
    let names = names.filter(|name| !name.ends_with("lock")).collect();
    (names, std::fs::read_to_string(world.path("index/aliases.json")).unwrap())
}

#[test]
fn a_reindex_that_changed_entities_refuse_leaves_nothing_behind() {
    let (world, log) = shop();
    world.succeed(&["run", "--until-end"]);
    let (before, documents) = (entries(&world), world.documents("products"));
    write_model(&world, &with_sku());
    let refused = world.run(&["reindex", "--from", "state"]);
    assert_eq!(refused.status.code(), Some(2), "{}", log_of(&refused));
    assert!(log_of(&refused).contains("other entity types"), "{}", log_of(&refused));
    assert_eq!(entries(&world), before);
    assert_eq!(record(&world, "products"), None);
    assert_eq!(world.documents("products"), documents);
    write_model(&world, SHOP);
    log.append("products", "p3", &json!({"name": "Mug", "brandId": "b1"}));
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("products").len(), 3);
    world.succeed(&["reindex", "--from", "state"]);
    world.succeed(&["verify"]);
}

#[test]
fn a_rebuild_that_serves_already_outlives_the_refusal_of_changed_entities() {
    let (world, _log) = shop();
    world.succeed(&["run", "--until-end"]);
    let (_, first) = entries(&world);
    let documents = world.documents("products");
    let mut rebuild = world.start(&["reindex"]);
    // It stays there for a while, because no instance says where it stopped.
    eventually("the rebuild feeds the index behind the alias", || {
        assert_eq!(rebuild.0.try_wait().unwrap(), None, "{}", world.log());
        record(&world, "products").filter(|record| record["phase"] == "feeding")
    });
    rebuild.kill();
    let (_, second) = entries(&world);
    assert_ne!(second, first);
    write_model(&world, &with_sku());
    let refused = world.run(&["reindex"]);
    assert_eq!(refused.status.code(), Some(2), "{}", log_of(&refused));
    assert_eq!(world.documents("products"), documents);
    assert!(log_of(&refused).contains("reindex --abort"), "{}", log_of(&refused));
    // With the model of its beginning it comes to its end.
    write_model(&world, SHOP);
    world.succeed(&["reindex"]);
    assert_eq!(entries(&world).1, second);
    world.succeed(&["run", "--until-end"]);
    world.succeed(&["verify"]);
}

#[test]
fn an_instance_with_the_former_model_ends_when_a_rebuild_with_another_takes_over() {
    the_former_model_ends(&shop());
}

#[test]
fn an_instance_with_the_former_model_ends_when_a_rebuild_takes_over_on_a_server() {
    let (servers, _turn) = services::whole();
    the_former_model_ends(&shop_in(|settings| World::new(&servers, "shop", settings)));
}

fn the_former_model_ends((world, log): &(World, GrowingLog)) {
    let ids = || {
        world.settle();
        world.documents("products").into_keys().collect::<Vec<_>>()
    };
    world.succeed(&["run", "--until-end"]);
    assert_eq!(ids(), ["p1", "p2"]);
    let rebuilds = [
        ("state", with_kettles_alone(), &["p1", "pstate"][..]),
        ("log", SHOP.to_owned(), &["p1", "p2", "plog", "pstate"]),
    ];
    for (from, model, expected) in rebuilds {
        let mut former = world.start(&["run"]);
        world.wait_until_delivered();
        write_model(world, &model);
        world.succeed(&["reindex", "--from", from]);
        assert_eq!(former.end(), Some(3), "{from}: {}", world.log());
        let told = world.log();
        assert!(
            told.contains("was rebuilt by another model or version; start this instance again"),
            "{told}"
        );
        std::fs::remove_file(world.path("log")).unwrap();
        // A start with the new model goes on where the former one ended.
        log.append("products", &format!("p{from}"), &json!({"name": "Kettle", "brandId": "b1"}));
        world.succeed(&["run", "--until-end"]);
        assert_eq!(ids(), expected, "{from}");
        world.succeed(&["verify"]);
    }
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
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop");
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
    write_model(
        &world,
        &format!(
            "{SHOP}\n[projections.products.compute]\nfaulty = '.name | .[0] + 1'\nlength = '.name | length'\n"
        ),
    );
    let mut running = world.start(&["run"]);
    world.wait_until_delivered();
    let document = &world.get("/products/p1").1;
    let document: Value = serde_json::from_str(document).unwrap();
    assert_eq!((document.get("faulty"), &document["length"]), (None, &json!(6)));
    let metrics = world.get("/metrics").1;
    let counted = metrics.lines().find(|line| line.starts_with("tributary_compute_errors_total{")).unwrap();
    assert!(counted.contains("field=\"faulty\"") && !counted.ends_with(" 0"), "{counted}");
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
    let path = log.path("products");
    let source = format!("source.kind = \"files\"\nsource.path = {:?}\n", path.parent().unwrap());
    let world = World::new(&servers, "shop", &format!("model = \"shop.toml\"\n{source}"));
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
