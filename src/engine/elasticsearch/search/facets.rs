//! Counts of values.

use serde_json::{Value, json};

use super::dsl;
use crate::engine::elasticsearch::index::dialect::Dialect;
use crate::search::index::{Counts, EngineSearch, FACET_VALUES_MAX};
use crate::search::query::FilterField;
use crate::searchable_fields::{ValueKind, number_text};
use crate::time::timestamp;

/// Counts of a field's values. Fields of members count the documents, and only those that embed all their members where the
/// others are counted by the members themselves.
pub(super) fn aggregation(dialect: Dialect, find: &EngineSearch, field: FilterField) -> Value {
    let terms = dialect.terms(&field.field, field.inside.as_deref(), FACET_VALUES_MAX);
    let members = field.members.and_then(|number| Some((number, find.collection.get().members.get(number)?)));
    let Some((number, members)) = members else { return json!({"terms": terms}) };
    let documents = match members.joined {
        Some(child) => json!({"parent": {"type": child}}),
        None => json!({"reverse_nested": {}}),
    };
    // From members within a child, the way to the documents leads over the child.
    let documents = if members.joined.is_some_and(|child| child != members.path) {
        json!({"reverse_nested": {}, "aggs": {"owners": documents}})
    } else {
        documents
    };
    let values = json!({"terms": terms, "aggs": {"documents": documents}});
    // One and the same member meets the filters and has the value.
    let filter = json!({"bool": {"filter": dsl::values(find.filters_of(number))}});
    let met = json!({"filter": filter, "aggs": {"values": values}});
    let nested = json!({"nested": {"path": members.path}, "aggs": {"met": met}});
    let embedded = match members.joined {
        Some(child) if child == members.path => json!({"children": {"type": child}, "aggs": {"met": met}}),
        Some(child) => json!({"children": {"type": child}, "aggs": {"within": nested}}),
        None => nested,
    };
    let others: Vec<Value> = members
        .truncated
        .filter(|_| field.apart.is_some())
        .map(|truncated| json!({"term": {truncated: true}}))
        .into_iter()
        .collect();
    json!({"filter": {"bool": {"must_not": others}}, "aggs": {"members": embedded}})
}

/// The counts of an aggregation over values of a kind.
pub(super) fn counts(aggregation: Option<&Value>, kind: ValueKind) -> Counts {
    let buckets = aggregation.and_then(|found| {
        found
            .get("buckets")
            .or_else(|| found.pointer("/members/met/values/buckets"))
            .or_else(|| found.pointer("/members/within/met/values/buckets"))
            .and_then(Value::as_array)
    });
    let count = |bucket: &Value| {
        let of_documents = bucket
            .pointer("/documents/owners/doc_count")
            .or_else(|| bucket.pointer("/documents/doc_count"))
            .or_else(|| bucket.pointer("/owners/value"));
        let count = of_documents.or_else(|| bucket.get("doc_count")).and_then(Value::as_u64)?;
        Some((key(bucket, kind)?, count))
    };
    buckets.into_iter().flatten().filter_map(count).collect()
}

/// The text of a bucket's value.
fn key(bucket: &Value, kind: ValueKind) -> Option<String> {
    let key = bucket.get("key")?;
    match kind {
        ValueKind::Text | ValueKind::Computed => key.as_str().map(str::to_owned),
        ValueKind::Boolean => bucket.get("key_as_string")?.as_str().map(str::to_owned),
        ValueKind::Integer => key.as_i64().map(|number| number.to_string()),
        ValueKind::Number => key.as_f64().map(number_text),
        ValueKind::Date => key.as_i64().map(timestamp),
    }
}
