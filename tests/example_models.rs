//! The example models: their documents and their searches.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::files::root;
use crate::harness::World;
use crate::search::{ask, ids};

/// The folders of the example models.
const EXAMPLES: [&str; 2] = ["helpdesk", "shop"];

/// The folder of an example.
pub fn folder(example: &str) -> PathBuf {
    root().join("examples").join(example)
}

/// A deployment that reads an example where it is.
fn world(example: &str) -> World {
    let (model, events) = (folder(example).join("model.toml"), folder(example).join("events"));
    let settings = format!("model = {model:?}\nsource.kind = \"files\"\nsource.path = {events:?}\n");
    World::embedded(example, &settings)
}

/// The documents of an example by projection, without the members that are our own. No record is a dead letter.
fn documents<const N: usize>(example: &str, projections: [&str; N]) -> [BTreeMap<String, Value>; N] {
    let world = world(example);
    world.succeed(&["run", "--until-end", "--fail-on-dead-letters"]);
    projections.map(|projection| {
        let documents = world.documents(projection).into_iter();
        documents.map(|(id, document)| (id, plain(document))).collect()
    })
}

fn plain(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(members) => {
            let own = members.into_iter().filter(|(name, _)| !name.starts_with('_'));
            own.map(|(name, value)| (name, plain(value))).collect()
        }
        other => other,
    }
}

#[test]
fn the_models_of_the_examples_are_checked_clean_and_searched() {
    for example in EXAMPLES {
        let file = folder(example).join("model.toml");
        let told = world(example).succeed(&["model", "check", file.to_str().unwrap()]);
        let projections: Vec<&str> = told.lines().filter(|line| line.starts_with("projection ")).collect();
        let is_searched = |line: &&str| line.ends_with(", searched");
        assert!(!projections.is_empty() && projections.iter().all(is_searched), "{told}");
    }
}

#[test]
fn the_configurations_of_the_examples_index_them_from_the_root_of_the_project() {
    for example in EXAMPLES {
        let world = World::embedded(example, "");
        std::os::unix::fs::symlink(folder("."), world.path("examples")).unwrap();
        let config = fs::read_to_string(folder(example).join("tributary.toml")).unwrap();
        world.write_config(&(config + "\n[http]\nlisten = \"127.0.0.1:0\"\n"));
        // The file of the model is sought beside the configuration.
        fs::copy(folder(example).join("model.toml"), world.path("model.toml")).unwrap();
        world.succeed(&["run", "--until-end", "--fail-on-dead-letters"]);
        assert!(world.path("data").join(example).join("index/aliases.json").exists(), "{example}");
    }
}

#[test]
fn tickets_show_their_comments_with_authors_and_the_two_people_that_they_refer_to() {
    let [tickets] = documents("helpdesk", ["tickets"]);
    assert_eq!(tickets.len(), 25);
    let comment = |id: &str, author: (&str, &str), at: &str, text: &str| json!({"id": id, "text": text, "writtenAt": at, "author": {"id": author.0, "name": author.1}});
    let (lucia, jonas) = (("u7", "Lucía Fernández"), ("u4", "Jonas Weber"));
    assert_eq!(
        tickets["T-1012"],
        json!({
            "id": "T-1012", "subject": "VPN does not connect from hotels", "status": "open", "priority": 1,
            "description": "It works at home and fails in two hotels in Madrid.",
            "openedAt": "2026-01-22T15:45:00Z", "tags": ["vpn", "travel"],
            "requester": {"id": "u7", "name": "Lucía Fernández", "email": "lucia.fernandez@lindhaven.example", "team": "Sales"},
            "assignee": {"id": "u4", "name": "Jonas Weber"},
            "comments": [
                comment("c31", ("u1", "Ingrid Solheim"), "2026-01-22T16:10:00Z", "Hotels often block the port of the VPN. Which address does the client show?"),
                comment("c32", lucia, "2026-01-22T21:35:00Z", "It shows vpn.lindhaven.example and then the error 809."),
                comment("c33", jonas, "2026-01-23T08:20:00Z", "The gateway needs a second port. I plan the change for the next maintenance window."),
                comment("c34", lucia, "2026-02-03T20:15:00Z", "I am in a hotel in Porto and it fails here as well."),
            ],
            "commentCount": 4, "lastCommentAt": "2026-02-03T20:15:00Z",
        })
    );
    let stub = comment("c59", lucia, "2026-03-04T11:05:00Z", "The same happens to me, with the error 1603.");
    assert_eq!(
        tickets["T-1026"],
        json!({"id": "T-1026", "stub": true, "comments": [stub], "commentCount": 1, "lastCommentAt": "2026-03-04T11:05:00Z"}),
        "its comment has come and its own record has not"
    );
    // A deleted entity is shown nowhere: the ticket T-1024, the comment c60, the person u12 and an assignee.
    assert!(!tickets.contains_key("T-1024"));
    assert_eq!(tickets["T-1023"]["commentCount"], 4);
    assert_eq!(tickets["T-1010"].get("requester"), None);
    assert_eq!(tickets["T-1010"]["comments"][1].get("author"), None);
    assert_eq!((tickets["T-1016"].get("assignee"), &tickets["T-1016"]["status"]), (None, &json!("waiting")));
}

