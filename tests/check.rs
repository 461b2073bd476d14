//! `check` tells every fault, and is satisfied only where a run can work.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::cases::create_topics;
use crate::harness::{World, fresh, log_of};
use crate::scene::record;
use crate::services;

fn code_and_text(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let output = world.run(arguments);
    (output.status.code(), log_of(&output))
}

/// The lines of an answer that begin with a key.
fn of_key<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(&format!("{key}: "))).collect()
}

#[test]
fn everything_that_is_wrong_with_a_configuration_is_told_at_once() {
    let world = World::embedded("faults", "");
    let lines = "[index]\nprefix = \"Trial-\"\nmax_embedded_contacts = 0\n[http]\nlisten = \"8080\"\n[kafka]\nbrokers = 5\nbroker = \"x\"\n";
    world.write_config(lines);
    let (code, text) = code_and_text(&world, &["check", "--offline"]);
    assert_eq!(code, Some(2), "{text}");
    for key in ["index.prefix", "index.max_embedded_contacts", "http.listen", "kafka.brokers"] {
        assert_eq!(of_key(&text, key).len(), 1, "{key}: {text}");
    }
    assert_eq!(of_key(&text, "kafka.broker").len(), 1, "{text}");
}

#[test]
fn a_prefix_that_no_index_can_have_and_an_address_without_a_port_are_refused_by_every_command() {
    let world = World::embedded("prefixes", "");
    for prefix in ["Trial-", "_x", "-x", "+x", "a*b", "a b", "a/b", "../x", "a#b", "a:b", "É"] {
        world.write_config(&world.config.replace(&format!("{:?}", world.prefix), &format!("{prefix:?}")));
        for arguments in [&["check", "--offline"][..], &["run", "--until-end"], &["reindex"]] {
            let (code, text) = code_and_text(&world, arguments);
            assert!(
                code == Some(2) && text.contains("index.prefix"),
                "{prefix} {arguments:?}: {code:?} {text}"
            );
        }
    }
    for address in ["8080", ":8080", "localhost", "localhost:99999"] {
        world.write_config(&world.config.replace("127.0.0.1:0", address));
        let (code, text) = code_and_text(&world, &["check", "--offline"]);
        assert!(code == Some(2) && text.contains("http.listen"), "{address}: {code:?} {text}");
    }
}

#[test]
fn the_configuration_is_shown_as_a_file_that_says_the_same() {
    let extra = "index.username = \"u\"\nindex.password = \"hunter2\"\nhttp.token = \"hunter2\"\n\
                 index.projections = [\"contacts\"]\n[kafka.properties]\n\"sasl.password\" = \"hunter2\"\nlinger = 5\n\
                 [events.types]\n\"a.\\\"b\\\"\" = \"merge\"\n";
    let world = World::embedded("shown", extra);
    let shown = world.succeed(&["check", "--offline"]);
    assert!(!shown.contains("hunter2"), "{shown}");
    let table: toml::Table = toml::from_str(&shown).unwrap();
    assert_eq!(table["index"]["prefix"].as_str(), Some(world.prefix.as_str()));
    assert_eq!(table["index"]["projections"].as_array().unwrap().len(), 1);
    assert_eq!(table["events"]["types"]["a.\"b\""].as_str(), Some("merge"));
    assert_eq!(table["kafka"]["properties"]["linger"].as_str(), Some("5"));
    assert_eq!(table["kafka"]["group"].as_str().map(|group| group.ends_with("group")), Some(true));
    world.write_config(&shown);
    assert_eq!(world.succeed(&["check", "--offline"]), shown);
}

#[test]
fn every_alias_mapping_and_topic_that_a_run_would_stop_at_is_told() {
    let (servers, _turn) = services::whole();
    let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("check")));
    let extra = format!(
        "organisations.topics = [{:?}, \"missing-one\"]\ncontacts.topics = [{:?}, \"missing-two\"]\nindex.mappings = \"mappings\"\n",
        topics[0], topics[1]
    );
    let world = World::new(&servers, "check", &extra);
    create_topics(&servers.kafka, &topics, 1);
    let name = |name: &str| format!("{}{name}", world.prefix);
    world.es(Method::Put, &format!("/{}", name("organisations")), None);
    for index in ["one", "two"] {
        let body = json!({"aliases": {name("contacts"): {}}});
        world.es(Method::Put, &format!("/{}", name(index)), Some(&body));
    }
    world.write_mappings(|projection, mapping| {
        if projection == "hierarchy" {
            mapping["mappings"]["properties"]["name"] = json!({"type": "no-such-type"});
        }
    });
    let before = world.indexes();
    let (code, text) = code_and_text(&world, &["check"]);
    assert_eq!(code, Some(2), "{text}");
    let [prefix, mappings] = ["index.prefix", "index.mappings"].map(|key| of_key(&text, key).join("\n"));
    assert!(
        prefix.contains("stands for several indexes") && prefix.contains("in the way of the alias"),
        "{text}"
    );
    assert!(mappings.contains("hierarchy") && mappings.contains("no-such-type"), "{text}");
    assert!(of_key(&text, "organisations.topics")[0].contains("missing-one"), "{text}");
    assert!(of_key(&text, "contacts.topics")[0].contains("missing-two"), "{text}");
    assert_eq!(world.indexes(), before, "nothing is left");

    // Without the mapping it is the servers that are wrong.
    world.write_mappings(|_, _| ());
    assert_eq!(code_and_text(&world, &["check"]).0, Some(1));
    for index in ["organisations", "one", "two"] {
        world.es(Method::Delete, &format!("/{}", name(index)), None);
    }
    world.write_config(&world.config.replace(", \"missing-one\"", "").replace(", \"missing-two\"", ""));
    world.succeed(&["check"]);
}

