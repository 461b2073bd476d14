//! A storm: a parent of very many is renamed and moved. Other changes meanwhile must not wait for it.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Place;
use super::freshness::ours;
use super::gauge::{Counters, Room};
use super::steady::Beside;
use crate::Result;
use crate::server::Server;

const PAUSE: Duration = Duration::from_millis(50);

/// The time of a storm, and its effect on other changes.
pub struct Storm {
    /// Contacts below.
    pub size: u64,
    /// Events each second beside it.
    pub load: f64,
    pub took: Duration,
    pub counted: Counters,
    /// To the acknowledgement of single changes meanwhile, in the order of their length.
    pub others: Vec<Duration>,
    /// The most documents that waited.
    pub waiting_max: u64,
    pub room: Room,
}

/// Makes those who are to be hit, where they can be moved to, and waits until all are in the index.
pub fn prepare(place: &mut Place<'_>, storms: usize) -> Result<()> {
    let size = place.population.storm;
    (0..storms).try_for_each(|storm| {
        place.log.organisation(&above(storm), "created", &json!({"name": format!("Above {storm} Ltd")}))
    })?;
    place.log.organisation("storm", "created", &json!({"name": "Storm Ltd"}))?;
    // So few in each organisation that its own document is small beside the whole storm.
    let organisations = size.div_ceil(100).max(1);
    (0..organisations).try_for_each(|number| {
        let data = json!({"name": format!("Below {number}"), "parentId": "storm"});
        place.log.organisation(&below(number), "created", &data)
    })?;
    (0..size).try_for_each(|number| {
        let data =
            json!({"name": format!("Jo Storm {number}"), "organisationId": below(number % organisations)});
        place.log.contact(&format!("storm-c{number:06}"), "created", &data)
    })?;
    let next = place.log.flush()?;
    place.gauge.wait_for(&next)
}

/// One of the storms breaks out while so many other events come each second.
pub fn run(place: &mut Place<'_>, server: &Server, load: f64, storm: usize) -> Result<Storm> {
    place.gauge.forget_peak();
    let beside = Beside::start(place, load, 13);
    let before = place.gauge.counted()?;
    let began = Instant::now();
    place.log.organisation("storm", "renamed", &json!({"name": format!("Gale {storm} Ltd")}))?;
    place.log.organisation("storm", "moved", &json!({"parentId": above(storm)}))?;
    let next = place.log.flush()?;
    let _watching = place.gauge.watching()?;
    let (mut others, mut waiting_max) = (Vec::new(), 0);
    let mut random = fastrand::Rng::with_seed(9);
    loop {
        let (lag, waiting) = place.gauge.lag_and_waiting(&next)?;
        waiting_max = waiting.max(waiting_max);
        if lag == 0 {
            break;
        }
        let contact = format!("con-{:07}", random.u64(..place.population.contacts));
        others.push(ours(place, server, &contact, &super::word(1_000_000 + others.len() as u64), false)?.0);
        std::thread::sleep(PAUSE);
    }
    let (took, size) = (began.elapsed(), place.population.storm);
    beside.end()?;
    others.sort();
    let counted = place.gauge.counted()? - before;
    // The next one finds nothing that this one left.
    let next = place.log.flush()?;
    place.gauge.wait_for(&next)?;
    Ok(Storm { size, load, took, counted, others, waiting_max, room: place.gauge.room() })
}

fn above(storm: usize) -> String {
    format!("storm-above-{storm}")
}

fn below(number: u64) -> String {
    format!("storm-o{number:05}")
}
