//! `check` tells beforehand where `run` would stop, with the same exit code. It changes nothing.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::SystemTime;
use tributary::plan::builtin;

use serde_json::json;
use tributary::state::fjall::FjallStore;
use tributary::state::rows::FORMAT;

use crate::harness::{GrowingLog, World, eventually, fresh, log_of};
use crate::index_faults::Template;
use crate::recreated::Topics;
use crate::registry::{Mood, Registry};
use crate::services;
use crate::state_faults::write_next_format;

/// Every file and folder below `folder`, with its content and the time of its last write.
fn contents(folder: &Path) -> BTreeMap<String, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let held = if path.is_dir() { Vec::new() } else { std::fs::read(&path).unwrap() };
        found.insert(path.display().to_string(), (path.metadata().unwrap().modified().unwrap(), held));
        if path.is_dir() {
            found.extend(contents(&path));
        }
    }
    found
}

/// The output of `check`; it changes nothing in the world's folder. Each finding begins with a key.
fn check(world: &World) -> (Option<i32>, Vec<String>) {
    let before = contents(world.folder.path());
    let output = world.run(&["check"]);
    let after = contents(world.folder.path());
    let changed = |(path, held): (&String, &_)| (before.get(path) != Some(held)).then(|| path.clone());
    let changed: Vec<String> = after.iter().filter_map(changed).collect();
    assert!(changed.is_empty() && before.len() == after.len(), "changed: {changed:?}");
    let shown = String::from_utf8(output.stdout.clone()).unwrap();
    let findings = shown.split("# configuration").nth(1).unwrap_or(&shown);
    let findings =
        findings.lines().skip(1).filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    (output.status.code(), findings)
}

/// The one finding that begins with `key`, which holds `said`; `run` ends with the same code and says so too.
fn is_told(world: &World, code: i32, key: &str, said: &str) {
    let (found, findings) = check(world);
    assert_eq!((found, findings.len()), (Some(code), 1), "{key}: {findings:?}");
    assert!(
        findings[0].starts_with(&format!("{key}: ")) && findings[0].contains(said),
        "{key}: {findings:?}"
    );
    let output = world.run(&["run", "--wait", "0"]);
    let told = log_of(&output);
    assert!(output.status.code() == Some(code) && told.contains(said), "{key}: {told}");
}

/// A world whose log is delivered.
fn delivered(log: &GrowingLog, name: &str) -> World {
    let world = World::embedded(name, &log.settings());
    for topic in ["organisations", "contacts"] {
        for number in 0..3 {
            log.append(topic, &format!("x{number}"), &json!({"name": "Acme"}));
        }
    }
    world.succeed(&["run", "--until-end"]);
    assert_eq!(check(&world), (Some(0), Vec::new()));
    world
}

#[test]
fn a_state_that_a_run_refuses_is_told() {
    let log = GrowingLog::new();
    let world = delivered(&log, "check-state");
    world.write_config(&world.config.replace("contacts.format = \"plain\"", "contacts.format = \"outbox\""));
    is_told(&world, 2, "state", "other topics, formats");
    world.write_config(&world.config);

    let manifest = std::fs::read_dir(world.path("state/keyspaces/1")).unwrap();
    let manifest = manifest.map(|entry| entry.unwrap().path());
    let manifest =
        manifest.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('v')).max().unwrap();
    let whole = std::fs::read(&manifest).unwrap();
    let mut bytes = whole.clone();
    bytes[7] ^= 1;
    std::fs::write(&manifest, &bytes).unwrap();
    is_told(&world, 1, "state", "is damaged");
    std::fs::write(&manifest, &whole).unwrap();

    let store = FjallStore::open(&world.path("state"), builtin()).unwrap();
    is_told(&world, 1, "state", "is open in another process");
    write_next_format(&store);
    drop(store);
    is_told(&world, 1, "state", &format!("format {}", FORMAT + 1));

    std::fs::remove_dir_all(world.path("state")).unwrap();
    assert_eq!(check(&world), (Some(0), Vec::new()), "it is made again");
    std::fs::write(world.path("state"), "a file").unwrap();
    is_told(&world, 1, "state", &world.path("state").display().to_string());
}

