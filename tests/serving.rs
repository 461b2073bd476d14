//! An index that a run makes is filled first, without refreshes and replicas, and serves readers then.

use elasticsearch::http::Method;
use serde_json::json;

use crate::harness::{GrowingLog, PROJECTIONS, World, eventually, try_es};
use crate::services;

/// More than is sent in a moment.
const CONTACTS: usize = 4_000;

fn log() -> GrowingLog {
    let log = GrowingLog::new();
    log.append("organisations", "o", &json!({"name": "Marlowe Ropes", "status": "active"}));
    for number in 0..CONTACTS {
        let contact = json!({"organisationId": "o", "name": format!("Contact {number}")});
        log.append("contacts", &format!("c{number}"), &contact);
    }
    log
}

/// Of contacts no refreshes are wanted.
fn interval(projection: &str) -> &'static str {
    if projection == "contacts" { "-1" } else { "7s" }
}

/// The interval of refreshes and the number of replicas, once the index is there.
fn service(world: &World, projection: &str) -> Option<(String, String)> {
    let path = format!("/{}{projection}/_settings", world.prefix);
    let found = try_es(&world.services.elasticsearch, Method::Get, &path, None).ok()?;
    let settings = &found.as_object()?.values().next()?["settings"]["index"];
    let text = |name: &str| settings[name].as_str().map(str::to_owned);
    Some((text("refresh_interval")?, text("number_of_replicas")?))
}

fn assert_serves(world: &World) {
    for projection in PROJECTIONS {
        let wanted = (interval(projection).to_owned(), "1".to_owned());
        assert_eq!(service(world, projection), Some(wanted), "{projection}: {}", world.log());
    }
}

#[test]
fn a_new_index_is_filled_first_and_serves_then_whoever_died_filling_it() {
    let (servers, _turn) = services::whole();
    let log = log();
    let world =
        World::new(&servers, "serving", &format!("{}index.mappings = \"mappings\"\n", log.settings()));
    world.write_mappings(|projection, mapping| {
        mapping["settings"] = json!({"number_of_replicas": 1, "refresh_interval": interval(projection)});
    });
    let running = world.start(&["run"]);
    let filling = ("-1".to_owned(), "0".to_owned());
    eventually("an index that is filled", || service(&world, "hierarchy").filter(|found| *found == filling));
    eventually("documents", || {
        let path = format!("/{}contacts/_stats/indexing", world.prefix);
        let found = try_es(&servers.elasticsearch, Method::Get, &path, None).ok()?;
        found.pointer("/_all/primaries/indexing/index_total")?.as_u64().filter(|count| *count > 0)
    });
    running.kill();
    world.succeed(&["run", "--until-end"]);
    assert_serves(&world);
    assert_eq!(world.documents("contacts").len(), CONTACTS);

    // An instance that died right after the last document had left it so.
    let undone = json!({"index": {"refresh_interval": "-1", "number_of_replicas": 0}});
    world.es(Method::Put, &format!("/{}*/_settings", world.prefix), Some(&undone));
    world.succeed(&["run", "--until-end"]);
    assert_serves(&world);
}
