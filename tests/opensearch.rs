//! The peculiarities of OpenSearch, and the choice between it and Elasticsearch.

use std::io::{Read, Write};

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::harness::{GrowingLog, World, log_of};
use crate::search::by_http;
use crate::services;

/// A world of one organisation whose documents are to be held by the search server of the tests.
fn world(name: &str, fields: Value, extra: &str) -> (GrowingLog, World, impl Drop) {
    let (servers, turn) = services::whole();
    let log = GrowingLog::new();
    log.append("organisations", "o1", &fields);
    log.append("contacts", "c1", &json!({"name": "Jane", "organisationId": "o1"}));
    let world = World::new(&servers, name, &format!("{}{extra}", log.settings()));
    (log, world, turn)
}

#[test]
fn the_product_and_its_version_are_shown_and_a_kind_insists_on_its_product() {
    let (_log, world, _turn) = world("product", json!({"name": "Acme"}), "");
    let named = if services::is_opensearch() { "OpenSearch " } else { "Elasticsearch " };
    let checked = world.succeed(&["check"]);
    assert!(checked.contains(&format!("# index: {named}")), "{checked}");
    let output = world.run(&["run", "--until-end"]);
    assert!(log_of(&output).contains(named), "{}", log_of(&output));
    let status: Value = serde_json::from_str(&world.succeed(&["status", "--format", "json"])).unwrap();
    assert!(status["index_server"].as_str().unwrap_or_default().starts_with(named), "{status}");
    assert!(world.succeed(&["status"]).contains(named));

    world.write_config(&format!("{}index.kind = \"opensearch\"\n", world.config));
    let output = world.run(&["run", "--until-end"]);
    let expected = if services::is_opensearch() { Some(0) } else { Some(1) };
    assert_eq!(output.status.code(), expected, "{}", log_of(&output));
    if !services::is_opensearch() {
        assert!(log_of(&output).contains("index.kind asks for OpenSearch"), "{}", log_of(&output));
    }
    world.write_config(&format!("{}index.api_key = \"a2V5\"\n", world.config));
    let output = world.run(&["check"]);
    let text = log_of(&output);
    if services::is_opensearch() {
        assert!(output.status.code() == Some(2) && text.contains("index.api_key: OpenSearch"), "{text}");
    }
}

#[test]
fn a_mapping_of_either_product_is_taken_and_what_cannot_be_said_is_refused_by_its_field() {
    let event = json!({"name": "Acme", "address": {"country": "GB"}, "hobby": "x".repeat(40_000)});
    let (_log, world, _turn) = world("translated", event, "index.mappings = \"mappings\"\n");
    world.write_mappings(|_, _| ());
    world.succeed(&["run", "--until-end"]);
    let of_field = |field: &str| {
        let live = world.es(Method::Get, &format!("/{}/_mapping", world.index("organisations")), None);
        let live = live.as_object().unwrap().values().next().unwrap();
        live["mappings"]["properties"][field].clone()
    };
    let before = [of_field("address"), of_field("attributes")];
    if services::is_opensearch() {
        assert_eq!(before, [json!({"type": "flat_object"}), json!({"type": "object", "enabled": false})]);
    } else {
        assert_eq!(before[0]["type"], "flattened");
    }
    world.succeed(&["verify"]);

    // The other product's word for it.
    world.write_mappings(|projection, mapping| {
        if projection == "organisations" {
            mapping["mappings"]["properties"]["address"] = json!({"type": "flat_object"});
        }
    });
    world.succeed(&["reindex", "organisations"]);
    let kind = if services::is_opensearch() { "flat_object" } else { "flattened" };
    assert_eq!(of_field("address")["type"], kind);

    world.write_mappings(|projection, mapping| {
        if projection == "organisations" {
            mapping["mappings"]["properties"]["address"] = json!({"type": "flattened", "null_value": "none"});
        }
    });
    let output = world.run(&["reindex", "organisations"]);
    let text = log_of(&output);
    if services::is_opensearch() {
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("address of organisations.json") && text.contains("null_value"), "{text}");
    } else {
        assert_eq!(output.status.code(), Some(0), "{text}");
    }
}

