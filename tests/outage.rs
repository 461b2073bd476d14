//! Servers that go and come back: everything still arrives, and memory stays bounded.

use std::fs;
use std::io::Write;

use elasticsearch::http::Method;
use serde_json::Value;

use crate::harness::{AutoCreate, Running, World, eventually, fresh, log_of};
use crate::services::{self, Services};

/// The most that the program may hold while a server is away, in kilobytes.
const RESIDENT_KB_MAX: u64 = 300 << 10;

fn resident_kb(running: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.0.id())).unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .map(|rest| rest.trim().trim_end_matches(" kB"));
    peak.and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

fn world(servers: &Services, name: &str) -> World {
    let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh(name)));
    let extra = format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n", topics[0], topics[1]);
    World::new(servers, name, &extra)
}

fn generate(world: &World, seed: u32) {
    let seed = seed.to_string();
    let counts = ["--organisations", "500", "--contacts", "5000", "--events", "12000", "--partitions", "3"];
    world.succeed(&[&["generate", "--kafka", "--seed", &seed], &counts[..]].concat());
}

fn lag(status: &Value) -> i64 {
    status["partitions"].as_array().unwrap().iter().map(|at| at["lag"].as_i64().unwrap()).sum()
}

fn unread(status: &Value) -> i64 {
    status["partitions"].as_array().unwrap().iter().map(|at| at["unread"].as_i64().unwrap()).sum()
}

/// A counter; 0 while the instance waits for its servers and has counted nothing.
fn counter(status: &Value, name: &str) -> u64 {
    status["counters"].get(name).map_or(0, |count| count.as_u64().unwrap())
}

/// Compares with a run that nothing disturbed, over the same topics.
fn ends_like_an_undisturbed_run(servers: &Services, world: &World) {
    let calm = World::new(servers, "calm", &topics_of(world));
    calm.succeed(&["run", "--until-end"]);
    world.refresh();
    assert_eq!(world.all_documents(), calm.all_documents());
}

fn topics_of(world: &World) -> String {
    world
        .config
        .lines()
        .filter(|line| line.contains(".topics = "))
        .map(|line| line.to_owned() + "\n")
        .collect()
}

fn idle(world: &World, records: u64) {
    eventually("everything folded and delivered", || {
        let status = world.status()?;
        let idle =
            lag(&status) == 0 && status["documents_waiting"] == 0 && counter(&status, "records") >= records;
        idle.then_some(())
    });
}

#[test]
fn elasticsearch_away_for_the_middle_third_loses_nothing() {
    let (servers, _turn) = services::alone();
    let world = world(&servers, "es-away");
    generate(&world, 1);
    let mut running = world.start(&["run"]);
    idle(&world, 12_000);
    services::control("stop", "elasticsearch");
    generate(&world, 2);
    let folded = eventually("the fold goes on without the index", || {
        world.status().filter(|status| counter(status, "records") >= 24_000 && unread(status) == 0)
    });
    let retried = eventually("the delivery tries again", || {
        world.status().map(|status| counter(&status, "retried")).filter(|retried| *retried > 0)
    });
    assert!(folded["documents_waiting"].as_u64().unwrap() > 0, "{folded} after {retried}");
    services::control("start", "elasticsearch");
    generate(&world, 3);
    idle(&world, 36_000);
    let resident = resident_kb(&running);
    assert!(resident < RESIDENT_KB_MAX, "{resident} kB were resident");
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    ends_like_an_undisturbed_run(&servers, &world);
}

#[test]
fn an_index_deleted_behind_a_run_stops_it_and_the_next_fills_a_new_one() {
    let (servers, _turn) = services::alone();
    let _auto_create = AutoCreate::on(&servers);
    let world = world(&servers, "index-gone");
    generate(&world, 6);
    let mut running = world.start(&["run"]);
    idle(&world, 12_000);
    let deleted = world.index("contacts");
    world.es(Method::Delete, &format!("/{deleted}"), None);
    generate(&world, 7);
    assert_eq!(running.end(), Some(1), "{}", world.log());
    let log = world.log();
    assert!(log.contains(&deleted) && log.contains("Start again"), "{log}");
    let left = world.indexes();
    assert!(left.len() == 2 && !left.iter().any(|index| index.contains("contacts")), "{left:?}");
    world.succeed(&["run", "--until-end"]);
    ends_like_an_undisturbed_run(&servers, &world);
    assert_eq!(world.dead_letters(), Vec::<Value>::new());
}

