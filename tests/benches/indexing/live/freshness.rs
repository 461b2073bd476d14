//! How long one change takes: to the acknowledgement, and until a search shows it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Place;
use super::floor::Floor;
use super::gauge::Room;
use super::steady::Beside;
use crate::Result;
use crate::client::percentile;
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
    /// Until a client finds it that asks the index itself again and again; of an idle instance only.
    pub polled: Vec<Duration>,
    pub room: Room,
}

/// Probes of ours and of the floor take turns, beside a load of so many events a second.
pub fn run(place: &mut Place<'_>, server: &Server, load: Option<f64>) -> Result<Freshness> {
    let floor = Floor::new(place, server, FIRST.load(Ordering::Relaxed))?;
    place.gauge.forget_peak();
    let beside = load.map(|rate| Beside::start(place, rate, 11));
    if load.is_some() {
        // The first probes shall find the load at its height.
        std::thread::sleep(Duration::from_secs(3));
    } else {
        server.wait_for_merges();
    }
    let probed = probes(place, server, &floor, load.is_none());
    let mut polled = if load.is_none() { polls(place, server)? } else { Vec::new() };
    polled.sort();
    beside.map_or(Ok(()), Beside::end)?;
    let mut times = probed?;
    times.iter_mut().flatten().for_each(|times| times.sort());
    let [acknowledged, searchable] = times;
    let next = place.log.flush()?;
    place.gauge.wait_for(&next)?;
    Ok(Freshness { load, acknowledged, searchable, polled, room: place.gauge.room() })
}

impl Freshness {
    /// Shows the figures, for a reader that waits for the end.
    pub fn tell(&self) {
        for (to, [ours, floor]) in [("acknowledged", &self.acknowledged), ("searchable", &self.searchable)] {
            let [ours, floor] = [ours, floor].map(|times| percentile(times, 0.99));
            eprintln!("{to}: 99 of 100 within {ours:.1} ms, the floor {floor:.1}");
        }
    }
}

/// One change after the other, each looked for by searches of the index itself.
fn polls(place: &Place<'_>, server: &Server) -> Result<Vec<Duration>> {
    let first = FIRST.fetch_add(place.population.probes, Ordering::Relaxed);
    let mut random = fastrand::Rng::with_seed(7 + first);
    let mut times = Vec::new();
    for number in first..first + place.population.probes {
        let contact = format!("con-{:07}", random.u64(..place.population.contacts));
        let word = super::word(number);
        let path = format!("/{}contacts/_search?size=0&q=role:{word}", place.world.prefix);
        let began = Instant::now();
        place.log.contact_at(&contact, &json!({ "role": word }), false)?;
        while !server.maybe(&path)?.is_some_and(|found| found["hits"]["total"]["value"] != 0) {
            if began.elapsed() > WAIT {
                return Err(format!("no search of the index shows the change of {contact} to {word}"));
            }
            std::thread::sleep(LOOK_EVERY.max(began.elapsed() / 50));
        }
        times.push(began.elapsed());
        std::thread::sleep(PAUSE);
    }
    Ok(times)
}

/// Ours and the floor's, to the acknowledgement and until it is found.
type Times = [[Vec<Duration>; 2]; 2];

/// Each change is looked for by a search. Without a load the next one waits for that; with one it does not, and a
/// change during an unfinished search is not searched.
fn probes(place: &mut Place<'_>, server: &Server, floor: &Floor, waits: bool) -> Result<Times> {
    let first = FIRST.fetch_add(place.population.probes, Ordering::Relaxed);
    let mut random = fastrand::Rng::with_seed(5 + first);
    let [mut acknowledged, mut searchable]: Times = Times::default();
    let mut search: Option<Search> = None;
    for number in first..first + place.population.probes {
        let contact = format!("con-{:07}", random.u64(..place.population.contacts));
        let (took, searching) = ours(place, server, &contact, &super::word(number), search.is_none())?;
        acknowledged[0].push(took);
        search = search.or(searching);
        if let Some(search) = search.take_if(|search| waits || search.is_finished()) {
            searchable[0].push(found(search)?);
        }
        std::thread::sleep(PAUSE);
        let began = Instant::now();
        let word = super::word(number);
        place.log.contact_at(&word, &json!({"role": word}), true)?;
        let (taken, shown) = floor.probe(&word)?;
        acknowledged[1].push(taken - began);
        searchable[1].push(shown - began);
        std::thread::sleep(PAUSE);
    }
    searchable[0].extend(search.map(found).transpose()?);
    Ok([acknowledged, searchable])
}

/// A search that waits for a change: how long it took to show it.
pub type Search = JoinHandle<Result<Duration>>;

fn found(search: Search) -> Result<Duration> {
    search.join().map_err(|_| "a search broke off".to_owned())?
}

/// One change of a contact, until the index has its document, which a look by its id shows without a refresh. If
/// `is_searched`, the search for it is under way too.
pub fn ours(
    place: &Place<'_>,
    server: &Server,
    contact: &str,
    word: &str,
    is_searched: bool,
) -> Result<(Duration, Option<Search>)> {
    let path = format!("/{}contacts/_doc/{contact}?_source_includes=role", place.world.prefix);
    let began = Instant::now();
    // One that was deleted comes back.
    let (topic, partition, offset) = place.log.contact_at(contact, &json!({ "role": word }), false)?;
    let at = format!("{topic}/{partition}:{offset}");
    let search = format!("/search?in=contacts&size=1&q={word}&timeout=60s&consistent_with={at}");
    let mut client = place.gauge.client()?;
    let id = contact.to_owned();
    let searching = is_searched.then(|| {
        std::thread::spawn(move || {
            let (code, answer) = client.ask(&search)?;
            let took = began.elapsed();
            let found = serde_json::from_slice::<Value>(&answer).unwrap_or_default();
            // A change that took longer than a search may wait counts as that long.
            if code == 503 || code == 200 && found["hits"][0]["id"] == *id {
                return Ok(took);
            }
            Err(format!("the search does not show the change of {id}: {code} {found}"))
        })
    });
    while !server.maybe(&path)?.is_some_and(|found| found["_source"]["role"] == word) {
        if began.elapsed() > WAIT {
            return Err(format!("the change of {contact} to {word} did not come"));
        }
        // As exact as a fiftieth of the time, so that the looks are no load themselves.
        std::thread::sleep(LOOK_EVERY.max(began.elapsed() / 50));
    }
    Ok((began.elapsed(), searching))
}
