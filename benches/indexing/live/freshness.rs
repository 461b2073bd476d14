//! How long one change takes: to the acknowledgement, and until a search shows it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Place;
use super::floor::Floor;
use super::steady::Beside;
use crate::Result;
use crate::server::Server;

/// Between two probes, so that each finds the system as it is without it.
const PAUSE: Duration = Duration::from_millis(40);
/// How often the index is asked whether it has a change.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Probes have words of their own.
static FIRST: AtomicU64 = AtomicU64::new(0);
const WAIT: Duration = Duration::from_secs(60);

/// Latencies of one kind, in the order of their length.
pub struct Freshness {
    /// Events each second beside the probes.
    pub load: Option<f64>,
    /// To the acknowledgement: ours, the floor's.
    pub acknowledged: [Vec<Duration>; 2],
    /// Until it is found: ours, the floor's.
    pub searchable: [Vec<Duration>; 2],
    pub peak_kilobytes: Option<u64>,
}

/// Probes of ours and of the floor take turns, beside a load of so many events a second.
pub fn run(place: &mut Place<'_>, server: &Server, load: Option<f64>) -> Result<Freshness> {
    let floor = Floor::new(place, server, load.is_some())?;
    place.gauge.forget_peak();
    let beside = load.map(|rate| Beside::start(place, rate, 11));
    if load.is_some() {
        // The first probes shall find the load at its height.
        std::thread::sleep(Duration::from_secs(3));
    }
    let probed = probes(place, server, &floor);
    beside.map_or(Ok(()), Beside::end)?;
    let [mut ours, mut floors] = probed?;
    let sorted = |times: &mut Vec<(Duration, Duration)>| {
        let (mut first, mut second): (Vec<_>, Vec<_>) = times.drain(..).unzip();
        first.sort();
        second.sort();
        (first, second)
    };
    let ((ours_acknowledged, ours_found), (acknowledged, found)) = (sorted(&mut ours), sorted(&mut floors));
    let next = place.log.flush()?;
    place.gauge.wait_for(&next)?;
    Ok(Freshness {
        load,
        acknowledged: [ours_acknowledged, acknowledged],
        searchable: [ours_found, found],
        peak_kilobytes: place.gauge.peak_kilobytes(),
    })
}

type Times = Vec<(Duration, Duration)>;

fn probes(place: &mut Place<'_>, server: &Server, floor: &Floor) -> Result<[Times; 2]> {
    let first = FIRST.fetch_add(place.population.probes, Ordering::Relaxed);
    let mut random = fastrand::Rng::with_seed(5 + first);
    let mut times = [Vec::new(), Vec::new()];
    for number in first..first + place.population.probes {
        let contact = format!("con-{:07}", random.u64(..place.population.contacts));
        times[0].push(ours(place, server, &contact, &super::word(number), true)?);
        std::thread::sleep(PAUSE);
        let began = Instant::now();
        let word = super::word(number);
        place.log.contact_at(&word, &json!({"role": word}), true)?;
        let (acknowledged, found) = floor.probe(&word)?;
        times[1].push((acknowledged - began, found - began));
        std::thread::sleep(PAUSE);
    }
    Ok(times)
}

/// One change of a contact: until the index has its document, which a look by its id shows without a refresh, and
/// until the search shows it.
pub fn ours(
    place: &Place<'_>,
    server: &Server,
    contact: &str,
    word: &str,
    is_searched: bool,
) -> Result<(Duration, Duration)> {
    let path = format!("/{}contacts/_doc/{contact}?_source_includes=role", place.world.prefix);
    let began = Instant::now();
    // One that was deleted comes back.
    let (topic, partition, offset) = place.log.contact_at(contact, &json!({ "role": word }), false)?;
    let at = format!("{topic}/{partition}:{offset}");
    let search = format!("/search?in=contacts&size=1&q={word}&timeout=60s&consistent_with={at}");
    let mut client = place.gauge.client()?;
    let searching = is_searched
        .then(|| std::thread::spawn(move || client.get(&search).map(|found| (found, Instant::now()))));
    while !server.maybe(&path)?.is_some_and(|found| found["_source"]["role"] == word) {
        if began.elapsed() > WAIT {
            return Err(format!("the change of {contact} to {word} did not come"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let acknowledged = began.elapsed();
    let Some(searching) = searching else { return Ok((acknowledged, acknowledged)) };
    let (found, at) = searching.join().map_err(|_| "a search broke off".to_owned())??;
    if found["hits"][0]["id"] != contact {
        return Err(format!("the search after {word} does not show {contact}: {found}"));
    }
    Ok((acknowledged, at - began))
}
