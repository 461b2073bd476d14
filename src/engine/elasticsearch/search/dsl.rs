//! Query DSL of Elasticsearch, built from values: nothing of a request is ever pasted into a query
//! (<https://www.elastic.co/guide/en/elasticsearch/reference/current/query-dsl.html>).

use serde_json::{Value, json};

use crate::search::query::{FilterField, FilterValue, Filters, Term, by_field};
use crate::search::sort::{Key, Sort};
use crate::searchable_fields::{SortKind, ValueKind};

/// Each field has any of the values asked for.
pub(super) fn values(filters: &Filters) -> Vec<Value> {
    by_field(filters).into_iter().map(|(field, values)| any_of(field, &values)).collect()
}

fn any_of(field: FilterField, values: &[&FilterValue]) -> Value {
    let texts: Vec<&str> = values.iter().filter_map(|value| value.text()).collect();
    let mut ways: Vec<Value> = values.iter().filter_map(|value| range(field, value)).collect();
    if !texts.is_empty() {
        ways.push(json!({"terms": {&field.field: texts}}));
    }
    match ways.len() {
        1 => ways.remove(0),
        _ => any(ways),
    }
}

fn range(field: FilterField, value: &FilterValue) -> Option<Value> {
    let between = |from: Option<Value>, to: Option<Value>| json!({"gte": from, "lte": to});
    let mut range = match value {
        FilterValue::Text(_) => return None,
        FilterValue::Integers(from, to) => between(from.map(Value::from), to.map(Value::from)),
        FilterValue::Numbers(from, to) => between(from.map(Value::from), to.map(Value::from)),
    };
    let mut name = field.field.clone();
    match field.kind {
        ValueKind::Date => {
            range.as_object_mut()?.insert("format".to_owned(), "epoch_millis".into());
        }
        ValueKind::Computed => name.push_str(".number"),
        _ => {}
    }
    Some(json!({"range": {name: range}}))
}

/// The order of hits, by id at last.
pub(super) fn sort(sort: Option<Sort>) -> Value {
    let Some(Sort { by, descending }) = sort else { return json!([{"_score": "desc"}, {"id": "asc"}]) };
    let order = if descending { "desc" } else { "asc" };
    if by.kind == SortKind::Title {
        // A name with accents has a second value without them, which is the lower one.
        let name = json!({"order": order, "mode": "min", "missing": "_last"});
        return json!([{&by.field: name}, {"id": "asc"}]);
    }
    json!([{&by.field: {"order": order, "missing": "_last"}}, {"id": "asc"}])
}

/// The sort value of a hit, as the server says it.
pub(super) fn key(by: Sort, value: Option<&Value>) -> Key {
    let key = match by.by.kind {
        SortKind::Title => value.and_then(Value::as_str).map(|text| Key::Text(text.to_owned())),
        SortKind::Integer | SortKind::Date => match value.and_then(Value::as_i64) {
            // The server has this for a number that is not there.
            Some(number) if number == missing(by.descending) => None,
            number => number.map(Key::Integer),
        },
        // One that is not there is told as a text.
        SortKind::Number => {
            let number = value.filter(|value| value.is_number()).and_then(Value::as_f64);
            number.filter(|number| number.is_finite()).map(Key::Number)
        }
    };
    key.unwrap_or(Key::Missing)
}

/// The number that the server takes for a missing one, so that it comes last.
fn missing(descending: bool) -> i64 {
    if descending { i64::MIN } else { i64::MAX }
}

/// The same for the server: where a page begins.
pub(super) fn after(key: &Key, sort: Option<Sort>) -> Value {
    match (key, sort) {
        (Key::Score(score), _) => json!(score),
        (Key::Integer(number), _) => json!(number),
        (Key::Number(number), _) => json!(number),
        (Key::Text(text), _) => json!(text),
        (Key::Missing, None) => Value::Null,
        (Key::Missing, Some(sort)) => match sort.by.kind {
            SortKind::Title => Value::Null,
            SortKind::Number => json!(if sort.descending { "-Infinity" } else { "Infinity" }),
            SortKind::Integer | SortKind::Date => json!(missing(sort.descending)),
        },
    }
}

/// A word behind the mark of its field.
pub(super) fn mark_word(mark: char, word: &str) -> String {
    format!("{mark}{word}")
}

