//! `docs/configuration.md` and `examples/tributary.toml` name every configuration key, with the default that it has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use toml::{Table, Value};
use tributary::app;
use tributary::config::{Config, Flags, keys};

use crate::files::read;

/// A row of the document's tables.
struct Row {
    default: String,
    kind: String,
    variable: String,
    meaning: String,
}

/// The rows of all tables whose first column is a key. A key that occurs twice fails the test.
fn documented() -> BTreeMap<String, Row> {
    let text = read("docs/configuration.md");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [key, kind, default, variable, meaning] = cells[..] else { panic!("not five columns: {line}") };
        let row = Row {
            default: default.trim_matches('`').to_owned(),
            kind: kind.to_owned(),
            variable: variable.trim_matches('`').to_owned(),
            meaning: meaning.to_owned(),
        };
        let key = key.trim_matches('`').to_owned();
        assert!(rows.insert(key.clone(), row).is_none(), "{key} is described twice");
    }
    rows
}

/// The keys of the program, without the mark of a table with free names.
fn known() -> BTreeSet<&'static str> {
    keys().iter().map(|key| key.trim_end_matches(".*")).collect()
}

/// The configuration of a file with this text, every key with its value.
fn resolve(text: &str) -> Result<Table, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tributary.toml");
    fs::write(&file, text).unwrap();
    let examined = Config::examine(&app::kinds(), Some(&file), std::iter::empty(), &Flags::new());
    examined.map(|(_, table)| table).map_err(|wrong| wrong.iter().map(ToString::to_string).collect())
}

/// The value of a key: an absent key and an empty table are none.
fn value<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let value = match key.split_once('.') {
        Some((section, name)) => table.get(section)?.get(name),
        None => table.get(key),
    };
    value.filter(|value| value.as_table().is_none_or(|table| !table.is_empty()))
}

#[test]
fn the_document_names_every_key_and_no_other() {
    let documented = documented();
    let named: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
    let missing: Vec<_> = known().difference(&named).copied().collect();
    let unknown: Vec<_> = named.difference(&known()).copied().collect();
    assert!(missing.is_empty(), "docs/configuration.md lacks {missing:?}");
    assert!(unknown.is_empty(), "docs/configuration.md describes {unknown:?}, which are no keys");
    for (key, row) in &documented {
        assert!(row.meaning.ends_with('.'), "{key}: its meaning is no sentence");
        let is_table = keys().contains(&format!("{key}.*"));
        let end = if is_table { "__…" } else { "" };
        let variable = format!("TRIBUTARY_{}{end}", key.to_uppercase().replace('.', "__"));
        assert_eq!(row.variable, variable, "{key}: its environment variable");
        assert_eq!(row.kind.starts_with("table"), is_table, "{key}: {}", row.kind);
    }
}

#[test]
fn the_document_has_the_defaults_of_the_program() {
    let defaults = resolve("").unwrap();
    for (key, row) in documented() {
        let Some(default) = value(&defaults, &key) else {
            assert_eq!(row.default, "none", "{key} has no default");
            continue;
        };
        let written: Table = toml::from_str(&format!("value = {}", row.default)).unwrap();
        assert_eq!(&written["value"], default, "{key}: its default");
        let is_of_kind = match default {
            Value::Array(_) => row.kind.starts_with("list"),
            Value::Integer(_) => row.kind.starts_with("integer"),
            _ => !row.kind.starts_with("list") && !row.kind.starts_with("integer"),
        };
        assert!(is_of_kind, "{key} is described as {}, and its default is {default:?}", row.kind);
    }
}

/// The settings of the example: for each the key, and the example with this one switched on where it is a comment.
fn settings(example: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = example.lines().collect();
    let (mut section, mut settings) = ("", Vec::new());
    for (at, line) in lines.iter().enumerate() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        let setting = line.strip_prefix('#').unwrap_or(line);
        let Some((name, _)) = setting.split_once(" = ").filter(|_| !setting.starts_with([' ', '#'])) else {
            continue;
        };
        let is_table = keys().contains(&format!("{section}.*"));
        let key = match (section, is_table) {
            (_, true) => section.to_owned(),
            ("", false) => name.to_owned(),
            _ => format!("{section}.{name}"),
        };
        let mut switched = lines.clone();
        switched[at] = setting;
        settings.push((key, switched.join("\n")));
    }
    settings
}

#[test]
fn the_example_has_every_key_and_gives_the_defaults() {
    let example = read("examples/tributary.toml");
    let (found, defaults) = (resolve(&example).unwrap(), resolve("").unwrap());
    for key in known() {
        assert_eq!(value(&found, key), value(&defaults, key), "examples/tributary.toml: {key}");
    }
    let settings = settings(&example);
    let named: BTreeSet<&str> = settings.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(named, known(), "the keys of examples/tributary.toml");
    for (key, text) in &settings {
        // A file that a setting names is not there. Everything else of the setting is right.
        let refusal = resolve(text).err().filter(|refusal| !refusal.contains("cannot be read"));
        assert!(refusal.is_none(), "{key}: {refusal:?}");
    }
}

#[test]
fn the_files_in_the_document_are_valid() {
    let text = read("docs/configuration.md");
    let files: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!files.is_empty(), "no example in docs/configuration.md");
    for file in files {
        let refusal = resolve(file).err().filter(|refusal| !refusal.contains("cannot be read"));
        assert!(refusal.is_none(), "{refusal:?}:\n{file}");
    }
}
