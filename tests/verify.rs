//! `verify`: every difference is found and no other, also while records flow, and all are repaired.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tributary::plan::CONTACTS_OF;
use tributary::plan::{CONTACT, CONTACTS, builtin};

use elasticsearch::http::Method;
use serde_json::{Value, json};
use tributary::engine::elasticsearch::ElasticsearchSink;
use tributary::event::{Action, Event, EventField};
use tributary::sink::documents::Documents;
use tributary::sink::{Batch, Buffer, DocumentSink, Outcome};
use tributary::state::fjall::FjallStore;
use tributary::state::keys::Space;
use tributary::state::rows::{self, Row};
use tributary::state::store::{Changes, StateStore};

use crate::harness::{GrowingLog, World, eventually, log_of, runtime};
use crate::services;
use crate::tamper::{Act, HIGH, config, tamper};

type Differences = BTreeSet<(String, String, String)>;

fn found(projection: &str, id: &str, kind: &str) -> (String, String, String) {
    (projection.to_owned(), id.to_owned(), kind.to_owned())
}

/// Runs `verify` with JSON; the exit code and the differences.
fn verify(world: &World, arguments: &[&str]) -> (Option<i32>, Differences) {
    let output = world.run(&[&["verify", "--format", "json"], arguments].concat());
    (output.status.code(), differences(&output))
}

fn differences(output: &Output) -> Differences {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let differences = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{}", log_of(output)));
        let keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["id", "kind", "projection"]);
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (text("projection"), text("id"), text("kind"))
    });
    let list: Vec<_> = differences.collect();
    let set: Differences = list.iter().cloned().collect();
    assert_eq!(list.len(), set.len(), "found twice: {list:?}");
    set
}

/// Organisations in three levels with contacts, one deleted of each, and organisations only referred to.
fn small_log() -> GrowingLog {
    let log = GrowingLog::new();
    for number in 0..30 {
        let parent = (number > 2).then(|| format!("o{}", number / 3));
        let name = format!("Organisation {number}");
        log.append("organisations", &format!("o{number}"), &json!({"name": name, "parentId": parent}));
    }
    log.append("organisations", "o29", &Value::Null);
    log.append("organisations", "o28", &json!({"name": "Child of none", "parentId": "unseen-parent"}));
    for number in 0..100 {
        let contact =
            json!({"name": format!("Contact {number}"), "organisationId": format!("o{}", number % 28)});
        log.append("contacts", &format!("c{number}"), &contact);
    }
    log.append("contacts", "c99", &Value::Null);
    log.append("contacts", "c98", &json!({"name": "Of none", "organisationId": "unseen"}));
    log
}

fn elasticsearch_world(name: &str, log: &GrowingLog) -> (World, std::sync::RwLockReadGuard<'static, ()>) {
    let (servers, turn) = services::whole();
    (World::new(&servers, name, &log.settings()), turn)
}

#[test]
fn on_elasticsearch_what_was_tampered_with_is_found_and_repaired() {
    let log = small_log();
    let (world, _turn) = elasticsearch_world("tampered", &log);
    finds_and_repairs(&world);
}

#[test]
fn in_an_embedded_index_what_was_tampered_with_is_found_and_repaired() {
    let log = small_log();
    finds_and_repairs(&World::embedded("tampered", &log.settings()));
}

