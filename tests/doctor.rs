//! `doctor` says of each part of a deployment whether it is good, doubtful or wrong. It changes nothing.

use std::collections::BTreeMap;

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::harness::{GrowingLog, World, eventually, fresh};
use crate::recreated::Topics;
use crate::services;

/// The exit code, and the findings: judgement, area and text.
pub fn examine(world: &World) -> (Option<i32>, Vec<[String; 3]>) {
    let output = world.run(&["doctor", "--format", "json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let finding = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        ["judgement", "area", "text"].map(|name| line[name].as_str().unwrap().to_owned())
    };
    (output.status.code(), lines.lines().map(finding).collect())
}

/// The texts of a judgement and an area. The disk of the machine that tests is nobody's fault.
pub fn of(findings: &[[String; 3]], judgement: &str, area: &str) -> Vec<String> {
    let found = findings.iter().filter(|[judged, of, _]| judged == judgement && of == area);
    found.map(|[_, _, text]| text.clone()).collect()
}

/// That something of an area is so judged, and its text says so.
fn is_told(world: &World, code: i32, judgement: &str, area: &str, said: &str) {
    let (found, findings) = examine(world);
    assert_eq!(found, Some(code), "{findings:?}");
    let told = of(&findings, judgement, area);
    assert!(told.iter().any(|text| text.contains(said)), "{judgement} {area}: {said}: {findings:#?}");
}

fn files(world: &World) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![world.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_deployment_without_servers_is_examined_and_left_as_it_is() {
    let log = GrowingLog::new();
    let world = World::embedded("doctor", &log.settings());
    is_told(&world, 0, "good", "state", "a run makes it");
    log.append("contacts", "c1", &json!({"name": "Jane"}));
    world.succeed(&["run", "--until-end"]);
    let before = files(&world);
    let (code, findings) = examine(&world);
    assert_eq!(code, Some(0), "{findings:?}");
    for (area, said) in [
        ("configuration", "every key is understood"),
        ("http", "can be listened on"),
        ("state", "a run goes on with it"),
        ("clock", " here"),
        ("log", "files:"),
        ("index", "contacts: "),
        ("dead letters", "none"),
        ("instance", "none runs"),
        ("versions", env!("CARGO_PKG_VERSION")),
    ] {
        let told = of(&findings, "good", area);
        assert!(told.iter().any(|text| text.contains(said)), "{area}: {said}: {findings:#?}");
    }
    assert!(findings.iter().any(|[_, area, text]| area == "disk" && text.starts_with("state: ")));
    let shown = world.succeed(&["doctor"]);
    assert!(shown.lines().all(|line| !line.starts_with("wrong")), "{shown}");
    let last = shown.lines().last().unwrap();
    assert!(last.contains(" good, ") && last.ends_with(" 0 wrong"), "{shown}");
    assert_eq!(files(&world), before, "nothing is changed");

    // A state that works now and may surprise later.
    log.append("contacts", "c2", &json!({"name": 7}));
    world.succeed(&["run", "--until-end"]);
    is_told(&world, 0, "doubtful", "dead letters", "dead-letters list");
    world.write_config(&world.config.replace("127.0.0.1:0", "0.0.0.0:0"));
    is_told(&world, 0, "doubtful", "http", "set http.token");
    world.write_config(&world.config);
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(3_600);
    let written = std::fs::File::options().append(true).open(world.path("state/fingerprint")).unwrap();
    written.set_modified(later).unwrap();
    is_told(&world, 0, "doubtful", "clock", "set the clock");

    let _running = world.start(&["run"]);
    world.wait_until_delivered();
    eventually("the instance is examined", || {
        let (code, findings) = examine(&world);
        let told = of(&findings, "good", "instance");
        let is_told = code == Some(0) && told.iter().any(|text| text.contains("is ready, writing"));
        assert_eq!(of(&findings, "doubtful", "versions"), [""; 0]);
        is_told.then_some(())
    });
    assert_eq!(world.status().unwrap()["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn what_is_wrong_decides_the_exit_code() {
    let log = GrowingLog::new();
    let world = World::embedded("doctor-wrong", &log.settings());
    world.write_config(&world.config.replace(&format!("{:?}", world.prefix), "\"Big-\""));
    is_told(&world, 2, "wrong", "configuration", "index.prefix: ");
    world.write_config(&world.config.replace("source.path = ", "source.path = \"nowhere\" # "));
    is_told(&world, 1, "wrong", "log", "nowhere");
    let output = world.run(&["doctor"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.lines().any(|line| line.starts_with("wrong     log ")), "{shown}");
    std::fs::write(world.path("state"), "a file").unwrap();
    is_told(&world, 1, "wrong", "disk", "state: ");
}

#[test]
fn topics_indexes_and_clocks_of_servers_are_examined() {
    let (servers, _turn) = services::whole();
    let topics = Topics::new(&servers, "doctor", "compact", "");
    let world = &topics.world;
    topics.produce(0..3);
    world.succeed(&["run", "--until-end"]);
    let (code, findings) = examine(world);
    assert_eq!(code, Some(0), "{findings:#?}");
    for (area, said) in [
        ("brokers", "1 broker answers, by librdkafka "),
        ("topics", "1 partitions, and every state is kept"),
        ("privileges", "the user may see the group"),
        ("privileges", "what a run does"),
        ("index", " answers"),
        ("index", "organisations"),
        ("clock", "agrees"),
    ] {
        let told = of(&findings, "good", area);
        assert!(told.iter().any(|text| text.contains(said)), "{area}: {said}: {findings:#?}");
    }
    assert_eq!(of(&findings, "good", "topics").len(), 2, "{findings:#?}");

    // A replica has no place on a single node.
    let settings = json!({"index": {"auto_expand_replicas": false, "number_of_replicas": 1}});
    world.es(Method::Put, &format!("/{}/_settings", world.index("contacts")), Some(&settings));
    is_told(world, 0, "doubtful", "index", "number_of_replicas");

    // Records that may be parts of a state are not all kept by compaction.
    let parts =
        topics.world.config.replace("organisations.format = \"plain\"", "organisations.format = \"outbox\"");
    let other = world.beside();
    other.write_config(&parts.replace("/state\"", "/other\""));
    is_told(&other, 0, "doubtful", "topics", "is compacted");

    let short = Topics::new(&servers, "doctor-short", "delete", "");
    short.keep(&short.organisations, "604800000");
    is_told(&short.world, 0, "doubtful", "topics", "are deleted after 7 days");
    short.delete(&short.contacts);
    eventually("the topic is gone", || {
        let (code, findings) = examine(&short.world);
        let told = of(&findings, "wrong", "topics");
        (code == Some(1) && told.iter().any(|text| text.contains(&short.contacts))).then_some(())
    });
    short.world.write_config(&short.world.config.replace(&servers.kafka, "127.0.0.1:1"));
    is_told(&short.world, 1, "wrong", "brokers", "kafka.brokers: ");
}

#[test]
fn a_message_db_is_examined() {
    let (_, _turn) = services::whole();
    let name = fresh("doctor");
    let url = services::message_db(&name);
    let settings = format!(
        "source.kind = \"postgres\"\npostgres.url = {url:?}\norganisations.topics = [\"organisation\"]\n\
         contacts.topics = [\"contact\"]\n"
    );
    let world = World::embedded("doctor-message-db", &settings);
    let own =
        |statement: &str| services::sql(&name, &["set search_path to message_store, public", statement]);
    own(
        "select write_message(gen_random_uuid()::varchar, 'organisation-1', 'OrganisationCreated', '{}'::jsonb)",
    );
    is_told(&world, 0, "good", "log", "with message-db 1.");
    is_told(&world, 0, "good", "privileges", "the functions of message-db");
    is_told(&world, 0, "good", "clock", "that of PostgreSQL agrees");
    is_told(
        &world,
        0,
        "good",
        "topics",
        "organisation: the last message is 1, and the group has no position",
    );
    is_told(&world, 0, "doubtful", "topics", "contact: no message is in this category");
    world.succeed(&["run", "--until-end"]);
    is_told(
        &world,
        0,
        "good",
        "topics",
        "organisation: the last message is 1, and all up to 1 are in the index",
    );
    own("revoke execute on function write_message from public, message_store");
    is_told(&world, 0, "doubtful", "privileges", "cannot call write_message, ");
    world.write_config(&world.config.replace(&url, "postgres://u:p@127.0.0.1:1/d"));
    is_told(&world, 1, "wrong", "log", "postgres.url: ");
}
