//! Mappings compared, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::node::MappingNode;
use super::{Consequence, MappingDifference};

const STAYS: &str = "a field that is there can't be taken away";
const FIXED: &str = "this can't be changed of a field that is there";

/// The differences between the mapping of a live index and the one that is wanted.
pub(super) fn differences(live: &Value, file: &Value) -> Vec<MappingDifference> {
    let (mut before, mut after) = (MappingNode::of(live), MappingNode::of(file));
    for node in [&mut before, &mut after] {
        if let Some(Value::Object(meta)) = node.parameters.get_mut("_meta") {
            // The index's own note is no part of the file.
            meta.remove("tributary");
            if meta.is_empty() {
                node.parameters.remove("_meta");
            }
        }
        node.parameters.entry("dynamic".to_owned()).or_insert_with(|| "true".into());
    }
    let mut found = Vec::new();
    of_parameters("mappings", &before, &after, &root_parameter, &mut found);
    of_properties("mappings", &before, &after, "true", &mut found);
    found
}

/// Compares one field; `dynamic` is the rule of its surroundings for unknown fields.
fn of_field(
    path: &str,
    before: &MappingNode,
    after: &MappingNode,
    dynamic: &str,
    found: &mut Vec<MappingDifference>,
) {
    if before.kind() != after.kind() {
        let kind = |node: &MappingNode| Value::String(node.kind().to_owned());
        let judged = Consequence::rebuild("the type of a field that is there can't be changed");
        found.push(MappingDifference::new(format!("{path}.type"), kind(before), kind(after), judged));
        return;
    }
    of_parameters(path, before, after, &parameter, found);
    for name in names(&before.fields, &after.fields) {
        let path = format!("{path}.fields.{name}");
        match (before.fields.get(name), after.fields.get(name)) {
            (Some(before), Some(after)) => of_field(&path, before, after, dynamic, found),
            // The values are there, and are not indexed in this form.
            (None, Some(after)) => {
                found.push(MappingDifference::new(
                    path,
                    Value::Null,
                    after.to_value(),
                    Consequence::PLACE_AND_SEND,
                ));
            }
            (Some(before), None) => {
                found.push(MappingDifference::new(
                    path,
                    before.to_value(),
                    Value::Null,
                    Consequence::rebuild(STAYS),
                ));
            }
            (None, None) => {}
        }
    }
    of_properties(path, before, after, dynamic, found);
}

fn of_properties(
    path: &str,
    before: &MappingNode,
    after: &MappingNode,
    dynamic: &str,
    found: &mut Vec<MappingDifference>,
) {
    let dynamic = before.text("dynamic").unwrap_or(dynamic);
    for name in names(&before.properties, &after.properties) {
        let path = format!("{path}.properties.{name}");
        match (before.properties.get(name), after.properties.get(name)) {
            (Some(before), Some(after)) => of_field(&path, before, after, dynamic, found),
            (None, Some(after)) => {
                found.push(MappingDifference::new(
                    path,
                    Value::Null,
                    after.to_value(),
                    judge_addition(after, dynamic),
                ));
            }
            (Some(before), None) => {
                found.push(MappingDifference::new(
                    path,
                    before.to_value(),
                    Value::Null,
                    Consequence::rebuild(STAYS),
                ));
            }
            (None, None) => {}
        }
    }
}

/// A field that is new: documents can hold values for it already, unless they were rejected.
fn judge_addition(field: &MappingNode, dynamic: &str) -> Consequence {
    let shows_at_once =
        dynamic == "strict" || field.kind() == "alias" || field.text("enabled") == Some("false");
    if shows_at_once { Consequence::PLACE } else { Consequence::PLACE_AND_SEND }
}

type Rule = dyn Fn(&MappingNode, &str, Option<&Value>, Option<&Value>) -> Consequence;

fn of_parameters(
    path: &str,
    before: &MappingNode,
    after: &MappingNode,
    rule: &Rule,
    found: &mut Vec<MappingDifference>,
) {
    for name in names(&before.parameters, &after.parameters) {
        let (old, new) = (before.parameters.get(name), after.parameters.get(name));
        if old == new {
            continue;
        }
        let judged = rule(before, name, old, new);
        let value = |value: Option<&Value>| value.cloned().unwrap_or_default();
        found.push(MappingDifference::new(format!("{path}.{name}"), value(old), value(new), judged));
    }
}

/// A parameter of a field that is there
/// (<https://www.elastic.co/docs/manage-data/data-store/mapping/explicit-mapping>).
fn parameter(node: &MappingNode, name: &str, old: Option<&Value>, new: Option<&Value>) -> Consequence {
    let is_off = |value: Option<&Value>| value.and_then(Value::as_str) == Some("false");
    match (node.kind(), name) {
        ("object" | "nested", "dynamic") if new.is_none() => Consequence::rebuild(
            "the file leaves it out, so it stays as it was; only a new index inherits it again",
        ),
        ("object" | "nested", "dynamic") => of_dynamic(old),
        ("object" | "nested", _) => Consequence::rebuild(FIXED),
        (_, "meta") => Consequence::PLACE,
        (_, "copy_to") => Consequence::PLACE_AND_SEND,
        (
            "text",
            "search_analyzer" | "search_quote_analyzer" | "fielddata" | "fielddata_frequency_filter",
        ) => Consequence::PLACE,
        ("text", "norms") if is_off(new) => Consequence::PLACE_AND_SEND,
        ("keyword", "norms") if new.is_none() => Consequence::PLACE_AND_SEND,
        ("text" | "keyword" | "flattened", "eager_global_ordinals") => Consequence::PLACE,
        ("keyword" | "flattened", "split_queries_on_whitespace") => Consequence::PLACE,
        ("keyword" | "flattened", "ignore_above") => Consequence::PLACE_AND_SEND,
        ("flattened", "depth_limit") => Consequence::PLACE,
        ("date" | "date_nanos", "ignore_malformed") => Consequence::PLACE_AND_SEND,
        (
            "byte" | "short" | "integer" | "long" | "float" | "double" | "half_float",
            "ignore_malformed" | "coerce",
        ) => Consequence::PLACE_AND_SEND,
        _ => Consequence::rebuild(FIXED),
    }
}

/// A parameter of the whole mapping.
fn root_parameter(_: &MappingNode, name: &str, old: Option<&Value>, new: Option<&Value>) -> Consequence {
    match name {
        "dynamic" => of_dynamic(old),
        "_meta" => Consequence::PLACE,
        "runtime" | "dynamic_templates" | "dynamic_date_formats" | "date_detection" | "numeric_detection"
            if new.is_none() =>
        {
            Consequence::rebuild(
                "the file leaves it out, so it stays as it was; only a new index is without it",
            )
        }
        // Computed when it is asked for.
        "runtime" => Consequence::PLACE,
        "dynamic_templates" | "dynamic_date_formats" | "date_detection" | "numeric_detection" => {
            Consequence::PLACE_AND_SEND
        }
        _ => Consequence::rebuild("this can't be changed of an index that is there"),
    }
}

/// Where unknown fields were rejected or indexed, no document holds one that is not indexed.
fn of_dynamic(old: Option<&Value>) -> Consequence {
    match old.and_then(Value::as_str) {
        Some("strict" | "true") => Consequence::PLACE,
        _ => Consequence::PLACE_AND_SEND,
    }
}

fn names<'a, T>(left: &'a BTreeMap<String, T>, right: &'a BTreeMap<String, T>) -> BTreeSet<&'a String> {
    left.keys().chain(right.keys()).collect()
}