#[test]
fn a_log_that_is_not_the_one_of_the_state_is_told() {
    let log = GrowingLog::new();
    let world = delivered(&log, "check-log");
    let path = log.path("contacts");
    let lines = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, lines.replace("Acme", "Bcme")).unwrap();
    is_told(&world, 1, "state", "not the log of the state");
    std::fs::remove_file(&path).unwrap();
    is_told(&world, 1, "state", "no longer in");
    std::fs::write(&path, lines).unwrap();
    assert_eq!(check(&world), (Some(0), Vec::new()));

    let (servers, _turn) = services::whole();
    let topics = Topics::new(&servers, "check-log", "delete", "");
    topics.produce(0..6);
    topics.world.succeed(&["run", "--until-end"]);
    topics.cut_off(&topics.organisations, 3);
    assert_eq!(check(&topics.world), (Some(0), Vec::new()), "the state goes on");
    std::fs::rename(topics.world.path("state"), topics.world.path("kept")).unwrap();
    is_told(&topics.world, 1, "organisations.topics", "begins at offset 3");
    std::fs::remove_dir_all(topics.world.path("state")).unwrap();
    std::fs::rename(topics.world.path("kept"), topics.world.path("state")).unwrap();
    topics.delete(&topics.organisations);
    topics.create(&topics.organisations, "delete");
    topics.produce(10..20);
    is_told(&topics.world, 1, "state", "recreated");
}

#[test]
fn places_that_a_run_cannot_write_are_told() {
    let log = GrowingLog::new();
    let world = delivered(&log, "check-places");
    let with = |old: &str, new: &str| {
        let config = world.config.replace(old, new);
        assert_ne!(config, world.config);
        world.write_config(&config);
    };
    std::fs::write(world.path("a-file"), "").unwrap();
    let folder = world.folder.path().display();
    let letters = format!("{folder}/dead-letters.jsonl");
    for (path, is_made) in [("below", false), ("a-file/letters.jsonl", true)] {
        if !is_made {
            std::fs::create_dir(world.path(path)).unwrap();
        }
        with(&letters, &format!("{folder}/{path}"));
        let (code, findings) = check(&world);
        assert_eq!((code, findings.len()), (Some(1), 1), "{findings:?}");
        assert!(findings[0].starts_with("dead_letters.path: ") && findings[0].contains(path), "{findings:?}");
    }
    with("index.path = \"index\"", "index.path = \"a-file\"");
    is_told(&world, 1, "index.path", "a-file");
    with("index.path = \"index\"", "index.path = \"a-file/below\"");
    is_told(&world, 1, "index.path", "a-file");
    with(&format!("state = \"{folder}/state\""), &format!("state = \"{folder}/a-file/below\""));
    is_told(&world, 1, "state", "a-file");
    let events = log.path("contacts");
    let events = events.parent().unwrap().display().to_string();
    with(&format!("source.path = {events:?}"), "source.path = \"nowhere\"");
    is_told(&world, 1, "source.path", "nowhere");
    with(&format!("source.path = {events:?}"), "source.path = \"a-file\"");
    is_told(&world, 1, "source.path", "a-file");

    let (servers, _turn) = services::whole();
    let topics = Topics::new(&servers, "check-spill", "delete", "dead_letters.kind = \"kafka\"");
    std::fs::create_dir(topics.world.path("state.dead-letters.jsonl")).unwrap();
    is_told(&topics.world, 1, "state", "state.dead-letters.jsonl");
}

#[test]
fn a_schema_registry_that_does_not_answer_or_refuses_the_user_is_told() {
    let log = GrowingLog::new();
    let world = delivered(&log, "check-registry");
    let registry = Registry::start(json!({}));
    let with = |url: &str| world.write_config(&format!("{}schema_registry.url = {url:?}\n", world.config));
    with(&registry.url);
    assert_eq!(check(&world), (Some(0), Vec::new()), "no schema is registered yet");
    let user = "schema_registry.password_file";
    for (mood, key, said) in [
        (Mood::Away, "schema_registry.url", "does not answer"),
        (Mood::Status(503), "schema_registry.url", "503"),
        (Mood::Status(401), "schema_registry.username", user),
        (Mood::Status(403), "schema_registry.username", user),
    ] {
        registry.set(mood);
        let (code, findings) = check(&world);
        assert_eq!((code, findings.len()), (Some(1), 1), "{mood:?}: {findings:?}");
        assert!(
            findings[0].starts_with(&format!("{key}: "))
                && findings[0].contains(said)
                && findings[0].contains(&registry.url),
            "{mood:?}: {findings:?}"
        );
    }
    registry.set(Mood::Well);
    with(&registry.url.replace("/v7", "/v8"));
    let (code, findings) = check(&world);
    assert_eq!((code, findings.len()), (Some(1), 1), "{findings:?}");
    assert!(
        findings[0].starts_with("schema_registry.url: ") && findings[0].contains("with the path"),
        "{findings:?}"
    );
    with("localhost");
    let (code, findings) = check(&world);
    assert_eq!((code, findings.len()), (Some(2), 1), "{findings:?}");
    assert!(findings[0].starts_with("schema_registry.url: "), "{findings:?}");
}

