//! A mapping in one form: types written out, defaults left out, dotted names as objects.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A field, or the mapping's root.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct MappingNode {
    /// Its parameters, the type among them, those with their default value left out.
    pub(super) parameters: BTreeMap<String, Value>,
    /// The same value in further forms.
    pub(super) fields: BTreeMap<String, MappingNode>,
    /// The fields inside.
    pub(super) properties: BTreeMap<String, MappingNode>,
}

impl MappingNode {
    /// The field that `value` describes.
    pub(super) fn of(value: &Value) -> Self {
        let mut node = Self::default();
        for (name, value) in value.as_object().into_iter().flatten() {
            match name.as_str() {
                "properties" => node.put_properties(value),
                "fields" => {
                    node.fields =
                        members(value).map(|(name, field)| (name.clone(), Self::of(field))).collect()
                }
                _ => {
                    node.parameters.insert(name.clone(), plain(value));
                }
            }
        }
        node.parameters.entry("type".to_owned()).or_insert_with(|| "object".into());
        node.leave_out_defaults();
        node
    }

    pub(super) fn kind(&self) -> &str {
        self.text("type").unwrap_or("object")
    }

    pub(super) fn text(&self, parameter: &str) -> Option<&str> {
        self.parameters.get(parameter).and_then(Value::as_str)
    }

    /// The field as one value, for showing.
    pub(super) fn to_value(&self) -> Value {
        let all = |nodes: &BTreeMap<String, MappingNode>| {
            Value::Object(nodes.iter().map(|(name, node)| (name.clone(), node.to_value())).collect())
        };
        let mut map: Map<String, Value> =
            self.parameters.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        if !self.fields.is_empty() {
            map.insert("fields".to_owned(), all(&self.fields));
        }
        if !self.properties.is_empty() {
            map.insert("properties".to_owned(), all(&self.properties));
            map.retain(|name, value| name != "type" || value != "object");
        }
        Value::Object(map)
    }

    /// `"a.b": …` is `b` inside the object `a`.
    fn put_properties(&mut self, properties: &Value) {
        for (name, field) in members(properties) {
            let mut names = name.split('.');
            let mut at = &mut *self;
            let last = names.next_back().unwrap_or(name);
            for name in names {
                at = at.properties.entry(name.to_owned()).or_insert_with(|| Self::of(&Value::Null));
            }
            match at.properties.get_mut(last) {
                Some(node) => node.merge(Self::of(field)),
                None => {
                    at.properties.insert(last.to_owned(), Self::of(field));
                }
            }
        }
    }

    fn merge(&mut self, other: MappingNode) {
        self.parameters.extend(other.parameters);
        self.fields.extend(other.fields);
        for (name, field) in other.properties {
            match self.properties.get_mut(&name) {
                Some(node) => node.merge(field),
                None => {
                    self.properties.insert(name, field);
                }
            }
        }
    }

    fn leave_out_defaults(&mut self) {
        if let Some(Value::Object(prefixes)) = self.parameters.get_mut("index_prefixes") {
            for (name, default) in [("min_chars", "2"), ("max_chars", "5")] {
                prefixes.entry(name).or_insert_with(|| default.into());
            }
        }
        let analyzer = self.text("analyzer").map(str::to_owned);
        let kind = self.kind().to_owned();
        self.parameters.retain(|name, value| {
            let repeats = name == "search_analyzer" && value.as_str() == analyzer.as_deref();
            !(repeats || value.is_null() || is_default(&kind, name, value))
        });
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Scalars as text, and a list of one as its member: a server writes either.
pub(super) fn plain(value: &Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        Value::Array(list) => match list.as_slice() {
            [one] => plain(one),
            several => several.iter().map(plain).collect(),
        },
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        Value::String(_) | Value::Null => value.clone(),
    }
}

/// Whether Elasticsearch takes a parameter to have this value when it is not there.
fn is_default(kind: &str, name: &str, value: &Value) -> bool {
    let default = match (kind, name) {
        ("object" | "nested", "enabled" | "subobjects") => "true",
        ("nested", "include_in_parent" | "include_in_root") => "false",
        ("object" | "nested", _) => return false,
        (_, "index" | "doc_values") => "true",
        (_, "store") => "false",
        (_, "copy_to" | "meta") => {
            return value.as_array().is_some_and(Vec::is_empty) || *value == Value::Object(Map::new());
        }
        ("text", "norms") => "true",
        ("text", "analyzer") => "default",
        ("text", "index_options") => "positions",
        ("text", "term_vector") => "no",
        ("text", "position_increment_gap") => "100",
        ("text", "fielddata" | "index_phrases" | "eager_global_ordinals") => "false",
        ("keyword", "norms") => "false",
        ("keyword", "index_options") | ("flattened", "index_options") => "docs",
        ("keyword" | "flattened", "ignore_above") => "2147483647",
        ("keyword" | "flattened", "split_queries_on_whitespace" | "eager_global_ordinals") => "false",
        ("text" | "keyword" | "flattened", "similarity") => "BM25",
        ("flattened", "depth_limit") => "20",
        ("date", "format") => "strict_date_optional_time||epoch_millis",
        ("byte" | "short" | "integer" | "long" | "float" | "double" | "half_float", "coerce") => "true",
        (_, "ignore_malformed") => "false",
        _ => return false,
    };
    value.as_str() == Some(default)
}
