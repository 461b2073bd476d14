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
    ("private_files", &[]),
    ("time", &[]),
    ("text", &[]),
    ("searchable_fields", &["text", "time"]),
    ("position", &[]),
    ("shutdown", &[]),
    ("output", &["error"]),
    ("telemetry", &["escape", "output"]),
    ("json", &[]),
    ("trace", &["config", "error"]),
    ("model", &["error"]),
    ("plan", &["model", "searchable_fields"]),
    ("event", &["plan", "position"]),
    ("config", &["error", "model", "plan"]),
    ("encoding", &["base64", "body", "config", "error", "time"]),
    ("decoder", &["base64", "config", "encoding", "error", "event", "json", "model", "plan", "position"]),
    ("entity", &["event", "json", "plan"]),
    ("projection", &["entity", "error", "json", "plan", "searchable_fields", "text"]),
    ("source", &["backoff", "base64", "config", "error", "event", "plan", "position"]),
    ("state", &["entity", "error", "plan", "position", "private_files", "projection", "source"]),
    (
        "dead_letter",
        &[
            "backoff",
            "base64",
            "config",
            "error",
            "event",
            "plan",
            "position",
            "private_files",
            "shutdown",
            "source",
            "time",
        ],
    ),
    ("sink", &["config", "error", "json", "model", "plan", "position", "projection", "time"]),
    (
        "pipeline",
        &[
            "backoff",
            "config",
            "dead_letter",
            "decoder",
            "entity",
            "error",
            "event",
            "plan",
            "position",
            "private_files",
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
            "private_files",
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
            "decoder",
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
    ("search", &["error", "plan", "position", "searchable_fields", "text", "time"]),
    (
        "engine",
        &[
            "body",
            "config",
            "error",
            "model",
            "plan",
            "private_files",
            "search",
            "searchable_fields",
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

/// The mark of an item that only tests have.
const TEST: &str = "#[cfg(test)]";

/// A source without the items that only tests have. The last line of an item stands as far to the right as its first.
pub fn without_tests(source: &str) -> String {
    let margin = |line: &str| line.len() - line.trim_start().len();
    let (mut code, mut lines) = (String::new(), source.lines());
    while let Some(line) = lines.next() {
        if line.trim_start() == TEST {
            lines.find(|last| last.ends_with([';', '}', ',']) && margin(last) == margin(line));
        } else {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

#[test]
fn items_of_tests_are_left_out() {
    let source = "use a::A;\n#[cfg(test)]\nmod tests;\nfn f() {\n    #[cfg(test)]\n    if A {\n        g();\n    }\n    h();\n}\n\
                  #[cfg(test)]\n#[path = \"b.rs\"]\nmod b {\n    const C: &str = \"{\";\n}\nuse d::D;\n";
    assert_eq!(without_tests(source), "use a::A;\nfn f() {\n    h();\n}\nuse d::D;\n");
}

/// The files of the source apart from the simulation, each with its text without tests.
fn productions() -> Vec<(PathBuf, String)> {
    let folder = root().join("src");
    let mut productions = Vec::new();
    for path in sources(&folder) {
        let inside = path.strip_prefix(&folder).unwrap();
        if !["lib", "main", "simulation"].contains(&part_of(inside).as_str()) {
            let text = fs::read_to_string(&path).unwrap();
            productions.push((inside.to_owned(), without_tests(&text)));
        }
    }
    productions
}

/// Every import of one part by a file of another, tests aside: the file, its part, and the part that it imports.
fn imports() -> Vec<(PathBuf, String, String)> {
    let mut imports = Vec::new();
    for (file, text) in productions() {
        let part = part_of(&file);
        for rest in text.split("crate::").skip(1) {
            let name: String =
                rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
            if name != part {
                imports.push((file.clone(), part.clone(), name));
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

/// Takes away the names that import none of those left or that none of those left imports: these are in no circle.
fn keep_circles<T: Ord + Clone>(graph: &mut BTreeMap<T, BTreeSet<T>>) {
    loop {
        let before = graph.len();
        let left: BTreeSet<T> = graph.keys().cloned().collect();
        graph.retain(|_, imports| {
            imports.retain(|name| left.contains(name));
            !imports.is_empty()
        });
        let left: BTreeSet<T> = graph.values().flatten().cloned().collect();
        graph.retain(|name, _| left.contains(name));
        if graph.len() == before {
            break;
        }
    }
}

#[test]
fn circles_are_kept() {
    let edges = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "e"), ("f", "e")];
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, import) in edges {
        graph.entry(name).or_default().insert(import);
    }
    keep_circles(&mut graph);
    assert_eq!(graph, BTreeMap::from([("b", BTreeSet::from(["c"])), ("c", BTreeSet::from(["b"]))]));
}

/// True for a letter of a path such as `crate::model::path`.
fn is_of_path(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == ':'
}

/// The paths of a `use` tree: `a::b` and `a::c` of `a::{b, c as d}`.
fn flatten(tree: &str) -> Vec<String> {
    let braces = tree.trim().strip_suffix('}').and_then(|tree| tree.split_once('{'));
    let Some((before, branches)) = braces else {
        return tree.split_whitespace().take(1).map(str::to_owned).collect();
    };
    let mut depth = 0;
    let is_end = |letter: char| {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    };
    branches.split(is_end).flat_map(flatten).map(|path| format!("{before}{path}")).collect()
}

/// The paths of a source that begin at the root or above its module, in `use` and elsewhere.
fn paths(source: &str) -> Vec<String> {
    let lines: Vec<&str> = source.lines().map(|line| line.split("//").next().unwrap()).collect();
    let code = lines.join("\n");
    let mut paths = Vec::new();
    for (at, _) in ["crate::", "super::"].into_iter().flat_map(|first| code.match_indices(first)) {
        if code[..at].ends_with(is_of_path) {
            continue;
        }
        let rest = &code[at..];
        let path = rest.split(|letter: char| !is_of_path(letter)).next().unwrap();
        if rest[path.len()..].starts_with('{') {
            paths.extend(flatten(rest.split(';').next().unwrap()));
        } else {
            paths.push(path.to_owned());
        }
    }
    paths
}

/// The module that a file holds: `model/check` of `model/check.rs`, and `model` of `model/mod.rs`.
fn module_of(file: &Path) -> PathBuf {
    let module = file.with_extension("");
    if module.ends_with("mod") { module.parent().unwrap().to_owned() } else { module }
}

/// The deepest module with a file of its own that a path leads to from a module.
fn resolve(path: &str, module: &Path, modules: &BTreeSet<PathBuf>) -> PathBuf {
    let mut target = module.to_owned();
    for name in path.split_terminator("::") {
        match name {
            "crate" => target = PathBuf::new(),
            "super" => {
                target.pop();
            }
            _ if modules.contains(&target.join(name)) => target.push(name),
            _ => break,
        }
    }
    target
}

/// The modules that the source of a module imports. Those above and below it do not count: modules are made of them.
fn targets(source: &str, module: &Path, modules: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let targets = paths(source).into_iter().map(|path| resolve(&path, module, modules));
    targets.filter(|target| !target.starts_with(module) && !module.starts_with(target)).collect()
}

#[test]
fn imports_lead_to_the_deepest_file() {
    let modules = "model model/check model/check/names model/path plan plan/build time";
    let modules: BTreeSet<PathBuf> = modules.split(' ').map(PathBuf::from).collect();
    for (source, expected) in [
        ("use crate::plan::Plan;", "plan"),
        ("use super::names::{self as words, Members};", "model/check/names"),
        (
            "use crate::{\n    plan::{self, build::{Plan as Built, *}},\n    time as clock,\n};",
            "plan plan/build time",
        ),
        ("fn f() { super::super::path::embed(crate::time::now()) }", "model/path time"),
        (
            "use super::*; use crate::model::Model; use self::plan::Plan; a_crate::time::now() // crate::time",
            "",
        ),
    ] {
        let expected: BTreeSet<PathBuf> = expected.split_whitespace().map(PathBuf::from).collect();
        assert_eq!(targets(source, Path::new("model/check/embeds"), &modules), expected, "{source}");
    }
}

/// The modules with their imports, tests aside.
fn graph_of_files() -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
    let productions = productions();
    let modules: BTreeSet<PathBuf> = productions.iter().map(|(file, _)| module_of(file)).collect();
    let imports = productions.iter().map(|(file, text)| {
        let module = module_of(file);
        let targets = targets(text, &module, &modules);
        (module, targets)
    });
    imports.filter(|(_, targets)| !targets.is_empty()).collect()
}

#[test]
fn no_file_imports_itself_through_others() {
    let mut graph = graph_of_files();
    assert!(graph.len() > 200, "the imports are found");
    for (file, import) in [
        ("model/path", "model/types"),            // `use super::types::…`
        ("model/check/search", "model/path"),     // `use crate::model::path::…`
        ("encoding/schema", "encoding/protobuf"), // `use super::{…, protobuf}`
    ] {
        assert!(graph[Path::new(file)].contains(Path::new(import)), "{file} imports {import}");
    }
    keep_circles(&mut graph);
    assert!(graph.is_empty(), "circles among {graph:#?}");
}

/// The files or folders beside each other by which one module imports another: `app/run` and `app/check` of
/// `app/run` and `app/check/state`.
fn neighbours(module: &Path, import: &Path) -> (PathBuf, PathBuf) {
    let shared = module.iter().zip(import).take_while(|(one, other)| one == other).count();
    let place = |path: &Path| -> PathBuf { path.iter().take(shared + 1).collect() };
    (place(module), place(import))
}

#[test]
fn no_folder_imports_itself_through_others() {
    let mut graph: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for (module, imports) in graph_of_files() {
        for (one, other) in imports.iter().map(|import| neighbours(&module, import)) {
            graph.entry(one).or_default().insert(other);
        }
    }
    for (folder, import) in [("pipeline", "state"), ("app/run", "app/rebuild"), ("app/reindex", "app/check")]
    {
        assert!(graph[Path::new(folder)].contains(Path::new(import)), "{folder} imports {import}");
    }
    keep_circles(&mut graph);
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
    "model/built_in_model.rs",
    "plan/built_in_plan.rs",
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
        for line in without_tests(&text).lines() {
            let line = line.replace(KEY, "").to_lowercase();
            if line.contains("organisation") || line.contains("contact") {
                found.push(format!("{name}: {line}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
