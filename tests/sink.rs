//! The Elasticsearch sink against a real server.

use std::path::PathBuf;

use elasticsearch::http::Method;
use serde_json::{Value, json};
use tributary::app;
use tributary::config::{Config, IndexConfig, Refresh};
use tributary::engine::elasticsearch::ElasticsearchSink;
use tributary::plan::CONTACTS;
use tributary::sink::{Batch, Buffer, DocumentSink, Outcome};

use crate::harness::{AutoCreate, World, runtime};
use crate::services;

fn config(world: &World, url: &str) -> IndexConfig {
    let IndexConfig { kind, derived, .. } = Config::defaults(&app::kinds(), &Vec::new()).unwrap().index;
    IndexConfig {
        derived,
        plan: tributary::plan::builtin(),
        kind,
        urls: vec![url.to_owned()],
        username: None,
        password: None,
        api_key: None,
        ca_certificate: None,
        path: PathBuf::new(),
        prefix: world.prefix.clone(),
        mappings: world.path("mappings"),
        projections: vec!["contacts".to_owned()],
        refresh: Refresh::Adaptive,
        max_embedded_contacts: 10,
    }
}

fn sink(world: &World) -> ElasticsearchSink {
    ElasticsearchSink::new(&config(world, &world.services.elasticsearch), &[CONTACTS]).unwrap()
}

fn batch(writes: &[(&str, u64, Option<Value>)]) -> Batch {
    let mut batch = Batch::new(CONTACTS, Buffer::default());
    for (id, version, document) in writes {
        let make = |out: &mut Vec<u8>| {
            out.extend(document.iter().flat_map(|document| document.to_string().into_bytes()));
            Ok(document.is_some())
        };
        batch.push((*id).into(), [*version; 2], make).unwrap();
    }
    batch
}

#[test]
fn each_write_of_a_request_is_judged_by_itself() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "judged", "");
    let sink = sink(&world);
    runtime().block_on(async {
        assert!(sink.open("log").await.unwrap()[0].created);
        let first = batch(&[("a", 7, Some(json!({"id": "a"}))), ("b", 7, Some(json!({"id": "b"})))]);
        assert_eq!(sink.write(first).await, [Outcome::Done, Outcome::Done]);
        let mixed = batch(&[
            ("a", 5, Some(json!({"id": "a", "role": "older"}))),
            ("b", 7, Some(json!({"id": "b", "role": "repeated"}))),
            ("c", 8, Some(json!({"id": "c", "unmapped": true}))),
            ("d", 8, Some(json!({"id": "d"}))),
            ("b", 9, None),
            ("e", 9, None),
            ("a", 6, None),
        ]);
        let outcomes = sink.write(mixed).await;
        assert_eq!(outcomes[0], Outcome::Conflict { stored: Some(7) });
        assert_eq!(outcomes[1], Outcome::Done);
        assert!(
            matches!(&outcomes[2], Outcome::Rejected(reason) if reason.contains("unmapped")),
            "{outcomes:?}"
        );
        assert_eq!(outcomes[3..6], [Outcome::Done, Outcome::Done, Outcome::Done]);
        assert_eq!(outcomes[6], Outcome::Conflict { stored: Some(7) });
        sink.refresh().await.unwrap();
    });
    let documents = world.documents("contacts");
    assert_eq!(documents.keys().collect::<Vec<_>>(), ["a", "d"]);
}

#[test]
fn no_write_makes_an_index_in_place_of_a_deleted_one() {
    let (servers, _turn) = services::alone();
    let _auto_create = AutoCreate::on(&servers);
    let world = World::new(&servers, "index-gone", "");
    let sink = sink(&world);
    runtime().block_on(async { sink.open("log").await.unwrap() });
    let index = world.index("contacts");
    world.es(Method::Delete, &format!("/{index}"), None);
    for body in [Some(json!({"id": "a"})), None] {
        let outcomes = runtime().block_on(sink.write(batch(&[("a", 1, body)])));
        assert!(matches!(&outcomes[0], Outcome::Gone(reason) if reason.contains(&index)), "{outcomes:?}");
    }
    let error = runtime().block_on(sink.refresh()).unwrap_err();
    assert!(error.exit_code() == 1 && error.to_string().contains(&index), "{error}");
    assert_eq!(world.indexes(), Vec::<String>::new());
}

#[test]
fn an_index_that_lost_its_alias_for_writing_gets_it_back() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "no-writer", "");
    let sink = sink(&world);
    runtime().block_on(async { sink.open("log").await.unwrap() });
    let index = world.index("contacts");
    world.es(Method::Delete, &format!("/{index}/_alias/{index}.WRITE"), None);
    let one = || batch(&[("a", 1, Some(json!({"id": "a"})))]);
    assert!(matches!(runtime().block_on(sink.write(one()))[0], Outcome::Gone(_)));
    runtime().block_on(async {
        assert!(!sink.open("log").await.unwrap()[0].created);
        assert_eq!(sink.write(one()).await, [Outcome::Done]);
    });
}

