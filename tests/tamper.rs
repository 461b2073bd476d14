//! Foreign writes and deletes, made in an index behind Tributary's back.

use std::process::Command;

use elasticsearch::http::Method;
use elasticsearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::Transport;
use serde_json::{Value, json};
use tributary::app;
use tributary::config::Config;
use tributary::engine::embedded::EmbeddedSink;
use tributary::plan::Projection;
use tributary::sink::generations::{Aliases, Generations};
use tributary::sink::{Batch, Buffer, DocumentSink, Outcome};

use crate::harness::{World, eventually, runtime};

/// A foreign act on one document.
pub enum Act {
    Delete,
    Put(u64, Value),
}

/// Above every position of these logs.
pub const HIGH: u64 = 1_000_000_000;

pub fn config(world: &World) -> Config {
    let mut config =
        Config::load(&app::kinds(), Some(&world.config_path()), std::iter::empty(), &Vec::new()).unwrap();
    config.index.path = world.folder.path().join(&config.index.path);
    config
}

/// Does `acts` to the documents of a projection.
pub fn tamper(world: &World, projection: &str, acts: &[(String, Act)]) {
    if world.config.contains("index.kind = \"embedded\"") {
        tamper_embedded(world, projection, acts);
    } else {
        acts.chunks(2_000).for_each(|acts| tamper_elasticsearch(world, projection, acts));
    }
}

fn tamper_elasticsearch(world: &World, projection: &str, acts: &[(String, Act)]) {
    let mut body = String::new();
    for (id, act) in acts {
        match act {
            Act::Delete => body.push_str(&format!("{}\n", json!({"delete": {"_id": id}}))),
            Act::Put(version, document) => {
                let meta = json!({"_id": id, "version": version, "version_type": "external_gte"});
                body.push_str(&format!("{}\n{document}\n", json!({"index": meta})));
            }
        }
    }
    let path = format!("/{}/_bulk", world.index(projection));
    let answer: Value = runtime().block_on(async {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let transport = Transport::single_node(&world.services.elasticsearch).unwrap();
        let sent = transport.send(Method::Post, &path, headers, None::<&()>, Some(body), None).await.unwrap();
        sent.json().await.unwrap()
    });
    assert_eq!(answer["errors"], false, "{answer}");
}

fn tamper_embedded(world: &World, projection: &str, acts: &[(String, Act)]) {
    let config = config(world);
    let index = runtime().block_on(async {
        let projection = config.plan().projection(projection).unwrap();
        let sink = EmbeddedSink::new(&config.index, &[projection]).unwrap();
        let indexes = sink.indexes_behind().await.unwrap();
        let index = indexes[&projection].clone();
        sink.target(indexes).await.unwrap();
        write(&sink, projection, acts).await;
        index
    });
    // A process that another test begins at this moment holds the lock too, until it has become its own program.
    let lock = world.path("index").join(index).join(".tantivy-writer.lock");
    eventually("the lock of the index is free", || {
        let tried = Command::new("flock").arg("-n").arg(&lock).arg("true").status().unwrap();
        tried.success().then_some(())
    });
}

async fn write(sink: &EmbeddedSink, projection: Projection, acts: &[(String, Act)]) {
    // A delete is forgotten once it is committed, so that a lower version can follow.
    for deletes in [true, false] {
        let mut batch = Batch::new(projection, Buffer::default());
        for (id, act) in acts {
            let (version, document) = match act {
                Act::Delete => (HIGH, None),
                Act::Put(version, document) => (*version, Some(document.to_string())),
            };
            if document.is_none() == deletes {
                let make = |out: &mut Vec<u8>| {
                    out.extend(document.iter().flat_map(|document| document.bytes()));
                    Ok(document.is_some())
                };
                batch.push(id.as_str().into(), [version; 2], make).unwrap();
            }
        }
        let outcomes = sink.write(batch).await;
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Done), "{outcomes:?}");
    }
}
