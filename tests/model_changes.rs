//! Changes of a model: those that go on, those that call for a rebuild or a replay, and the model that a
//! rollback takes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{GrowingLog, World, eventually, log_of};
use crate::scene::record;
use crate::services;

/// Products that show their brand.
pub(crate) const SHOP: &str = r#"
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
pub(crate) fn shop() -> (World, GrowingLog) {
    shop_in(|settings| World::embedded("shop", settings))
}

pub(crate) fn shop_in(world: impl Fn(&str) -> World) -> (World, GrowingLog) {
    let log = GrowingLog::new();
    log.append("products", "p1", &json!({"name": "Kettle", "brandId": "b1"}));
    log.append("products", "p2", &json!({"name": "Lamp", "brandId": "b1"}));
    log.append("brands", "b1", &json!({"name": "Nordlicht"}));
    let world = world(&format!("model = \"shop.toml\"\n{}", log.source()));
    write_model(&world, SHOP);
    (world, log)
}

/// The shop with kettles alone: another projection of the same entities.
pub(crate) fn with_kettles_alone() -> String {
    SHOP.replace("of = \"products\"", "of = \"products\"\nwhere = { name = \"Kettle\" }")
}

/// The shop with one more field of the products: another entity type.
fn with_sku() -> String {
    let name = "name = { type = \"string\", default = { value = \"?\" } }";
    SHOP.replace("name = \"string\"\nbrandId", &format!("{name}\nsku = \"string\"\nbrandId"))
}

pub(crate) fn write_model(world: &World, text: &str) {
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
    assert!(log_of(&stopped).contains("model: where"), "{}", log_of(&stopped));
    world.succeed(&["reindex", "--from", "state"]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("products").into_keys().collect::<Vec<_>>(), ["p1"]);
}

#[test]
fn a_run_that_may_reindex_rebuilds_what_the_model_changed() {
    is_rebuilt_by_a_run(shop());
}

#[test]
fn a_run_that_may_reindex_rebuilds_what_the_model_changed_on_a_server() {
    let (servers, _turn) = services::whole();
    is_rebuilt_by_a_run(shop_in(|settings| World::new(&servers, "reshaped", settings)));
}

fn is_rebuilt_by_a_run((world, log): (World, GrowingLog)) {
    world.succeed(&["run", "--until-end"]);
    let before = world.index("products");
    write_model(&world, &with_kettles_alone());
    log.append("products", "p3", &json!({"name": "Kettle", "brandId": "b1"}));
    let told = world.run(&["run", "--until-end", "--reindex-on-mapping-change"]);
    assert!(told.status.success() && log_of(&told).contains("the model changed"), "{}", log_of(&told));
    assert_ne!(world.index("products"), before);
    log.append("products", "p4", &json!({"name": "Kettle"}));
    let mut running = world.start(&["run", "--reindex-on-mapping-change"]);
    world.wait_until_delivered();
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    world.settle();
    assert_eq!(world.documents("products").into_keys().collect::<Vec<_>>(), ["p1", "p3", "p4"]);
    world.succeed(&["verify"]);
    assert_eq!(world.indexes().len(), 2, "the second run had nothing to rebuild: {:?}", world.indexes());
}

#[test]
fn a_rebuild_whose_model_changed_meanwhile_begins_anew() {
    let (servers, _turn) = services::whole();
    let (world, _log) =
        shop_in(|settings| World::new(&servers, "other", &format!("{settings}index.mappings = \"m\"\n")));
    world.succeed(&["run", "--until-end"]);
    let mut mapping: Value = serde_json::from_str(&world.succeed(&["model", "mapping", "products"])).unwrap();
    mapping["mappings"]["properties"]["name"] = json!({"type": "integer"});
    std::fs::create_dir(world.path("m")).unwrap();
    std::fs::write(world.path("m").join("products.json"), mapping.to_string()).unwrap();
    let failed = world.run(&["reindex", "--from", "state"]);
    assert_eq!(failed.status.code(), Some(1), "{}", log_of(&failed));
    write_model(&world, &with_kettles_alone().replace("Kettle", "Nothing"));
    let told = world.run(&["reindex", "--from", "state"]);
    assert!(told.status.success() && log_of(&told).contains("the model changed"), "{}", log_of(&told));
    world.succeed(&["run", "--until-end"]);
    world.settle();
    assert!(world.documents("products").is_empty());
}

#[test]
fn the_index_of_a_projection_that_is_gone_is_named_and_pruned() {
    is_pruned(shop());
}

#[test]
fn the_index_of_a_projection_that_is_gone_is_named_and_pruned_on_a_server() {
    let (servers, _turn) = services::whole();
    is_pruned(shop_in(|settings| World::new(&servers, "gone", settings)));
}

fn is_pruned((mut world, _log): (World, GrowingLog)) {
    let with_brands = format!("{SHOP}\n[projections.brands]\nof = \"brands\"\n");
    write_model(&world, &with_brands);
    world.succeed(&["run", "--until-end"]);
    let index = world.index("brands");
    // Another deployment has such a projection, and its prefix begins with that of this one.
    world.environment = vec![
        ("TRIBUTARY_INDEX__PREFIX", format!("{}other-", world.prefix)),
        ("TRIBUTARY_KAFKA__GROUP", format!("{}other", world.prefix)),
        ("TRIBUTARY_STATE", world.path("other").display().to_string()),
    ];
    world.succeed(&["run", "--until-end"]);
    world.environment.clear();
    let mut left = world.indexes();
    left.retain(|name| *name != index);
    assert_eq!(left.len(), 3, "{left:?}");
    write_model(&world, SHOP);
    for call in [&["run", "--until-end"][..], &["reindex", "--dry-run"], &["reindex", "products", "--prune"]]
    {
        let told = world.run(call);
        assert!(told.status.success(), "{}", log_of(&told));
        assert_eq!(log_of(&told).contains(&index), !call.contains(&"--prune"), "{}", log_of(&told));
        assert!(world.indexes().contains(&index), "{call:?}");
    }
    let deleted = world.succeed(&["reindex", "--prune"]);
    assert!(deleted.contains(&index), "{deleted}");
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(world.indexes()), sorted(left));
    // The projection comes back as a new one.
    write_model(&world, &with_brands);
    world.succeed(&["run", "--until-end"]);
    world.settle();
    assert_eq!(world.documents("brands").len(), 1);
}