#[test]
fn a_restarted_broker_loses_nothing() {
    let (servers, _turn) = services::alone();
    let world = world(&servers, "broker");
    generate(&world, 4);
    let mut running = world.start(&["run"]);
    idle(&world, 12_000);
    services::control("kill", "kafka");
    services::control("start", "kafka");
    generate(&world, 5);
    idle(&world, 24_000);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    ends_like_an_undisturbed_run(&servers, &world);
}

#[test]
fn dead_letters_wait_for_the_broker_as_long_as_it_takes_and_a_stop_does_not() {
    let (servers, _turn) = services::alone();
    let topic = fresh("letters");
    let extra = format!(
        "source.kind = \"files\"\nsource.path = \"events\"\nindex.kind = \"embedded\"\nindex.path = \"index\"\n\
         dead_letters.kind = \"kafka\"\ndead_letters.topic = {topic:?}\n"
    );
    let world = World::new(&servers, "letters", &extra);
    std::fs::create_dir_all(world.path("events")).unwrap();
    std::fs::write(world.path("events/contacts.jsonl"), "no record\n").unwrap();
    services::control("kill", "kafka");
    let wait = |times: usize| {
        eventually("the letters are tried again", || {
            (world.log().matches("dead letters are tried again").count() >= times).then_some(())
        });
    };
    let mut running = world.start(&["run"]);
    wait(2);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    let running = world.start(&["run"]);
    wait(4);
    services::control("start", "kafka");
    let letters = eventually("the letter is kept", || {
        let output = world.run(&["dead-letters", "list", "--format", "json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        (!text.is_empty()).then_some(text)
    });
    assert!(letters.contains("contacts"), "{letters}");
    drop(running);
}

#[test]
fn servers_that_are_away_at_the_start_are_waited_for_unless_told_otherwise() {
    let (servers, _turn) = services::alone();
    let world = world(&servers, "late");
    generate(&world, 8);
    let nowhere = ["run", "--wait", "0", "--index-url", "http://127.0.0.1:1"];
    let refused = world.run(&nowhere);
    assert_eq!(refused.status.code(), Some(1), "{}", log_of(&refused));
    services::control("kill", "kafka");
    for command in
        [&["run", "--wait", "0"][..], &["run", "--until-end", "--wait", "1s"], &["reindex", "--wait", "0"]]
    {
        let refused = world.run(command);
        assert_eq!(refused.status.code(), Some(1), "{}", log_of(&refused));
        assert!(log_of(&refused).contains("no broker answers"), "{}", log_of(&refused));
    }
    let mut running = world.start(&["run"]);
    eventually("it says what it waits for", || world.log().contains("waiting for the log").then_some(()));
    services::control("start", "kafka");
    idle(&world, 12_000);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
}

#[test]
fn a_dead_letter_topic_that_is_away_does_not_stop_the_fold_and_gets_every_letter_in_order() {
    let (servers, _turn) = services::alone();
    let topic = fresh("letters");
    let extra = format!(
        "source.kind = \"files\"\nsource.path = \"events\"\ncontacts.format = \"plain\"\nindex.kind = \"embedded\"\n\
         index.path = \"index\"\ndead_letters.kind = \"kafka\"\ndead_letters.topic = {topic:?}\n"
    );
    let world = World::new(&servers, "spill", &extra);
    fs::create_dir_all(world.path("events")).unwrap();
    let path = world.path("events/contacts.jsonl");
    let write = |lines: std::ops::Range<usize>| {
        let contact =
            |n: usize| format!("{{\"key\": \"c{n}\", \"value\": {{\"name\": \"Jane\"}}}}\nno record\n");
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
        file.write_all(lines.map(contact).collect::<String>().as_bytes()).unwrap();
    };
    let waiting = |wanted: u64| {
        eventually("the fold goes on", || {
            let status = world.status()?;
            // An instance that is only starting knows of nothing that waits.
            let folded =
                status["state"] == "writing" && lag(&status) == 0 && status["documents_waiting"] == 0;
            (folded && status["counters"]["dead_letters_waiting"] == wanted).then_some(())
        });
    };
    write(0..1);
    services::control("kill", "kafka");
    let running = world.start(&["run"]);
    waiting(1);
    write(1..3);
    waiting(3);
    assert_eq!(world.documents("contacts").len(), 3);
    running.kill();
    let listed = world.succeed(&["dead-letters", "list"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    services::control("start", "kafka");
    let mut running = world.start(&["run"]);
    waiting(0);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    let listed = world.succeed(&["dead-letters", "list"]);
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["contacts/0:1", "contacts/0:3", "contacts/0:5"]);
    assert_eq!(fs::read(world.path("state.dead-letters.jsonl")).unwrap(), b"");
}
