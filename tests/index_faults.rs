//! Faults of a whole index: a refusal of every document makes no dead letter of any.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::harness::{GrowingLog, Running, World, eventually, log_of, try_es};
use crate::services::{self, Services};

const SETTINGS: &str = "source.kind = \"files\"\nsource.path = \"events\"\norganisations.format = \"plain\"\n\
                        contacts.format = \"plain\"\n";

/// A template for all indexes of a world, for as long as this lives.
pub struct Template {
    url: String,
    path: String,
}

impl Template {
    pub fn on(world: &World, template: Value) -> Self {
        let path = format!("/_index_template/{}template", world.prefix);
        let body =
            json!({"index_patterns": [format!("{}*", world.prefix)], "priority": 900, "template": template});
        let answer = world.es(Method::Put, &path, Some(&body));
        assert_eq!(answer["acknowledged"], true, "{answer}");
        Self { url: world.services.elasticsearch.clone(), path }
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        let _ = try_es(&self.url, Method::Delete, &self.path, None);
    }
}

fn world(servers: &Services, name: &str) -> World {
    let world = World::new(servers, name, SETTINGS);
    std::fs::create_dir(world.path("events")).unwrap();
    for number in 0..3 {
        append(&world, "organisations", &format!("o{number}"), &json!({"name": "Acme"}));
        append(&world, "contacts", &format!("c{number}"), &json!({"name": "Jane", "organisationId": "o1"}));
    }
    world
}

fn append(world: &World, topic: &str, key: &str, value: &Value) {
    let path = world.path("events").join(topic).with_extension("jsonl");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{}", json!({"key": key, "value": value})).unwrap();
}

fn set_pipeline(world: &World, pipeline: &Value) {
    let settings = json!({"index.default_pipeline": pipeline});
    let answer =
        world.es(Method::Put, &format!("/{}organisations*/_settings", world.prefix), Some(&settings));
    assert_eq!(answer["acknowledged"], true, "{answer}");
}

/// The log of a first run that cannot keep documents as they are.
fn refused(world: &World) -> String {
    let output = world.run(&["run", "--until-end"]);
    let told = log_of(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(world.dead_letters().is_empty(), "{told}");
    told
}

fn all_is_well(world: &World) {
    world.succeed(&["run", "--until-end"]);
    world.settle();
    assert_eq!(world.documents("organisations").len(), 3);
    assert_eq!(world.documents("contacts").len(), 3);
    world.succeed(&["verify"]);
    assert!(world.dead_letters().is_empty());
}

#[test]
fn a_template_with_a_pipeline_is_named_and_nothing_goes_to_the_dead_letters() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "templated-pipeline");
    let template = Template::on(&world, json!({"settings": {"index.default_pipeline": "not-there"}}));
    let told = refused(&world);
    assert!(told.contains("index.default_pipeline = not-there"), "{told}");
    drop(template);
    let told = refused(&world);
    assert!(told.contains("index.default_pipeline = not-there"), "{told}");
    set_pipeline(&world, &Value::Null);
    all_is_well(&world);
}

#[test]
fn a_template_that_changes_documents_is_named() {
    let (servers, _turn) = services::whole();
    for (mappings, said) in [
        (json!({"_routing": {"required": true}}), "_routing.required = true"),
        (json!({"_source": {"excludes": ["name"]}}), "_source.excludes = [\"name\"]"),
        (json!({"_source": {"enabled": false}}), "_source.enabled = false"),
    ] {
        let world = world(&servers, "templated-mapping");
        let template = Template::on(&world, json!({"mappings": mappings}));
        let told = refused(&world);
        assert!(told.contains(said), "{told}");
        drop(template);
        all_is_well(&world);
    }
}

#[test]
fn a_template_that_does_no_harm_is_told() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "templated-harmless");
    let _template = Template::on(
        &world,
        json!({"settings": {"index.priority": 7}, "mappings": {"properties": {"more": {"type": "long"}}}}),
    );
    let output = world.run(&["run", "--until-end"]);
    let told = log_of(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for said in ["index.priority = 7", "properties.more"] {
        assert!(told.contains(said), "{said}: {told}");
    }
    all_is_well(&world);
}

#[test]
fn an_index_that_refuses_every_document_is_waited_for() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "refuses-all");
    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    set_pipeline(&world, &json!("not-there"));
    append(&world, "organisations", "o1", &json!({"name": "Acme Limited"}));
    // The warning may be of an earlier document that was written once more.
    eventually("the change is read", || {
        let status: Value = serde_json::from_str(&world.get("/status").1).ok()?;
        let partitions = status["partitions"].as_array()?;
        let changed = partitions.iter().find(|at| at["topic"] == "organisations")?;
        (changed["position"] == 4).then_some(())
    });
    eventually("a warning that the index refuses every document", || {
        world.log().contains("refuses every document").then_some(())
    });
    assert!(world.dead_letters().is_empty());
    set_pipeline(&world, &Value::Null);
    world.wait_until_delivered();
    world.settle();
    assert_eq!(world.documents("organisations")["o1"]["name"], "Acme Limited");
    instance.signal("TERM");
    assert_eq!(instance.end(), Some(0));
    all_is_well(&world);
}

/// The address of a way to the index, on which the pipeline is taken away before each probe arrives.
fn way_without_pipeline_at_probes(world: &World) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (url, prefix) = (world.services.elasticsearch.clone(), world.prefix.clone());
    // It ends with the tests' process.
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
            let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
            let (url, prefix) = (url.clone(), prefix.clone());
            std::thread::spawn(move || pass_without_pipeline_at_probes(client, server, &url, &prefix));
        }
    });
    address
}

