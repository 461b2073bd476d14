//! The steady state: changes spread over the organisations as Zipf has it, as many as the whole takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use super::gauge::{Counters, Room};
use super::log::Log;
use super::{Place, Population};
use crate::Result;
use crate::server::Server;

/// So many records may be in the log and not in the index.
const LAG_MAX: i64 = 5_000;
/// Records between two looks at the lag.
const PORTION: u64 = 500;
/// So long it runs before it is measured.
const WARM: Duration = Duration::from_secs(5);

/// The state of the instance at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub at: Duration,
    pub resident_kilobytes: u64,
    /// Records in the log and not in the index.
    pub lag: i64,
    /// Documents that wait.
    pub waiting: u64,
}

pub struct Steady {
    /// Events each second.
    pub rate: f64,
    pub took: Duration,
    pub counted: Counters,
    pub samples: Vec<Sample>,
    pub room: Room,
    pub cpu: [f64; 2],
}

/// As fast as it goes with the lag bounded.
pub fn run(place: &mut Place<'_>, server: &Server, mut changes: Changes) -> Result<Steady> {
    sustain(place, &mut changes, WARM)?;
    place.gauge.forget_peak();
    let (before, cpu) = (place.gauge.counted()?, [place.gauge.cpu_seconds(), server.cpu_seconds()?]);
    let began = Instant::now();
    let samples = sustain(place, &mut changes, Duration::from_secs(place.population.seconds))?;
    let next = place.log.flush()?;
    place.gauge.wait_for(&next)?;
    let took = began.elapsed();
    let counted = place.gauge.counted()? - before;
    let cpu = [place.gauge.cpu_seconds() - cpu[0], server.cpu_seconds()? - cpu[1]];
    let rate = counted.records as f64 / took.as_secs_f64();
    Ok(Steady { rate, took, counted, samples, room: place.gauge.room(), cpu })
}

fn sustain(place: &mut Place<'_>, changes: &mut Changes, time: Duration) -> Result<Vec<Sample>> {
    let _watching = place.gauge.watching()?;
    let began = Instant::now();
    let mut samples = Vec::new();
    while began.elapsed() < time {
        for _ in 0..PORTION {
            changes.one(&place.log)?;
        }
        let next = place.log.flush()?;
        loop {
            let (lag, waiting) = place.gauge.lag_and_waiting(&next)?;
            let resident_kilobytes = place.gauge.resident_kilobytes().unwrap_or(0);
            samples.push(Sample { at: began.elapsed(), resident_kilobytes, lag, waiting });
            if lag <= LAG_MAX - PORTION as i64 {
                break;
            }
            // Each look has the waiting documents counted, so seldom that the cost does not show.
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(samples)
}

impl Steady {
    /// The most of each slice of the time: whether anything grows.
    pub fn slices(&self, count: usize) -> Vec<Sample> {
        let each = self.samples.len().div_ceil(count).max(1);
        let most = |slice: &[Sample]| Sample {
            at: slice.last().map_or(Duration::ZERO, |sample| sample.at),
            resident_kilobytes: slice.iter().map(|sample| sample.resident_kilobytes).max().unwrap_or(0),
            lag: slice.iter().map(|sample| sample.lag).max().unwrap_or(0),
            waiting: slice.iter().map(|sample| sample.waiting).max().unwrap_or(0),
        };
        self.samples.chunks(each).map(most).collect()
    }
}

/// A load of its own thread, which ends with this.
pub struct Beside {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Beside {
    /// So many events each second, until the end.
    pub fn start(place: &Place<'_>, rate: f64, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (log, mut changes) = (place.log.clone(), Changes::new(place.population, seed));
        let until = Arc::clone(&stop);
        let thread = std::thread::spawn(move || changes.at_rate(&log, rate, &until));
        Self { stop, thread: Some(thread) }
    }

    pub fn end(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        ended.map_or(Ok(()), |ended| ended.map_err(|_| "the load broke off".to_owned())?)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Changes of contacts (four of five) and of organisations. Two of a thousand are renames of organisations, whose name
/// every contact and every organisation below shows. Both are chosen by Zipf's law over their numbers: the n-th has an
/// n-th of the first one's changes. The numbers are scattered, so that those changed often are not neighbours.
pub struct Changes {
    random: fastrand::Rng,
    population: Population,
    /// The kind of a change is drawn from here on; 0 to 199 are those of organisations.
    first_kind: u16,
}

impl Changes {
    pub fn new(population: Population, seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), population, first_kind: 0 }
    }

    /// Changes of contacts alone.
    pub fn of_contacts(population: Population, seed: u64) -> Self {
        Self { first_kind: 200, ..Self::new(population, seed) }
    }

    pub fn one(&mut self, log: &Log) -> Result<()> {
        let number = self.random.u32(..);
        match self.random.u16(self.first_kind..1_000) {
            0..2 => {
                let id = format!("org-{:06}", self.scattered(self.population.organisations));
                log.organisation(&id, "renamed", &json!({"name": format!("Name {number}")}))
            }
            2..200 => {
                let id = format!("org-{:06}", self.scattered(self.population.organisations));
                log.organisation(&id, "updated", &json!({"phone": format!("+44 20 {number}")}))
            }
            _ => {
                let id = format!("con-{:07}", self.scattered(self.population.contacts));
                log.contact(&id, "email-changed", &json!({"email": format!("e{number}@example.test")}))
            }
        }
    }

    /// So many each second, until told to stop.
    fn at_rate(&mut self, log: &Log, rate: f64, stop: &AtomicBool) -> Result<()> {
        let began = Instant::now();
        let mut sent = 0.0;
        while !stop.load(Ordering::Relaxed) {
            while sent < began.elapsed().as_secs_f64() * rate {
                self.one(log)?;
                sent += 1.0;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn scattered(&mut self, size: u64) -> u64 {
        // The inverse of the harmonic numbers, nearly: rank n with a probability that falls as 1/n.
        let rank = ((size as f64).powf(self.random.f64()) as u64).min(size) - 1;
        rank.wrapping_mul(2_654_435_761) % size
    }
}
