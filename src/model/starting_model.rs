//! A starting model from sample records: the fields with the types seen, and probable references.

mod guess;
mod toml_text;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::entity_config::Format;

pub use self::toml_text::text;

/// The most different values of a field that are looked at.
const VALUES_MAX: usize = 10_000;

/// The records of one entity type.
#[derive(Debug)]
pub struct Sample {
    /// The topic, as the file's name says.
    topic: String,
    /// The envelope of the records; that of the last one with a sign of any.
    format: Format,
    /// How many records had data.
    records: usize,
    /// How many of them have a member `id`.
    with_id: usize,
    ids: BTreeSet<String>,
    /// In the order in which they are met first.
    fields: Vec<FieldSummary>,
    places: BTreeMap<String, usize>,
}

/// The values that were seen of a field.
#[derive(Debug, Default)]
struct FieldSummary {
    name: String,
    /// How many records have a value.
    count: usize,
    strings: usize,
    dates: usize,
    integers: usize,
    numbers: usize,
    booleans: usize,
    string_lists: usize,
    id_lists: usize,
    objects: usize,
    others: usize,
    /// How many values are the id of their own record.
    own_ids: usize,
    /// The values that could be ids, of lists those in it.
    values: BTreeSet<String>,
    example: Option<Value>,
}

impl Sample {
    /// No records of a topic yet.
    pub fn new(topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            format: Format::Plain,
            records: 0,
            with_id: 0,
            ids: BTreeSet::new(),
            fields: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    /// True while no record had data.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Takes a record in: a line of a files source, or a value alone.
    pub fn add(&mut self, record: &Value) {
        let is_line =
            record.get("value").is_some() && (record.get("key").is_some() || record.get("headers").is_some());
        let value = if is_line { record.get("value").unwrap_or(record) } else { record };
        let key = record.get("key").filter(|_| is_line).and_then(id_text);
        let header =
            |name: &str| record.get("headers").filter(|_| is_line).and_then(|headers| headers.get(name));
        let (format, data, id) = if value.get("specversion").is_some() {
            (Format::CloudEvents, value.get("data"), value.get("subject").and_then(id_text))
        } else if let Some(payload) = change(value) {
            (Format::Debezium, payload.get("after"), None)
        } else if header("ce_type").is_some() {
            (Format::CloudEvents, Some(value), header("ce_subject").and_then(id_text))
        } else if header("eventType").is_some() {
            (Format::Outbox, Some(value), None)
        } else {
            (self.format, Some(value), None)
        };
        self.format = format;
        let Some(data) = data.and_then(Value::as_object) else { return };
        self.records += 1;
        self.with_id += usize::from(data.get("id").is_some_and(|id| !id.is_null()));
        let id = id.or(key).or_else(|| data.get("id").and_then(id_text));
        self.add_fields(data, id.as_deref());
        self.ids.extend(id);
    }

    fn add_fields(&mut self, data: &Map<String, Value>, id: Option<&str>) {
        for (name, value) in data.iter().filter(|(name, value)| *name != "id" && !value.is_null()) {
            let place = *self.places.entry(name.clone()).or_insert_with(|| {
                self.fields.push(FieldSummary { name: name.clone(), ..FieldSummary::default() });
                self.fields.len() - 1
            });
            if let Some(summary) = self.fields.get_mut(place) {
                summary.add(value);
                summary.own_ids += usize::from(id.is_some() && id_text(value).as_deref() == id);
            }
        }
    }
}

/// The body of a change event.
fn change(value: &Value) -> Option<&Value> {
    let payload = value.get("payload").unwrap_or(value);
    (payload.get("op").is_some_and(Value::is_string) && payload.get("after").is_some()).then_some(payload)
}

/// The text of an id.
fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Value::Object(members) if members.len() == 1 => members.values().next().and_then(id_text),
        _ => None,
    }
}

impl FieldSummary {
    fn add(&mut self, value: &Value) {
        self.count += 1;
        self.example.get_or_insert_with(|| value.clone());
        match value {
            Value::String(text) => {
                self.strings += 1;
                self.dates += usize::from(guess::is_date(text));
            }
            Value::Bool(_) => self.booleans += 1,
            Value::Number(number) => {
                self.numbers += 1;
                self.integers += usize::from(number.is_i64() || number.is_u64());
            }
            Value::Array(items) => {
                self.string_lists += usize::from(items.iter().all(Value::is_string));
                self.id_lists += usize::from(items.iter().all(|item| id_text(item).is_some()));
                items.iter().filter_map(id_text).for_each(|id| self.note(id));
            }
            Value::Object(_) => self.objects += 1,
            Value::Null => self.others += 1,
        }
        if !value.is_object() {
            id_text(value).into_iter().for_each(|id| self.note(id));
        }
    }

    fn note(&mut self, id: String) {
        if self.values.len() < VALUES_MAX {
            self.values.insert(id);
        }
    }
}