fn finds_and_repairs(world: &World) {
    world.succeed(&["run", "--until-end"]);
    let before = world.all_documents();
    assert_eq!(verify(world, &[]), (Some(0), Differences::new()));
    // 134 records: the version of everything that was written in one go at the end of the log.
    let put =
        |id: &str, version: u64| (id.to_owned(), Act::Put(version, json!({"id": id, "name": "Mallory"})));
    let mut same = before["contacts"]["c7"].clone();
    same["_search"] = json!({"words": "words that only finding needs"});
    let contacts = [
        ("c0".to_owned(), Act::Delete),
        put("c1", 134),
        put("c2", HIGH),
        put("x-low", 1),
        put("x-high", HIGH),
        put("c99", HIGH + 7),
        ("c7".to_owned(), Act::Put(HIGH, same)),
    ];
    tamper(world, "contacts", &contacts);
    let mut fewer = before["organisations"]["o5"].clone();
    fewer["contacts"].as_array_mut().unwrap().pop();
    let organisations = [
        ("o5".to_owned(), Act::Put(HIGH, fewer)),
        ("o6".to_owned(), Act::Delete),
        ("unseen".to_owned(), Act::Delete),
        put("o29", 500),
    ];
    tamper(world, "organisations", &organisations);
    tamper(world, "hierarchy", &[("unseen-parent".to_owned(), Act::Delete), put("x", 3)]);
    let of_contacts = [
        ("c0", "missing"),
        ("c1", "stale"),
        ("c2", "stale"),
        ("c99", "extra"),
        ("x-low", "extra"),
        ("x-high", "extra"),
    ];
    let of_contacts: Differences = of_contacts.iter().map(|(id, kind)| found("contacts", id, kind)).collect();
    let mut all = of_contacts.clone();
    all.extend([
        found("organisations", "o5", "stale"),
        found("organisations", "o6", "missing"),
        found("organisations", "unseen", "missing"),
        found("organisations", "o29", "extra"),
        found("hierarchy", "unseen-parent", "missing"),
        found("hierarchy", "x", "extra"),
    ]);
    assert_eq!(verify(world, &[]), (Some(4), all.clone()));
    assert_eq!(verify(world, &["contacts"]), (Some(4), of_contacts));
    let output = world.run(&["verify"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        "contacts  c99  extra  deleted",
        "contacts  x-low  extra  foreign",
        "contacts  c0  missing",
        "organisations  o5  stale  contacts",
        "compared 99 contacts, 30 hierarchy, 30 organisations: 4 missing, 3 stale, 5 extra",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!(verify(world, &["--repair"]), (Some(0), all), "{}", world.log());
    assert_eq!(verify(world, &[]), (Some(0), Differences::new()));
    assert_eq!(world.all_documents(), before);
}

/// Makes the damage of a fold with a bug: a wrong field of a contact, and a relation of another that is
/// missing.
pub fn plant(world: &World, contact: &str, organisation: &str, other: &str) {
    let store = FjallStore::open(&world.path("state"), builtin()).unwrap();
    let view = store.view();
    let mut row: Row =
        rows::decode(&view.get(Space::of_type(CONTACT), contact.as_bytes()).unwrap().unwrap()).unwrap();
    row.registers.apply(&Event {
        kind: CONTACT,
        id: contact.to_owned(),
        version: 1_000_000,
        sequenced: true,
        action: Action::Merge,
        fields: vec![EventField { name: "role".to_owned(), json: (*b"\"Spy\"").into() }],
    });
    let mut changes = Changes::default();
    changes.put(Space::of_type(CONTACT), contact.as_bytes().to_vec(), rows::encode(&row).unwrap());
    // A relation that a fold forgot to remove: the contact stays in its organisation's document.
    let relation = tributary::state::keys::member_key(organisation, other);
    assert!(view.get(Space::of_relation(CONTACTS_OF), &relation).unwrap().is_some());
    changes.remove(Space::of_relation(CONTACTS_OF), relation);
    store.commit(changes).unwrap();
    store.sync().unwrap();
    drop((view, store));
}

#[test]
fn a_row_of_the_state_that_was_changed_directly_is_found() {
    let log = small_log();
    let world = World::embedded("planted", &log.settings());
    world.succeed(&["run", "--until-end"]);
    plant(&world, "c3", "o4", "c4");
    let planted =
        Differences::from([found("contacts", "c3", "stale"), found("organisations", "o4", "stale")]);
    assert_eq!(verify(&world, &[]), (Some(4), planted));
}

/// Changes names back and forth, moves, deletes and brings back, for as long as this lives.
struct Flow {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<usize>>,
}

impl Flow {
    fn start(log: &Arc<GrowingLog>) -> Self {
        let (stop, log) = (Arc::new(AtomicBool::new(false)), Arc::clone(log));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut round = 0;
            while !stopped.load(Ordering::Relaxed) {
                round += 1;
                let (flip, root) = (["A", "B"][round % 2], format!("o{}", round % 4));
                log.append("organisations", &root, &json!({"name": flip}));
                let moved = json!({"name": "Moved", "parentId": format!("o{}", round % 3)});
                log.append("organisations", &format!("o{}", 10 + round % 5), &moved);
                let contact = format!("c{}", 50 + round % 20);
                let value =
                    if round % 3 == 0 { Value::Null } else { json!({"name": flip, "organisationId": root}) };
                log.append("contacts", &contact, &value);
                std::thread::park_timeout(std::time::Duration::from_millis(10));
            }
            round
        });
        Self { stop, thread: Some(thread) }
    }

    /// Ends it; how many rounds there were.
    fn end(&mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map_or(0, |thread| thread.join().unwrap())
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn while_events_flow_only_what_was_tampered_with_is_found() {
    let log = Arc::new(small_log());
    let (world, _turn) = elasticsearch_world("flow", &log);
    let mut running = world.start(&["run"]);
    world.wait_until_delivered();
    let mut flow = Flow::start(&log);
    for _ in 0..4 {
        assert_eq!(verify(&world, &[]), (Some(0), Differences::new()));
    }
    // Documents that nothing of the flow changes.
    let put = |id: &str| (id.to_owned(), Act::Put(HIGH, json!({"id": id})));
    tamper(&world, "contacts", &[("c98".to_owned(), Act::Delete), put("c97x"), put("c98x")]);
    tamper(&world, "organisations", &[put("unseen")]);
    let all = Differences::from([
        found("contacts", "c98", "missing"),
        found("contacts", "c97x", "extra"),
        found("contacts", "c98x", "extra"),
        found("organisations", "unseen", "stale"),
    ]);
    assert_eq!(verify(&world, &[]), (Some(4), all.clone()));
    assert_eq!(verify(&world, &["--repair"]), (Some(0), all));
    assert_eq!(verify(&world, &[]), (Some(0), Differences::new()));
    assert!(flow.end() > 20);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    assert_eq!(verify(&world, &[]), (Some(0), Differences::new()), "at rest");
}

#[test]
fn while_events_flow_into_an_embedded_index_nothing_is_found() {
    let log = Arc::new(small_log());
    let world = World::embedded("flow", &log.settings());
    let mut running = world.start(&["run"]);
    world.wait_until_delivered();
    let mut flow = Flow::start(&log);
    for _ in 0..4 {
        assert_eq!(verify(&world, &[]), (Some(0), Differences::new()));
    }
    assert!(flow.end() > 20);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
}

#[test]
fn ten_thousand_documents_tampered_with_are_found_and_repaired() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "many", "source.kind = \"files\"\nsource.path = \"events\"\n");
    let counts = ["--organisations", "1000", "--contacts", "12000", "--events", "14000"];
    world.succeed(&[&["generate", "--out", "events"], &counts[..]].concat());
    world.succeed(&["run", "--until-end"]);
    let before = world.documents("contacts");
    let mut acts = Vec::new();
    let mut all = Differences::new();
    for (number, (id, document)) in before.iter().take(7_000).enumerate() {
        if number % 2 == 0 {
            acts.push((id.clone(), Act::Delete));
            all.insert(found("contacts", id, "missing"));
        } else {
            let mut changed = document.clone();
            changed["role"] = json!("Mallory");
            acts.push((id.clone(), Act::Put(HIGH + number as u64 % 3, changed)));
            all.insert(found("contacts", id, "stale"));
        }
    }
    for number in 0..3_000_u64 {
        let id = format!("added-{number}");
        acts.push((id.clone(), Act::Put(1 + number % 2 * HIGH, json!({"id": id, "name": "Mallory"}))));
        all.insert(found("contacts", &id, "extra"));
    }
    assert_eq!(all.len(), 10_000);
    tamper(&world, "contacts", &acts);
    assert_eq!(verify(&world, &[]), (Some(4), all.clone()));
    assert_eq!(verify(&world, &["--repair"]), (Some(0), all));
    assert_eq!(verify(&world, &[]), (Some(0), Differences::new()));
    assert_eq!(world.documents("contacts"), before);
}

