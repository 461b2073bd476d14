//! Where settings come from: the file's table with the environment and the flags laid over it.

use std::path::Path;
use std::sync::OnceLock;

use toml::{Table, Value};

use crate::error::{Error, Result};
use crate::model::built_in_model::SECTIONS;

/// The beginning of our environment variables' names.
const PREFIX: &str = "TRIBUTARY_";
/// The keys of each section that says how the records of an entity type are read.
const ENTITY_KEYS: [&str; 10] = [
    "topics",
    "format",
    "encoding",
    "key_encoding",
    "version",
    "truncate",
    "naming",
    "rename.*",
    "from.*",
    "key",
];

/// The keys that have a place of their own, as [`keys`] has them.
const OTHERS: &[&str] = &[
    "state",
    "model",
    "source.kind",
    "source.path",
    "kafka.brokers",
    "kafka.group",
    "kafka.properties.*",
    "kafka.properties_files.*",
    "postgres.url",
    "postgres.password",
    "postgres.password_file",
    "postgres.sslmode",
    "postgres.ca_certificate",
    "postgres.schema",
    "postgres.stable",
    "events.types.*",
    "schema_registry.url",
    "schema_registry.username",
    "schema_registry.password",
    "schema_registry.password_file",
    "schema_registry.ca_certificate",
    "index.kind",
    "index.url",
    "index.username",
    "index.password",
    "index.password_file",
    "index.api_key",
    "index.api_key_file",
    "index.ca_certificate",
    "index.path",
    "index.prefix",
    "index.mappings",
    "index.layout",
    "index.projections",
    "index.refresh",
    "index.max_embedded_contacts",
    "dead_letters.kind",
    "dead_letters.path",
    "dead_letters.topic",
    "dead_letters.spill_bytes",
    "http.listen",
    "http.token",
    "http.token_file",
    "http.hosts",
    "http.cors_origins",
    "traces.endpoint",
];

/// The keys, each with its section before a dot; those that end in `.*` are tables of free names.
pub fn keys() -> &'static [String] {
    static KEYS: OnceLock<Vec<String>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let of = |section: &'static str| ENTITY_KEYS.map(|key| format!("{section}.{key}"));
        let sections = SECTIONS.into_iter().flat_map(of);
        OTHERS.iter().map(|key| (*key).to_owned()).chain(sections).collect()
    })
}

/// True of a key.
fn is_key(name: &str) -> bool {
    keys().iter().any(|key| key == name)
}

/// Keys whose value in an environment variable is a list by commas; those of [`LISTS_OF_ENTITIES`] are so as well.
const LISTS: &[&str] = &["index.projections", "index.url", "http.hosts", "http.cors_origins"];

/// The same of the sections of entity types.
const LISTS_OF_ENTITIES: [&str; 2] = ["topics", "key"];

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Table> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::usage(format!("the configuration {shown} cannot be read")).because(error))?;
    toml::from_str(&text).map_err(|error| no_toml(path, &text, &error))
}

/// The keys of a file that are none of ours, and sections that are no tables. `entities` names the model's entity types.
pub(super) fn find_unknown_keys(
    table: &Table,
    path: &Path,
    entities: &dyn Fn() -> Vec<String>,
) -> Vec<Error> {
    let mut wrong = Vec::new();
    check(table, "", &KeyPlace { file: &path.display().to_string(), entities }, &mut wrong);
    wrong
}

/// The file of keys, and the names that a section may have by mistake.
struct KeyPlace<'a> {
    file: &'a str,
    entities: &'a dyn Fn() -> Vec<String>,
}

/// Says where a file is no TOML. The parser's own error is not attached: it quotes the line, which may
/// hold a secret.
fn no_toml(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let before = error.span().and_then(|span| text.get(..span.start));
    let place = before.map_or_else(String::new, |before| format!(" in line {}", before.split('\n').count()));
    let reason = error.message().replace('\n', ", ");
    Error::usage(format!("the configuration {} is no TOML{place}: {reason}", path.display()))
}