#[test]
fn ids_come_in_pages() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "ids", "");
    let sink = sink(&world);
    let ids = runtime().block_on(async {
        sink.open("log").await.unwrap();
        let names: Vec<String> = (0..12_000).map(|n| format!("{n:05}")).collect();
        let writes: Vec<_> = names.iter().map(|id| (id.as_str(), 1, Some(json!({"id": id})))).collect();
        assert!(sink.write(batch(&writes)).await.iter().all(|outcome| *outcome == Outcome::Done));
        sink.refresh().await.unwrap();
        let (mut ids, mut cursor) = (Vec::new(), None);
        loop {
            let page = sink.ids(CONTACTS, cursor).await.unwrap();
            ids.extend(page.ids);
            cursor = page.cursor;
            if cursor.is_none() {
                break ids;
            }
        }
    });
    let mut ids = ids;
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 12_000);
}

#[test]
fn an_index_of_another_mapping_or_log_is_not_written() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "meta", "");
    runtime().block_on(async {
        let opened = sink(&world).open("log").await.unwrap();
        assert!(!sink(&world).open("log").await.unwrap()[0].created);
        let error = sink(&world).open("another log").await.unwrap_err();
        assert_eq!(error.exit_code(), 1, "{error}");
        std::fs::create_dir_all(world.path("mappings")).unwrap();
        let own = json!({"settings": {}, "mappings": {"dynamic": "strict", "properties": {"id": {"type": "keyword"}}}});
        std::fs::write(world.path("mappings/contacts.json"), own.to_string()).unwrap();
        let error = sink(&world).open("log").await.unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("tributary reindex contacts"), "{error}");
        assert!(opened[0].index.starts_with(&format!("{}contacts-2", world.prefix)), "{opened:?}");
    });
}

#[test]
fn a_server_that_is_not_there_is_tried_again() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "gone", "");
    let sink = sink(&world);
    runtime().block_on(async {
        sink.open("log").await.unwrap();
        let nowhere = ElasticsearchSink::new(&config(&world, "http://127.0.0.1:9"), &[CONTACTS]).unwrap();
        assert!(nowhere.open("log").await.is_err());
        let outcomes = nowhere.write(batch(&[("a", 1, None)])).await;
        assert!(
            matches!(outcomes[0], Outcome::Retry(_)) || matches!(outcomes[0], Outcome::Rejected(_)),
            "{outcomes:?}"
        );
    });
}

#[test]
fn a_document_over_the_servers_limit_is_rejected_with_a_reason_and_the_others_arrive() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "large", "");
    let sink = sink(&world);
    runtime().block_on(async {
        sink.open("log").await.unwrap();
        let huge = json!({"id": "b", "attributes": {"x": "y".repeat(101 << 20)}});
        let writes =
            [("a", 1, Some(json!({"id": "a"}))), ("b", 1, Some(huge)), ("c", 1, Some(json!({"id": "c"})))];
        let outcomes = sink.write(batch(&writes)).await;
        assert_eq!((&outcomes[0], &outcomes[2]), (&Outcome::Done, &Outcome::Done));
        assert!(matches!(&outcomes[1], Outcome::Rejected(reason) if reason.contains("max_content_length")));
    });
}

#[test]
fn values_that_no_index_can_use_stay_in_the_document() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "odd", "");
    let sink = sink(&world);
    let long = "x".repeat(40_000);
    let document = json!({
        "id": "a", "name": long, "email": long, "tags": [long], "createdAt": "no date",
        "attributes": {"": 1, "k".repeat(1_000): long, "a..b": [1, {"c": null}], ".": 2},
        "_search": {"words": long},
    });
    runtime().block_on(async {
        sink.open("log").await.unwrap();
        assert_eq!(sink.write(batch(&[("a", 1, Some(document.clone()))])).await, [Outcome::Done]);
        sink.refresh().await.unwrap();
    });
    let found = world.es(Method::Get, &format!("/{}/_doc/a", world.index("contacts")), None);
    assert_eq!(found["_source"], document);
}

#[test]
fn numbers_of_any_size_stay_in_the_document_up_to_a_thousand_digits() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "numbers-sunk", "");
    let sink = sink(&world);
    let document = |id: &str, number: &str| -> Value {
        let fields = format!(r#"{{"{id}":{number},"of":[{{"it":{number}}}]}}"#);
        serde_json::from_str(&format!(r#"{{"id":"{id}","attributes":{fields}}}"#)).unwrap()
    };
    let nines = |count: usize| "9".repeat(count);
    let taken =
        [("a", "1e+400".to_owned()), ("b", nines(1_000)), ("c", format!("-0.{}e-{}", nines(990), nines(9)))];
    runtime().block_on(async {
        sink.open("log").await.unwrap();
        for (id, number) in &taken {
            let outcomes = sink.write(batch(&[(id, 1, Some(document(id, number)))])).await;
            assert_eq!(outcomes, [Outcome::Done], "{number}");
        }
        // Decoding refuses a number that the server does not take.
        let outcomes = sink.write(batch(&[("d", 1, Some(document("d", &nines(1_001))))])).await;
        assert!(matches!(outcomes[0], Outcome::Rejected(_)), "{outcomes:?}");
    });
    for (id, number) in &taken {
        let found = world.es(Method::Get, &format!("/{}/_doc/{id}", world.index("contacts")), None);
        assert_eq!(found["_source"], document(id, number));
    }
}