#[test]
fn a_sample_finds_about_as_many_and_the_same_again() {
    let log = small_log();
    let world = World::embedded("sample", &log.settings());
    world.succeed(&["run", "--until-end"]);
    let names: Vec<String> = world.documents("contacts").into_keys().collect();
    let acts: Vec<_> = names.iter().map(|id| (id.clone(), Act::Put(HIGH, json!({"id": id})))).collect();
    tamper(&world, "contacts", &acts);
    let sample = |seed: &str| verify(&world, &["contacts", "--sample", "20", "--seed", seed]);
    let (code, one) = sample("3");
    assert_eq!(code, Some(4));
    assert!((15..=25).contains(&one.len()), "{}", one.len());
    assert_eq!(sample("3").1, one);
    assert_ne!(sample("4").1, one);
    let output = world.run(&["verify", "--sample", "5"]);
    assert!(log_of(&output).contains("seed"), "{}", log_of(&output));
}

#[test]
fn it_says_what_it_cannot_know_and_makes_nothing() {
    let log = small_log();
    let (world, _turn) = elasticsearch_world("edges", &log);
    let ended = |arguments: &[&str]| {
        let output = world.run(arguments);
        (output.status.code(), log_of(&output))
    };
    let (code, said) = ended(&["verify"]);
    assert!(code == Some(1) && said.contains("no state"), "{said}");
    assert_eq!(ended(&["verify", "people"]).0, Some(2));
    world.succeed(&["run", "--until-end"]);
    log.append("contacts", "c1", &json!({"name": "New"}));
    let (code, said) = ended(&["verify"]);
    assert!(code == Some(0) && said.contains("beyond the state") && said.contains("records=1"), "{said}");
    let index = world.index("hierarchy");
    world.es(Method::Delete, &format!("/{index}"), None);
    let (code, said) = ended(&["verify"]);
    assert!(code == Some(1) && said.contains("no index behind the alias"), "{said}");
    assert_eq!(world.indexes().len(), 2, "{:?}", world.indexes());
}