#[test]
fn countries_are_counted_by_themselves_whatever_else_an_address_holds() {
    let (log, world, _turn) =
        world("countries", json!({"name": "Acme", "address": {"country": "GB", "city": "Leeds"}}), "");
    for (id, address) in [
        ("o2", json!({"country": "GB", "city": "York", "country.code": "826", "a": {"country": "XX"}})),
        ("o3", json!({"country": "FR=", "city": "Leeds"})),
        ("o4", json!({"city": "Leeds"})),
        ("o5", json!({"": "country=ZZ", "city": "address.country=YY"})),
    ] {
        log.append("organisations", id, &json!({"name": "Acme", "address": address}));
    }
    world.succeed(&["run", "--until-end"]);
    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    let ask = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        by_http(&world, &pairs).1
    };
    let found = ask(&[("q", "acme"), ("facets", "country")]);
    assert_eq!(found["facets"]["country"], json!({"FR=": 1, "GB": 2}), "{found}");
    assert_eq!(ask(&[("q", "acme"), ("filter", "country:FR=")])["total"], 1);
    instance.signal("TERM");
    assert_eq!(instance.end(), Some(0));
}

/// A cluster that keeps no point in time, for as long as this lives.
struct NoPoints<'a>(&'a World);

impl<'a> NoPoints<'a> {
    fn on(world: &'a World) -> Self {
        let this = Self(world);
        this.set(&json!(0));
        this
    }

    fn set(&self, most: &Value) {
        let settings = json!({"transient": {"search.max_open_pit_context": most}});
        let answer = self.0.es(Method::Put, "/_cluster/settings", Some(&settings));
        assert_eq!(answer["acknowledged"], true, "{answer}");
    }
}

impl Drop for NoPoints<'_> {
    fn drop(&mut self) {
        self.set(&Value::Null);
    }
}

#[test]
fn a_server_without_room_for_a_view_is_searched_as_it_is() {
    if !services::is_opensearch() {
        return;
    }
    let (servers, _turn) = services::alone();
    let log = GrowingLog::new();
    log.append("organisations", "o1", &json!({"name": "Acme"}));
    let world = World::new(&servers, "no-points", &log.settings());
    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    let _none = NoPoints::on(&world);
    let (code, found) = by_http(&world, &[("q".to_owned(), "acme".to_owned())]);
    assert!(code == 200 && found["total"] == 1, "{code} {found}");
    assert!(world.log().contains("too many Point In Time"), "{}", world.log());
    instance.signal("TERM");
    assert_eq!(instance.end(), Some(0));
}

/// A server that knows no user answers as OpenSearch's security plugin does: without JSON.
#[test]
fn credentials_that_are_not_known_end_the_run_with_1() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 401 Unauthorized\r\ncontent-type: text/plain\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: 12\r\n\r\nUnauthorized");
        }
    });
    let log = GrowingLog::new();
    log.append("organisations", "o1", &json!({"name": "Acme"}));
    let nowhere =
        services::Services { kafka: "127.0.0.1:1".to_owned(), elasticsearch: format!("http://{address}") };
    let world = World::new(&nowhere, "nobody", &format!("{}index.kind = \"opensearch\"\n", log.settings()));
    for command in [&["check"][..], &["run", "--until-end"]] {
        let output = world.run(command);
        let text = log_of(&output);
        assert!(output.status.code() == Some(1) && text.contains("check index.username"), "{text}");
    }
}

#[test]
fn an_address_that_the_server_cannot_hold_is_a_dead_letter_and_long_attributes_stay() {
    if !services::is_opensearch() {
        return;
    }
    let event = json!({"name": "Acme", "address": {"street": "x".repeat(40_000)}});
    let (log, world, _turn) = world("long", event, "");
    log.append("organisations", "o2", &json!({"name": "Acme", "note": "x".repeat(40_000)}));
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("organisations").keys().collect::<Vec<_>>(), ["o2"]);
    let reasons: Vec<String> =
        world.dead_letters().iter().map(|letter| letter["reason"].to_string()).collect();
    assert!(reasons.len() == 1 && reasons[0].contains("organisations/o1"), "{reasons:?}");
}
