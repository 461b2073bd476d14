//! Words of former names, which no source, no document, no script and no file name holds any more.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::files::{below, read, root, with_extension};
use crate::language::{documents, shown};

/// Words and phrases of former names, each with the glossary's word that stands in its place.
const RETIRED: &[(&str, &str)] = &[
    ("asleep", "paused"),
    ("awake", "active"),
    ("flying", "in flight"),
    ("frontier", "low watermark"),
    ("lane", "priority"),
    ("mend", "repair"),
    ("mended", "repair"),
    ("mends", "repair"),
    ("unmended", "repair"),
    ("obey", "handle"),
    ("sign of life", "heartbeat"),
    ("signs of life", "heartbeat"),
    ("sweep", "backfill"),
    ("sweeping", "backfill"),
    ("sweeps", "backfill"),
    ("swept", "backfill"),
];

/// Names on disk, which stay as they were.
const ON_DISK: [&str; 2] = ["b\"frontier\"", "\"7-sweeps\""];
/// Names of fields that are still read.
const ALIASES: [&str; 2] = ["alias = \"mended\"", "alias = \"unmended\""];
/// The source that holds the retired words.
const OWN: &str = "tests/retired_words.rs";

/// The words of a text, in lower case: those of comments and messages, and the parts of identifiers.
fn word_parts(text: &str) -> BTreeSet<String> {
    let (mut words, mut word) = (BTreeSet::new(), String::new());
    let mut was_lower = false;
    for letter in text.chars().chain([' ']) {
        if !letter.is_ascii_alphabetic() || letter.is_ascii_uppercase() && was_lower {
            words.insert(std::mem::take(&mut word).to_lowercase());
        }
        if letter.is_ascii_alphabetic() {
            word.push(letter);
        }
        was_lower = letter.is_ascii_lowercase();
    }
    words
}

/// The retired words of a text, each with its successor. A phrase may go over the end of a line of a comment.
fn retired(text: &str) -> Vec<(&'static str, &'static str)> {
    let words = word_parts(text);
    let lower = text.to_lowercase();
    let plain: Vec<&str> =
        lower.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()).collect();
    let plain = format!(" {} ", plain.join(" "));
    let is_there = |word: &str| {
        if word.contains(' ') { plain.contains(&format!(" {word} ")) } else { words.contains(word) }
    };
    RETIRED.iter().copied().filter(|(word, _)| is_there(word)).collect()
}

/// Every file whose text is held against the retired words.
fn texts() -> Vec<PathBuf> {
    let mut texts = documents();
    texts.extend(with_extension(&root().join("src"), &["rs", "js", "css", "html", "json"]));
    texts.extend(with_extension(&root().join("tests"), &["rs", "js"]));
    texts.extend(below(&root().join("scripts")));
    texts.push(root().join(".ci/run"));
    texts
}

#[test]
fn no_text_has_a_retired_word() {
    let found = |text| retired(text).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
    assert_eq!(found("fn wakeSweeps_of(LANE_MAX)"), ["lane", "sweeps"]);
    assert_eq!(found("/// The last sign\n/// of life."), ["sign of life"]);
    assert_eq!(found("a plane that amends"), Vec::<&str>::new());
    let mut wrong = Vec::new();
    for path in texts() {
        let name = shown(&path);
        if name == OWN {
            continue;
        }
        let text = ON_DISK.iter().chain(&ALIASES).fold(read(&path), |text, known| text.replace(known, ""));
        wrong.extend(retired(&text).into_iter().map(|(word, term)| format!("{name}: {word} is {term}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_name_has_a_retired_word() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "docs", "scripts", "deploy", "examples", "mappings"] {
        for path in below(&root().join(folder)) {
            let name = shown(&path);
            wrong.extend(retired(&name).into_iter().map(|(word, term)| format!("{name}: {word} is {term}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
