//! The time of indexing, beside the least that it can take: `cargo bench --bench indexing`.
//!
//! Variables of the environment, with their defaults:
//!
//! - `BENCH_SIZE` (`L`: 100 000 organisations, 1 000 000 contacts, 2 000 000 events). `S` is a fifth of it.
//! - `BENCH_ORGANISATIONS`, `BENCH_CONTACTS` and `BENCH_EVENTS` set each of them.
//! - `BENCH_ROUNDS` (3).
//! - The raw side has `BENCH_BULK_BYTES` (2 MiB of documents, as ours) and `BENCH_CONNECTIONS` (3).
//! - The live part has `BENCH_PROBES` (200), `BENCH_SECONDS` (120), `BENCH_GIANT` (50 000) and `BENCH_STORM` (100 000).
//! - `BENCH_PARTS` (`stages,rebuilds,live`) leaves parts out, and `BENCH_SOURCES` (`state,log`) sources of the rebuilds.
//! - The part `layouts` measures `layout = "join"` beside `nested`. It comes only where `BENCH_PARTS` names it, and needs
//!   `TRIBUTARY_ENGINE=opensearch`.
//! - `BENCH_PERF=1` counts instructions as well.
//!
//! The real servers are brought up by `scripts/services`. All figures are of one run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bodies;
#[path = "../shared/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../../harness.rs"]
mod harness;
mod layouts;
mod live;
mod perf;
#[path = "../shared/queries.rs"]
mod queries;
mod raw;
mod rebuild;
mod report;
mod server;
#[allow(dead_code)]
#[path = "../../services.rs"]
mod services;
mod stages;
mod targets;
mod topics;

use std::process::ExitCode;
use std::time::Instant;

use serde_json::Value;

use bodies::Bodies;
use harness::{PROJECTIONS, World, eventually};
use report::Row;
use server::Server;
use topics::Topics;

/// A value, or the fault in a sentence with advice.
type Result<T> = std::result::Result<T, String>;

/// Documents of each projection.
type Counts = [u64; PROJECTIONS.len()];

/// The program's own, so that the measured code is the code that users run.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

struct Sizes {
    organisations: u64,
    contacts: u64,
    events: u64,
    rounds: u64,
    bulk_bytes: usize,
    connections: usize,
    parts: String,
    sources: String,
    live: live::Population,
}

impl Sizes {
    fn read() -> Result<Self> {
        let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let [organisations, contacts, events] = match std::env::var("BENCH_SIZE").as_deref().unwrap_or("L") {
            "L" => [100_000, 1_000_000, 2_000_000],
            "S" => [20_000, 200_000, 400_000],
            other => return Err(format!("BENCH_SIZE is {other:?}; write S or L")),
        };
        let [organisations, contacts] = [size("ORGANISATIONS", organisations)?, size("CONTACTS", contacts)?];
        let (rounds, probes, seconds) = (size("ROUNDS", 3)?, size("PROBES", 200)?, size("SECONDS", 120)?);
        let (giant, storm) = (size("GIANT", 50_000)?, size("STORM", 100_000)?);
        let sizes = Self {
            organisations,
            contacts,
            events: size("EVENTS", events)?,
            rounds,
            bulk_bytes: whole(size("BULK_BYTES", 2 << 20)?),
            connections: whole(size("CONNECTIONS", 3)?),
            parts: std::env::var("BENCH_PARTS").unwrap_or_else(|_| "stages,rebuilds,live".to_owned()),
            sources: std::env::var("BENCH_SOURCES").unwrap_or_else(|_| "state,log".to_owned()),
            live: live::Population { organisations, contacts, probes, rounds, seconds, giant, storm },
        };
        if sizes.events < sizes.organisations + sizes.contacts {
            return Err(format!(
                "{} events do not create {} organisations and {} contacts; raise BENCH_EVENTS",
                sizes.events, sizes.organisations, sizes.contacts
            ));
        }
        Ok(sizes)
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.split(',').any(|wanted| wanted == part)
    }
}

fn size(name: &str, default: u64) -> Result<u64> {
    let Ok(text) = std::env::var(format!("BENCH_{name}")) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("BENCH_{name} is {text:?}; write a number above 0, such as {default}"))
}

