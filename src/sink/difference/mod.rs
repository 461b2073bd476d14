//! The work that a changed mapping calls for: none, an addition that can be put in place, or a rebuild.
//!
//! The live index describes its settings and fields as Elasticsearch writes them: defaults left out, settings as text,
//! keys of the server's own among them. Both sides are brought to one form first. A difference that is not known to be
//! updatable calls for a rebuild, which is never wrong.

mod mappings;
mod node;
mod report;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::mapping::Shape;

pub use self::report::{Estimate, MappingReport, estimate};

/// How the path of a part of the model begins.
const MODEL: &str = "model: ";

/// The work that a difference calls for, in the order of its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    /// Nothing in the index differs.
    Nothing,
    /// It can be put in place, by `PUT _mapping` or `PUT _settings`.
    Addition,
    /// Only a new index can have it.
    Rebuild,
}

/// One difference between the live index and the wanted one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MappingDifference {
    /// Where, as in the mapping's file.
    pub path: String,
    /// The live index's value; null when it has nothing there.
    pub before: Value,
    /// The wanted value; null when nothing is wanted.
    pub after: Value,
    /// The work that it calls for.
    pub calls_for: Call,
    /// True when, put in place, it shows in those documents only that are written afterwards.
    pub send_again: bool,
    /// The reason why it can't be put in place, or a note on it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub note: &'static str,
}

impl MappingDifference {
    fn new(path: String, before: Value, after: Value, judged: Consequence) -> Self {
        let Consequence(calls_for, send_again, note) = judged;
        Self { path, before, after, calls_for, send_again, note }
    }
}

/// The work that a difference calls for, whether documents must be sent again when it is put in place, and why.
#[derive(Debug, Clone, Copy)]
struct Consequence(Call, bool, &'static str);

impl Consequence {
    /// In force for all documents at once.
    const PLACE: Self = Self(Call::Addition, false, "");
    /// In force for documents that are written afterwards.
    const PLACE_AND_SEND: Self = Self(Call::Addition, true, "");

    const fn rebuild(note: &'static str) -> Self {
        Self(Call::Rebuild, false, note)
    }
}

/// The differences between a live index (the answer to `GET <index>`) and the file of a mapping, with the version of
/// the documents' shape.
pub fn differences(live: &Value, file: &Value, shape: &Shape) -> Vec<MappingDifference> {
    let live = inner(live);
    let mut found = shapes(live.pointer("/mappings/_meta/tributary").unwrap_or(&Value::Null), shape);
    found.extend(content(live, file));
    found
}

/// The parts of the model in which the documents that an index was built with differ from those that are wanted. It is
/// the whole model where the parts are not known.
pub(super) fn shapes(meta: &Value, shape: &Shape) -> Vec<MappingDifference> {
    let built = meta.get("shape").cloned().unwrap_or_default();
    if built.as_u64() == Some(u64::from(shape.number)) {
        return Vec::new();
    }
    let judged = Consequence::rebuild("the documents or the way in which they are searched are others now");
    let (none, parts) = (Map::new(), meta.get("parts").and_then(Value::as_object));
    let before = parts.unwrap_or(&none);
    let names: BTreeSet<&String> = before.keys().chain(shape.parts.keys()).collect();
    let part = |name: &String| {
        let (before, after) = (before.get(name), shape.parts.get(name).map(|text| json!(text)));
        let value = |value: Option<&Value>| value.cloned().unwrap_or_default();
        let differs = before != after.as_ref();
        differs.then(|| {
            MappingDifference::new(format!("{MODEL}{name}"), value(before), value(after.as_ref()), judged)
        })
    };
    let found: Vec<MappingDifference> =
        names.into_iter().filter(|_| parts.is_some()).filter_map(part).collect();
    if found.is_empty() {
        return vec![MappingDifference::new("shape".to_owned(), built, shape.number.into(), judged)];
    }
    found
}

/// The differences of mappings and settings alone. `live` is the part of an answer under the name of the index.
pub fn content(live: &Value, file: &Value) -> Vec<MappingDifference> {
    let part = |side: &Value, name: &str| side.get(name).cloned().unwrap_or_default();
    let mut found = mappings::differences(&part(live, "mappings"), &part(file, "mappings"));
    found.extend(settings::differences(&part(live, "settings"), &part(file, "settings")));
    found
}

/// The settings of an index, or of a mapping's file, by their whole names without `index.` before them; scalars as text.
pub fn settings(of: &Value) -> BTreeMap<String, Value> {
    settings::flatten(of.get("settings").unwrap_or(&Value::Null))
}

/// The differences of an embedded index, judged as those of a server are, so that a mapping's file means the same
/// wherever the documents lie. `meta` is the index's note on its making. An index that does not keep the file
/// is compared by the documents' shape alone.
pub fn differences_of_embedded(meta: &Value, file: &Value, shape: &Shape) -> Vec<MappingDifference> {
    let built = meta.get("mapping");
    let mut live = built.cloned().unwrap_or_else(|| serde_json::json!({"mappings": {}}));
    if let Some(mappings) = live.get_mut("mappings").and_then(Value::as_object_mut) {
        mappings.insert("_meta".to_owned(), serde_json::json!({"tributary": meta}));
    }
    differences(&live, built.map_or(&Value::Null, |_| file), shape)
}

/// The work that all of them together call for.
pub fn calls_for(differences: &[MappingDifference]) -> Call {
    differences.iter().map(|difference| difference.calls_for).max().unwrap_or(Call::Nothing)
}

/// The part under the one index's name in an answer, or the whole where no index is named.
fn inner(live: &Value) -> &Value {
    match live.as_object() {
        Some(indexes) if indexes.len() == 1 && !indexes.contains_key("mappings") => {
            indexes.values().next().unwrap_or(live)
        }
        _ => live,
    }
}

#[cfg(test)]
mod tests;
