//! Queries of the embedded index: the same clauses and scores as on Elasticsearch.

use std::ops::Bound;

use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, DisjunctionMaxQuery, FuzzyTermQuery, Occur, Query, RangeQuery,
    TermQuery, TermSetQuery,
};
use tantivy::schema::{Field as Column, IndexRecordOption};
use tantivy::{Score, Term as IndexTerm};

use crate::search::index::{Find, score};
use crate::search::query::{Collection, Field, Term};
use crate::sink::embedded::schema::{Fields, PAIR};

type Boxed = Box<dyn Query>;

/// The query of a search.
pub(super) fn query(fields: &Fields, find: &Find) -> Boxed {
    let mut clauses: Vec<(Occur, Boxed)> = vec![(Occur::Must, scored(0, Box::new(AllQuery)))];
    let mut must = |query: Boxed| clauses.push((Occur::Must, query));
    if let Some(under) = &find.under {
        must(scored(0, equals(fields.below, under)));
    }
    for (field, value) in &find.filters {
        must(scored(0, equals(fields.value(field.name()), value)));
    }
    if !find.contact_filters.is_empty() {
        must(scored(0, by_one_contact(fields, find)));
    }
    if let Some(ids) = &find.among {
        must(scored(0, one_of(fields.id, ids)));
    }
    for (term, owners) in find.terms.iter().flatten() {
        must(term_query(fields, find.collection, term, owners));
    }
    if !find.exact.is_empty() {
        clauses.push((Occur::Should, scored(score::EXACT_NAME, equals(fields.exact, &find.exact))));
    }
    Box::new(BooleanQuery::new(clauses))
}

/// One and the same contact has all the values: a field with two different ones is met by none.
fn by_one_contact(fields: &Fields, find: &Find) -> Boxed {
    let values = |wanted: Field| {
        let values = find.contact_filters.iter().filter(move |(field, _)| *field == wanted);
        values.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    let embedded = match (values(Field::Role).as_slice(), values(Field::Department).as_slice()) {
        ([role], []) => Some(equals(fields.value("role"), role)),
        ([], [department]) => Some(equals(fields.value("department"), department)),
        ([role], [department]) => Some(equals(fields.pair, &format!("{role}{PAIR}{department}"))),
        _ => None,
    };
    any(embedded.into_iter().chain([one_of(fields.id, &find.contact_filters_met)]).collect())
}

/// A term anywhere in the document; what it scores adds up.
fn term_query(fields: &Fields, collection: Collection, term: &Term, owners: &[String]) -> Boxed {
    let mut ways = vec![
        scored(score::NAME_WORD, equals(fields.name, &term.text)),
        scored(score::NAME_PREFIX, prefix(fields.name, &term.text)),
    ];
    ways.extend(own_ways(term, fields.words, Some(fields.phone), score::WORD));
    match collection {
        Collection::Organisations => {
            let contacts = own_ways(term, fields.related, Some(fields.related_phone), score::RELATED);
            ways.push(Box::new(DisjunctionMaxQuery::new(contacts)));
        }
        Collection::Contacts => ways.extend(own_ways(term, fields.related, None, score::RELATED)),
    }
    if !owners.is_empty() {
        ways.push(scored(score::RELATED, one_of(fields.id, owners)));
    }
    any(ways)
}

/// The ways in which a term matches words and phone numbers.
fn own_ways(term: &Term, words: Column, phone: Option<Column>, points: u32) -> Vec<Boxed> {
    let mut ways = vec![scored(points, prefix(words, &term.text))];
    if term.fuzzy {
        let typo = FuzzyTermQuery::new(IndexTerm::from_field_text(words, &term.text), 1, true);
        ways.push(scored(score::TYPO, Box::new(typo)));
    }
    if let Some(phone) = phone.filter(|_| !term.phone.is_empty()) {
        let mut numbers: Vec<Boxed> = term.phone.endings.iter().map(|ending| prefix(phone, ending)).collect();
        numbers.push(one_of(phone, &term.phone.whole));
        ways.push(scored(points, any(numbers)));
    }
    ways
}

/// Contacts of these organisations that a term matches by their own fields, best scored highest.
pub(super) fn contacts_of(
    fields: &Fields,
    owners: &[String],
    terms: &[Term],
    filters: &[(Field, String)],
) -> Boxed {
    let mut clauses: Vec<(Occur, Boxed)> = vec![(Occur::Must, scored(0, one_of(fields.owner, owners)))];
    if !terms.is_empty() {
        let ways = terms.iter().map(|term| {
            let mut ways = own_ways(term, fields.words, Some(fields.phone), score::NAME_PREFIX);
            ways.push(scored(score::NAME_WORD, equals(fields.words, &term.text)));
            Box::new(DisjunctionMaxQuery::new(ways)) as Boxed
        });
        clauses.push((Occur::Must, any(ways.collect())));
    }
    for (field, value) in filters {
        clauses.push((Occur::Must, scored(0, equals(fields.value(field.name()), value))));
    }
    Box::new(BooleanQuery::new(clauses))
}

pub(super) fn any(ways: Vec<Boxed>) -> Boxed {
    Box::new(BooleanQuery::new(ways.into_iter().map(|way| (Occur::Should, way)).collect()))
}

pub(super) fn equals(field: Column, value: &str) -> Boxed {
    Box::new(TermQuery::new(IndexTerm::from_field_text(field, value), IndexRecordOption::Basic))
}

fn one_of(field: Column, values: &[String]) -> Boxed {
    Box::new(TermSetQuery::new(values.iter().map(|value| IndexTerm::from_field_text(field, value))))
}

/// Words that begin with `value`: those from it on, up to what follows the last of them.
fn prefix(field: Column, value: &str) -> Boxed {
    let term = |text: &str| IndexTerm::from_field_text(field, text);
    let end = after_prefix(value).map_or(Bound::Unbounded, |end| Bound::Excluded(term(&end)));
    Box::new(RangeQuery::new(Bound::Included(term(value)), end))
}

/// The first text that sorts behind everything that begins with `prefix`.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        // The surrogates in between are no letters.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

#[allow(clippy::cast_precision_loss)]
fn scored(points: u32, query: Boxed) -> Boxed {
    Box::new(ConstScoreQuery::new(query, points as Score))
}

#[cfg(test)]
mod tests {
    use super::after_prefix;

    #[test]
    fn a_prefix_ends_before_the_next_letter() {
        assert_eq!(after_prefix("az").as_deref(), Some("a{"));
        assert_eq!(after_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(after_prefix("\u{10ffff}"), None);
    }
}