#[test]
fn people_show_the_tickets_that_they_asked_for_and_those_that_they_work_on() {
    let [people] = documents("helpdesk", ["people"]);
    assert_eq!(people.len(), 11);
    assert!(!people.contains_key("u12"));
    let priya = &people["u9"];
    assert_eq!((&priya["name"], &priya["team"]), (&json!("Priya Nair"), &json!("Design")));
    assert_eq!((&priya["requestedCount"], &priya["assigned"]), (&json!(3), &json!([])));
    assert_eq!(
        priya["requested"][1],
        json!({"id": "T-1013", "subject": "New fonts for the annual report", "status": "open", "openedAt": "2026-01-26T10:10:00Z"})
    );
    let assigned: Vec<String> = ids(&json!({"hits": people["u4"]["assigned"]}));
    assert_eq!(assigned, ["T-1003", "T-1010", "T-1012", "T-1014", "T-1021"]);
}

#[test]
fn products_show_their_price_chart_and_categories_and_brands_show_their_products() {
    let [products, categories, brands] = documents("shop", ["products", "categories", "brands"]);
    assert_eq!(
        products["p10"],
        json!({
            "id": "p10", "name": "Camping kettle", "sku": "C-10", "tags": ["steel", "light weight"],
            "brand": {"id": "b4", "name": "Pine & Pole"},
            "category": {"id": "camping", "name": "Camping", "path": [{"id": "outdoor", "name": "Outdoor"}]},
            "prices": [
                {"id": "x20", "amount": 15.5, "currency": "EUR", "validFrom": "2026-03-01T00:00:00Z"},
                {"id": "x21", "amount": 13.9, "currency": "GBP", "validFrom": "2026-03-01T00:00:00Z"},
                {"id": "x22", "amount": 12.5, "currency": "EUR", "validFrom": "2026-06-01T00:00:00Z", "occasion": "Summer sale"},
            ],
            "priceCount": 3, "lowest": 12.5,
        })
    );
    assert_eq!(products["p3"]["lowest"], 44, "42 is in pounds");
    let stub = json!({"id": "p9", "stub": true, "prices": [{"id": "x4", "amount": 5, "currency": "EUR"}], "priceCount": 1, "lowest": 5});
    assert_eq!(products["p9"], stub);
    let camping = &categories["camping"];
    assert_eq!((&camping["productCount"], &camping["categoriesBelow"]), (&json!(2), &json!(1)));
    let brand = json!([{"id": "p1", "name": "Kettle", "sku": "K-1"}, {"id": "p3", "name": "Toaster for four slices", "sku": "K-3"}]);
    assert_eq!(brands["b1"]["products"], brand);
}

/// A search, and the ids that it has to find.
type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);

