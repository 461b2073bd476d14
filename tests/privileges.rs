//! The rights that `docs/operations.md` names are enough for everything that the program does, and each is needed.
//! Without one the program ends with a sentence that names it.

use elasticsearch::http::Method;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use crate::cases::create;
use crate::harness::{World, eventually, log_of};
use crate::security::{Tidy, ask, authority, kafka_world, properties, world};
use crate::services::{self, SecuredServices, acl};

/// A key of the API that holds these privileges, as the server encodes it.
fn api_key(secured: &SecuredServices, cluster: &[&str], indices: &[(String, &[&str])]) -> String {
    let indices: Vec<Value> =
        indices.iter().map(|(name, privileges)| json!({"names": [name], "privileges": privileges})).collect();
    let role = json!({"cluster": cluster, "indices": indices});
    let body = json!({"name": "tributary", "role_descriptors": {"role": role}});
    let made = ask(secured, Method::Post, "/_security/api_key", Some(&body));
    made["encoded"].as_str().unwrap_or_else(|| panic!("no key was made: {made}")).to_owned()
}

/// Everything that is done to an index.
const COMMANDS: [&[&str]; 7] = [
    &["check"],
    &["run", "--until-end"],
    &["search", "jane"],
    &["explain", "contacts", "c1"],
    &["verify"],
    &["reindex"],
    &["reindex", "--prune"],
];

/// A world whose program comes with such a key.
fn with_key(secured: &SecuredServices, cluster: &[&str], privileges: &[&str]) -> (World, String) {
    let mut world = world(&secured.elasticsearch, "key", &authority(secured, "ca.pem"));
    let key = api_key(secured, cluster, &[(format!("{}*", world.prefix), privileges)]);
    world.environment.push(("TRIBUTARY_INDEX__API_KEY", key.clone()));
    (world, key)
}

#[test]
fn an_api_key_with_the_named_privileges_is_enough_and_is_shown_nowhere() {
    let secured = services::secured();
    let (world, key) = with_key(&secured, &["monitor"], &["manage", "read", "write"]);
    let _tidy = Tidy(secured.clone(), world.prefix.clone());
    for command in COMMANDS {
        let output = world.run(&[&["-v"], command].concat());
        let log = log_of(&output);
        assert_eq!(output.status.code(), Some(0), "{command:?}: {log}");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(!log.contains(&key) && !shown.contains(&key), "{command:?} shows the key");
    }
    let mut running = world.start(&["-v", "run"]);
    world.wait_until_delivered();
    for path in ["/status", "/metrics", "/admin/state/copy"] {
        assert!(!world.get(path).1.contains(&key), "{path} shows the key");
    }
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    assert!(!world.log().contains(&key), "the log shows the key");
}

#[test]
fn each_privilege_on_the_index_is_needed_and_the_lack_of_it_is_said() {
    let secured = services::secured();
    for (cluster, privileges, command, says) in [
        (&["monitor"][..], &["read", "write"][..], &["run", "--until-end"][..], "lacks a privilege"),
        (&["monitor"], &["manage", "read"], &["run", "--until-end"], "does not let the user write"),
        (&["monitor"], &["manage", "write"], &["search", "jane"], "lacks a privilege"),
        (&[], &["manage", "read", "write"], &["reindex"], "lacks a privilege"),
    ] {
        let (mut world, key) = with_key(&secured, cluster, privileges);
        let _tidy = Tidy(secured.clone(), world.prefix.clone());
        if command[0] != "run" {
            let whole = api_key(
                &secured,
                &["monitor"],
                &[(format!("{}*", world.prefix), &["manage", "read", "write"])],
            );
            let limited = std::mem::replace(&mut world.environment[0].1, whole);
            world.succeed(&["run", "--until-end"]);
            world.environment[0].1 = limited;
        }
        let output = world.run(command);
        let log = log_of(&output);
        assert_eq!(output.status.code(), Some(1), "{cluster:?} {privileges:?}: {log}");
        assert!(log.contains(says) && !log.contains(&key), "{cluster:?} {privileges:?}: {log}");
    }
}

#[test]
fn who_only_searches_needs_no_more_than_to_read() {
    let secured = services::secured();
    let (mut world, _) = with_key(&secured, &["monitor"], &["manage", "read", "write"]);
    let _tidy = Tidy(secured.clone(), world.prefix.clone());
    world.succeed(&["run", "--until-end"]);
    let aliases: [(String, &[&str]); 2] =
        ["organisations", "contacts"].map(|name| (format!("{}{name}", world.prefix), &["read"][..]));
    world.environment[0].1 = api_key(&secured, &[], &aliases);
    let found = world.succeed(&["search", "jane", "--in", "contacts", "--format", "json"]);
    assert!(found.contains("c1"), "{found}");
    assert_eq!(world.run(&["run", "--until-end"]).status.code(), Some(1));
}

