//! A running instance under changes: the steady state, how fresh the search is, one giant organisation.

mod floor;
mod freshness;
mod gauge;
mod giant;
mod log;
mod same;
mod steady;
mod storm;

use crate::client::percentile;
use crate::harness::{Running, World};
use crate::server::Server;
use crate::topics::Topics;
use crate::{Result, told};

pub use freshness::Freshness;
pub use giant::Giant;
pub use steady::Steady;
pub use storm::Storm;

/// How many parts the steady state is told in.
const SLICES: usize = 6;

/// Who is there, and how many.
#[derive(Debug, Clone, Copy)]
pub struct Population {
    pub organisations: u64,
    pub contacts: u64,
    /// Probes of freshness, of each kind, and how often so many.
    pub probes: u64,
    pub rounds: u64,
    /// Seconds of the steady state.
    pub seconds: u64,
    /// Contacts of the giant.
    pub giant: u64,
    /// Contacts below the organisation that is renamed and moved at once.
    pub storm: u64,
}

/// The measurements of the live part.
pub struct Measurements {
    pub steady: Steady,
    pub freshness: Vec<Freshness>,
    /// The same documents written, refreshed and found by a bare client.
    pub same: Vec<Vec<std::time::Duration>>,
    pub giant: Vec<Giant>,
    /// Beside half the highest rate, and beside the whole of it.
    pub storms: Vec<Storm>,
}

/// All of it, on the log and the indexes that are there.
pub fn run(
    world: &World,
    server: &Server,
    topics: &Topics,
    instance: &Running,
    population: Population,
) -> Result<Measurements> {
    let mut place = Place::new(world, topics, instance, population)?;
    let (mut freshness, mut same) = (Vec::new(), Vec::new());
    for _ in 0..population.rounds {
        freshness.push(fresh(&mut place, server, None)?);
        same.push(told("the same documents by a bare client", || same::run(&place, server))?);
    }
    let steady =
        told("steady state", || steady::run(&mut place, server, steady::Changes::new(population, 7)))?;
    eprintln!("{:.0} events/s", steady.rate);
    for _ in 0..population.rounds {
        freshness.push(fresh(&mut place, server, Some(steady.rate / 2.0))?);
    }
    let giant = told("one giant organisation", || giant::run(&mut place))?;
    let loads = [steady.rate / 2.0, steady.rate];
    told("those who are to be hit by a storm", || storm::prepare(&mut place, loads.len()))?;
    let storms = loads.into_iter().enumerate().map(|(number, load)| {
        told(&format!("storm beside {load:.0} events/s"), || storm::run(&mut place, server, load, number))
    });
    let storms = storms.collect::<Result<_>>()?;
    Ok(Measurements { steady, freshness, same, giant, storms })
}

/// The steady state of changes of contacts alone.
pub fn changes_of_contacts(
    world: &World,
    server: &Server,
    topics: &Topics,
    instance: &Running,
    population: Population,
) -> Result<Steady> {
    let mut place = Place::new(world, topics, instance, population)?;
    steady::run(&mut place, server, steady::Changes::of_contacts(population, 7))
}

fn fresh(place: &mut Place<'_>, server: &Server, load: Option<f64>) -> Result<Freshness> {
    let what = if load.is_some() { "freshness, half load" } else { "freshness, idle" };
    let seen = told(what, || freshness::run(place, server, load))?;
    seen.tell();
    Ok(seen)
}

impl Measurements {
    /// The most memory that any part took.
    pub fn peak_kilobytes(&self) -> Option<u64> {
        let giant = self.giant.iter().map(|part| part.room);
        let freshness = self.freshness.iter().map(|part| part.room);
        let storms = self.storms.iter().map(|storm| storm.room);
        let rooms = giant.chain(freshness).chain(storms).chain([self.steady.room]);
        rooms.filter_map(|room| room.peak_kilobytes).max()
    }

