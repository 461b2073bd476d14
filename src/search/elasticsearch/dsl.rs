//! Query DSL of Elasticsearch, built from values: nothing of a request is ever pasted into a query
//! (<https://www.elastic.co/guide/en/elasticsearch/reference/current/query-dsl.html>).

use serde_json::{Value, json};

use crate::search::index::{Find, score};
use crate::search::query::{Collection, Field, Term};

/// The path of a filter's or facet's field.
pub(super) fn path(collection: Collection, field: Field) -> &'static str {
    match (collection, field) {
        (_, Field::Country) => "address.country",
        (_, Field::Industry) => "industry",
        (_, Field::Status) => "status",
        (_, Field::Tag) => "tags",
        (Collection::Organisations, Field::Role) => "contacts.role",
        (Collection::Organisations, Field::Department) => "contacts.department",
        (Collection::Contacts, Field::Role) => "role",
        (Collection::Contacts, Field::Department) => "department",
    }
}

/// The query of a search.
pub(super) fn query(find: &Find) -> Value {
    let mut filter: Vec<Value> = Vec::new();
    if let Some(under) = &find.under {
        filter.push(below(find.collection, under));
    }
    filter.extend(find.filters.iter().map(|(field, value)| equals(path(find.collection, *field), value)));
    if !find.contact_filters.is_empty() {
        filter.push(by_one_contact(find));
    }
    filter.extend(find.among.as_ref().map(|ids| json!({"terms": {"id": ids}})));
    let terms = find.terms.as_deref().unwrap_or_default();
    let must: Vec<Value> =
        terms.iter().map(|(term, owners)| term_query(find.collection, term, owners)).collect();
    let mut should = Vec::new();
    if !find.exact.is_empty() {
        should.push(scored(score::EXACT_NAME, equals("_search.name.exact", &find.exact)));
    }
    json!({"bool": {"filter": filter, "must": must, "should": should, "minimum_should_match": 0}})
}

fn below(collection: Collection, id: &str) -> Value {
    let (own, ancestors) = match collection {
        Collection::Organisations => ("id", "ancestors.id"),
        Collection::Contacts => ("organisation.id", "organisation.ancestorIds"),
    };
    any(vec![equals(own, id), equals(ancestors, id)])
}

fn by_one_contact(find: &Find) -> Value {
    let values: Vec<Value> = find
        .contact_filters
        .iter()
        .map(|(field, value)| equals(path(find.collection, *field), value))
        .collect();
    let mut ways = vec![json!({"nested": {"path": "contacts", "query": {"bool": {"filter": values}}}})];
    if !find.contact_filters_met.is_empty() {
        ways.push(json!({"terms": {"id": find.contact_filters_met}}));
    }
    any(ways)
}

/// A term anywhere in the document; what it scores adds up.
fn term_query(collection: Collection, term: &Term, owners: &[String]) -> Value {
    let mut ways = vec![
        scored(score::NAME_WORD, equals("_search.name", &term.text)),
        scored(score::NAME_PREFIX, prefix("_search.name", &term.text)),
    ];
    ways.extend(own_ways(term, "_search", score::WORD));
    match collection {
        Collection::Organisations => {
            let contact = json!({"dis_max": {"queries": own_ways(term, "contacts._search", score::RELATED)}});
            ways.push(json!({"nested": {"path": "contacts", "score_mode": "max", "query": contact}}));
        }
        Collection::Contacts => {
            ways.push(scored(score::RELATED, prefix("_search.organisation", &term.text)));
            ways.extend(typo("_search.organisation", term));
        }
    }
    if !owners.is_empty() {
        ways.push(scored(score::RELATED, json!({"terms": {"id": owners}})));
    }
    any(ways)
}

/// The ways in which a term matches the words and phone number under `search`.
fn own_ways(term: &Term, search: &str, points: u32) -> Vec<Value> {
    let mut ways = vec![scored(points, prefix(&format!("{search}.words"), &term.text))];
    ways.extend(typo(&format!("{search}.words"), term));
    let phone = format!("{search}.phone");
    let mut numbers: Vec<Value> = term.phone.endings.iter().map(|ending| prefix(&phone, ending)).collect();
    if !term.phone.whole.is_empty() {
        numbers.push(json!({"terms": {&phone: term.phone.whole}}));
    }
    if !numbers.is_empty() {
        ways.push(scored(points, any(numbers)));
    }
    ways
}

/// A contact's own fields, scored as the best of an organisation's contacts are ordered.
pub(super) fn contact_term(term: &Term, search: &str) -> Value {
    let words = format!("{search}.words");
    let mut ways = own_ways(term, search, score::NAME_PREFIX);
    ways.push(scored(score::NAME_WORD, equals(&words, &term.text)));
    json!({"dis_max": {"queries": ways}})
}

fn typo(field: &str, term: &Term) -> Option<Value> {
    // The rewrite that keeps every match: the usual one takes the nearest fifty words only.
    let fuzzy = json!({"fuzzy": {field: {
        "value": term.text, "fuzziness": 1, "prefix_length": 0, "transpositions": true, "rewrite": "constant_score",
    }}});
    term.fuzzy.then(|| scored(score::TYPO, fuzzy))
}

pub(super) fn any(ways: Vec<Value>) -> Value {
    json!({"bool": {"should": ways, "minimum_should_match": 1}})
}

pub(super) fn equals(field: &str, value: &str) -> Value {
    json!({"term": {field: {"value": value}}})
}

fn prefix(field: &str, value: &str) -> Value {
    json!({"prefix": {field: {"value": value}}})
}

fn scored(points: u32, query: Value) -> Value {
    json!({"constant_score": {"filter": query, "boost": points}})
}
