//! The simulation is able to see: each bug that is planted makes one of the first seeds fail.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::simulate;
use crate::pipeline::planted::{Bug, plant};

/// Answers the lowest of the first `most` seeds that fails, and how.
fn caught_by(bug: Bug, most: u64) -> Option<(u64, String)> {
    let (next, failed) = (AtomicU64::new(0), Mutex::new(None::<(u64, String)>));
    let work = || {
        plant(Some(bug));
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= most || failed.lock().unwrap().is_some() {
                return plant(None);
            }
            if let Err(why) = simulate(seed).outcome {
                let mut failed = failed.lock().unwrap();
                if failed.as_ref().is_none_or(|(lowest, _)| seed < *lowest) {
                    *failed = Some((seed, why));
                }
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    failed.into_inner().unwrap()
}

/// Each bug, with how many seeds it may take until it is seen.
const BUGS: [(Bug, u64); 18] = [
    (Bug::MarkClearedEarly, 1_000),
    (Bug::NoGateAndConflictsDone, 1_000),
    (Bug::NoStandBy, 1_000),
    (Bug::HandOverBlind, 1_000),
    (Bug::DeleteUnversioned, 1_000),
    (Bug::BuiltForKept, 1_000),
    (Bug::PositionsFirst, 1_000),
    (Bug::FrontierEager, 1_000),
    (Bug::SweepPlaceEarly, 1_000),
    (Bug::FanOutCutShort, 1_000),
    (Bug::BetweenForgotten, 1_000),
    (Bug::OldChainForgotten, 1_000),
    (Bug::WriteBeside, 1_000),
    (Bug::RetryDone, 1_000),
    (Bug::LaterMarkCleared, 1_000),
    (Bug::TrimmedTooFar, 1_000),
    (Bug::ScanForgotten, 1_000),
    (Bug::GateOfTheStart, 1_000),
];

#[test]
fn every_planted_bug_is_caught() {
    let mut missed = Vec::new();
    for (bug, most) in BUGS {
        match caught_by(bug, most) {
            Some((seed, why)) => {
                println!("{bug:?}: seed {seed}: {}", why.chars().take(160).collect::<String>())
            }
            None => missed.push((bug, most)),
        }
    }
    assert!(missed.is_empty(), "not seen within so many seeds: {missed:?}");
}
