//! Orders of hits by a field, the same on both engines.

use serde_json::{Value, json};

use crate::harness::{GrowingLog, World};
use crate::search::{ask, by_command_line, comparable, engines, ids};
use crate::services;

fn log() -> GrowingLog {
    let log = GrowingLog::new();
    let organisations = [
        ("o1", json!({"name": "zebra", "createdAt": "2024-05-01T12:00:00+02:00"})),
        ("o2", json!({"name": "Éclair", "createdAt": "2024-05-01T11:00:00Z", "updatedAt": "2025-01-01"})),
        ("o3", json!({"name": "Apple Works", "createdAt": "1969-12-31T23:00:00Z"})),
        ("o4", json!({"name": "apple", "createdAt": "no date", "updatedAt": "2025-01-01T00:00:00Z"})),
        ("o5", json!({"createdAt": "2024"})),
        ("o6", json!({"name": "apple", "updatedAt": "2026-02-03T04:05:06.789Z"})),
        ("o7", json!({"name": "Æther’s"})),
        ("o8", json!({"industry": "Rope"})),
    ];
    organisations.iter().for_each(|(id, fields)| log.append("organisations", id, fields));
    for (number, organisation) in ["o3", "o3", "o3", "o1", "o5", "o5"].iter().enumerate() {
        let mut contact = json!({"name": format!("Ida {}", 9 - number), "organisationId": organisation});
        if number < 4 {
            contact["createdAt"] = json!(format!("2020-01-0{}T00:00:00Z", number % 2 + 1));
        }
        log.append("contacts", &format!("c{number}"), &contact);
    }
    log
}

/// Orders, and the ids of all hits in them.
const ORDERS: &[(&str, &str, &str)] = &[
    ("organisations", "name", "o7 o4 o6 o3 o2 o1 o5 o8"),
    ("organisations", "-name", "o1 o2 o3 o4 o6 o7 o5 o8"),
    ("organisations", "createdAt", "o3 o5 o1 o2 o4 o6 o7 o8"),
    ("organisations", "-createdAt", "o2 o1 o5 o3 o4 o6 o7 o8"),
    ("organisations", "updatedAt", "o2 o4 o6 o1 o3 o5 o7 o8"),
    ("organisations", "-updatedAt", "o6 o2 o4 o1 o3 o5 o7 o8"),
    ("organisations", "contactCount", "o2 o4 o6 o7 o8 o1 o5 o3"),
    ("organisations", "-contactCount", "o3 o5 o1 o2 o4 o6 o7 o8"),
    ("organisations", "relevance", "o1 o2 o3 o4 o5 o6 o7 o8"),
    ("contacts", "name", "c5 c4 c3 c2 c1 c0"),
    ("contacts", "-createdAt", "c1 c3 c0 c2 c4 c5"),
];

/// All hits, page by page.
fn paged(world: &World, query: &[(&str, &str)], size: &str) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut query = query.to_vec();
        query.push(("size", size));
        query.extend(after.as_deref().map(|after| ("after", after)));
        let (code, answer) = ask(world, &query);
        assert_eq!(code, 200, "{query:?}: {answer}");
        all.extend(ids(&answer));
        match answer["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return all,
        }
    }
}

#[test]
fn hits_are_ordered_by_a_field_over_all_pages() {
    let (servers, _turn) = services::whole();
    let log = log();
    let engines = engines("sorting", &servers, &log.settings());
    let mut wrong = Vec::new();
    for (world, _running) in &engines {
        for (collection, sort, expected) in ORDERS {
            for size in ["1", "3", "100"] {
                let found = paged(world, &[("in", collection), ("sort", sort)], size).join(" ");
                if found != *expected {
                    wrong.push(format!("{} {sort} by {size}: {found}, not {expected}", world.prefix));
                }
            }
        }
        assert_eq!(paged(world, &[("q", "apple"), ("sort", "-name")], "2"), ["o3", "o4", "o6"]);
        assert_eq!(paged(world, &[("q", "apple -works"), ("sort", "updatedAt")], "1"), ["o4", "o6"]);
        for sort in ["score", "+name", "-relevance", "Name"] {
            let (code, answer) = ask(world, &[("sort", sort)]);
            assert_eq!(code, 400, "{sort}");
            let detail = answer["detail"].as_str().unwrap();
            assert!(detail.contains("relevance, or name, createdAt, updatedAt, contactCount"), "{detail}");
        }
        assert_eq!(ask(world, &[("sort", "contactCount"), ("in", "contacts")]).0, 400);
        assert_eq!(ask(world, &[("sort", "")]).0, 200);
        // A cursor is one of its order.
        let next = ask(world, &[("sort", "name"), ("size", "1")]).1["next"].as_str().unwrap().to_owned();
        for sort in ["-name", "createdAt", "relevance"] {
            assert_eq!(ask(world, &[("sort", sort), ("size", "1"), ("after", &next)]).0, 400, "{sort}");
        }
        let pairs =
            [("sort", "-createdAt"), ("size", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(ids(&by_command_line(world, &pairs).1), ["o2", "o1"]);
    }
    // Scores and cursors are the same as well.
    for sort in ["name", "-updatedAt", "-contactCount"] {
        let query = [("q", "apple ida"), ("sort", sort), ("size", "1")];
        let [one, other] = engines.each_ref().map(|(world, _)| comparable(ask(world, &query)));
        assert_eq!(one, other, "{sort}");
        assert!(one[1]["hits"][0]["score"].as_u64() > Some(0), "{one}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_name_longer_than_a_parameter_has_a_next_page() {
    let world = {
        let log = GrowingLog::new();
        for id in ["o1", "o2"] {
            log.append("organisations", id, &json!({"name": "Ä".repeat(1_000)}));
        }
        let world = World::embedded("longname", &log.settings());
        let running = world.start(&["run"]);
        world.wait_until_delivered();
        (world, running, log)
    };
    let found: Vec<Value> = paged(&world.0, &[("sort", "name")], "1").into_iter().map(Value::from).collect();
    assert_eq!(found, ["o1", "o2"]);
}
