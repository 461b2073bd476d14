//! A scene for rebuilds: a log of its own in Kafka, an instance that follows it, and events that flow.

use elasticsearch::http::Method;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::harness::{Running, World, eventually, fresh, log_of, runtime, try_es};
use crate::services::Services;

pub const EMBEDDED: &str = "index.kind = \"embedded\"\nindex.path = \"index\"\n";

/// One scene.
pub struct Scene<'a> {
    pub servers: &'a Services,
    pub log: String,
    pub world: World,
    pub index: &'static str,
    _place: SemaphorePermit<'static>,
}

/// A slow machine keeps up with the events of two scenes, and not with those of more.
static PLACES: Semaphore = Semaphore::const_new(2);

impl<'a> Scene<'a> {
    pub fn new(servers: &'a Services, index: &'static str) -> Self {
        let place = runtime().block_on(PLACES.acquire()).unwrap();
        let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("reindex")));
        let log = format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n", topics[0], topics[1]);
        let world = World::new(servers, "reindex", &format!("{log}index.mappings = \"mappings\"\n{index}"));
        let scene = Self { servers, log, world, index, _place: place };
        scene.world.succeed(
            &[&["generate", "--kafka", "--seed", "1", "--events", "9000", "--partitions", "3"], &COUNTS[..]]
                .concat(),
        );
        scene
    }

    /// Starts the instance and waits until it is up to date.
    pub fn run(&self) -> Running {
        let running = self.world.start(&["run"]);
        self.world.wait_until_delivered();
        running
    }

    /// Events at a steady rate, until they are stopped.
    pub fn events(&self) -> Running {
        let flow = ["generate", "--kafka", "--seed", "2", "--events", "1000000", "--rate", "50"];
        self.world.start(&[&flow, &COUNTS[..]].concat())
    }

    /// Mappings with a field more than the built-in ones, and a setting that only a new index can have.
    pub fn change_mappings(&self) {
        self.world.write_mappings(|_, mapping| {
            mapping["mappings"]["properties"]["added"] = serde_json::json!({"type": "keyword"});
            mapping["settings"]["codec"] = "best_compression".into();
        });
    }

    /// The documents are those of a run that nothing disturbed.
    pub fn check(&self) {
        let calm = World::new(self.servers, "calm", &format!("{}{}", self.log, self.index));
        calm.succeed(&["run", "--until-end"]);
        let (got, expected) = (self.world.all_documents(), calm.all_documents());
        for (projection, documents) in &expected {
            assert!(documents.len() > 200, "{projection} holds {}", documents.len());
            let got = &got[projection];
            let wrong: Vec<_> =
                documents.iter().filter(|(id, document)| got.get(*id) != Some(document)).take(3).collect();
            let extra: Vec<_> = got.keys().filter(|id| !documents.contains_key(*id)).take(3).collect();
            let told = wrong.first().map(|(id, _)| {
                let output = self.world.run(&["explain", projection, id]);
                format!("got {:?}\n{}", got.get(*id), log_of(&output))
            });
            assert!(
                wrong.is_empty() && extra.is_empty(),
                "{projection}: wrong {wrong:?}, {told:?}, extra {extra:?}"
            );
        }
    }
}

const COUNTS: [&str; 4] = ["--organisations", "300", "--contacts", "3000"];

/// The record of a projection's rebuild, as far as there is one.
pub fn record(world: &World, projection: &str) -> Option<Value> {
    if world.is_embedded() {
        let folder = world.path("index");
        let file = format!("rebuild-{}{projection}.{projection}.json", world.prefix);
        // A record is replaced as a whole, so that one that is there can be read.
        return std::fs::read_to_string(folder.join(file))
            .ok()
            .map(|text| serde_json::from_str(&text).unwrap());
    }
    let path = format!("/{}tributary-rebuilds/_doc/{projection}", world.prefix);
    let found = try_es(&world.services.elasticsearch, Method::Get, &path, None).ok()?;
    found.get("_source").cloned()
}

pub const PHASES: [&str; 6] = ["loading", "settling", "checking", "swapping", "feeding", "done"];

pub fn phase(record: &Value) -> usize {
    PHASES.iter().position(|phase| record["phase"] == *phase).unwrap()
}

/// Waits until the rebuild is in this phase or a later one; answers its record.
pub fn reaches(world: &World, wanted: &str, running: &mut Running) -> Value {
    let wanted = PHASES.iter().position(|phase| *phase == wanted).unwrap();
    eventually(PHASES[wanted], || {
        let ended = running.0.try_wait().unwrap().is_some();
        assert!(!ended || wanted == 5, "the reindex ended before: {}", world.log());
        // A session that went on begins with its loading again.
        record(world, "contacts").filter(|record| phase(record) >= wanted && record["beat"] != 0)
    })
}

/// Ends the flow, waits for the instance, and compares.
pub fn ends_well(scene: Scene<'_>, instance: Running, events: Running) {
    events.kill();
    let behind = scene.world.indexes_behind();
    eventually("the instance writes the indexes behind the aliases", || {
        let status: Value = serde_json::from_str(&scene.world.get("/status").1).ok()?;
        (status["indexes"]["contacts"] == behind["contacts"]).then_some(())
    });
    scene.world.wait_until_delivered();
    drop(instance);
    scene.world.settle();
    scene.check();
}
