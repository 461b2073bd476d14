//! A stage for faults: a known log of its own, an instance that is started again when it ends, and counts of
//! faulty documents.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::{Value, json};

use crate::cases;
use crate::harness::{LONG, PROJECTIONS, Running, World, eventually, fresh, http_get};
use crate::reference::{self, Does, Plain};
use crate::services::Services;

const PARTITIONS: i32 = 3;
const ORGANISATIONS: u64 = 60;
const CONTACTS: u64 = 400;
/// How many records come at once.
pub const PART: u64 = 700;
const EMBEDDED_MAX: usize = 10_000;

/// The measurements of one fault.
pub struct Measurements {
    pub lost: usize,
    pub wrong: usize,
    pub restarts: usize,
    pub caught_up: Duration,
}

/// A way to start the program in a world.
pub type Starter = Box<dyn Fn(&World) -> Running>;

pub struct Stage {
    pub world: World,
    pub running: Option<Running>,
    /// The way to start the instance, when it isn't the program alone.
    pub wrapped: Option<Starter>,
    pub restarts: usize,
    topics: [String; 2],
    servers: Services,
    events: Vec<Plain>,
    seed: u64,
}

impl Stage {
    /// The instance talks to `seen`; the test to the servers themselves.
    pub fn new(servers: &Services, seen: &Services, seed: u64) -> Self {
        let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("faults")));
        let extra = format!(
            "organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\nkafka.properties = {{ \"broker.address.family\" = \"v4\" }}\n",
            topics[0], topics[1]
        );
        let mut world = World::new(seen, "faults", &extra);
        world.services = servers.clone();
        create(servers, &topics);
        let servers = servers.clone();
        Self { world, running: None, wrapped: None, restarts: 0, topics, servers, events: Vec::new(), seed }
    }

    pub fn start(&mut self) {
        let start = self.wrapped.as_ref().map(|start| start(&self.world));
        self.running = Some(start.unwrap_or_else(|| self.world.start(&["run"])));
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.running.as_ref().unwrap().0.id()
    }

    /// Produces the next part of the log.
    pub fn produce(&mut self) {
        let first = self.events.len() as u64;
        let part: Vec<Plain> = (first..first + PART).map(|n| event(self.seed, n)).collect();
        let producer: ThreadedProducer<DefaultProducerContext> =
            ClientConfig::new().set("bootstrap.servers", &self.servers.kafka).create().unwrap();
        for event in &part {
            let value = value(event).to_string();
            let topic = &self.topics[usize::from(event.contact)];
            let partition = i32::try_from(mix(self.seed, event.version) % PARTITIONS as u64).unwrap();
            let record = BaseRecord::to(topic).key(&event.id).payload(&value).partition(partition);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(LONG).unwrap();
        self.events.extend(part);
    }

    /// The status of the instance, if it runs and answers.
    pub fn status(&self) -> Option<Value> {
        let address = std::fs::read_to_string(self.world.path("state/instance")).ok()?;
        let address = address.trim();
        std::net::TcpStream::connect(address).ok()?;
        let asked = std::panic::catch_unwind(|| http_get(address, "/status")).ok()?;
        serde_json::from_str(&asked.1).ok().filter(|_| asked.0 == 200)
    }

    pub fn counter(&self, name: &str) -> u64 {
        self.status().and_then(|status| status["counters"][name].as_u64()).unwrap_or(0)
    }

    /// Starts the instance again when it ended: with a sentence, never in a panic.
    pub fn tend(&mut self) {
        let Some(ended) = self.running.as_mut().and_then(|running| running.0.try_wait().unwrap()) else {
            return;
        };
        let log = self.world.log();
        assert!(!log.contains("panicked"), "{log}");
        // Without files to open a mapping can't be read either: that is told as a configuration's fault.
        let is_told = log.lines().last().is_some_and(|line| line.starts_with("tributary: "));
        assert!(matches!(ended.code(), Some(1 | 2)) && is_told, "it ended with {ended}:\n{log}");
        self.restarts += 1;
        self.start();
    }

    /// Waits, and starts the instance again when it ends.
    pub fn until<T>(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> Option<T>) -> T {
        eventually(what, || {
            self.tend();
            condition(self)
        })
    }

    /// Waits until everything that was produced until now lies in the state, where a kill leaves it.
    pub fn keep(&mut self) {
        let fold = |stage: &mut Self| {
            let wanted = stage.events.len() as i64;
            stage.until("everything that was produced is folded", |stage| {
                let status = stage.status()?;
                let positions =
                    status["partitions"].as_array()?.iter().filter_map(|at| at["position"].as_i64());
                (positions.sum::<i64>() == wanted).then_some(())
            });
        };
        fold(self);
        let before = self.written();
        // Commits are written in their order: once some of this part are, all of those before it are.
        self.produce();
        fold(self);
        self.until("the state is written", |stage| (stage.written() > before).then_some(()));
    }

    /// When a file of the state was written the last time.
    fn written(&self) -> Option<SystemTime> {
        let mut folders = vec![self.world.path("state")];
        let mut last = None;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                // A file may go between the two.
                let Ok(meta) = entry.metadata() else { continue };
                if meta.is_dir() {
                    folders.push(entry.path());
                }
                last = last.max(meta.modified().ok());
            }
        }
        last
    }

    /// Waits until everything that was produced is in the index.
    pub fn converge(&mut self) {
        let wanted = self.events.len() as i64;
        self.until("everything that was produced is delivered", |stage| {
            let status = stage.status()?;
            let partitions = status["partitions"].as_array()?;
            let sum = |name: &str| partitions.iter().filter_map(|at| at[name].as_i64()).sum::<i64>();
            (sum("end") == wanted && sum("delivered") == wanted && status["state"] == "writing").then_some(())
        });
    }

    /// Everything arrives, and the documents are compared with the reference.
    pub fn measure(self) -> Measurements {
        self.measure_after(|_| {})
    }

    /// As [`Self::measure`]; a change of the index by `meddles`, after everything has arrived, is not repaired.
    pub fn measure_after(mut self, meddles: impl FnOnce(&World)) -> Measurements {
        let removed = Instant::now();
        self.produce();
        self.converge();
        let caught_up = removed.elapsed();
        self.running.take().unwrap().signal("TERM");
        meddles(&self.world);
        self.world.settle();
        let expected = reference::documents(&self.events, EMBEDDED_MAX);
        let got = self.world.all_documents();
        let (mut lost, mut wrong) = (0, 0);
        for projection in PROJECTIONS {
            let (got, expected) = (&got[projection], &expected[projection]);
            assert!(expected.len() > 20, "{projection} has {}", expected.len());
            lost += expected.keys().filter(|id| !got.contains_key(*id)).count();
            wrong += got.iter().filter(|(id, document)| expected.get(*id) != Some(document)).count();
        }
        assert_eq!(self.world.dead_letters(), Vec::<Value>::new());
        Measurements { lost, wrong, restarts: self.restarts, caught_up }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\n{:?}", self.world.log(), self.status());
        }
    }
}

