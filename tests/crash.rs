//! Killed at random moments, again and again, the indexes end as if nothing had happened.

use std::time::Duration;

use crate::harness::{World, fresh, kill};
use crate::services::{self, Services};

/// A number from 0 to below `bound` that the seed and the round give.
fn chance(seed: u64, round: u32, bound: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(&round.to_le_bytes(), seed) % bound
}

#[test]
fn fifty_kills_end_in_the_documents_of_an_undisturbed_run() {
    let (servers, _turn) = services::whole();
    kills_change_nothing(&servers, 50, "");
}

#[test]
fn kills_do_no_harm_to_an_embedded_index() {
    let (servers, _turn) = services::whole();
    kills_change_nothing(&servers, 20, "index.kind = \"embedded\"\nindex.path = \"index\"\n");
}

fn kills_change_nothing(servers: &Services, kills: u32, index: &str) {
    let seed = std::env::var("TRIBUTARY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed: set TRIBUTARY_TEST_SEED={seed} for this run again");
    let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("crash")));
    let extra =
        format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n{index}", topics[0], topics[1]);
    let disturbed = World::new(servers, "crash", &extra);
    let counts = ["--organisations", "300", "--contacts", "3000", "--events", "9000", "--partitions", "3"];
    disturbed.succeed(&[&["generate", "--kafka", "--seed", &seed.to_string()], &counts[..]].concat());

    let mut died = 0;
    for round in 0..kills {
        let mut running = disturbed.start(&["run", "--until-end"]);
        let id = running.0.id();
        // Whether it dies while it starts, folds, delivers or ends is left to chance.
        std::thread::park_timeout(Duration::from_millis(chance(seed, round, 1_200)));
        kill(id, "KILL");
        died += u32::from(running.end().is_none());
        if round % 10 == 9 {
            // New work, so that later rounds have something to lose.
            let next = (seed + u64::from(round)).to_string();
            disturbed.succeed(&[&["generate", "--kafka", "--seed", &next], &counts[..]].concat());
        }
    }
    println!("{died} of {kills} died before their end");
    assert!(died >= kills / 2, "only {died} runs were killed before their end");
    disturbed.succeed(&["run", "--until-end"]);

    let undisturbed = World::new(servers, "calm", &extra);
    undisturbed.succeed(&["run", "--until-end"]);
    let (got, expected) = (disturbed.all_documents(), undisturbed.all_documents());
    for (projection, documents) in &expected {
        assert!(documents.len() > 200, "{projection} holds {}", documents.len());
        let got = &got[projection];
        let wrong: Vec<_> =
            documents.iter().filter(|(id, document)| got.get(*id) != Some(document)).take(3).collect();
        assert!(
            wrong.is_empty() && got.len() == documents.len(),
            "{projection}: {} of {}: {wrong:?}",
            got.len(),
            documents.len()
        );
    }
}
