//! The form that a cluster gave an index: a template of the cluster may add settings and mappings to those that were
//! asked for.

use elasticsearch::indices::IndicesDeleteParts;
use serde_json::Value;

use super::client::ClusterClient;
use super::live_index::LiveIndex;
use crate::error::{Error, Result, shorten};
use crate::sink::difference;
use crate::sink::mapping::Mapping;

/// Settings that are given to an index after it is filled, or that say where its shards lie.
const USUAL: [&str; 7] = [
    "auto_expand_replicas",
    "hidden",
    "number_of_replicas",
    "number_of_shards",
    "refresh_interval",
    "replication.type",
    "routing.allocation",
];
/// So many differences are named.
const NAMED_MAX: usize = 20;
/// The longest value that is shown.
const VALUE_BYTES_MAX: usize = 100;

/// Something that keeps documents from being held as they are sent.
#[derive(Debug, PartialEq, Eq)]
enum BreakingDifference {
    /// It can be changed in place.
    Setting(String),
    /// It stays for as long as the index does.
    Mapping(String),
}

/// As [`check`], for an index that was made a moment ago. Of one that is gone already the writes tell.
pub(super) async fn check_made(
    client: &ClusterClient,
    index: &str,
    mapping: &Mapping,
    is_new: bool,
) -> Result<()> {
    match LiveIndex::find(client, index).await? {
        Some(live) => check(client, &live, mapping, is_new).await,
        None => Ok(()),
    }
}

/// Checks an index against the mapping that was asked for. Differences of a new index are told. One that keeps
/// documents from being held as they are sent is an error; a new index goes then when it cannot be put right.
///
/// # Errors
/// Those of the cluster, and exit code 1 with the name of the setting.
pub(super) async fn check(
    client: &ClusterClient,
    live: &LiveIndex,
    mapping: &Mapping,
    is_new: bool,
) -> Result<()> {
    let index = &live.index;
    if is_new {
        for difference in differences(&live.body, &mapping.body).into_iter().take(NAMED_MAX) {
            tracing::warn!(
                index,
                difference,
                "the index has what its mapping does not ask for; look at the index templates"
            );
        }
    }
    let Some(breaking) = breaking(&live.body, &mapping.body, false) else { return Ok(()) };
    let (what, then) = match breaking {
        BreakingDifference::Setting(what) => (what, "set it to null in the settings of the index".to_owned()),
        BreakingDifference::Mapping(what) if is_new => {
            client.delete(&IndicesDeleteParts::Index(&[index]).url(), None).await?;
            (what, "start again; the index was empty and is deleted".to_owned())
        }
        BreakingDifference::Mapping(what) => {
            (what, format!("run `tributary reindex {}`", mapping.projection.name()))
        }
    };
    Err(Error::failure(format!(
        "the index {index} has {what}, and does not keep documents as they are sent. Take it out of the index \
         template that it comes from, then {then}; or ask for it in the mapping of {}",
        mapping.projection.name()
    )))
}

/// As [`check`], for an index that is not made yet: `template` holds the parts that the cluster's index template would
/// give it.
///
/// # Errors
/// Exit code 1 with the name of the setting.
pub(super) fn check_coming(index: &str, template: &Value, mapping: &Mapping) -> Result<()> {
    let (BreakingDifference::Setting(what) | BreakingDifference::Mapping(what)) =
        match breaking(template, &mapping.body, true) {
            Some(breaking) => breaking,
            None => return Ok(()),
        };
    Err(Error::failure(format!(
        "an index template would give a new index such as {index} {what}, and it would not keep documents as they are \
         sent. Take it out of the index template, or ask for it in the mapping of {}",
        mapping.projection.name()
    )))
}

/// The first setting or mapping that was not asked for and keeps documents from being held as they are sent. A mapping
/// stands above a template, so that of an index to come only the rest counts.
fn breaking(live: &Value, body: &Value, is_coming: bool) -> Option<BreakingDifference> {
    let (settings, body_settings) = (difference::settings(live), difference::settings(body));
    let mapping = |path: &str, is_breaking: &dyn Fn(&Value) -> bool| {
        let pointer = format!("/mappings/{path}");
        let value = live.pointer(&pointer).filter(|value| is_breaking(value))?;
        let in_body = body.pointer(&pointer);
        (in_body != Some(value) && !(is_coming && in_body.is_some()))
            .then(|| BreakingDifference::Mapping(describe(&path.replace('/', "."), value)))
    };
    let setting = |name: &str, is_breaking: &dyn Fn(&str) -> bool| {
        let value = settings.get(name).filter(|value| is_breaking(&text(value)))?;
        let in_body = body_settings.get(name);
        let is_asked = in_body == Some(value) || is_coming && in_body.is_some();
        (!is_asked).then(|| describe(&format!("index.{name}"), value))
    };
    let is_list = |value: &Value| value.as_array().is_some_and(|list| !list.is_empty());
    let is_pipeline = |value: &str| value != "_none";
    mapping("_source/enabled", &|value| *value == Value::Bool(false))
        .or_else(|| mapping("_source/includes", &is_list))
        .or_else(|| mapping("_source/excludes", &is_list))
        .or_else(|| mapping("_source/mode", &|value| value != "stored"))
        .or_else(|| mapping("_routing/required", &|value| *value == Value::Bool(true)))
        .or_else(|| {
            setting("mapping.source.mode", &|value| value != "stored").map(BreakingDifference::Mapping)
        })
        .or_else(|| setting("default_pipeline", &is_pipeline).map(BreakingDifference::Setting))
        .or_else(|| setting("final_pipeline", &is_pipeline).map(BreakingDifference::Setting))
}

