//! The two layouts of an organisation's contacts, one after the other on the same log and the same server.

use std::time::Duration;

use crate::client::{Client, percentile};
use crate::harness::World;
use crate::live::{self, Steady};
use crate::queries::{measure, queries};
use crate::report::Row;
use crate::server::Server;
use crate::services::{self, Services};
use crate::topics::Topics;
use crate::{Result, Sizes, told};

/// The times of one kind of query, in the order of their length, and the hits of all.
struct Latency {
    kind: &'static str,
    times: Vec<Duration>,
    hits: u64,
}

/// The measurements of one layout.
pub struct Side {
    layout: &'static str,
    first_load: Row,
    steady: Steady,
    latencies: Vec<Latency>,
    rebuild: Row,
}

/// Both layouts.
pub fn run(servers: &Services, topics: &Topics, server: &Server, sizes: &Sizes) -> Result<Vec<Side>> {
    if !services::has_join() {
        return Err("this server lacks fields of the type `join`; set TRIBUTARY_ENGINE=opensearch".to_owned());
    }
    ["nested", "join"].into_iter().map(|layout| side(layout, servers, topics, server, sizes)).collect()
}

fn side(
    layout: &'static str,
    servers: &Services,
    topics: &Topics,
    server: &Server,
    sizes: &Sizes,
) -> Result<Side> {
    eprintln!("layout {layout}:");
    let settings = format!("{}index.layout = {layout:?}\n", topics.settings());
    let world = World::new(servers, layout, &settings);
    let first_load = crate::indexed(&world, server)?;
    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    let steady =
        told("steady state", || live::changes_of_contacts(&world, server, topics, &instance, sizes.live))?;
    eprintln!("{:.0} changes/s, {:.0} bytes for each", steady.rate, bytes_each(&steady));
    server.wait_for_merges();
    let latencies = told("queries", || latencies(&world, sizes))?;
    let rebuild = told("rebuild", || crate::rebuilt(&world, server, "state"))?;
    instance.signal("TERM");
    instance.end();
    Ok(Side { layout, first_load, steady, latencies, rebuild })
}

fn latencies(world: &World, sizes: &Sizes) -> Result<Vec<Latency>> {
    let address = std::fs::read_to_string(world.path("state/instance")).map_err(|error| error.to_string())?;
    let mut client = Client::connect(address.trim())?;
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let kinds = queries(&mut client, small(sizes.live.organisations), small(sizes.live.probes));
    let measured = kinds.into_iter().map(|(kind, paths)| {
        let (mut times, hits) = measure(&mut client, &paths);
        times.sort();
        Latency { kind, times, hits }
    });
    Ok(measured.collect())
}

fn bytes_each(steady: &Steady) -> f64 {
    steady.counted.bytes as f64 / steady.counted.records as f64
}

/// The tables, and the ratios of `join` to `nested`.
pub fn print(sides: &[Side]) {
    println!(
        "\n| layout | first load, s | changes/s | documents for each change | bytes for each change | CPU s, own | of the server | rebuild, s |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for side in sides {
        let Steady { rate, counted, cpu, .. } = &side.steady;
        println!(
            "| {} | {:.1} | {rate:.0} | {:.2} | {:.0} | {:.1} | {:.1} | {:.1} |",
            side.layout,
            side.first_load.took.as_secs_f64(),
            counted.documents as f64 / counted.records as f64,
            bytes_each(&side.steady),
            cpu[0],
            cpu[1],
            side.rebuild.took.as_secs_f64(),
        );
    }
    println!("\n| query | layout | probes | p50 ms | p99 ms | hits |\n|---|---|---|---|---|---|");
    for side in sides {
        for Latency { kind, times, hits } in &side.latencies {
            let (p50, p99) = (percentile(times, 0.5), percentile(times, 0.99));
            let count = times.len();
            println!(
                "| {kind} | {} | {count} | {p50:.1} | {p99:.1} | {} |",
                side.layout,
                hits / count as u64
            );
        }
    }
    if let [nested, join] = sides {
        println!(
            "\njoin by nested: changes/s {:.2} (target 3), bytes for each change {:.2} (target 0.2)\n",
            join.steady.rate / nested.steady.rate,
            bytes_each(&join.steady) / bytes_each(&nested.steady),
        );
    }
}