    pub fn print(&self) {
        self.print_freshness();
        let Steady { rate, took, counted, samples, room, cpu } = &self.steady;
        let lag_max = samples.iter().map(|sample| sample.lag).max().unwrap_or(0);
        println!(
            "\n| steady state | events/s | seconds | documents for each event | bytes for each event | most lag | peak MB | state MB | CPU s, own | of the server |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        println!(
            "| Zipf | {rate:.0} | {:.0} | {:.2} | {:.0} | {lag_max} | {room} | {:.1} | {:.1} |",
            took.as_secs_f64(),
            counted.documents as f64 / counted.records as f64,
            counted.bytes as f64 / counted.records as f64,
            cpu[0],
            cpu[1],
        );
        println!(
            "\n| steady state, until second | memory MB | most lag | most documents waiting |\n|---|---|---|---|"
        );
        for slice in self.steady.slices(SLICES) {
            let (second, memory) = (slice.at.as_secs_f64(), slice.resident_kilobytes >> 10);
            println!("| {second:.0} | {memory} | {} | {} |", slice.lag, slice.waiting);
        }
        println!(
            "\n| one giant organisation | events | seconds | documents sent | MB sent | peak MB | state MB |\n|---|---|---|---|---|---|---|"
        );
        for Giant { what, events, took, counted, room } in &self.giant {
            let (seconds, megabytes) = (took.as_secs_f64(), counted.bytes as f64 / 1_048_576.0);
            println!(
                "| {what} | {events} | {seconds:.1} | {} | {megabytes:.1} | {room} |",
                counted.documents
            );
        }
        self.print_storms();
    }

    fn print_storms(&self) {
        println!(
            "\n| storm | load, events/s | seconds | documents sent | most waiting | others: changes | p50 ms | p99 | peak MB | state MB |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        for Storm { size, load, took, counted, others, waiting_max, room } in &self.storms {
            println!(
                "| rename and move above {size} contacts | {load:.0} | {:.1} | {} | {waiting_max} | {} | {:.1} | {:.1} | {room} |",
                took.as_secs_f64(),
                counted.documents,
                others.len(),
                percentile(others, 0.5),
                percentile(others, 0.99)
            );
        }
        println!();
    }

    fn print_freshness(&self) {
        println!(
            "| freshness | load, events/s | to | probes | p50 ms | p99 | floor p50 | floor p99 | peak MB | state MB |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        for part in &self.freshness {
            let load = part.load.map_or_else(|| "idle".to_owned(), |load| format!("{load:.0}"));
            let room = part.room;
            for (to, [ours, floor]) in [("acknowledgement", &part.acknowledged), ("search", &part.searchable)]
            {
                println!(
                    "| one change | {load} | {to} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {room} |",
                    ours.len(),
                    percentile(ours, 0.5),
                    percentile(ours, 0.99),
                    percentile(floor, 0.5),
                    percentile(floor, 0.99)
                );
            }
        }
        for polled in self.freshness.iter().map(|part| &part.polled).filter(|polled| !polled.is_empty()) {
            println!(
                "| one change | idle | search of the index itself | {} | {:.1} | {:.1} | – | – | – | – |",
                polled.len(),
                percentile(polled, 0.5),
                percentile(polled, 0.99)
            );
        }
        for same in &self.same {
            println!(
                "| the same documents in the same indexes, by a bare client | idle | search | {} | {:.1} | {:.1} | – | – | – | – |",
                same.len(),
                percentile(same, 0.5),
                percentile(same, 0.99)
            );
        }
    }
}

/// Where it is measured.
struct Place<'a> {
    world: &'a World,
    log: log::Log,
    gauge: gauge::Gauge,
    population: Population,
}

impl<'a> Place<'a> {
    fn new(world: &'a World, topics: &Topics, instance: &Running, population: Population) -> Result<Self> {
        let gauge = gauge::Gauge::new(world, instance.0.id())?;
        Ok(Self { world, log: log::Log::new(world, topics)?, gauge, population })
    }
}

/// A word that nothing else holds, and that is no typo of another probe's.
fn word(number: u64) -> String {
    let mut random = fastrand::Rng::with_seed(number);
    (0..16).map(|_| random.lowercase()).collect()
}