fn create(servers: &Services, topics: &[String]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &servers.kafka).create().unwrap();
    let topics: Vec<_> =
        topics.iter().map(|topic| NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1))).collect();
    cases::create(&admin, &topics);
}

pub fn mix(a: u64, b: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(&a.to_le_bytes(), b)
}

/// The event of this number: versions do not come in order.
fn event(seed: u64, number: u64) -> Plain {
    let chance = |what: u64, bound: u64| mix(mix(seed, what), number) % bound;
    let contact = chance(0, 4) > 0;
    let id =
        if contact { format!("c{}", chance(1, CONTACTS)) } else { format!("o{}", chance(1, ORGANISATIONS)) };
    let does = match chance(2, 20) {
        0 => Does::Delete,
        1..5 => Does::Replace,
        _ => Does::Merge,
    };
    let mut fields = BTreeMap::new();
    if does != Does::Delete {
        fields.insert("name".to_owned(), json!(format!("{id} {number}")));
        let reference = if contact { "organisationId" } else { "parentId" };
        if chance(3, 3) > 0 {
            fields.insert(reference.to_owned(), json!(format!("o{}", chance(4, ORGANISATIONS))));
        }
    }
    Plain { contact, id, version: (number * 2) ^ chance(5, 64), does, fields }
}

fn value(event: &Plain) -> Value {
    let verb = match event.does {
        Does::Merge => "updated",
        Does::Replace => "created",
        Does::Delete => "deleted",
    };
    json!({"type": format!("x.{verb}"), "sequence": event.version.to_string(), "data": event.fields})
}