/// Every case that finds something else. Hits of a case with `sort` are compared in their order.
fn wrong(world: &World, cases: &[Case]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (query, expected) in cases {
        let pairs: Vec<(&str, &str)> = query.iter().copied().chain([("size", "100")]).collect();
        let (code, answer) = ask(world, &pairs);
        let mut found = ids(&answer);
        let mut expected: Vec<String> = expected.iter().map(|id| (*id).to_owned()).collect();
        if !query.iter().any(|(name, _)| *name == "sort") {
            found.sort();
            expected.sort();
        }
        if code != 200 || found != expected || answer["total"] != json!(expected.len()) {
            wrong.push(format!("{query:?}\n  {code}, found    {found:?}\n  expected      {expected:?}"));
        }
    }
    wrong
}

/// The ids of the embedded entities that matched, by hit.
fn matched(answer: &Value, member: &str) -> BTreeMap<String, BTreeSet<String>> {
    let hits = answer["hits"].as_array().unwrap().iter();
    let of_hit = |hit: &Value| {
        let members = ids(&json!({"hits": hit[member]}));
        (hit["id"].as_str().unwrap().to_owned(), members.into_iter().collect())
    };
    hits.map(of_hit).collect()
}

fn sets<const N: usize>(of: [(&str, &[&str]); N]) -> BTreeMap<String, BTreeSet<String>> {
    let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    of.into_iter().map(|(id, members)| (id.to_owned(), owned(members))).collect()
}

const OF_TICKETS: &[Case] = &[
    (&[("q", "lucia")], &["T-1005", "T-1012", "T-1019"]),
    (&[("q", "jonas warehouse")], &["T-1003", "T-1010", "T-1014", "T-1021"]),
    (&[("q", "T-1014")], &["T-1014"]),
    (&[("filter", "openedAt:2026-03")], &["T-1022", "T-1023", "T-1025"]),
    (&[("filter", "openedAt:<2026")], &["T-1001", "T-1002", "T-1003", "T-1004", "T-1005", "T-1006"]),
    (&[("filter", "openedAt:[2026-01-14 TO 2026-01-26]")], &["T-1010", "T-1011", "T-1012", "T-1013"]),
    (
        &[("filter", "openedAt:>=2026-01"), ("filter", "priority:<=1")],
        &["T-1008", "T-1012", "T-1014", "T-1023"],
    ),
    (
        &[("filter", "priority:[1 TO 2]"), ("filter", "status:open")],
        &["T-1012", "T-1014", "T-1020", "T-1021", "T-1023"],
    ),
    (&[("filter", "author:Daniel Osei")], &["T-1008", "T-1011", "T-1023"]),
    (&[("filter", "comments:>=4")], &["T-1003", "T-1007", "T-1012", "T-1023"]),
    (&[("filter", "requester:Oliver Grant")], &[]),
    (&[("filter", "team:Design"), ("filter", "tag:access")], &["T-1015", "T-1020"]),
    (
        &[
            ("filter", "team:Sales"),
            ("filter", "status:open"),
            ("filter", "status:new"),
            ("sort", "-openedAt"),
        ],
        &["T-1025", "T-1017", "T-1012"],
    ),
    (&[("in", "people"), ("filter", "agent:true")], &["u1", "u2", "u3", "u4"]),
    (&[("in", "people"), ("filter", "assigned:>=5")], &["u1", "u3", "u4"]),
    (&[("in", "people"), ("filter", "status:waiting")], &["u5", "u7"]),
    (&[("in", "people"), ("q", "7946 0118")], &["u8"]),
    (&[("in", "people"), ("q", "dvorak support")], &["u2"]),
];

#[test]
fn tickets_are_found_by_their_people_dates_priorities_and_comments() {
    let world = world("helpdesk");
    let running = world.start(&["run"]);
    world.wait_until_delivered();
    let wrong = wrong(&world, OF_TICKETS);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (_, answer) = ask(&world, &[("q", "battery")]);
    assert_eq!(matched(&answer, "matchedComments"), sets([("T-1007", &["c16", "c19"])]));
    assert_eq!(answer["hits"][0]["matchedComments"][0]["author"]["name"], "Amina Okafor");
    assert_eq!(answer["hits"][0]["requester"]["name"], "Yuki Tanaka");
    let (_, answer) = ask(&world, &[("q", "forklift"), ("in", "people")]);
    assert_eq!(matched(&answer, "matchedRequested"), sets([("u8", &["T-1021"])]));
    let (_, answer) = ask(&world, &[("filter", "team:Finance"), ("facets", "status,priority,comments")]);
    assert_eq!(
        answer["facets"],
        json!({
            "status": {"closed": 2, "new": 1, "open": 1, "solved": 2, "waiting": 1},
            "priority": {"1": 2, "2": 2, "3": 2, "4": 1},
            "comments": {"0": 1, "2": 1, "3": 4, "4": 1},
        })
    );
    running.kill();
}