#[test]
fn a_server_that_is_no_elasticsearch_or_an_old_one_is_not_taken_for_one() {
    let opensearch =
        |version: &str| format!(r#"{{"version":{{"distribution":"opensearch","number":"{version}"}}}}"#);
    let (old, new) = (opensearch("2.18.0"), opensearch("4.0.0"));
    // A cluster may name the version of another product for old clients. Its nodes say their own.
    let veiled = opensearch("7.10.2").replacen('{', r#"{"nodes":{"a":{"version":"2.17.1"}},"#, 1);
    let foreign = r#"{"version":{"distribution":"another","number":"9.2.0"}}"#;
    for (answer, said) in [
        ("{}", "neither Elasticsearch nor OpenSearch"),
        (foreign, "neither Elasticsearch nor OpenSearch"),
        (r#"{"nodes":{"a":{"version":"7.17.0"}}}"#, "Elasticsearch 7.17.0 answers"),
        (r#"{"nodes":{"a":{"version":"1.3.0"}}}"#, "OpenSearch 1.3.0 answers"),
        (r#"{"version":{"number":"10.0.0"}}"#, "Elasticsearch 10.0.0 answers"),
        (&old, "OpenSearch 2.18.0 answers"),
        (&new, "OpenSearch 4.0.0 answers"),
        (&veiled, "OpenSearch 2.17.1 answers"),
    ] {
        let answer = answer.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
                let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
            }
        });
        let world = World::embedded("other-server", "source.kind = \"files\"\nsource.path = \"events\"\n");
        fs::create_dir_all(world.path("events")).unwrap();
        let config = world.config.replace("index.kind = \"embedded\"", "");
        world.write_config(&config.replace("http://127.0.0.1:1", &format!("http://{address}")));
        let (code, text) = code_and_text(&world, &["check"]);
        assert!(code == Some(1) && of_key(&text, "index.url")[0].contains(said), "{code:?} {text}");
        let (code, text) = code_and_text(&world, &["run", "--wait", "0"]);
        assert!(code == Some(1) && text.contains(said), "{code:?} {text}");
    }
}

#[test]
fn a_mapping_that_the_index_refuses_leaves_no_rebuild_behind() {
    let (servers, _turn) = services::whole();
    let extra = "source.kind = \"files\"\nsource.path = \"events\"\ncontacts.format = \"plain\"\nindex.mappings = \"mappings\"\n";
    let world = World::new(&servers, "refused", extra);
    fs::create_dir_all(world.path("events")).unwrap();
    let line = json!({"key": "c1", "value": {"name": "Jane"}}).to_string();
    fs::write(world.path("events/contacts.jsonl"), line + "\n").unwrap();
    let break_mapping = || {
        world.write_mappings(|projection, mapping| {
            if projection == "contacts" {
                mapping["mappings"]["properties"]["role"] = json!({"type": "no-such-type"});
            }
        });
    };
    break_mapping();
    let (code, text) = code_and_text(&world, &["run", "--until-end"]);
    assert!(code == Some(2) && text.contains("no-such-type"), "{code:?} {text}");
    world.write_mappings(|_, _| ());
    world.succeed(&["run", "--until-end"]);
    let before = world.indexes();
    break_mapping();
    let (code, text) = code_and_text(&world, &["reindex"]);
    assert!(
        code == Some(2) && text.contains("index.mappings") && text.contains("no-such-type"),
        "{code:?} {text}"
    );
    for projection in ["organisations", "contacts", "hierarchy"] {
        assert_eq!(record(&world, projection), None, "{projection}");
    }
    let left: Vec<String> =
        world.indexes().into_iter().filter(|index| !index.ends_with("tributary-rebuilds")).collect();
    assert_eq!(
        left,
        before.into_iter().filter(|index| !index.ends_with("tributary-rebuilds")).collect::<Vec<_>>()
    );
    let status: Value = serde_json::from_str(&world.succeed(&["status", "--format", "json"])).unwrap();
    assert_eq!(status["reindex"], json!([]), "{status}");
    world.write_mappings(|_, _| ());
    world.succeed(&["reindex", "contacts"]);
}
