//! Time of a rebuild against the time of sending the same bodies with nothing before them:
//! `cargo bench --bench rebuild`.
//!
//! Sizes by the environment: `BENCH_ORGANISATIONS` (100 000), `BENCH_CONTACTS` (1 000 000), `BENCH_EVENTS`
//! (2 000 000), `BENCH_ROUNDS` (1), and of the raw side `BENCH_BULK_BYTES` (2 MiB of documents, as ours) and
//! `BENCH_CONNECTIONS` (2). The real servers are brought up by `scripts/services`. All figures are of one run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bodies;
#[allow(dead_code)]
#[path = "../../tests/harness.rs"]
mod harness;
mod raw;
mod rebuild;
mod report;
mod server;
#[allow(dead_code)]
#[path = "../../tests/services.rs"]
mod services;
mod stages;
mod topics;

use std::process::ExitCode;
use std::time::Instant;

use serde_json::Value;

use bodies::Bodies;
use harness::{PROJECTIONS, World, eventually};
use report::Row;
use server::Server;
use topics::Topics;

/// What went wrong, and what to do.
type Result<T> = std::result::Result<T, String>;

/// Documents of each projection.
type Counts = [u64; PROJECTIONS.len()];

struct Sizes {
    organisations: u64,
    contacts: u64,
    events: u64,
    rounds: u64,
    bulk_bytes: usize,
    connections: usize,
}

impl Sizes {
    fn read() -> Result<Self> {
        let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let sizes = Self {
            organisations: size("ORGANISATIONS", 100_000)?,
            contacts: size("CONTACTS", 1_000_000)?,
            events: size("EVENTS", 2_000_000)?,
            rounds: size("ROUNDS", 1)?,
            bulk_bytes: whole(size("BULK_BYTES", 2 << 20)?),
            connections: whole(size("CONNECTIONS", 2)?),
        };
        if sizes.events < sizes.organisations + sizes.contacts {
            return Err(format!(
                "{} events do not create {} organisations and {} contacts; raise BENCH_EVENTS",
                sizes.events, sizes.organisations, sizes.contacts
            ));
        }
        Ok(sizes)
    }
}

fn size(name: &str, default: u64) -> Result<u64> {
    let Ok(text) = std::env::var(format!("BENCH_{name}")) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("BENCH_{name} is {text:?}; write a number above 0, such as {default}"))
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("rebuild: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let sizes = Sizes::read()?;
    let (servers, _turn) = services::whole();
    let mut topics = Topics::new(&servers.kafka);
    let world = World::new(&servers, "rebuild", &topics.settings());
    topics.group = format!("{}group", world.prefix);
    eprintln!(
        "topics {}, indexes {}*, files in {}: deleted at the end; delete them yourself if this is broken off",
        topics.names.join(" and "),
        world.prefix,
        world.folder.path().display()
    );
    let server = Server::new(&servers.elasticsearch)?;
    let machine = server.machine()?;
    let first = first_index(&world, &server, &sizes)?;
    let stages = stages::run(&world)?;
    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    let counts = server.counts(&PROJECTIONS.map(|name| world.index(name)))?;
    let mut rows = vec![Row { counts, ..first }];
    rows.extend(rounds(&world, &server, &sizes)?);
    report::check(&rows)?;
    stages::print(&stages);
    report::print(&rows, &machine, sizes.connections);
    // The group can be deleted once its member has left.
    instance.signal("TERM");
    instance.end();
    Ok(())
}

/// The log, the state and the indexes that are rebuilt; it warms the servers up, too.
fn first_index(world: &World, server: &Server, sizes: &Sizes) -> Result<Row> {
    let counts = [sizes.organisations, sizes.contacts, sizes.events].map(|count| count.to_string());
    let [organisations, contacts, events] = counts.each_ref();
    let generate =
        ["generate", "--kafka", "--organisations", organisations, "--contacts", contacts, "--events", events];
    told("generated", || rebuild::finish(world, &generate))?;
    told("indexed", || rebuild::measured(world, server, &["run", "--until-end"]))
}

/// Each rebuild is followed by a raw run: what the machine does meanwhile falls on both.
fn rounds(world: &World, server: &Server, sizes: &Sizes) -> Result<Vec<Row>> {
    let (mut rows, mut prepared) = (Vec::new(), None);
    for _ in 0..sizes.rounds {
        for from in ["state", "log"] {
            rows.push(told(from, || rebuilt(world, server, from))?);
            let bodies = match prepared.take() {
                Some(bodies) => bodies,
                None => told("prepared", || Bodies::prepare(world, server, sizes.bulk_bytes))?,
            };
            rows.push(told("raw", || raw::run(world, server, &bodies, sizes.connections))?);
            prepared = Some(bodies);
        }
    }
    Ok(rows)
}

fn rebuilt(world: &World, server: &Server, from: &str) -> Result<Row> {
    let row = rebuild::run(world, server, from)?;
    let indexes = world.indexes_behind();
    eventually("the instance writes the new indexes", || {
        let status: Value = serde_json::from_str(&world.get("/status").1).ok()?;
        let adopted = PROJECTIONS.iter().all(|name| status["indexes"][name] == indexes[name]);
        adopted.then_some(())
    });
    world.wait_until_delivered();
    rebuild::finish(world, &["reindex", "--prune"])?;
    let counts = server.counts(&PROJECTIONS.map(|name| indexes[name].clone()))?;
    Ok(Row { counts, ..row })
}

/// Says how long it took, preparations included; those who wait want to see that it goes on.
fn told<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let done = work()?;
    eprintln!("{what}: {:.1} s", began.elapsed().as_secs_f64());
    Ok(done)
}
