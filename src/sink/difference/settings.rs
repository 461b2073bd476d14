//! Settings compared, each by its whole name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::node::plain;
use super::{Call, Consequence, MappingDifference};

/// The settings that the server writes into every index by itself.
const OF_THE_SERVER: &[&str] = &[
    "uuid",
    "creation_date",
    "creation_date_string",
    "provided_name",
    "version.",
    "history.",
    "resize.",
    "routing.allocation.include._tier_preference",
    "routing.allocation.initial_recovery.",
    "verified_before_close",
];

/// Settings that can be changed of an open index
/// (<https://www.elastic.co/docs/reference/elasticsearch/index-settings/index-modules>).
/// Those that end in a dot are groups.
const DYNAMIC: &[&str] = &[
    "number_of_replicas",
    "auto_expand_replicas",
    "refresh_interval",
    "gc_deletes",
    "max_result_window",
    "max_inner_result_window",
    "max_rescore_window",
    "max_docvalue_fields_search",
    "max_script_fields",
    "max_ngram_diff",
    "max_shingle_diff",
    "max_refresh_listeners",
    "max_terms_count",
    "max_regex_length",
    "highlight.max_analyzed_offset",
    "analyze.max_token_count",
    "query.default_field",
    "default_pipeline",
    "final_pipeline",
    "hidden",
    "priority",
    "requests.cache.enable",
    "search.idle.after",
    "write.wait_for_active_shards",
    "unassigned.node_left.delayed_timeout",
    "mapping.total_fields.limit",
    "mapping.depth.limit",
    "mapping.nested_fields.limit",
    "mapping.nested_objects.limit",
    "mapping.field_name_length.limit",
    "translog.durability",
    "translog.sync_interval",
    "translog.flush_threshold_size",
    "routing.allocation.",
    "blocks.",
    "lifecycle.",
    "search.slowlog.",
    "indexing.slowlog.",
    "merge.policy.",
    "merge.scheduler.",
];

/// The values of settings that an index has without being told.
const DEFAULTS: &[(&str, &str)] = &[("number_of_shards", "1"), ("number_of_replicas", "1")];

/// The differences between the settings of a live index and those that are wanted.
pub(super) fn differences(live: &Value, file: &Value) -> Vec<MappingDifference> {
    let (mut before, mut after) = (flatten(live), flatten(file));
    before.retain(|name, _| !is_among(OF_THE_SERVER, name));
    if !after.contains_key("replication.type") {
        // OpenSearch writes that of its cluster into every index.
        before.remove("replication.type");
    }
    if after.contains_key("auto_expand_replicas") {
        // The server counts the replicas by itself.
        before.remove("number_of_replicas");
        after.remove("number_of_replicas");
    }
    for side in [&mut before, &mut after] {
        side.retain(|name, value| {
            !DEFAULTS.iter().any(|(known, default)| known == name && value.as_str() == Some(default))
        });
    }
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let difference = |name: &String| {
        let value = |side: &BTreeMap<String, Value>| side.get(name).cloned().unwrap_or_default();
        let judged = if after.contains_key(name) { judge(name) } else { judge_omission(name) };
        MappingDifference::new(format!("settings.index.{name}"), value(&before), value(&after), judged)
    };
    differing.map(difference).collect()
}

/// A setting that the file does not name may be an operator's or a template's, so that a dynamic one is left alone.
fn judge_omission(name: &str) -> Consequence {
    if is_among(DYNAMIC, name) {
        Consequence(Call::Nothing, false, "the file does not name it, and it stays as it is")
    } else {
        judge(name)
    }
}

fn judge(name: &str) -> Consequence {
    if is_among(DYNAMIC, name) {
        Consequence::PLACE
    } else if name.starts_with("analysis.") {
        Consequence::rebuild("the old analysis made the words that are indexed")
    } else {
        Consequence::rebuild("only a new index can have another value")
    }
}

fn is_among(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| if known.ends_with('.') { name.starts_with(known) } else { *known == name })
}

/// Every setting by its whole name, without `index.` before it.
pub(super) fn flatten(settings: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    put("", settings, &mut found);
    found
}

fn put(name: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let name = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                put(&name, value, found);
            }
        }
        Value::Null => {}
        _ => {
            found.insert(name.strip_prefix("index.").unwrap_or(name).to_owned(), plain(value));
        }
    }
}
