//! The raw side: bodies that lie ready, sent as fast as the server takes them.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::Result;
use crate::bodies::{Bodies, Waiting, raw_index, writer_alias};
use crate::harness::{PROJECTIONS, World};
use crate::perf;
use crate::rebuild::cpu_seconds;
use crate::report::Row;
use crate::server::Server;

/// The settings that the server adds to an index's own, and does not take at its creation.
const GIVEN: [&str; 5] = ["uuid", "creation_date", "provided_name", "version", "routing"];

/// Fills fresh indexes, and deletes them.
pub fn run(world: &World, server: &Server, bodies: &Bodies, connections: usize) -> Result<Row> {
    let indexes = PROJECTIONS.map(|projection| raw_index(world, projection));
    for projection in PROJECTIONS {
        create(world, server, projection)?;
    }
    let senders = (0..connections).map(|_| server.another()).collect::<Result<Vec<_>>>()?;
    let waiting = Mutex::new(bodies.open()?);
    server.wait_for_merges();
    let counting = server.counting()?;
    let cpu = [own_seconds(), server.cpu_seconds()?];
    let began = Instant::now();
    send(world, &senders, &waiting)?;
    let sent = began.elapsed();
    server.ask(Method::Post, &format!("/{}/_refresh", indexes.join(",")), None)?;
    let took = began.elapsed();
    let cpu = [own_seconds() - cpu[0], server.cpu_seconds()? - cpu[1]];
    let executed = [None, perf::ended(counting)?];
    let counts = server.counts(&indexes)?;
    if counts != bodies.counts {
        return Err(format!(
            "the raw indexes hold {counts:?} documents of {PROJECTIONS:?}, {:?} were read back; look for another \
             program that writes there, and begin again",
            bodies.counts
        ));
    }
    server.ask(Method::Delete, &format!("/{}", indexes.join(",")), None)?;
    let parts = vec![("sending".to_owned(), sent), ("refresh".to_owned(), took - sent)];
    let what = format!("raw, {} bodies, {} MB", bodies.len(), bodies.bytes() >> 20);
    Ok(Row {
        what,
        is_raw: true,
        took,
        parts,
        counts,
        peak_kilobytes: None,
        cpu,
        executed,
        writes: None,
        state_bytes: None,
    })
}

/// The processor time of this process.
fn own_seconds() -> f64 {
    cpu_seconds("self").unwrap_or(0.0)
}

/// An index like the one behind the alias, with the settings that a rebuild loads with.
fn create(world: &World, server: &Server, projection: &str) -> Result<()> {
    let live = world.index(projection);
    let mut found = server.ask(Method::Get, &format!("/{live}"), None)?;
    let mut settings = found[&live]["settings"]["index"].take();
    if let Some(settings) = settings.as_object_mut() {
        settings.retain(|name, _| name != "auto_expand_replicas" && !GIVEN.contains(&name.as_str()));
    }
    settings["refresh_interval"] = json!("-1");
    settings["number_of_replicas"] = json!("0");
    let alias = writer_alias(world, projection);
    let body = json!({
        "settings": {"index": settings},
        "mappings": found[&live]["mappings"].take(),
        "aliases": {alias: {}},
    });
    let path = format!("/{}", raw_index(world, projection));
    let made: Value = server.ask(Method::Put, &path, Some(&body))?;
    if made["shards_acknowledged"] == true {
        return Ok(());
    }
    Err(format!("the index {path} is made and its shard is not there: {made}; look at the server's log"))
}

fn send(world: &World, senders: &[Server], waiting: &Mutex<Waiting>) -> Result<()> {
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let send_all = |sender: &Server| {
        while let Some((projection, body)) = next()? {
            sender.bulk(Some(&writer_alias(world, projection)), body, true).inspect_err(|_| {
                waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
            })?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = senders.iter().map(|sender| scope.spawn(|| send_all(sender))).collect();
        let ended: Vec<Result<()>> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a sender broke off".to_owned())))
            .collect();
        ended.into_iter().collect()
    })
}
