//! `/readyz`, searches, the page's state and the metrics agree on whether an instance can be asked.

use std::io::{Read, Write};
use std::net::TcpStream;

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::harness::{GrowingLog, LONG, PROJECTIONS, Running, World, eventually, fresh, log_of, try_es};
use crate::services;

/// The answer to a GET, the head included.
fn answer(world: &World, path: &str) -> String {
    let address = std::fs::read_to_string(world.path("state/instance")).unwrap();
    let mut stream = TcpStream::connect(address.trim()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The causes that `/readyz` names; none when it is ready.
fn causes(world: &World) -> Vec<String> {
    let (code, body) = world.get("/readyz");
    if code == 200 {
        return Vec::new();
    }
    assert_eq!(code, 503, "{body}");
    let problem: Value = serde_json::from_str(&body).unwrap();
    let reasons = problem["reasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason["cause"].as_str().unwrap().to_owned()).collect()
}

fn is_ready(world: &World) -> Option<()> {
    causes(world).is_empty().then_some(())
}

fn status(world: &World) -> Value {
    serde_json::from_str(&world.get("/status").1).unwrap()
}

fn lag(status: &Value) -> i64 {
    status["partitions"].as_array().unwrap().iter().map(|at| at["lag"].as_i64().unwrap()).sum()
}

/// An instance whose indexes are not full refuses every request that would have to find the missing
/// documents.
fn assert_unfilled(world: &World, records: i64) {
    eventually("an index that is filled", || (causes(world) == ["filling"]).then_some(()));
    for path in ["/search?q=marlowe", "/search?in=contacts", "/search", "/suggest?q=mar", "/organisations/o"]
    {
        let refused = answer(world, path);
        assert!(refused.starts_with("HTTP/1.1 503"), "{path}: {refused}");
        assert!(refused.to_lowercase().contains("\r\nretry-after: "), "{path}: {refused}");
        assert!(refused.contains("being filled"), "{path}: {refused}");
    }
    let (code, body) = world.get("/search?q=marlowe&allow_partial=true");
    assert_eq!(code, 200, "{body}");
    assert!(body.contains("\"total\":0"), "{body}");
    let status = status(world);
    assert_eq!((&status["ready"], lag(&status)), (&json!(false), records), "{status}");
    assert!(world.get("/metrics").1.contains("\ntributary_ready 0\n"));
}

fn end(mut running: Running, world: &World) {
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
}

#[test]
fn no_instance_is_ready_before_the_first_load_is_through_whoever_died_filling() {
    let (servers, _turn) = services::whole();
    let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("filling")));
    let extra = format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n", topics[0], topics[1]);
    let first = World::new(&servers, "filling", &extra);
    let counts = ["--organisations", "20", "--contacts", "50", "--events", "100", "--partitions", "1"];
    first.succeed(&[&["generate", "--kafka"], &counts[..]].concat());
    let second = first.beside();

    let template = format!("/_index_template/{}refuse", first.prefix);
    let refuse = json!({"index_patterns": PROJECTIONS.map(|name| format!("{}{name}-*", first.prefix)), "priority": 500,
        "template": {"settings": {"index.blocks.write": true}}});
    first.es(Method::Put, &template, Some(&refuse));
    let running = first.start(&["run"]);
    assert_unfilled(&first, 100);
    let output = first.run(&["search", "marlowe"]);
    assert_eq!(output.status.code(), Some(1), "{}", log_of(&output));
    assert!(log_of(&output).contains("--allow-partial"), "{}", log_of(&output));
    first.succeed(&["search", "marlowe", "--allow-partial"]);

    let standby = second.start(&["run"]);
    eventually("the second instance's look", || (causes(&second) == ["filling"]).then_some(()));
    assert_eq!(second.get("/search").0, 503);
    running.kill();
    let _ = std::fs::remove_file(first.path("state/instance"));
    let running = first.start(&["run"]);
    eventually("an instance again", || first.path("state/instance").exists().then_some(()));
    assert_unfilled(&first, 100);

    first.es(Method::Delete, &template, None);
    let lifted = json!({"index.blocks.write": null});
    first.es(Method::Put, &format!("/{}*/_settings", first.prefix), Some(&lifted));
    for world in [&first, &second] {
        eventually("both are ready", || is_ready(world));
        eventually("nothing lags", || (lag(&status(world)) == 0).then_some(()));
        let (code, body) = world.get("/search?size=1");
        let found: Value = serde_json::from_str(&body).unwrap();
        assert!(code == 200 && found["total"].as_u64().unwrap() > 0, "{body}");
    }
    assert!(first.get("/metrics").1.contains("\ntributary_ready 1\n"));
    first.succeed(&["search", "marlowe"]);
    end(standby, &second);
    end(running, &first);
}

#[test]
fn refused_writes_count_after_a_minute_and_a_document_of_dots_is_found() {
    let (servers, _turn) = services::whole();
    let log = GrowingLog::new();
    log.append("organisations", ".", &json!({"name": "Marlowe Ropes"}));
    log.append("organisations", "..", &json!({"name": "Marlowe Sails", "parentId": "."}));
    let world = World::new(&servers, "refused", &log.settings());
    let running = world.start(&["run"]);
    eventually("it is ready", || is_ready(&world));
    for (path, name) in [
        ("/organisations/%2e", "Ropes"),
        ("/organisations/%2E%2E", "Sails"),
        ("/organisations/%2e/children", "Sails"),
    ] {
        let (code, body) = world.get(path);
        assert!(code == 200 && body.contains(name), "{path}: {code} {body}");
    }
    assert_eq!(world.get("/contacts/%2e%2e").0, 404);
    let explained = world.succeed(&["explain", "organisations", "..", "--format", "json"]);
    let explained: Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained["index"]["equal"], true, "{explained}");

    let block = |value: Value| {
        world.es(
            Method::Put,
            &format!("/{}*/_settings", world.prefix),
            Some(&json!({"index.blocks.write": value})),
        );
    };
    block(json!(true));
    log.append("organisations", "o", &json!({"name": "Marlowe Masts"}));
    eventually("the lag", || (lag(&status(&world)) == 1).then_some(()));
    eventually("the reason", || causes(&world).contains(&"writes_refused".to_owned()).then_some(()));
    assert_eq!(world.get("/search").0, 200, "what is there is found");
    block(Value::Null);
    eventually("it is ready again", || is_ready(&world));
    eventually("no lag", || {
        let status = status(&world);
        (status["partitions"][0]["end"] == 3 && lag(&status) == 0).then_some(())
    });
    end(running, &world);
}