fn pass_without_pipeline_at_probes(
    mut client: TcpStream,
    mut server: TcpStream,
    url: &str,
    prefix: &str,
) -> Option<()> {
    let mut piece = vec![0; 1 << 16];
    loop {
        let length = client.read(&mut piece).ok().filter(|length| *length > 0)?;
        if String::from_utf8_lossy(&piece[..length]).contains("tributary-probe") {
            let settings = json!({"index.default_pipeline": null});
            let path = format!("/{prefix}organisations*/_settings");
            try_es(url, Method::Put, &path, Some(&settings)).unwrap();
        }
        server.write_all(&piece[..length]).ok()?;
    }
}

#[test]
fn a_document_that_was_refused_before_the_index_took_documents_again_is_no_dead_letter() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "refuses-once");
    all_is_well(&world);
    let mut run = world.command(&["run"]);
    run.env("TRIBUTARY_INDEX__URL", way_without_pipeline_at_probes(&world));
    let child = run.stdout(Stdio::null()).stderr(world.log_file()).spawn().unwrap();
    let _instance = Running(child, Some(world.log_file()));
    world.wait_until_delivered();
    set_pipeline(&world, &json!("not-there"));
    append(&world, "organisations", "o1", &json!({"name": "Acme Limited"}));
    eventually("the document in the index, or a dead letter", || {
        world.settle();
        let is_there = world.documents("organisations")["o1"]["name"] == "Acme Limited";
        (is_there || !world.dead_letters().is_empty()).then_some(())
    });
    assert_eq!(world.dead_letters(), Vec::<Value>::new());
}

/// The places of records in a dead letter.
fn places(of: impl IntoIterator<Item = (&'static str, i64)>) -> Value {
    let place = |(topic, offset)| json!({"topic": topic, "partition": 0, "offset": offset});
    of.into_iter().map(place).collect()
}

#[test]
fn a_document_of_an_entity_without_a_record_names_those_of_the_others_that_it_shows() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "stub-refused");
    world.write_mappings(|projection, mapping| {
        if projection == "organisations" {
            mapping["mappings"]["properties"]["contacts"]["properties"]["role"] = json!({"type": "integer"});
        }
    });
    all_is_well(&world);
    append(&world, "contacts", "c3", &json!({"name": "Jane", "organisationId": "o9", "role": "no number"}));
    world.succeed(&["run", "--until-end"]);
    let letters = world.dead_letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["key"], "o9", "{letters:?}");
    assert_eq!(letters[0]["records"], places([("contacts", 3)]), "{letters:?}");
}

#[test]
fn a_document_with_a_fault_of_its_own_goes_to_the_dead_letters_when_it_comes_alone() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "one-refused");
    world.write_mappings(|projection, mapping| {
        if projection == "organisations" {
            mapping["mappings"]["properties"]["industry"] = json!({"type": "integer"});
        }
    });
    all_is_well(&world);
    append(&world, "organisations", "o1", &json!({"name": "Acme", "industry": "no number"}));
    let is_told = || {
        world.succeed(&["run", "--until-end"]);
        let letters = world.dead_letters();
        assert_eq!(letters.len(), 1, "{letters:?}");
        for (name, value) in [
            ("projection", json!("organisations")),
            ("key", json!("o1")),
            ("topic", json!("organisations")),
            ("partition", json!(0)),
            ("offset", json!(3)),
        ] {
            assert_eq!(letters[0][name], value, "{name}: {letters:?}");
        }
        let contacts = [0, 1, 2].map(|offset| ("contacts", offset));
        assert_eq!(letters[0]["records"], places(contacts.into_iter().chain([("organisations", 3)])));
    };
    is_told();
    // A state that is begun anew is loaded in another way.
    std::fs::remove_dir_all(world.path("state")).unwrap();
    std::fs::remove_file(world.path("dead-letters.jsonl")).unwrap();
    is_told();
}

#[test]
fn an_embedded_index_deleted_behind_a_run_stops_it_and_the_next_fills_a_new_one() {
    for whole in [false, true] {
        let log = GrowingLog::new();
        let world = World::embedded("folder-gone", &log.settings());
        log.append("organisations", "o1", &json!({"name": "Acme"}));
        let mut running = world.start(&["run"]);
        eventually("it is ready", || (world.get("/readyz").0 == 200).then_some(()));
        let index = world.path("index");
        if whole {
            std::fs::remove_dir_all(&index).unwrap();
        } else {
            for entry in std::fs::read_dir(&index).unwrap().map(Result::unwrap) {
                if entry.file_name().to_string_lossy().contains("organisations-2") {
                    std::fs::remove_dir_all(entry.path()).unwrap();
                }
            }
        }
        log.append("organisations", "o2", &json!({"name": "Marlowe"}));
        assert_eq!(running.end(), Some(1), "{}", world.log());
        assert!(world.log().contains("was deleted while this instance wrote to it"), "{}", world.log());
        assert!(!world.log().contains("panicked"), "{}", world.log());
        world.succeed(&["run", "--until-end"]);
        assert_eq!(world.documents("organisations").len(), 2);
        world.succeed(&["verify"]);
    }
}

#[test]
fn an_alias_that_stands_for_two_indexes_is_told_by_readyz() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "two-behind");
    let mut running = world.start(&["run"]);
    eventually("it is ready", || (world.get("/readyz").0 == 200).then_some(()));
    let alias = format!("{}organisations", world.prefix);
    let second = format!("/{}zz", world.prefix);
    world.es(Method::Put, &second, Some(&json!({"aliases": {alias: {}}})));
    let told = eventually("it is not ready", || {
        let (code, told) = world.get("/readyz");
        (code == 503).then_some(told)
    });
    assert!(told.contains("stands for several indexes"), "{told}");
    world.es(Method::Delete, &second, None);
    eventually("it is ready again", || (world.get("/readyz").0 == 200).then_some(()));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
}
