//! New indexes beside the live ones, while events flow and searches go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use crate::harness::{PROJECTIONS, Running, World, eventually, fresh, http_get};
use crate::services::{self, Services};

const EMBEDDED: &str = "index.kind = \"embedded\"\nindex.path = \"index\"\n";

/// A log of its own in Kafka, an instance that follows it, and events that flow.
struct Scene<'a> {
    servers: &'a Services,
    log: String,
    world: World,
    index: &'static str,
}

impl<'a> Scene<'a> {
    fn new(servers: &'a Services, index: &'static str) -> Self {
        let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("reindex")));
        let log = format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n", topics[0], topics[1]);
        let world = World::new(servers, "reindex", &format!("{log}index.mappings = \"mappings\"\n{index}"));
        let scene = Self { servers, log, world, index };
        scene.world.succeed(
            &[&["generate", "--kafka", "--seed", "1", "--events", "9000", "--partitions", "3"], &COUNTS[..]]
                .concat(),
        );
        scene
    }

    /// Starts the instance and waits until it is up to date.
    fn run(&self) -> Running {
        let running = self.world.start(&["run"]);
        self.world.wait_until_delivered();
        running
    }

    /// Events at a steady rate, until they are stopped.
    fn events(&self) -> Running {
        let flow = ["generate", "--kafka", "--seed", "2", "--events", "1000000", "--rate", "300"];
        self.world.start(&[&flow, &COUNTS[..]].concat())
    }

    /// Mappings with a field more than the built-in ones.
    fn change_mappings(&self) {
        let folder = self.world.path("mappings");
        std::fs::create_dir_all(&folder).unwrap();
        for projection in PROJECTIONS {
            let path = format!("{}/mappings/{projection}.json", env!("CARGO_MANIFEST_DIR"));
            let mut mapping: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            mapping["mappings"]["properties"]["added"] = serde_json::json!({"type": "keyword"});
            std::fs::write(folder.join(format!("{projection}.json")), mapping.to_string()).unwrap();
        }
    }

    /// The documents are those of a run that nothing disturbed.
    fn check(&self) {
        let calm = World::new(self.servers, "calm", &format!("{}{}", self.log, self.index));
        calm.succeed(&["run", "--until-end"]);
        let (got, expected) = (self.world.all_documents(), calm.all_documents());
        for (projection, documents) in &expected {
            assert!(documents.len() > 200, "{projection} holds {}", documents.len());
            let got = &got[projection];
            let wrong: Vec<_> =
                documents.iter().filter(|(id, document)| got.get(*id) != Some(document)).take(3).collect();
            let extra: Vec<_> = got.keys().filter(|id| !documents.contains_key(*id)).take(3).collect();
            assert!(wrong.is_empty() && extra.is_empty(), "{projection}: wrong {wrong:?}, extra {extra:?}");
        }
    }
}

const COUNTS: [&str; 4] = ["--organisations", "300", "--contacts", "3000"];

/// Searches without a pause; counts answers, and panics at the first that fails or misses much.
struct Searches {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Searches {
    fn start(world: &World) -> Self {
        let address = std::fs::read_to_string(world.path("state/instance")).unwrap();
        let total = move || {
            let (code, body) = http_get(address.trim(), "/search?size=1");
            assert_eq!(code, 200, "{body}");
            serde_json::from_str::<Value>(&body).unwrap()["total"].as_u64().unwrap()
        };
        let least = total() * 9 / 10;
        assert!(least > 100);
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&answers));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let found = total();
                assert!(found >= least, "an index half filled: {found}, {least} at least were expected");
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, answers, thread }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.answers.load(Ordering::Relaxed)
    }
}

fn rebuilds_while_events_flow(index: &'static str, from: &str) {
    let (servers, _turn) = services::whole();
    let scene = Scene::new(&servers, index);
    let instance = scene.run();
    let before = scene.world.indexes_behind();
    let events = scene.events();
    let searches = Searches::start(&scene.world);
    scene.change_mappings();
    let said = scene.world.succeed(&["reindex", "--from", from]);
    let answers = searches.end();
    assert!(answers > 5, "{answers} searches");
    let after = scene.world.indexes_behind();
    for projection in PROJECTIONS {
        assert_ne!(before[projection], after[projection], "{said}");
        assert!(said.contains(&after[projection]), "{said}");
    }
    events.kill();
    eventually("the instance writes the new indexes", || {
        let status: Value = serde_json::from_str(&scene.world.get("/status").1).ok()?;
        (status["indexes"]["contacts"] == after["contacts"]).then_some(())
    });
    scene.world.wait_until_delivered();
    assert!(!scene.world.log().contains("every document is sent"), "the hand-over was not trusted");
    instance.signal("TERM");
    drop(instance);
    scene.world.settle();
    scene.check();
}

#[test]
fn from_the_log_into_elasticsearch() {
    rebuilds_while_events_flow("", "log");
}

#[test]
fn from_the_state_into_elasticsearch() {
    rebuilds_while_events_flow("", "state");
}

#[test]
fn from_the_log_into_an_embedded_index() {
    rebuilds_while_events_flow(EMBEDDED, "log");
}

#[test]
fn from_the_state_into_an_embedded_index() {
    rebuilds_while_events_flow(EMBEDDED, "state");
}
