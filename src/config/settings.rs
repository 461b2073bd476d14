//! Settings resolved: defaults, the file, the environment, the flags; each value checked.

mod http;
mod model;
mod postgres;
mod records;
mod secrets;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{
    Config, DeadLetterConfig, DeadLetterKind, DerivedMapping, HIDDEN, HttpConfig, IndexConfig, KafkaConfig,
    Kinds, Refresh, SourceConfig, is_secret, layers, without_secrets,
};
use crate::error::{Error, Result};
use crate::model::{Layout, Model, Projection, mapping};
use crate::plan::{PlanRef, builtin};

/// The file that is read when none is named and it is there.
const FILE: &str = "tributary.toml";
/// How much of dead letters waits on the disk unless told otherwise: 64 MiB.
const SPILL_BYTES: i64 = 64 << 20;
/// Elasticsearch's limit of nested objects in a document.
const EMBEDDED_MAX: i64 = 10_000;

/// Signs that no name of an index can hold, beside capitals, spaces and control characters.
const FORBIDDEN: [char; 11] = ['\\', '/', '*', '?', '"', '<', '>', '|', ',', '#', ':'];
/// An index's name has at most 255 bytes, and the part behind the prefix takes some.
const PREFIX_BYTES_MAX: usize = 200;

/// Keys set by flags of the command line, each with its text.
pub type Flags = Vec<(&'static str, String)>;

impl Config {
    /// The defaults with `flags` over them: neither a file nor the environment is read. `kinds` are those that
    /// `source.kind` and `index.kind` can name.
    ///
    /// # Errors
    /// Exit code 2, naming the key, the value found and the values expected.
    pub fn defaults(kinds: &Kinds, flags: &Flags) -> Result<Self> {
        let mut table = Table::new();
        flags.iter().for_each(|(key, text)| layers::overlay_flag(&mut table, key, text));
        let config = resolve(&ConfigKeys::of(&table), kinds)?;
        super::conflicts::check(&config).into_iter().next().map_or(Ok(config), Err)
    }

    /// Reads `tributary.toml` of the working directory when it is there, or the file named. Lays the environment and
    /// the flags over it, and checks all of it. `kinds` are as in [`Self::defaults`].
    ///
    /// # Errors
    /// Exit code 2, naming the key, the value found and the values expected.
    pub fn load(
        kinds: &Kinds,
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<Self> {
        let examined = Self::examine(kinds, file, environment, flags);
        examined.map(|(config, _)| config).map_err(|wrong| {
            let first = wrong.into_iter().next();
            first.unwrap_or_else(|| Error::usage("the configuration is wrong"))
        })
    }

    /// As [`Self::load`], beside the resolved value of every key, secrets hidden.
    ///
    /// # Errors
    /// All that is wrong, not only the first.
    pub fn examine(
        kinds: &Kinds,
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<(Self, Table), Vec<Error>> {
        let path = file.or_else(|| Some(Path::new(FILE)).filter(|path| path.exists()));
        let mut table = path.map_or_else(|| Ok(Table::new()), layers::read).map_err(|error| vec![error])?;
        if let Some(path) = path {
            model::place_beside(&mut table, path);
        }
        let written = table.clone();
        let of_variables = layers::overlay(&mut table, environment);
        let entities = || model::entity_types(&table);
        let unknown = path.map(|path| layers::find_unknown_keys(&written, path, &entities));
        let wrong = unknown.into_iter().flatten().chain(of_variables).collect();
        flags.iter().for_each(|(key, text)| layers::overlay_flag(&mut table, key, text));
        resolve_all(table, kinds, wrong)
    }

    /// The file that the key `model` names, even when other keys are wrong; `None` for the built-in model.
    ///
    /// # Errors
    /// Exit code 2, when the configuration cannot be read or the key has a wrong type.
    pub fn model_file(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Option<PathBuf>> {
        let path = file.or_else(|| Some(Path::new(FILE)).filter(|path| path.exists()));
        let mut table = path.map_or_else(|| Ok(Table::new()), layers::read)?;
        if let Some(path) = path {
            model::place_beside(&mut table, path);
        }
        layers::overlay(&mut table, environment);
        ConfigKeys::of(&table).maybe(model::KEY).map(|file| file.map(PathBuf::from))
    }
}

/// Resolves a table as far as it goes: a key with a wrong value is noted and left out, until nothing more is wrong.
fn resolve_all(
    mut table: Table,
    kinds: &Kinds,
    mut wrong: Vec<Error>,
) -> Result<(Config, Table), Vec<Error>> {
    loop {
        let keys = ConfigKeys::of(&table);
        let resolved = resolve(&keys, kinds);
        let (shown, last_key) = (keys.shown.take(), keys.last_key.take());
        match resolved {
            Ok(config) => {
                wrong.extend(super::conflicts::check(&config));
                return if wrong.is_empty() { Ok((config, shown)) } else { Err(wrong) };
            }
            Err(error) => wrong.push(error),
        }
        // The key that was asked for last is the wrong one, unless several keys are wrong together.
        if !layers::remove(&mut table, &last_key) {
            return Err(wrong);
        }
    }
}

fn resolve(keys: &ConfigKeys<'_>, kinds: &Kinds) -> Result<Config> {
    let state = keys.path("state", "data/state")?;
    let declared = model::read_declared(keys)?;
    let entities = records::entities(keys, &declared)?;
    let layout = keys.choice("index.layout", &Layout::NAMES)?;
    let mut index = index(keys, &declared, kinds)?;
    let model = model::in_force(declared, entities, index.max_embedded_contacts, layout)?;
    index.derived = derive_mappings(&model);
    index.plan = PlanRef::of(&model);
    index.plan.check().map_err(Error::usage)?;
    let sources: Vec<_> = kinds.sources.iter().map(|kind| (kind.name, *kind)).collect();
    Ok(Config {
        state,
        model,
        source: SourceConfig {
            kind: keys.choice("source.kind", &sources)?,
            path: keys.path("source.path", "events")?,
        },
        kafka: KafkaConfig {
            brokers: keys.text("kafka.brokers", "localhost:9092")?,
            group: keys.text("kafka.group", "tributary")?,
            properties: properties(keys)?,
        },
        postgres: postgres::postgres(keys)?,
        schema_registry: records::schema_registry(keys)?,
        event_types: records::types(keys)?,
        index,
        dead_letters: DeadLetterConfig {
            kind: keys.choice(
                "dead_letters.kind",
                &[("file", DeadLetterKind::File), ("kafka", DeadLetterKind::Kafka)],
            )?,
            path: keys.path("dead_letters.path", "data/dead-letters.jsonl")?,
            topic: keys.text("dead_letters.topic", "tributary.dead-letters")?,
            spill_bytes: spill_bytes(keys)?,
        },
        http: HttpConfig {
            listen: keys.address("http.listen", "127.0.0.1:8080")?,
            token: keys.secret_of_header("http.token")?,
            hosts: http::hosts(keys)?,
            cors_origins: http::origins(keys)?,
        },
        traces: http::collector(keys)?,
    })
}

fn spill_bytes(keys: &ConfigKeys<'_>) -> Result<u64> {
    let (key, found) = ("dead_letters.spill_bytes", keys.number("dead_letters.spill_bytes", SPILL_BYTES)?);
    let wrong = |_| Error::usage(format!("{key}: {found} found, a number of bytes from 0 on was expected"));
    u64::try_from(found).map_err(wrong)
}

fn properties(keys: &ConfigKeys<'_>) -> Result<BTreeMap<String, String>> {
    let mut properties = keys.table("kafka.properties")?;
    for (name, path) in keys.table("kafka.properties_files")? {
        if properties.contains_key(&name) {
            return Err(Error::usage(format!(
                "kafka.properties_files: {name:?} is in kafka.properties as well; set one of the two"
            )));
        }
        let secret = secrets::read_secret(&format!("kafka.properties_files.{name}"), Path::new(&path))?;
        properties.insert(name, secret);
    }
    Ok(properties)
}

fn index(keys: &ConfigKeys<'_>, model: &Model, kinds: &Kinds) -> Result<IndexConfig> {
    let key = "index.max_embedded_contacts";
    let embedded = keys.number(key, EMBEDDED_MAX)?;
    if !(1..=EMBEDDED_MAX).contains(&embedded) {
        return Err(Error::usage(format!(
            "{key}: {embedded} found, 1 to {EMBEDDED_MAX} (the index's limit) was expected"
        )));
    }
    if embedded != EMBEDDED_MAX && !model.is_built_in {
        return Err(Error::usage(format!(
            "{key}: it is of the built-in model, and another one is configured; set max of an embed in that one"
        )));
    }
    let kinds: Vec<_> = kinds.indexes.iter().map(|kind| (kind.name, *kind)).collect();
    Ok(IndexConfig {
        kind: keys.choice("index.kind", &kinds)?,
        urls: keys.list_of_distinct("index.url", &["http://localhost:9200"])?,
        username: keys.maybe("index.username")?,
        password: keys.secret("index.password")?,
        api_key: keys.secret_of_header("index.api_key")?,
        ca_certificate: keys.maybe("index.ca_certificate")?.map(PathBuf::from),
        path: keys.path("index.path", "data/index")?,
        prefix: keys.prefix("index.prefix")?,
        mappings: keys.path("index.mappings", "mappings")?,
        derived: BTreeMap::new(),
        plan: builtin(),
        projections: projections(keys, model)?,
        refresh: keys
            .choice("index.refresh", &[("adaptive", Refresh::Adaptive), ("interval", Refresh::Interval)])?,
        max_embedded_contacts: usize::try_from(embedded).unwrap_or(usize::MAX),
    })
}

fn derive_mappings(model: &Model) -> BTreeMap<String, DerivedMapping> {
    let of = |projection: &Projection| {
        let (mapping, shape) = (mapping::text(model, projection), mapping::shape(model, projection));
        (projection.name.clone(), DerivedMapping { mapping, shape })
    };
    model.projections.iter().map(of).collect()
}

fn projections(keys: &ConfigKeys<'_>, model: &Model) -> Result<Vec<String>> {
    let known: Vec<&str> = model.projections.iter().map(|projection| projection.name.as_str()).collect();
    let named = keys.list("index.projections", &known)?;
    let choices: Vec<(&str, &str)> = known.iter().map(|name| (*name, *name)).collect();
    for name in &named {
        choose("index.projections", name, &choices)?;
    }
    let projections: Vec<String> =
        known.into_iter().filter(|name| named.iter().any(|named| named == name)).map(str::to_owned).collect();
    if projections.is_empty() || projections.len() != named.len() {
        return Err(Error::usage("index.projections: each projection once, and at least one, was expected"));
    }
    Ok(projections)
}

fn choose<T: Copy>(key: &str, text: &str, choices: &[(&str, T)]) -> Result<T> {
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
    found.ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let nearest = names
            .iter()
            .max_by(|a, b| strsim::jaro_winkler(text, a).total_cmp(&strsim::jaro_winkler(text, b)));
        let nearest = nearest.copied().unwrap_or_default();
        Error::usage(format!(
            "{key}: {text:?} found, one of {} was expected (nearest: {nearest})",
            names.join(", ")
        ))
    })
}

/// Names the type that was found and not the value, which may be a secret.
fn wrong_type(key: &str, found: &Value, expected: &str) -> Error {
    Error::usage(format!("{key}: {expected} was expected, found: {}", found.type_str()))
}

/// Typed access to the table by dotted key.
struct ConfigKeys<'a> {
    table: &'a Table,
    /// The resolved value of each key, secrets hidden.
    shown: RefCell<Table>,
    /// The key that was asked for last.
    last_key: RefCell<String>,
}

impl<'a> ConfigKeys<'a> {
    fn of(table: &'a Table) -> Self {
        Self { table, shown: RefCell::default(), last_key: RefCell::default() }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        key.clone_into(&mut self.last_key.borrow_mut());
        match key.split_once('.') {
            Some((section, name)) => self.table.get(section)?.as_table()?.get(name),
            None => self.table.get(key),
        }
    }

    fn show(&self, key: &str, value: Value) {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        layers::set(&mut self.shown.borrow_mut(), &path, value);
    }

    fn maybe(&self, key: &str) -> Result<Option<String>> {
        let found = self.find(key)?;
        if let Some(text) = &found {
            self.show(key, Value::String(text.clone()));
        }
        Ok(found)
    }

    /// As [`Self::maybe`], not to be shown.
    fn find(&self, key: &str) -> Result<Option<String>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(wrong_type(key, other, "a string")),
        }
    }

    fn text(&self, key: &str, default: &str) -> Result<String> {
        let text = self.maybe(key)?.unwrap_or_else(|| default.to_owned());
        self.show(key, Value::String(text.clone()));
        Ok(text)
    }

    /// The prefix of the names of indexes, which can hold no capitals and not every sign.
    fn prefix(&self, key: &str) -> Result<String> {
        let prefix = self.text(key, "")?;
        let wrong = |what: &str| {
            Err(Error::usage(format!(
                "{key}: {prefix:?} found, the beginning of an index's name was expected; {what}"
            )))
        };
        let may_stand = |letter: char| {
            !(letter.is_uppercase()
                || letter.is_control()
                || letter.is_whitespace()
                || FORBIDDEN.contains(&letter))
        };
        if prefix.starts_with(['-', '_', '+', '.']) {
            return wrong("it cannot begin with -, _, + or a dot");
        }
        if prefix.len() > PREFIX_BYTES_MAX {
            return wrong("it is too long");
        }
        if prefix.chars().all(may_stand) {
            return Ok(prefix);
        }
        wrong("it holds no capitals, no spaces, and none of \\ / * ? \" < > | , # :")
    }

    /// A host and a port.
    fn address(&self, key: &str, default: &str) -> Result<String> {
        let address = self.text(key, default)?;
        let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        match parts.map(|(_, port)| port.parse::<u16>()) {
            Some(Ok(_)) => Ok(address),
            _ => Err(Error::usage(format!(
                "{key}: {address:?} found, a host and a port were expected, as in 127.0.0.1:8080"
            ))),
        }
    }

    fn path(&self, key: &str, default: &str) -> Result<PathBuf> {
        self.text(key, default).map(PathBuf::from)
    }

    fn number(&self, key: &str, default: i64) -> Result<i64> {
        let number = match self.get(key) {
            None => default,
            Some(Value::Integer(number)) => *number,
            Some(other) => return Err(wrong_type(key, other, "an integer")),
        };
        self.show(key, Value::Integer(number));
        Ok(number)
    }

    fn list(&self, key: &str, default: &[&str]) -> Result<Vec<String>> {
        let items = self.items(key, default)?;
        // An address may hold a password.
        let shown = items.iter().map(|item| Value::String(without_secrets(item)));
        self.show(key, Value::Array(shown.collect()));
        Ok(items)
    }

    fn items(&self, key: &str, default: &[&str]) -> Result<Vec<String>> {
        let wrong = |found: &Value| wrong_type(key, found, "a list of strings");
        match self.get(key) {
            None => Ok(default.iter().map(|item| (*item).to_owned()).collect()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(item))).collect()
            }
            Some(other) => Err(wrong(other)),
        }
    }

    /// A list that holds something, nothing empty, and nothing twice.
    fn list_of_distinct(&self, key: &str, default: &[&str]) -> Result<Vec<String>> {
        let items = self.list(key, default)?;
        if items.is_empty() || items.iter().any(String::is_empty) {
            return Err(Error::usage(format!("{key}: at least one value was expected, none of them empty")));
        }
        let twice =
            items.iter().enumerate().find(|(at, item)| items.iter().take(*at).any(|other| other == *item));
        match twice {
            Some((_, item)) => {
                let shown = without_secrets(item);
                Err(Error::usage(format!("{key}: {shown:?} is named twice; name it once")))
            }
            None => Ok(items),
        }
    }

    fn table(&self, key: &str) -> Result<BTreeMap<String, String>> {
        let Some(value) = self.get(key) else { return Ok(BTreeMap::new()) };
        let table = value.as_table().ok_or_else(|| wrong_type(key, value, "a table"))?;
        let text = |(name, value): (&String, &Value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            Value::Integer(number) => Ok((name.clone(), number.to_string())),
            Value::Boolean(choice) => Ok((name.clone(), choice.to_string())),
            Value::Float(number) => Ok((name.clone(), number.to_string())),
            other => Err(wrong_type(&format!("{key}.{name:?}"), other, "a string")),
        };
        let entries = table.iter().map(text).collect::<Result<BTreeMap<_, _>>>()?;
        let is_hidden = |name: &str| key == "kafka.properties" && is_secret(name);
        let shown = |(name, value): (&String, &String)| {
            let value = if is_hidden(name) { HIDDEN.to_owned() } else { value.clone() };
            (name.clone(), Value::String(value))
        };
        self.show(key, Value::Table(entries.iter().map(shown).collect()));
        Ok(entries)
    }

    /// As [`Self::choice`] without a default.
    fn maybe_choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        self.maybe(key)?.map(|text| choose(key, &text, choices)).transpose()
    }

    fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T> {
        match (self.maybe(key)?, choices.first()) {
            (Some(text), _) => choose(key, &text, choices),
            (None, Some((name, first))) => {
                self.show(key, Value::String((*name).to_owned()));
                Ok(*first)
            }
            (None, None) => Err(Error::usage(format!("{key}: no choices"))),
        }
    }
}