#[test]
fn an_address_that_is_taken_is_told_and_a_running_instance_is_none() {
    let log = GrowingLog::new();
    let world = delivered(&log, "check-address");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    world.write_config(&world.config.replace("127.0.0.1:0", &address));
    is_told(&world, 2, "http.listen", &address);
    drop(taken);
    let _running = world.start(&["run"]);
    let shown = eventually("the instance is found", || {
        let output = world.run(&["check"]);
        let shown = log_of(&output);
        (output.status.code() == Some(0) && shown.contains("running instance")).then_some(shown)
    });
    assert!(shown.contains(&address), "{shown}");
}

#[test]
fn everything_is_told_at_once_also_beside_a_mapping_that_is_no_json() {
    let log = GrowingLog::new();
    let world = delivered(&log, "check-all");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!("index.mappings = \"mappings\"\nkafka.group = \"other\"\n{}", world.config);
    let config = config.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    let config = config.lines().filter(|line| !line.contains("-group\"")).collect::<Vec<_>>().join("\n");
    let config = config.replace("dead-letters.jsonl", "state/lock/letters.jsonl");
    world.write_config(&config.replace("source.path = ", "source.path = \"/nowhere\" # "));
    world.write_mappings(|_, _| ());
    for projection in ["contacts", "hierarchy"] {
        std::fs::write(world.path(&format!("mappings/{projection}.json")), "{").unwrap();
    }
    let (code, findings) = check(&world);
    assert_eq!(code, Some(2), "{findings:?}");
    let mut keys: Vec<&str> = findings.iter().map(|line| line.split(':').next().unwrap()).collect();
    keys.sort_unstable();
    let expected = [
        "dead_letters.path",
        "http.listen",
        "index.mappings",
        "index.mappings",
        "kafka.group",
        "source.path",
    ];
    assert_eq!(keys, expected, "{findings:?}");
}

#[test]
fn another_group_or_state_that_owns_the_prefix_is_told() {
    let log = GrowingLog::new();
    let world = delivered(&log, "check-tenure");
    let group = format!("{}group", world.prefix);
    world.write_config(&world.config.replace(&group, "another"));
    is_told(&world, 1, "kafka.group", &group);
    let state = format!("{}/state\"", world.folder.path().display());
    world.write_config(&world.config.replace(&state, &state.replace("/state", "/second")));
    is_told(&world, 1, "state", "this is another state");

    let (servers, _turn) = services::whole();
    let topics = Topics::new(&servers, "check-tenure", "delete", "");
    topics.world.succeed(&["run", "--until-end"]);
    let group = format!("{}group", topics.world.prefix);
    let other = topics.world.beside();
    other.write_config(&other.config.replace(&group, &fresh("other")));
    is_told(&other, 1, "kafka.group", &group);
}

#[test]
fn an_index_template_that_a_first_run_would_stop_at_is_told() {
    let (servers, _turn) = services::whole();
    for (template, said) in [
        (json!({"settings": {"index.default_pipeline": "not-there"}}), "index.default_pipeline = not-there"),
        (json!({"mappings": {"_routing": {"required": true}}}), "_routing.required = true"),
    ] {
        let topics = Topics::new(&servers, "check-template", "delete", "index.projections = [\"contacts\"]");
        let template = Template::on(&topics.world, template);
        is_told(&topics.world, 1, "index.mappings", said);
        drop(template);
    }
}

#[test]
fn every_finding_of_a_configuration_begins_with_its_key() {
    let world = World::embedded("check-keys", "");
    let lines = "kafka = 5\nindexx = 1\n[index]\npat = \"x\"\nprojections = [\"contacts\", \"contacts\"]\n\
                 [http]\ntoken = \"a\"\ntoken_file = \"b\"\n[dead_letters]\nspill_bytes = -1\n";
    world.write_config(lines);
    let output =
        world.command(&["check", "--offline"]).env("TRIBUTARY_INDEX__PREFIXX", "x").output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let mut keys: Vec<&str> =
        shown.lines().map(|line| line.split_once(": ").unwrap_or((line, "")).0).collect();
    keys.sort_unstable();
    let expected = [
        "dead_letters.spill_bytes",
        "http.token",
        "index.pat",
        "index.prefixx",
        "index.projections",
        "indexx",
        "kafka",
    ];
    assert_eq!(keys, expected, "{shown}");
    world.write_config("kafka.properties = { a = \"b\" }\nkafka.properties_files = { a = \"c\" }\n");
    let (_, shown) = {
        let output = world.run(&["check", "--offline"]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert!(shown.starts_with("kafka.properties_files: "), "{shown}");
}