/// The settings and mappings that an index has beside or instead of those that were asked for.
fn differences(live: &Value, body: &Value) -> Vec<String> {
    let found = difference::content(live, body).into_iter().filter(|found| !found.before.is_null());
    let named = found.filter_map(|found| {
        let path = found.path.strip_prefix("mappings.").or_else(|| found.path.strip_prefix("settings."))?;
        (!is_usual(path)).then(|| describe(path, &found.before))
    });
    named.collect()
}

fn is_usual(path: &str) -> bool {
    let Some(setting) = path.strip_prefix("index.") else { return false };
    USUAL
        .iter()
        .any(|usual| setting.strip_prefix(usual).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

fn describe(path: &str, value: &Value) -> String {
    shorten(format!("{path} = {}", text(value)), path.len() + VALUE_BYTES_MAX)
}

/// A value for people: text without its quotes.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body() -> Value {
        json!({
            "settings": {"index": {"refresh_interval": "1s"}, "index.priority": 3, "number_of_shards": 1},
            "mappings": {"dynamic": false, "properties": {"id": {"type": "keyword", "ignore_above": 1024}}},
        })
    }

    /// An index as it was asked for, with the server's own.
    fn live() -> Value {
        json!({
            "settings": {"index": {"refresh_interval": "-1", "priority": "3", "uuid": "x", "version": {"created": "9"},
                "routing": {"allocation": {"include": {"_tier_preference": "data_content"}}}}},
            "mappings": {"dynamic": "false", "_meta": {"tributary": {}},
                "properties": {"id": {"type": "keyword", "ignore_above": 1024}}},
        })
    }

    fn with(pointer: &str, name: &str, value: Value) -> Value {
        let mut live = live();
        live.pointer_mut(pointer).unwrap()[name] = value;
        live
    }

    #[test]
    fn an_index_as_it_was_asked_for_has_no_differences() {
        assert_eq!(differences(&live(), &body()), Vec::<String>::new());
        assert_eq!(breaking(&live(), &body(), false), None);
    }

    #[test]
    fn what_a_template_adds_is_named() {
        for (pointer, name, value, said) in [
            ("/settings/index", "codec", json!("best_compression"), "index.codec = best_compression"),
            ("/settings/index", "priority", json!("4"), "index.priority = 4"),
            ("/mappings/properties", "more", json!({"type": "long"}), r#"properties.more = {"type":"long"}"#),
            ("/mappings/properties/id", "store", json!(true), "properties.id.store = true"),
        ] {
            assert_eq!(differences(&with(pointer, name, value), &body()), [said]);
        }
    }

    #[test]
    fn what_changes_documents_is_breaking_unless_it_was_asked_for() {
        for (part, name, value, said) in [
            ("mappings", "_source", json!({"excludes": ["name"]}), r#"_source.excludes = ["name"]"#),
            ("mappings", "_source", json!({"enabled": false}), "_source.enabled = false"),
            ("mappings", "_routing", json!({"required": true}), "_routing.required = true"),
        ] {
            let (live, mut mapping) = (with(&format!("/{part}"), name, value.clone()), body());
            assert_eq!(breaking(&live, &mapping, false), Some(BreakingDifference::Mapping(said.to_owned())));
            mapping[part][name] = value;
            assert_eq!(breaking(&live, &mapping, false), None);
        }
        for name in ["default_pipeline", "final_pipeline"] {
            let (live, mut mapping) = (with("/settings/index", name, json!("p")), body());
            assert_eq!(
                breaking(&live, &mapping, false),
                Some(BreakingDifference::Setting(format!("index.{name} = p")))
            );
            mapping["settings"][name] = json!("p");
            assert_eq!(breaking(&live, &mapping, false), None);
            assert_eq!(breaking(&with("/settings/index", name, json!("_none")), &body(), false), None);
        }
    }
}