fn check(table: &Table, section: &str, place: &KeyPlace<'_>, wrong: &mut Vec<Error>) {
    let file = place.file;
    for (name, value) in table {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        if is_key(&key) || is_key(&format!("{section}.*")) {
            continue;
        }
        let is_section = keys().iter().any(|known| known.starts_with(&format!("{key}.")));
        match value {
            Value::Table(inner) if is_section => check(inner, &key, place, wrong),
            _ if is_section => {
                wrong.push(Error::usage(format!(
                    "{key}: it is a section, and a table was expected in {file}"
                )));
            }
            Value::Table(_) if section.is_empty() && (place.entities)().contains(name) => {
                wrong.push(Error::usage(format!(
                    "{name}: entity types are declared in the model file; write the keys of this section under \
                     [entities.{name}] there"
                )));
            }
            _ => wrong.push(key_error(&key, file)),
        }
    }
}

fn key_error(key: &str, place: &str) -> Error {
    let nearest = keys()
        .iter()
        .map(|known| known.trim_end_matches(".*"))
        .max_by(|left, right| strsim::jaro_winkler(key, left).total_cmp(&strsim::jaro_winkler(key, right)));
    Error::usage(format!(
        "{key}: unknown key in {place}; the nearest known one is {}",
        nearest.unwrap_or_default()
    ))
}

/// Lays the environment's variables over the table: `TRIBUTARY_KAFKA__BROKERS` is `kafka.brokers`. A variable with
/// `__` names a key and must be one; any other is passed over unless it is a key without a section.
pub(super) fn overlay(table: &mut Table, environment: impl Iterator<Item = (String, String)>) -> Vec<Error> {
    let mut wrong = Vec::new();
    for (variable, value) in environment {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if !variable.contains("__") && !is_key(&name.to_lowercase()) {
            // Kubernetes sets TRIBUTARY_PORT and the like beside a Service of that name.
            continue;
        }
        let words: Vec<String> = name.split("__").map(str::to_lowercase).collect();
        let mut path: Vec<String> = words.iter().take(2).cloned().collect();
        let key = path.join(".");
        let is_table = is_key(&format!("{key}.*"));
        if words.len() == 2 && is_table {
            wrong.push(Error::usage(format!(
                "{key}: {variable} stands for a table; name one entry of it, {variable}__NAME"
            )));
            continue;
        }
        if words.len() > 2 && is_table {
            // librdkafka's names are parted by dots, which no variable's name can hold.
            path.push(words.get(2..).unwrap_or_default().join("."));
        } else if words.len() > 2 || !is_key(&key) {
            wrong.push(key_error(&words.join("."), &variable));
            continue;
        }
        set(table, &path, from_text(&key, &value));
    }
    wrong
}

/// The value that a variable's or a flag's text stands for.
fn from_text(key: &str, text: &str) -> Value {
    let of_entity = key
        .split_once('.')
        .is_some_and(|(section, key)| SECTIONS.contains(&section) && LISTS_OF_ENTITIES.contains(&key));
    if of_entity || LISTS.contains(&key) {
        return Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect());
    }
    match text.parse::<i64>() {
        Ok(number) if key == "index.max_embedded_contacts" => Value::Integer(number),
        _ => Value::String(text.to_owned()),
    }
}

/// Lays one flag over the table.
pub(super) fn overlay_flag(table: &mut Table, key: &str, text: &str) {
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    set(table, &path, from_text(key, text));
}

/// Takes a key away; false when it is not there.
pub(super) fn remove(table: &mut Table, key: &str) -> bool {
    match key.split_once('.') {
        Some((section, name)) => table
            .get_mut(section)
            .and_then(Value::as_table_mut)
            .is_some_and(|inner| inner.remove(name).is_some()),
        None => table.remove(key).is_some(),
    }
}

pub(super) fn set(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            table.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let inner = table.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}