/// The words of `term` side by side, each behind a mark.
pub(super) fn stands(field: &str, mark: char, term: &Term) -> Value {
    if !term.is_phrase() {
        return equals(field, &mark_word(mark, &term.text));
    }
    let words: Vec<String> = term.words().map(|word| mark_word(mark, word)).collect();
    json!({"match_phrase": {field: {"query": words.join(" ")}}})
}

/// A word that stands somewhere before another one.
pub(super) fn precedes(field: &str, word: &str, other: &str) -> Value {
    /// More words than a name has.
    const SLOP: u32 = 10_000;
    let clauses = [word, other].map(|word| json!({"span_term": {field: word}}));
    json!({"span_near": {"clauses": clauses, "slop": SLOP, "in_order": true}})
}

/// Words that begin with a term's text, or with the text that joins it with its neighbours. Of an exact term, its
/// own words alone.
pub(super) fn prefixes(field: &str, mark: char, term: &Term) -> Vec<Value> {
    if term.exact {
        return vec![stands(field, mark, term)];
    }
    term.texts().map(|text| prefix(field, &mark_word(mark, text))).collect()
}

/// How the server looks typos up. Both ways keep every match: the usual one takes the nearest fifty words only
/// (<https://www.elastic.co/docs/reference/query-languages/query-dsl/query-dsl-multi-term-rewrite>).
#[derive(Clone, Copy)]
enum TypoRewrite {
    /// Once for all segments of a shard. Each word that is found is a clause of the query.
    Clauses,
    /// Anew in each segment, and no word is a clause. Each change that is refreshed alone makes a segment.
    Segments,
}

impl TypoRewrite {
    fn name(self) -> &'static str {
        match self {
            Self::Clauses => "constant_score_boolean",
            Self::Segments => "constant_score",
        }
    }
}

/// Words that are one typo away from `word`, which is the term's behind a mark.
pub(super) fn typo(field: &str, word: &str, term: &Term) -> Option<Value> {
    let fuzzy = json!({"fuzzy": {field: {
        "value": word, "fuzziness": 1, "prefix_length": 1, "transpositions": true,
        "rewrite": TypoRewrite::Clauses.name(),
    }}});
    term.fuzzy.then_some(fuzzy)
}

/// Makes a query do with as few clauses as it can. Returns how many of its parts had more than that.
pub(super) fn spare_clauses(query: &mut Value) -> usize {
    match query {
        Value::Array(parts) => parts.iter_mut().map(spare_clauses).sum(),
        Value::Object(parts) => {
            let rewrites = parts.get_mut("fuzzy").and_then(Value::as_object_mut).into_iter();
            let mut rewrites = rewrites.flat_map(|fields| fields.values_mut());
            if let Some(rewrite) = rewrites.find_map(|field| field.get_mut("rewrite")) {
                let fewest = Value::from(TypoRewrite::Segments.name());
                return usize::from(std::mem::replace(rewrite, fewest) != TypoRewrite::Segments.name());
            }
            parts.values_mut().map(spare_clauses).sum()
        }
        _ => 0,
    }
}

pub(super) fn all(parts: Vec<Value>) -> Value {
    json!({"bool": {"filter": parts}})
}

pub(super) fn any(ways: Vec<Value>) -> Value {
    json!({"bool": {"should": ways, "minimum_should_match": 1}})
}

pub(super) fn equals(field: &str, value: &str) -> Value {
    json!({"term": {field: {"value": value}}})
}

pub(super) fn prefix(field: &str, value: &str) -> Value {
    json!({"prefix": {field: {"value": value}}})
}

pub(super) fn score(points: u32, query: Value) -> Value {
    json!({"constant_score": {"filter": query, "boost": points}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_spares_clauses_once() {
        let fuzzy =
            |rewrite: TypoRewrite| json!({"fuzzy": {"name": {"value": "a", "rewrite": rewrite.name()}}});
        let query = |rewrite| {
            all(vec![equals("fuzzy", "b"), any(vec![prefix("name", "c"), fuzzy(rewrite), fuzzy(rewrite)])])
        };
        let mut fewest = query(TypoRewrite::Clauses);
        assert_eq!(spare_clauses(&mut fewest), 2);
        assert_eq!(fewest, query(TypoRewrite::Segments));
        assert_eq!(spare_clauses(&mut fewest), 0);
    }
}