#[test]
fn an_instance_whose_index_or_log_is_away_is_not_ready() {
    let (servers, _turn) = services::alone();
    let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("away")));
    let extra = format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n", topics[0], topics[1]);
    let world = World::new(&servers, "away", &extra);
    let counts = ["--organisations", "5", "--contacts", "5", "--events", "10", "--partitions", "1"];
    world.succeed(&[&["generate", "--kafka"], &counts[..]].concat());
    let running = world.start(&["run"]);
    eventually("it is ready", || is_ready(&world));
    for (server, cause) in [("elasticsearch", "index_away"), ("kafka", "log_away")] {
        services::control("stop", server);
        eventually(cause, || causes(&world).contains(&cause.to_owned()).then_some(()));
        services::control("start", server);
        eventually("it is ready again", || is_ready(&world));
    }
    let health = try_es(&servers.elasticsearch, Method::Get, "/", None);
    assert!(health.is_ok());
    end(running, &world);
}

#[test]
fn the_lag_is_of_searches_and_not_of_deliveries() {
    let (servers, _turn) = services::whole();
    let log = GrowingLog::new();
    let extra = format!("{}index.mappings = \"mappings\"\n", log.settings());
    let world = World::new(&servers, "unrefreshed", &format!("{extra}index.refresh = \"interval\"\n"));
    world.write_mappings(|_, mapping| mapping["settings"]["index"]["refresh_interval"] = json!("1h"));
    log.append("organisations", "o1", &json!({"name": "Acme"}));
    world.succeed(&["run", "--until-end"]);
    world.refresh();
    log.append("organisations", "o2", &json!({"name": "Marlowe"}));
    let count = || {
        let alias = format!("/{}organisations/_count", world.prefix);
        world.es(Method::Get, &alias, None)["count"].as_u64().unwrap()
    };
    let is_delivered = |status: &Value| {
        let partitions = status["partitions"].as_array()?;
        (partitions.iter().map(|at| at["delivered"].as_i64().unwrap()).sum::<i64>() == 2).then_some(())
    };
    let mut running = world.start(&["run"]);
    eventually("both are delivered", || is_delivered(&status(&world)));
    assert_eq!((lag(&status(&world)), count()), (1, 1), "{}", status(&world));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());

    world.write_config(&world.config.replace("\"interval\"", "\"adaptive\""));
    log.append("organisations", "o3", &json!({"name": "Marlowe and Sons"}));
    let mut running = world.start(&["run"]);
    eventually("no lag", || {
        let status = status(&world);
        (status["partitions"][0]["end"] == 3 && lag(&status) == 0).then_some(())
    });
    assert_eq!(count(), 3);
    assert!(world.get("/metrics").1.contains("\ntributary_lag_seconds 0\n"));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
}

#[test]
fn a_fold_that_waits_for_room_for_dead_letters_is_not_ready() {
    let log = GrowingLog::new();
    // No broker is there: dead letters wait on the disk.
    let letters =
        "dead_letters.kind = \"kafka\"\ndead_letters.topic = \"letters\"\ndead_letters.spill_bytes = 2000\n";
    let world = World::embedded("letters-full", &format!("{}{letters}", log.settings()));
    log.append("contacts", "c0", &json!({"name": "Jane"}));
    let mut running = world.start(&["run"]);
    eventually("it is ready", || is_ready(&world));
    eventually("no room for a letter", || {
        log.append("contacts", "c1", &json!("no contact"));
        (causes(&world) == ["letters_full"]).then_some(())
    });
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
}