/// The rights of the program on a broker.
struct Rights {
    topics: [String; 2],
    letters: String,
    group: String,
}

impl Rights {
    fn of(world: &World) -> Self {
        let name =
            world.config.split("topics = [\"o.").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let group = format!("{}group", world.prefix);
        Self { topics: [format!("o.{name}"), format!("c.{name}")], letters: format!("d.{name}"), group }
    }

    /// Those that `docs/operations.md` names. `Read` holds `Describe`.
    fn give(&self) {
        let [organisations, contacts] = &self.topics;
        let topics = ["--topic", organisations, "--topic", contacts];
        change("--add", &[&["--operation", "Read", "--operation", "DescribeConfigs"], &topics[..]].concat());
        change("--add", &["--operation", "Read", "--operation", "Write", "--topic", &self.letters]);
        change("--add", &["--operation", "Read", "--group", &self.group]);
    }
}

fn change(how: &str, rest: &[&str]) {
    let force = if how == "--remove" { &["--force"][..] } else { &[] };
    acl(&[&[how], force, &["--allow-principal", "User:limited"], rest].concat());
}

/// A broker's world whose program comes as a user that has no rights by itself. The topics are there, with a record
/// that can be read and one that cannot.
fn limited_world(secured: &SecuredServices) -> (World, Rights) {
    let limited = properties(secured, "ca.pem", "SCRAM-SHA-512", "limited", &secured.password);
    let world = kafka_world(secured, &limited);
    let rights = Rights::of(&world);
    let mut plain = ClientConfig::new();
    plain.set("bootstrap.servers", &secured.kafka_plain);
    let admin: AdminClient<DefaultClientContext> = plain.create().unwrap();
    let [organisations, contacts] = &rights.topics;
    let topics = [organisations, contacts, &rights.letters]
        .map(|topic| NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact"));
    create(&admin, &topics);
    let producer: BaseProducer = plain.create().unwrap();
    for (key, value) in [("c1", r#"{"type": "x.created", "data": {"name": "Jane"}}"#), ("c2", "{")] {
        producer.send(BaseRecord::to(contacts).key(key).payload(value)).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(std::time::Duration::from_secs(30)).unwrap();
    (world, rights)
}

#[test]
fn the_named_operations_on_topics_and_group_are_enough() {
    let secured = services::secured();
    let (world, rights) = limited_world(&secured);
    rights.give();
    world.succeed(&["check"]);
    let examined = world.succeed(&["doctor"]);
    assert!(examined.contains("the user may see the group"), "{examined}");
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("contacts").keys().collect::<Vec<_>>(), ["c1"]);
    let letters = world.succeed(&["dead-letters", "list", "--format", "json"]);
    assert_eq!(letters.lines().count(), 1, "{letters}");
    let mut running = world.start(&["run"]);
    eventually("it writes", || world.get("/status").1.contains("\"writing\"").then_some(()));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
}

#[test]
fn each_operation_on_the_broker_is_needed_and_the_lack_of_it_is_said() {
    let secured = services::secured();
    let (world, rights) = limited_world(&secured);
    rights.give();
    let Rights { topics: [_, contacts], letters, group } = &rights;
    for (taken, says) in [
        (&["--operation", "Read", "--topic", contacts][..], format!("let the user see the topic {contacts}")),
        (&["--operation", "Read", "--group", group], format!("be a member of the group {group}")),
        (&["--operation", "Write", "--topic", letters], format!("dead letters' topic {letters}")),
    ] {
        change("--remove", taken);
        // The records that an earlier round folded do not matter.
        let _ = std::fs::remove_dir_all(world.path("state"));
        let output = world.run(&["run", "--until-end"]);
        let log = log_of(&output);
        assert_eq!(output.status.code(), Some(1), "without {taken:?}: {log}");
        assert!(log.contains(&says), "without {taken:?}: {log}");
        if taken.contains(&"Read") {
            let output = world.run(&["doctor"]);
            let shown = String::from_utf8(output.stdout).unwrap();
            assert!(
                output.status.code() == Some(1) && shown.contains(&says),
                "doctor without {taken:?}: {shown}"
            );
        }
        assert!(!log.contains(&secured.password), "{log}");
        change("--add", taken);
    }
    world.succeed(&["run", "--until-end"]);
}