fn main() -> ExitCode {
    let measured = match stages::asked() {
        Some(stage) => stages::one(&stage),
        None => measure(),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("indexing: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let sizes = Sizes::read()?;
    let (servers, _turn) = services::whole();
    let mut topics = Topics::new(&servers.kafka);
    let world = World::new(&servers, "indexing", &topics.settings());
    topics.group = format!("{}group", world.prefix);
    eprintln!(
        "topics {}, indexes {}*, files in {}: deleted at the end; delete them yourself if this is broken off",
        topics.names.join(" and "),
        world.prefix,
        world.folder.path().display()
    );
    let server = Server::new(&servers.elasticsearch)?;
    let machine = server.machine()?;
    generate(&world, &sizes)?;
    let first = indexed(&world, &server)?;
    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    let mut rows = Vec::new();
    let (mut folds, mut prepared) = (Vec::new(), None);
    if sizes.wants("rebuilds") {
        // A server that was started just now compiles its own program for minutes, which slows every measurement of
        // that time.
        eprintln!("the server is warmed up, not measured:");
        this_round(&world, &server, &sizes, &["state", "state"], &mut prepared)?;
    } else {
        rows.push(first);
    }
    for _ in 0..sizes.rounds {
        if sizes.wants("stages") {
            folds.extend(stages::run(&world)?);
        }
        if sizes.wants("rebuilds") {
            let beside = World::new(&servers, "beside", &topics.settings());
            rows.push(indexed(&beside, &server)?);
            // Its indexes are merged still, and go with it.
            drop(beside);
            let sources: Vec<&str> = sizes.sources.split(',').collect();
            rows.extend(this_round(&world, &server, &sizes, &sources, &mut prepared)?);
        }
    }
    report::check(&rows)?;
    stages::print(&folds);
    report::print(&rows, &machine, sizes.connections);
    report::print_pairs(&rows);
    report::print_executed(&rows);
    let live = if sizes.wants("live") {
        let measured = live::run(&world, &server, &topics, &instance, sizes.live)?;
        measured.print();
        Some(measured)
    } else {
        None
    };
    targets::print(&folds, &rows, live.as_ref());
    // The group can be deleted once its member has left.
    instance.signal("TERM");
    instance.end();
    if sizes.wants("layouts") {
        layouts::print(&layouts::run(&servers, &topics, &server, &sizes)?);
    }
    Ok(())
}

fn generate(world: &World, sizes: &Sizes) -> Result<()> {
    let counts = [sizes.organisations, sizes.contacts, sizes.events].map(|count| count.to_string());
    let [organisations, contacts, events] = counts.each_ref();
    let generate =
        ["generate", "--kafka", "--organisations", organisations, "--contacts", contacts, "--events", events];
    told("generated", || rebuild::finish(world, &generate))
}

/// A state and indexes from nothing.
fn indexed(world: &World, server: &Server) -> Result<Row> {
    server.wait_for_merges();
    let row = told("indexed", || rebuild::measured(world, server, &["run", "--until-end"]))?;
    let indexes = PROJECTIONS.map(|name| world.index(name));
    let (counts, state) = (server.counts(&indexes)?, rebuild::folder_bytes(&world.path("state")));
    Ok(Row { counts, writes: Some(server.writes(&indexes)?), state_bytes: Some(state), ..row })
}

/// Each rebuild is followed by a raw run, so that a change of the machine's speed falls on both. Each begins once the
/// server has merged the earlier writes.
fn this_round(
    world: &World,
    server: &Server,
    sizes: &Sizes,
    sources: &[&str],
    prepared: &mut Option<Bodies>,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for from in sources {
        rows.push(told(from, || rebuilt(world, server, from))?);
        let bodies = match prepared.take() {
            Some(bodies) => bodies,
            None => told("prepared", || Bodies::prepare(world, server, sizes.bulk_bytes))?,
        };
        rows.push(told("raw", || raw::run(world, server, &bodies, sizes.connections))?);
        *prepared = Some(bodies);
    }
    Ok(rows)
}

fn rebuilt(world: &World, server: &Server, from: &str) -> Result<Row> {
    server.wait_for_merges();
    let row = rebuild::run(world, server, from)?;
    let indexes = world.indexes_behind();
    eventually("the instance writes the new indexes", || {
        let status: Value = serde_json::from_str(&world.get("/status").1).ok()?;
        let adopted = PROJECTIONS.iter().all(|name| status["indexes"][name] == indexes[name]);
        adopted.then_some(())
    });
    world.wait_until_delivered();
    rebuild::finish(world, &["reindex", "--prune"])?;
    let indexes = PROJECTIONS.map(|name| indexes[name].clone());
    Ok(Row { counts: server.counts(&indexes)?, writes: Some(server.writes(&indexes)?), ..row })
}

/// Says how long it took, preparations included; those who wait want to see that it goes on.
fn told<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let done = work()?;
    eprintln!("{what}: {:.1} s", began.elapsed().as_secs_f64());
    Ok(done)
}
