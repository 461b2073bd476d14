//! Words that are one typo away from those of a query.

use serde_json::json;

use crate::harness::GrowingLog;
use crate::search::{ask, engines, ids};
use crate::services;

/// The words that are one letter away from `word`, one more or another one.
fn neighbours(word: &str) -> Vec<String> {
    let changed = |at: usize, width: usize| {
        ('a'..='z').map(move |letter| format!("{}{letter}{}", &word[..at], &word[at + width..]))
    };
    let replaced = (0..word.len()).flat_map(|at| changed(at, 1));
    replaced.chain((0..=word.len()).flat_map(|at| changed(at, 0))).collect()
}

#[test]
fn words_with_more_neighbours_than_a_query_may_have_clauses_are_found_by_typos() {
    let (servers, _turn) = services::whole();
    let log = GrowingLog::new();
    let letter = |number: u32, at: u32| char::from_u32(97 + (number * 7 + at * 5 + at * at * number) % 26);
    // OpenSearch takes 1 024 clauses whatever its memory is, and half of the words need more.
    let count = if services::is_opensearch() { 8 } else { 16 };
    let words: Vec<String> =
        (0..count).map(|number| (0..16).filter_map(|at| letter(number, at)).collect()).collect();
    for (number, word) in words.iter().enumerate() {
        log.append("organisations", &format!("n{number}"), &json!({"name": neighbours(word).join(" ")}));
    }
    log.append("organisations", "all", &json!({"name": words.join(" ")}));
    for (world, _running) in &engines("neighbours", &servers, &log.settings()) {
        let (code, answer) = ask(world, &[("q", &words.join(" "))]);
        assert_eq!((code, ids(&answer)), (200, vec!["all".to_owned()]), "{answer:.400}");
        let (code, answer) = ask(world, &[("q", &words[3])]);
        assert_eq!((code, &answer["total"]), (200, &json!(2)), "{answer:.400}");
    }
}
