//! Questions about the members of a document, which are nested in it or are its children.

use serde_json::{Value, json};

use crate::plan::{Collection, JOIN};

/// Where members lie: their path, and the embed whose members are children when they lie in it.
type MemberPlace<'a> = (&'a str, Option<&'a str>);

/// Documents of which some member meets a query.
pub(super) fn any(place: MemberPlace<'_>, query: Value) -> Value {
    of(place, query, "none")
}

/// The same, with the score of the best member.
pub(super) fn best(place: MemberPlace<'_>, query: Value) -> Value {
    of(place, query, "max")
}

fn of((path, joined): MemberPlace<'_>, query: Value, score: &str) -> Value {
    let nested = |query: Value| json!({"nested": {"path": path, "score_mode": score, "query": query}});
    let Some(child) = joined else { return nested(query) };
    let query = if child == path { query } else { nested(query) };
    json!({"has_child": {"type": child, "score_mode": score, "query": query}})
}

/// Those documents of a query that are no children.
pub(super) fn owners(collection: Collection, query: Value) -> Value {
    json!({"bool": {"must": [query], "filter": [{"term": {JOIN: collection.name()}}]}})
}

/// The children of one embed of these owners.
pub(super) fn children(collection: &str, embed: &str, owners: &[&str]) -> Vec<Value> {
    vec![json!({"term": {JOIN: embed}}), json!({"terms": {format!("{JOIN}#{collection}"): owners}})]
}