#[test]
fn a_rollback_takes_the_model_that_built_the_index() {
    rolls_back_with_the_former_model(shop());
}

#[test]
fn a_rollback_takes_the_model_that_built_the_index_on_a_server() {
    let (servers, _turn) = services::whole();
    rolls_back_with_the_former_model(shop_in(|settings| World::new(&servers, "back", settings)));
}

fn rolls_back_with_the_former_model((world, log): (World, GrowingLog)) {
    let ids = || {
        world.settle();
        world.documents("products").into_keys().collect::<Vec<_>>()
    };
    world.succeed(&["run", "--until-end"]);
    write_model(&world, &with_kettles_alone());
    world.succeed(&["reindex", "--from", "state"]);
    assert_eq!(ids(), ["p1"]);
    // The former index would be filled with documents of this model.
    let refused = world.run(&["reindex", "--rollback"]);
    assert_eq!(refused.status.code(), Some(2), "{}", log_of(&refused));
    assert!(log_of(&refused).contains("model: where"), "{}", log_of(&refused));
    assert_eq!(ids(), ["p1"]);
    world.succeed(&["run", "--until-end"]);
    write_model(&world, SHOP);
    world.succeed(&["reindex", "--rollback"]);
    log.append("products", "p3", &json!({"name": "Mug", "brandId": "b1"}));
    world.succeed(&["run", "--until-end"]);
    assert_eq!(ids(), ["p1", "p2", "p3"]);
    world.succeed(&["verify"]);
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
fn a_new_projection_leaves_the_indexes_of_others_as_they_are() {
    let (world, _log) = shop();
    let searched =
        |name: &str| format!("[projections.{name}.search]\ntitle = \"name\"\nwords = [\"name\"]\n");
    let brands = "[projections.brands]\nof = \"brands\"\n[[projections.brands.embed]]\nas = \"products\"\n\
                  from = \"products.brandId\"\nshow = [\"name\"]\n";
    let embedded = "[projections.brands.search.embed.products]\nwords = [\"name\"]\n";
    let (model, _) = SHOP.split_once("[projections").unwrap();
    let brands = format!("{model}{brands}{}{embedded}", searched("brands"));
    write_model(&world, &brands);
    world.succeed(&["run", "--until-end"]);
    let (_, before) = entries(&world);
    // Its documents show the brands, so they stand for members that brands do not embed.
    let (_, products) = SHOP.split_once("[projections").unwrap();
    write_model(&world, &format!("{brands}[projections{products}{}", searched("products")));
    world.succeed(&["run", "--until-end"]);
    let behind = |aliases: &str| serde_json::from_str::<Value>(aliases).unwrap()["brands"].clone();
    assert_eq!(behind(&entries(&world).1), behind(&before));
    let found = world.succeed(&["search", "--in", "brands", "--format", "json", "p2"]);
    assert_eq!(serde_json::from_str::<Value>(&found).unwrap()["hits"][0]["id"], "b1");
}

#[test]
fn changed_entities_are_refused_with_what_to_do() {
    let (world, log) = shop();
    world.succeed(&["run", "--until-end"]);
    write_model(&world, &with_sku());
    let refused = world.run(&["run", "--until-end"]);
    assert_eq!(refused.status.code(), Some(2), "{}", log_of(&refused));
    assert!(log_of(&refused).contains("replay"), "{}", log_of(&refused));
    assert!(log_of(&refused).contains("products.sku is new"), "{}", log_of(&refused));
    let told = world.run(&["reindex", "--dry-run"]);
    assert_eq!(told.status.code(), Some(2), "{}", log_of(&told));
    assert!(log_of(&told).contains("products.sku is new"), "{}", log_of(&told));
    // The page on models says how to go on.
    log.append("products", "p3", &json!({"name": "Mug", "sku": "m-1", "brandId": "b1"}));
    std::fs::remove_dir_all(world.path("state")).unwrap();
    world.succeed(&["reindex", "--from", "log"]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("products")["p3"]["sku"], "m-1");
    world.succeed(&["verify"]);
}

#[test]
fn changed_entities_are_told_beside_an_instance_and_made_anew_by_a_rebuild_that_keeps_its_state() {
    let (world, log) = shop();
    let mut former = world.start(&["run"]);
    world.wait_until_delivered();
    write_model(&world, &with_sku());
    let told = world.run(&["reindex", "--dry-run"]);
    assert_eq!(told.status.code(), Some(2), "{}", log_of(&told));
    assert!(log_of(&told).contains("products.sku is new"), "{}", log_of(&told));
    log.append("products", "p3", &json!({"name": "Mug", "sku": "m-1", "brandId": "b1"}));
    world.succeed(&["reindex", "--from", "log", "--keep-state"]);
    assert_eq!(former.end(), Some(3), "{}", world.log());
    std::fs::remove_dir_all(world.path("state")).unwrap();
    std::fs::rename(world.path("state.reindex/state"), world.path("state")).unwrap();
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

/// The entries of the embedded index's folder and of that of rebuilds, and the text of the aliases.
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
