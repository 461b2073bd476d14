//! Which seeds are run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Of, SeedReport, simulate};

/// How many seeds are run every time, of each model and layout.
const SEEDS: [u64; 4] = [500, 250, 250, 250];

/// Runs seeds on every processor until one fails or all are run; answers the counts.
fn run(of: Of, seeds: std::ops::Range<u64>) -> (u64, BTreeMap<&'static str, u64>) {
    let next = AtomicU64::new(seeds.start);
    let (failed, counts) = (Mutex::new(None::<(u64, String)>), Mutex::new(BTreeMap::new()));
    let ran = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                return;
            }
            let SeedReport { outcome, counts: own, .. } = simulate(of, seed);
            let mut counts = counts.lock().unwrap();
            own.into_iter().for_each(|(fault, count)| *counts.entry(fault).or_default() += count);
            drop(counts);
            let ran = ran.fetch_add(1, Ordering::Relaxed) + 1;
            if ran.is_multiple_of(1_000) {
                println!("{ran} seeds");
            }
            if let Err(why) = outcome {
                failed.lock().unwrap().get_or_insert((seed, why));
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    if let Some((seed, why)) = failed.into_inner().unwrap() {
        panic!(
            "seed {seed}: {why}\nTRIBUTARY_SEED={seed} cargo test --lib simulation::tests::{} -- --nocapture",
            of.test()
        );
    }
    (ran.into_inner(), counts.into_inner().unwrap())
}

fn show(ran: u64, counts: &BTreeMap<&'static str, u64>) {
    let all: u64 = counts.values().sum();
    println!("{ran} seeds, {all} faults");
    counts.iter().for_each(|(fault, count)| println!("{count:>10}  {fault}"));
}

impl Of {
    /// The beginning of the name of its test.
    fn test(self) -> &'static str {
        match self {
            Self::BuiltIn => "no_document_is_lost_whatever_happens",
            Self::Drawn => "no_document_of_a_drawn_model",
            Self::BuiltInJoin => "no_child_is_lost_whatever_happens",
            Self::DrawnJoin => "no_child_of_a_drawn_model",
        }
    }
}

#[test]
fn no_document_is_lost_whatever_happens() {
    check(Of::BuiltIn);
}

#[test]
fn no_document_of_a_drawn_model_is_lost_whatever_happens() {
    check(Of::Drawn);
}

#[test]
fn no_child_is_lost_whatever_happens() {
    check(Of::BuiltInJoin);
}

#[test]
fn no_child_of_a_drawn_model_is_lost_whatever_happens() {
    check(Of::DrawnJoin);
}

fn check(of: Of) {
    if let Some(seed) = number("TRIBUTARY_SEED") {
        let SeedReport { outcome, trace, .. } = simulate(of, seed);
        println!("{trace}");
        outcome.unwrap();
        return;
    }
    let soak = std::env::var("TRIBUTARY_SOAK").is_ok().then(|| fastrand::u64(..1 << 40)..u64::MAX);
    let (ran, counts) = run(of, soak.or(seeds_of_environment()).unwrap_or(0..SEEDS[of as usize]));
    show(ran, &counts);
}

/// The seeds that are asked for.
pub(super) fn seeds_of_environment() -> Option<std::ops::Range<u64>> {
    let seeds = std::env::var("TRIBUTARY_SEEDS").ok()?;
    let (from, to) = seeds.split_once("..")?;
    Some(from.parse().ok()?..to.parse().ok()?)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_seed_gives_the_same_run_to_the_byte() {
    for (of, seed) in [Of::BuiltIn, Of::Drawn, Of::BuiltInJoin]
        .into_iter()
        .flat_map(|of| (0..12).map(move |seed| (of, seed)))
    {
        let (first, second) = (simulate(of, seed), simulate(of, seed));
        assert_eq!(first.outcome, second.outcome, "{of:?} {seed}");
        assert_eq!(first.trace, second.trace, "{of:?} {seed}");
    }
}