const OF_PRODUCTS: &[Case] = &[
    (&[("q", "nordlicht")], &["p1", "p3"]),
    (&[("q", "lighting brass")], &["p7", "p8"]),
    (&[("q", "K-4")], &["p4"]),
    (&[("under", "outdoor")], &["p10", "p11", "p12", "p13", "p14", "p15"]),
    (&[("under", "camping"), ("filter", "tag:steel")], &["p10", "p13"]),
    (&[("under", "camping"), ("in", "categories")], &["camping", "stoves"]),
    (&[("filter", "price:[10 TO 20]")], &["p2", "p5", "p6", "p10", "p15"]),
    // Of one and the same price: the price in pounds of p7 is 115.
    (&[("filter", "price:[10 TO 100]"), ("filter", "currency:GBP")], &["p3", "p10", "p12"]),
    (&[("filter", "price:<100"), ("filter", "currency:NOK")], &[]),
    (&[("filter", "validFrom:>=2026-09")], &["p11", "p12", "p15"]),
    (&[("filter", "validFrom:2026-06"), ("filter", "price:>50")], &["p7"]),
    (&[("filter", "lowest:<20")], &["p2", "p5", "p6", "p9", "p10", "p15"]),
    (&[("filter", "lowest:12.5")], &["p10"]),
    (&[("filter", "price:[10 TO 20]"), ("sort", "-lowest")], &["p5", "p6", "p15", "p10", "p2"]),
    (&[("filter", "brand:Umbra Verde"), ("filter", "category:Garden")], &["p14"]),
    (&[("in", "categories"), ("filter", "products:>=3")], &["light", "small"]),
    (&[("in", "brands"), ("filter", "country:NO")], &["b2"]),
    (&[("in", "brands"), ("filter", "products:[3 TO *]")], &["b2", "b4", "b5"]),
];

#[test]
fn products_are_found_by_their_prices_brands_and_categories() {
    let world = world("shop");
    let running = world.start(&["run"]);
    world.wait_until_delivered();
    let wrong = wrong(&world, OF_PRODUCTS);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (_, answer) = ask(&world, &[("q", "summer sale")]);
    let prices = sets([("p1", &["x2"]), ("p5", &["x13"]), ("p7", &["x17"]), ("p10", &["x22"])]);
    assert_eq!(matched(&answer, "matchedPrices"), prices);
    let (_, answer) = ask(&world, &[("q", "kettle"), ("in", "brands")]);
    assert_eq!(matched(&answer, "matchedProducts"), sets([("b1", &["p1"]), ("b4", &["p10"])]));
    let (_, answer) = ask(&world, &[("under", "outdoor"), ("facets", "brand,currency,category")]);
    assert_eq!(
        answer["facets"],
        json!({
            "brand": {"Halden": 2, "Pine & Pole": 3, "Umbra Verde": 1},
            "currency": {"EUR": 6, "GBP": 3, "NOK": 1},
            "category": {"Camping": 2, "Garden": 2, "Stoves": 2},
        })
    );
    let tree = |path: &str| serde_json::from_str::<Value>(&world.get(path).1).unwrap();
    let documents = world.documents("categories");
    let outdoor = tree("/categories/outdoor/children");
    assert_eq!(outdoor["subcategories"], documents["outdoor"]["subcategories"]);
    assert_eq!((&outdoor["categoriesBelow"], outdoor.get("products")), (&json!(3), None));
    assert_eq!(tree("/categories/camping/ancestors")["path"], documents["camping"]["path"]);
    assert_eq!(tree("/products/p1/children")["status"], 404);
    running.kill();
}
