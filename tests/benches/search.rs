//! Latency of search on both engines under live writes: `cargo bench --bench search`.
//!
//! Sizes by the environment: `BENCH_ORGANISATIONS` (100 000), `BENCH_CONTACTS`
//! (1 000 000), `BENCH_PROBES` (300 of each kind), `BENCH_RATE` (100 writes a second).
//! The real Elasticsearch is brought up by `scripts/services`. All figures are of one run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[allow(dead_code)]
#[path = "shared/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../harness.rs"]
mod harness;
#[path = "shared/queries.rs"]
mod queries;
#[allow(dead_code)]
#[path = "../services.rs"]
mod services;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use elasticsearch::http::Method;
use serde_json::{Value, json};

use client::{Client, percentile};
use harness::World;
use queries::{queries, timed};

fn size(name: &str, default: u32) -> u32 {
    std::env::var(format!("BENCH_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Appends changes of contacts at a rate until told to stop; the number of lines so far.
fn write_on(folder: &Path, contacts: u32, rate: u32, stop: Arc<AtomicBool>, lines: Arc<AtomicUsize>) {
    let path = folder.join("contacts.jsonl");
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut sequence = 1_000_000_u64;
    while !stop.load(Ordering::Relaxed) {
        let id = format!("con-{:07}", random.u32(..contacts));
        sequence += 1;
        let event = json!({"specversion": "1.0", "id": sequence.to_string(), "source": "bench", "type": "contact.updated",
            "subject": id, "sequence": sequence.to_string(), "data": {"role": format!("Role {}", random.u8(..20))}});
        writeln!(file, "{}", json!({"key": id, "value": event})).unwrap();
        lines.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(1) / rate);
    }
}

fn report(engine: &str, kind: &str, mut times: Vec<Duration>, found: u64) {
    times.sort();
    println!(
        "| {engine} | {kind} | {} | {:.1} | {:.1} | {:.1} | {} |",
        times.len(),
        percentile(&times, 0.5),
        percentile(&times, 0.99),
        times.last().unwrap().as_secs_f64() * 1_000.0,
        found / times.len() as u64
    );
}

/// The plain query beside which three words are timed. Each word stands in the organisation or in one of its contacts.
fn plain(words: &str) -> Value {
    let word = |word: &str| {
        let matches = |field: &str| json!({"match": {field: {"query": word, "fuzziness": "AUTO"}}});
        let contact =
            json!({"nested": {"path": "contacts", "score_mode": "max", "query": matches("contacts.name")}});
        json!({"dis_max": {"queries": [matches("name"), contact]}})
    };
    let each: Vec<Value> = words.split(' ').map(word).collect();
    json!({"size": 10, "_source": {"excludes": ["contacts"]}, "track_total_hits": true, "query": {"bool": {"must": each}}})
}

/// The plain query for the words of each path, asked of the server itself.
fn measure_plain(engine: &str, world: &World, paths: &[String]) {
    let words = |path: &String| path.rsplit("q=").next().unwrap_or_default().replace('+', " ");
    let bodies: Vec<Value> = paths.iter().map(|path| plain(&words(path))).collect();
    let (index, mut found) = (world.index("organisations"), 0);
    let mut ask = |body: &Value| {
        let began = Instant::now();
        let answer = world.es(Method::Post, &format!("/{index}/_search"), Some(body));
        found += answer["hits"]["total"]["value"].as_u64().unwrap();
        began.elapsed()
    };
    for body in bodies.iter().take(20) {
        ask(body);
    }
    let times: Vec<Duration> = bodies.iter().map(ask).collect();
    report(engine, "three words, a plain query", times, found);
}

fn measure(engine: &str, world: &World, folder: &Path, organisations: u32, contacts: u32) {
    let (probes, rate) = (size("PROBES", 300), size("RATE", 100));
    let stop = Arc::new(AtomicBool::new(false));
    let before = std::fs::read_to_string(folder.join("contacts.jsonl")).unwrap().lines().count();
    let lines = Arc::new(AtomicUsize::new(before));
    let writer = {
        let (folder, stop, lines) = (folder.to_owned(), Arc::clone(&stop), Arc::clone(&lines));
        std::thread::spawn(move || write_on(&folder, contacts, rate, stop, lines))
    };
    let address = std::fs::read_to_string(world.path("state/instance")).unwrap();
    let mut client = Client::connect(address.trim()).unwrap();
    for (kind, paths) in queries(&mut client, organisations, probes) {
        let (times, found) = queries::measure(&mut client, &paths);
        report(engine, kind, times, found);
        if kind == "three words" && engine == "Elasticsearch" {
            measure_plain(engine, world, &paths);
        }
    }
    let times = (0..probes).map(|_| {
        let began = Instant::now();
        let token = lines.load(Ordering::Relaxed) - 1;
        timed(&mut client, &format!("/search?size=1&consistent_with=contacts/0:{token}"));
        began.elapsed()
    });
    let times: Vec<Duration> = times.collect();
    let count = times.len() as u64;
    report(engine, "consistent_with the last record", times, count);
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

fn main() {
    let (organisations, contacts) = (size("ORGANISATIONS", 100_000), size("CONTACTS", 1_000_000));
    let (servers, _turn) = services::whole();
    println!("| engine | query | probes | p50 ms | p99 ms | max ms | hits |\n|---|---|---|---|---|---|---|");
    for engine in ["Elasticsearch", "embedded"] {
        let folder = tempfile::tempdir().unwrap();
        let extra = format!("source.kind = \"files\"\nsource.path = {:?}\n", folder.path());
        let world = if engine == "embedded" {
            World::embedded("bench", &extra)
        } else {
            World::new(&servers, "bench", &extra)
        };
        let counts =
            [organisations, contacts, (organisations + contacts) / 10 * 12].map(|count| count.to_string());
        let out = folder.path().to_str().unwrap();
        world.succeed(&[
            "generate",
            "--organisations",
            &counts[0],
            "--contacts",
            &counts[1],
            "--events",
            &counts[2],
            "--out",
            out,
        ]);
        let began = Instant::now();
        assert!(world.command(&["run", "--until-end"]).status().unwrap().success());
        let running = world.start(&["run"]);
        world.wait_until_delivered();
        eprintln!("{engine}: indexed in {:.1} s", began.elapsed().as_secs_f64());
        measure(engine, &world, folder.path(), organisations, contacts);
        drop(running);
    }
}
