//! Models with logs and the exact documents that they end in, on both engines.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::World;
use crate::services;

fn cases() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases-models");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|case| case.join("expected.json").exists());
    cases.sort();
    assert!(cases.len() >= 8, "only {} cases found", cases.len());
    cases
}

fn settings(case: &Path) -> String {
    let (model, events) = (case.join("model.toml"), case.join("events"));
    format!("model = {model:?}\nsource.kind = \"files\"\nsource.path = {events:?}\n")
}

/// What differs from the case's expectation; empty when nothing does.
fn differences(world: &World, case: &Path) -> String {
    let text = std::fs::read_to_string(case.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let mut found = String::new();
    for (projection, expected) in expected.as_object().unwrap().iter().filter(|(name, _)| *name != "poison") {
        let got = Value::Object(world.documents(projection).into_iter().collect());
        if got != *expected {
            found += &format!("{projection}\n  got      {got}\n  expected {expected}\n");
        }
    }
    let place = |letter: &Value| {
        let number = |name: &str| letter[name].as_i64().unwrap();
        (letter["topic"].as_str().unwrap().to_owned(), number("partition"), number("offset"))
    };
    let mut poison: Vec<_> = expected["poison"].as_array().into_iter().flatten().map(place).collect();
    let mut letters: Vec<_> = world.dead_letters().iter().map(place).collect();
    poison.sort();
    letters.sort();
    if poison != letters {
        found += &format!("poison\n  got      {letters:?}\n  expected {poison:?}\n");
    }
    found
}

fn check_all(world: impl Fn(&str) -> World) {
    let mut failed = String::new();
    for case in cases() {
        let world = world(&settings(&case));
        world.succeed(&["run", "--until-end"]);
        let mut found = differences(&world, &case);
        // A second run finds its own index, and changes nothing.
        world.succeed(&["run", "--until-end"]);
        found += &differences(&world, &case);
        if !found.is_empty() {
            failed += &format!("{}: {found}\n", case.file_name().unwrap().display());
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn every_model_ends_in_its_documents_in_the_embedded_index() {
    check_all(|settings| World::embedded("model", settings));
}

#[test]
fn every_model_ends_in_its_documents() {
    let (servers, _turn) = services::whole();
    check_all(|settings| World::new(&servers, "model", settings));
}
