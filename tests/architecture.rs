//! The house rules that a machine can check: direction of imports, sizes of files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::{root, sources, with_extension};

/// For each part the others that it may import. The order is the direction: core, ports, use cases.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("backoff", &[]),
    ("base64", &[]),
    ("body", &[]),
    ("error", &["escape"]),
    ("escape", &[]),
    ("private", &[]),
    ("time", &[]),
    ("text", &[]),
    ("searchable", &["text", "time"]),
    ("position", &[]),
    ("shutdown", &[]),
    ("output", &["error"]),
    ("telemetry", &["escape", "output"]),
    ("json", &[]),
    ("trace", &["config", "error"]),
    ("model", &["error"]),
    ("plan", &["model", "searchable"]),
    ("event", &["plan", "position"]),
    ("config", &["error", "model", "plan"]),
    ("encoding", &["base64", "body", "config", "error", "time"]),
    ("decode", &["base64", "config", "encoding", "error", "event", "json", "model", "plan", "position"]),
    ("entity", &["event", "json", "plan"]),
    ("projection", &["entity", "error", "json", "plan", "searchable", "text"]),
    ("source", &["backoff", "base64", "config", "error", "event", "plan", "position"]),
    ("state", &["entity", "error", "plan", "position", "private", "projection", "source"]),
    (
        "dead_letter",
        &[
            "backoff", "base64", "config", "error", "event", "plan", "position", "private", "shutdown",
            "source", "time",
        ],
    ),
    ("sink", &["config", "error", "json", "model", "plan", "position", "projection", "time"]),
    (
        "pipeline",
        &[
            "backoff",
            "config",
            "dead_letter",
            "decode",
            "entity",
            "error",
            "event",
            "plan",
            "position",
            "private",
            "projection",
            "shutdown",
            "sink",
            "source",
            "state",
            "time",
            "trace",
        ],
    ),
    (
        "reindex",
        &[
            "error",
            "pipeline",
            "position",
            "private",
            "projection",
            "shutdown",
            "sink",
            "source",
            "state",
            "verify",
        ],
    ),
    (
        "explain",
        &[
            "decode",
            "entity",
            "error",
            "escape",
            "event",
            "json",
            "pipeline",
            "plan",
            "position",
            "projection",
            "sink",
            "source",
            "state",
        ],
    ),
    ("search", &["error", "plan", "position", "searchable", "text", "time"]),
    (
        "engine",
        &[
            "body",
            "config",
            "error",
            "model",
            "plan",
            "private",
            "search",
            "searchable",
            "sink",
            "text",
            "time",
        ],
    ),
    ("generate", &["cli", "config", "error", "event", "plan", "source"]),
    ("cli", &["config", "telemetry"]),
    (
        "http",
        &[
            "body",
            "config",
            "error",
            "event",
            "explain",
            "json",
            "pipeline",
            "plan",
            "position",
            "projection",
            "search",
            "shutdown",
            "state",
            "verify",
        ],
    ),
    (
        "verify",
        &[
            "backoff",
            "entity",
            "error",
            "event",
            "json",
            "pipeline",
            "plan",
            "projection",
            "shutdown",
            "sink",
            "state",
        ],
    ),
];

/// The top-level part of the source that a file belongs to.
fn part_of(inside: &Path) -> String {
    let first = inside.components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Every import of one part by a file of another, tests aside: the file, its part, and the part that it imports.
fn imports() -> Vec<(PathBuf, String, String)> {
    let mut imports = Vec::new();
    for path in sources(&root().join("src")) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let part = part_of(inside);
        if ["lib", "main", "simulation"].contains(&part.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let production = text.split("#[cfg(test)]").next().unwrap();
        for rest in production.split("crate::").skip(1) {
            let name: String =
                rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
            if name != part {
                imports.push((inside.to_owned(), part.clone(), name));
            }
        }
    }
    imports
}

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    for (file, part, name) in imports().into_iter().filter(|(_, part, _)| part != "app") {
        let place = MAY_IMPORT.iter().find(|(known, _)| *known == part);
        let allowed = place.unwrap_or_else(|| panic!("{part} has no place")).1;
        if !allowed.contains(&name.as_str()) {
            wrong.push(format!("{} imports {name}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_part_imports_itself_through_others() {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, part, name) in imports() {
        graph.entry(part).or_default().insert(name);
    }
    assert!(graph.len() > 20, "the imports are found");
    // A part that imports none of those left is in no circle.
    loop {
        let left: BTreeSet<String> = graph.keys().cloned().collect();
        let before = graph.len();
        graph.retain(|_, imported| imported.iter().any(|name| left.contains(name)));
        if graph.len() == before {
            break;
        }
    }
    assert!(graph.is_empty(), "circles among {graph:#?}");
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let files = sources(&root().join("src")).into_iter().chain(sources(&root().join("tests")));
    let long: Vec<_> = files.filter(|path| fs::read_to_string(path).unwrap().lines().count() > 500).collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn the_root_has_at_most_18_entries() {
    let listed = Command::new("git").arg("-C").arg(root()).arg("ls-files").output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let files = String::from_utf8(listed.stdout).unwrap();
    let entries: BTreeSet<&str> = files.lines().filter_map(|file| file.split('/').next()).collect();
    assert!((10..=18).contains(&entries.len()), "{entries:?}");
}

/// Sizes come in by `pipeline/tuning.rs`, so that the simulation runs the code that ships.
#[test]
fn no_value_is_another_one_in_tests() {
    let differs = |path: &PathBuf| fs::read_to_string(path).unwrap().contains("cfg!(test)");
    let differing: Vec<_> = sources(&root().join("src")).into_iter().filter(differs).collect();
    assert!(differing.is_empty(), "{differing:?}");
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
}

/// The files that may name the built-in model: its own, its words on the page, its generator with the command line, the
/// examples, the simulation.
const BUILT_IN: &[&str] = &[
    "cli/generate.rs",
    "cli/examples.rs",
    "generate/",
    "http/page/builtin.js",
    "model/builtin.rs",
    "plan/builtin.rs",
    "simulation/",
];

/// The key `index.max_embedded_contacts` of the configuration, and the name of its value.
const KEY: &str = "max_embedded_contacts";

#[test]
fn no_other_source_names_the_entities_of_the_built_in_model() {
    let source = root().join("src");
    let mut found = Vec::new();
    for path in with_extension(&source, &["rs", "js", "json", "html", "css"]) {
        let name = path.strip_prefix(&source).unwrap().display().to_string();
        let is_test = name.ends_with("tests.rs") || name.contains("/tests/") || name == "verify/world.rs";
        if is_test || BUILT_IN.iter().any(|part| name.starts_with(part)) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // Tests have the built-in model as their example.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let line = line.replace(KEY, "").to_lowercase();
            if line.contains("organisation") || line.contains("contact") {
                found.push(format!("{name}:{}: {line}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
