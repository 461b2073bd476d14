//! Servers that are away when an instance starts: it waits, and names the one that it waits for.

use serde_json::Value;

use crate::faults::proxy::{Mode, Proxy};
use crate::harness::{World, eventually, log_of};
use crate::recreated::Topics;
use crate::services::{self, Services};

/// The reason of this cause in the answer of `/readyz`, with the whole text.
fn reason(world: &World, cause: &str) -> Option<(Value, String)> {
    let (code, body) = world.get("/readyz");
    let problem: Value = serde_json::from_str(&body).ok().filter(|_| code == 503)?;
    let reasons = problem["reasons"].as_array()?;
    let found = reasons.iter().find(|reason| reason["cause"] == cause)?.clone();
    Some((found, problem["detail"].as_str()?.to_owned()))
}

fn is_ready(world: &World) {
    eventually("ready", || (world.get("/readyz").0 == 200).then_some(()));
    let status: Value = serde_json::from_str(&world.get("/status").1).unwrap();
    assert_eq!(status["reasons"], serde_json::json!([]), "{status}");
}

#[test]
fn a_log_that_is_away_at_the_start_is_told_by_readyz_and_status_since_when() {
    let (servers, _turn) = services::whole();
    let proxy = Proxy::kafka(&servers.kafka);
    let topics = Topics::new(&servers, "away-start", "delete", "");
    topics.produce(0..3);
    let world = &topics.world;
    world.write_config(&world.config.replace(&servers.kafka, &format!("127.0.0.1:{}", proxy.port)));
    proxy.set(Mode::Cut);
    let mut running = world.start(&["run"]);
    let (first, detail) = eventually("the log is told to be away", || reason(world, "log_away"));
    assert!(detail.contains("the log is away") && detail.contains(", since 20"), "{detail}");
    let status = eventually("it answers", || world.status());
    assert_eq!(status["state"], "starting", "{status}");
    let reasons = status["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason["since_ms"] == first["since_ms"]), "{status}");
    let shown = world.succeed(&["status"]);
    assert!(shown.contains("not ready: the log is away") && shown.contains(", since 20"), "{shown}");
    assert!(shown.contains("it starts") && !shown.contains("stands by"), "{shown}");
    let later = eventually("it is asked again", || {
        let told = world.log().matches("waiting for the log").count();
        (told > 2).then(|| reason(world, "log_away")).flatten()
    });
    assert_eq!(later.0["since_ms"], first["since_ms"], "it began once");
    proxy.set(Mode::Pass);
    is_ready(world);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
}

#[test]
fn a_log_that_goes_while_the_index_is_waited_for_is_waited_for_as_well() {
    let (servers, _turn) = services::whole();
    let (log, index) = (Proxy::kafka(&servers.kafka), Proxy::plain(&servers.elasticsearch));
    let topics = Topics::new(&servers, "away-later", "delete", "");
    topics.produce(0..3);
    let world = &topics.world;
    let seen = |servers: &Services| {
        let config = world.config.replace(&servers.kafka, &format!("127.0.0.1:{}", log.port));
        config.replace(&servers.elasticsearch, &format!("http://127.0.0.1:{}", index.port))
    };
    world.write_config(&seen(&servers));
    index.set(Mode::Cut);
    let mut running = world.start(&["run"]);
    eventually("the index is waited for", || world.log().contains("waiting for the index").then_some(()));
    log.set(Mode::Cut);
    index.set(Mode::Pass);
    eventually("the log is told to be away", || {
        assert!(running.0.try_wait().unwrap().is_none(), "{}", world.log());
        reason(world, "log_away")
    });
    log.set(Mode::Pass);
    is_ready(world);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    // Who has no time to wait is told at once.
    log.set(Mode::Cut);
    let refused = world.run(&["run", "--wait", "0"]);
    assert_eq!(refused.status.code(), Some(1), "{}", log_of(&refused));
}
