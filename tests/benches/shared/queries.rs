//! Queries of each kind, and the time of an answer.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Client;
use crate::harness::query_of;

/// The answer and how long it took.
pub fn timed(client: &mut Client, path: &str) -> (Value, Duration) {
    let began = Instant::now();
    let answer = client.get(path).unwrap();
    (answer, began.elapsed())
}

/// Queries of a kind before those that are measured.
const WARM: usize = 20;

/// The time of each answer, in the order of the paths, and the hits of all.
pub fn measure(client: &mut Client, paths: &[String]) -> (Vec<Duration>, u64) {
    for path in paths.iter().take(WARM) {
        timed(client, path);
    }
    let mut hits = 0;
    let times = paths.iter().map(|path| {
        let (answer, took) = timed(client, path);
        hits += answer["total"].as_u64().unwrap_or(0);
        took
    });
    (times.collect(), hits)
}

/// Queries of each kind, drawn from documents that are there.
pub fn queries(client: &mut Client, organisations: u32, probes: u32) -> Vec<(&'static str, Vec<String>)> {
    let mut random = fastrand::Rng::with_seed(2);
    let mut kinds: Vec<(&'static str, Vec<String>)> =
        ["one word", "three words", "typo", "phone", "under", "word and facets"]
            .map(|kind| (kind, Vec::new()))
            .into();
    let sample = client.get("/search?in=contacts&q=jane+20&size=100").unwrap();
    let phones: Vec<&str> =
        sample["hits"].as_array().unwrap().iter().filter_map(|hit| hit["phone"].as_str()).collect();
    while kinds.iter().any(|(_, list)| list.len() < probes as usize) {
        let word = |random: &mut fastrand::Rng| {
            ["acme", "laurel", "quarry", "harbour", "granite", "meridian", "falcon", "willow"]
                [random.usize(..8)]
            .to_owned()
        };
        let first =
            ["jane", "maria", "jurgen", "aoife", "fatima", "lukasz", "omar", "ingrid"][random.usize(..8)];
        let last = ["muller", "nowak", "haddad", "jensen", "rossi", "silva", "kowalska", "petrova"]
            [random.usize(..8)];
        let one = word(&mut random);
        let mut typo = one.clone();
        typo.remove(random.usize(1..typo.len()));
        // Low numbers have most below them.
        let organisation = format!("org-{:06}", random.u32(..organisations / 100));
        let phone = phones[random.usize(..phones.len())].to_owned();
        let pairs: [Vec<(&str, String)>; 6] = [
            vec![("q", one.clone())],
            vec![("q", format!("{one} {first} {last}"))],
            vec![("q", typo)],
            vec![("q", phone)],
            vec![("q", first.to_owned()), ("under", organisation)],
            vec![("q", one), ("facets", "country,status,role".to_owned())],
        ];
        for ((_, list), pairs) in kinds.iter_mut().zip(pairs) {
            let pairs: Vec<(String, String)> = pairs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
            list.push(format!("/search?{}", query_of(&pairs)));
        }
    }
    kinds
}
