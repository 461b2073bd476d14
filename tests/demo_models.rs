//! The demonstration of a model: `demo --model`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::example_models::folder;
use crate::files::contents;
use crate::harness::{Running, World, eventually, http_get, log_of};
use crate::search::ids;

/// An example in a folder of its own, with its model's file.
fn copied(example: &str, world: &World) -> PathBuf {
    let events = world.path("events");
    fs::create_dir(&events).unwrap();
    for file in fs::read_dir(folder(example).join("events")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), events.join(file.file_name())).unwrap();
    }
    fs::copy(folder(example).join("model.toml"), world.path("model.toml")).unwrap();
    world.path("model.toml")
}

#[test]
fn a_demonstration_of_a_model_finds_a_word_of_a_title_and_writes_nothing_beside_it() {
    for (example, hit, q, found) in [
        (
            "helpdesk",
            "Printer on the second floor prints blank pages  [T-1001]",
            "gift cards",
            "\n    I had answered before I saw this. I sent no gift cards.  [c55]",
        ),
        ("shop", "Kettle  [p1]", "stove", "[p12]"),
    ] {
        let world = World::embedded(example, "");
        let model = copied(example, &world);
        let before = contents(world.folder.path());
        let model = model.to_str().unwrap();
        let told = world.succeed(&["demo", "--model", model, "--once"]);
        assert!(told.contains("documents indexed") && told.contains(hit), "{told}");
        assert!(!told.contains("organisations"), "{told}");
        // A relative name stands for a file of the working directory.
        let told = world.succeed(&["demo", "--model", "model.toml", "--once", "--q", q]);
        assert!(told.contains(&format!("A search for {q:?}")) && told.contains(found), "{told}");
        assert!(!told.contains("[p1]") && !told.contains("[T-1001]"), "{told}");
        assert_eq!(contents(world.folder.path()), before);
    }
}

#[test]
fn a_demonstration_of_a_model_serves_its_page_and_indexes_lines_that_are_added() {
    let mut world = World::embedded("demo", "");
    let model = copied("shop", &world);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    world.environment = vec![("TRIBUTARY_HTTP__LISTEN", free)];
    let mut demo = world.command(&["demo", "--model", model.to_str().unwrap()]);
    let mut child = demo.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let _demo = Running::without_log(child);
    let page =
        lines.filter_map(|line| line.split_once("http://").map(|(_, at)| at.to_owned())).next().unwrap();
    let address = page.trim_end_matches('/');
    assert_eq!(http_get(address, "/").0, 200);
    let asked = |path: &str| serde_json::from_str::<Value>(&http_get(address, path).1).unwrap();
    assert_eq!(ids(&asked("/search?q=toaster")), ["p3"]);
    let mut file = fs::OpenOptions::new().append(true).open(world.path("events/products.jsonl")).unwrap();
    writeln!(file, "{}", json!({"key": "p16", "value": {"name": "Waffle iron", "brandId": "b1"}})).unwrap();
    eventually("the added line is found", || {
        (ids(&asked("/search?q=waffle+nordlicht")) == ["p16"]).then_some(())
    });
}

#[test]
fn a_model_without_a_search_is_demonstrated_without_one() {
    let world = World::embedded("demo", "");
    let model = copied("shop", &world);
    let text = fs::read_to_string(&model).unwrap();
    let (unsearched, _) = text.split_once("[projections.products.search]").unwrap();
    fs::write(&model, unsearched).unwrap();
    let told = world.succeed(&["demo", "--model", model.to_str().unwrap(), "--once"]);
    assert!(told.contains("documents indexed") && told.contains("[projections.NAME.search]"), "{told}");
    assert!(!told.contains("found in"), "{told}");
}

#[test]
fn what_cannot_be_demonstrated_is_refused_with_what_is_wrong() {
    let world = World::embedded("demo", "");
    let refused = |arguments: &[&str], told: &[&str]| {
        let arguments: Vec<&str> = ["demo", "--once"].iter().chain(arguments).copied().collect();
        let output = world.run(&arguments);
        let log = log_of(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {log}");
        assert!(told.iter().all(|told| log.contains(told)), "{arguments:?}, {told:?}: {log}");
    };
    refused(&["--model", "model.toml"], &["model.toml: the model cannot be read"]);
    let model = copied("shop", &world);
    for flag in ["--organisations", "--contacts", "--rate", "--seed"] {
        refused(&["--model", "model.toml", flag, "5"], &["--model", flag, "cannot be used with"]);
    }
    fs::rename(world.path("events"), world.path("elsewhere")).unwrap();
    refused(&["--model", "model.toml"], &["demo: events is no folder", "<topic>.jsonl"]);
    fs::create_dir(world.path("events")).unwrap();
    refused(&["--model", "model.toml"], &["no records", "prices, products, brands, categories"]);
    let text = fs::read_to_string(&model).unwrap();
    fs::write(
        &model,
        text.replace("references = \"brands\"", "references = \"brand\"").replace("\"plain\"", "\"plan\""),
    )
    .unwrap();
    refused(
        &["--model", "model.toml"],
        &[
            "entities.prices.format",
            "entities.categories.format",
            "entities.products.fields.brandId.references",
        ],
    );
}