#[test]
fn documents_that_wait_for_the_next_run_are_pending() {
    let log = small_log();
    let (world, _turn) = elasticsearch_world("waits", &log);
    world.succeed(&["run", "--until-end"]);
    // A mark of a run that was stopped before it could deliver.
    let store = FjallStore::open(&world.path("state"), builtin()).unwrap();
    let mut changes = Changes::default();
    changes.put(Space::DIRTY, tributary::state::keys::dirty_key(1, "c5"), 1_u64.to_be_bytes().to_vec());
    store.commit(changes).unwrap();
    store.sync().unwrap();
    drop(store);
    tamper(&world, "contacts", &[("c5".to_owned(), Act::Delete)]);
    let output = world.run(&["verify"]);
    let said = log_of(&output);
    assert!(output.status.code() == Some(0) && said.contains("1 pending"), "{said}");
    world.succeed(&["run", "--until-end"]);
    assert!(world.documents("contacts").contains_key("c5"));
}

#[test]
fn the_route_asks_for_the_token_and_ends_with_its_connection() {
    let log = small_log();
    let world = World::embedded("route", &format!("{}http.token = \"secret\"\n", log.settings()));
    let mut running = world.start(&["run"]);
    world.wait_until_delivered();
    let address = std::fs::read_to_string(world.path("state/instance")).unwrap();
    let post = |head: &str, body: &str| {
        use std::io::{Read, Write as _};
        let mut stream = std::net::TcpStream::connect(address.trim()).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST /admin/verify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(post("", "{}").contains(" 401 "));
    let token = "Authorization: Bearer secret\r\n";
    assert!(post(token, r#"{"repairs":true}"#).contains(" 400 "));
    assert!(post(token, r#"{"projections":["people"]}"#).contains(" 400 "));
    let answer = post(token, "{}");
    assert!(
        answer.contains(" 200 ") && answer.contains(r#"{"summary":{"compared":{"contacts":99"#),
        "{answer}"
    );
    for _ in 0..3 {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(address.trim()).unwrap();
        write!(stream, "POST /admin/verify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n{token}\r\n{{}}").unwrap();
    }
    let (code, _) = eventually("a place", || Some(verify(&world, &[])).filter(|(code, _)| *code != Some(1)));
    assert_eq!(code, Some(0));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
}

#[test]
fn large_documents_are_read_in_parts() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "parts", "");
    let sink = ElasticsearchSink::new(&config(&world).index, &[CONTACTS]).unwrap();
    let ids: Vec<String> = (0..12).map(|number| format!("large-{number}")).collect();
    runtime().block_on(async {
        sink.open("log").await.unwrap();
        let mut bodies = BTreeMap::new();
        for id in &ids[..11] {
            let bytes = json!({"id": id, "attributes": {"x": "y".repeat(6 << 20)}}).to_string().into_bytes();
            let mut batch = Batch::new(CONTACTS, Buffer::default());
            let make = |out: &mut Vec<u8>| {
                out.extend_from_slice(&bytes);
                Ok(true)
            };
            batch.push(id.as_str().into(), [3, 3], make).unwrap();
            bodies.insert(id.clone(), bytes);
            assert_eq!(sink.write(batch).await, [Outcome::Done]);
        }
        let mut left = &ids[..];
        let mut parts = 0;
        while !left.is_empty() {
            let held = sink.get(CONTACTS, left).await.unwrap();
            let (now, later) = left.split_at(held.len());
            for (id, held) in now.iter().zip(held) {
                assert_eq!(held.as_ref().map(|held| &held.body), bodies.get(id), "{id}");
                assert!(held.is_none_or(|held| held.version == 3));
            }
            (left, parts) = (later, parts + 1);
        }
        assert!(parts >= 3, "66 MB came in {parts} answers");
    });
}
