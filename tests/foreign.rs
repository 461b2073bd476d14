//! A foreign write is written over once, and counted once.

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::harness::{GrowingLog, Running, World, eventually};
use crate::services;

struct Stage {
    world: World,
    log: GrowingLog,
    index: String,
    number: usize,
}

impl Stage {
    fn change(&mut self, id: &str) {
        self.number += 1;
        self.log.append("organisations", id, &json!({"name": format!("Acme {}", self.number)}));
    }

    /// Makes a foreign write of a document; one without a version has the next one.
    fn interfere(&self, id: &str, version: Option<u64>) {
        let query =
            version.map(|version| format!("?version={version}&version_type=external")).unwrap_or_default();
        let path = format!("/{}/_doc/{id}{query}", self.index);
        let answer = self.world.es(Method::Put, &path, Some(&json!({"id": id, "name": "somebody else"})));
        assert!(answer["_version"].is_u64(), "{answer}");
    }

    /// Waits until every line is delivered; how many foreign writes the instance has counted.
    fn foreign(&self) -> u64 {
        eventually("every line delivered", || {
            let (code, body) = self.world.get("/status");
            let status: Value = serde_json::from_str(&body).ok().filter(|_| code == 200)?;
            let delivered = status["partitions"][0]["delivered"].as_u64()?;
            let is_whole = usize::try_from(delivered).ok()? == self.log.lines("organisations");
            is_whole.then(|| status["counters"]["foreign"].as_u64()).flatten()
        })
    }

    fn name(&self, id: &str) -> Value {
        self.world.settle();
        self.world.documents("organisations")[id]["name"].clone()
    }

    fn restart(&self, mut instance: Running) -> Running {
        instance.signal("TERM");
        assert_eq!(instance.end(), Some(0));
        self.world.start(&["run"])
    }
}

#[test]
fn our_own_writes_above_a_foreign_version_are_not_foreign() {
    let (servers, _turn) = services::whole();
    let log = GrowingLog::new();
    let world = World::new(
        &servers,
        "foreign",
        &format!("{}index.projections = [\"organisations\"]", log.settings()),
    );
    for id in ["o1", "o2", "o3"] {
        log.append("organisations", id, &json!({"name": id}));
    }
    let instance = world.start(&["run"]);
    world.wait_until_delivered();
    let index = world.index("organisations");
    let mut stage = Stage { world, log, index, number: 0 };

    stage.interfere("o1", Some(1_000));
    stage.interfere("o2", Some(5_000_000_000));
    stage.change("o1");
    stage.change("o2");
    assert_eq!(stage.foreign(), 2);
    for _ in 0..3 {
        stage.change("o1");
        stage.change("o2");
        assert_eq!(stage.foreign(), 2, "our own writes");
    }
    assert_eq!((stage.name("o1"), stage.name("o2")), (json!("Acme 7"), json!("Acme 8")));
    stage.log.append("organisations", "o2", &Value::Null);
    assert_eq!(stage.foreign(), 2, "our own delete");

    let instance = stage.restart(instance);
    stage.change("o1");
    stage.change("o2");
    assert_eq!(stage.foreign(), 0, "what an instance before this one has written over");
    assert_eq!((stage.name("o1"), stage.name("o2")), (json!("Acme 9"), json!("Acme 10")));

    // Once more, at the next version, as a plain foreign write is.
    stage.interfere("o1", None);
    stage.world.succeed(&["verify", "--repair"]);
    let after = stage.foreign();
    assert!(after <= 1, "{after} foreign writes, there was one");
    assert_eq!(stage.name("o1"), "Acme 9");
    stage.change("o1");
    assert_eq!(stage.foreign(), after);
    let told = stage.world.succeed(&["explain", "organisations", "o1"]);
    assert!(!told.contains("foreign write"), "{told}");
    stage.world.succeed(&["verify"]);
    drop(instance);
}
