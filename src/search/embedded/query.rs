//! Queries of the embedded index: the same clauses as on Elasticsearch. The order of hits is made by `rank`.

use std::ops::Bound;

use tantivy::Term as IndexTerm;
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, FuzzyTermQuery, Occur, PhraseQuery, Query, RangeQuery,
    TermQuery, TermSetQuery,
};
use tantivy::schema::{Field as Column, IndexRecordOption};

use super::excluded::Excluded;
use crate::search::index::Find;
use crate::search::query::{Collection, Field, Term, by_field};
use crate::sink::embedded::schema::{Fields, PAIR};

type Boxed = Box<dyn Query>;

/// The query of a search.
pub(super) fn query(fields: &Fields, find: &Find) -> Boxed {
    let mut clauses: Vec<(Occur, Boxed)> = vec![(Occur::Must, unscored(Box::new(AllQuery)))];
    let mut must = |query: Boxed| clauses.push((Occur::Must, query));
    if let Some(under) = &find.under {
        must(unscored(equals(fields.below, under)));
    }
    for (field, values) in by_field(&find.filters) {
        must(unscored(one_of(fields.value(field.name()), values)));
    }
    if !find.contact_filters.is_empty() {
        must(unscored(by_one_contact(fields, find)));
    }
    if let Some(ids) = &find.among {
        must(unscored(one_of(fields.id, ids)));
    }
    for (term, owners) in find.terms.iter().flatten() {
        must(unscored(anywhere(fields, find.collection, term, owners)));
    }
    for (term, owners) in &find.excluded {
        let excluded = Excluded(anywhere(fields, find.collection, term, owners));
        clauses.push((Occur::MustNot, Box::new(excluded)));
    }
    Box::new(BooleanQuery::new(clauses))
}

/// One and the same contact has one of the values of each field.
fn by_one_contact(fields: &Fields, find: &Find) -> Boxed {
    let wanted = by_field(&find.contact_filters);
    let embedded = match (wanted.get(&Field::Role), wanted.get(&Field::Department)) {
        (Some(roles), None) => Some(one_of(fields.value("role"), roles)),
        (None, Some(departments)) => Some(one_of(fields.value("department"), departments)),
        (Some(roles), Some(departments)) => {
            let pairs = roles.iter().flat_map(|role| {
                departments.iter().map(move |department| format!("{role}{PAIR}{department}"))
            });
            Some(one_of(fields.pair, pairs))
        }
        (None, None) => None,
    };
    any(embedded.into_iter().chain([one_of(fields.id, &find.contact_filters_met)]).collect())
}

/// A term anywhere in the document.
fn anywhere(fields: &Fields, collection: Collection, term: &Term, owners: &[String]) -> Boxed {
    let mut ways = ways(fields, term);
    if collection == Collection::Contacts {
        ways.extend(words(fields.organisation, term));
    }
    if !owners.is_empty() {
        ways.push(one_of(fields.id, owners));
    }
    any(ways)
}

/// The ways in which a term matches words and phone numbers.
fn ways(fields: &Fields, term: &Term) -> Vec<Boxed> {
    let mut ways: Vec<Boxed> = fields.words.iter().flat_map(|field| words(*field, term)).collect();
    ways.extend(term.phone.endings.iter().map(|ending| prefix(fields.phone, ending)));
    if !term.phone.whole.is_empty() {
        ways.push(one_of(fields.phone, &term.phone.whole));
    }
    ways
}

/// The ways in which a term matches the words of a field.
fn words(field: Column, term: &Term) -> Vec<Boxed> {
    if term.is_phrase() {
        let words = term.words().map(|word| IndexTerm::from_field_text(field, word));
        return vec![Box::new(PhraseQuery::new(words.collect()))];
    }
    if term.exact {
        return vec![equals(field, &term.text)];
    }
    let typo = term.fuzzy.then(|| Box::new(typo(field, &term.text)) as Boxed);
    term.texts().map(|text| prefix(field, text)).chain(typo).collect()
}

pub(super) fn typo(field: Column, word: &str) -> FuzzyTermQuery {
    FuzzyTermQuery::new(IndexTerm::from_field_text(field, word), 1, true)
}

/// Contacts of these organisations that any of the terms matches by their own fields.
pub(super) fn contacts_of(
    fields: &Fields,
    owners: &[String],
    terms: &[Term],
    filters: &[(Field, String)],
) -> Boxed {
    let mut clauses: Vec<(Occur, Boxed)> = vec![(Occur::Must, unscored(one_of(fields.owner, owners)))];
    if !terms.is_empty() {
        clauses
            .push((Occur::Must, unscored(any(terms.iter().flat_map(|term| ways(fields, term)).collect()))));
    }
    for (field, values) in by_field(filters) {
        clauses.push((Occur::Must, unscored(one_of(fields.value(field.name()), values))));
    }
    Box::new(BooleanQuery::new(clauses))
}

pub(super) fn any(ways: Vec<Boxed>) -> Boxed {
    Box::new(BooleanQuery::new(ways.into_iter().map(|way| (Occur::Should, way)).collect()))
}

pub(super) fn equals(field: Column, value: &str) -> Boxed {
    Box::new(TermQuery::new(IndexTerm::from_field_text(field, value), IndexRecordOption::Basic))
}

fn one_of(field: Column, values: impl IntoIterator<Item = impl AsRef<str>>) -> Boxed {
    let terms = values.into_iter().map(|value| IndexTerm::from_field_text(field, value.as_ref()));
    Box::new(TermSetQuery::new(terms))
}

/// Words that begin with `value`: those from it on, up to what follows the last of them.
fn prefix(field: Column, value: &str) -> Boxed {
    let term = |text: &str| IndexTerm::from_field_text(field, text);
    let end = after_prefix(value).map_or(Bound::Unbounded, |end| Bound::Excluded(term(&end)));
    Box::new(RangeQuery::new(Bound::Included(term(value)), end))
}

/// The first text that sorts behind everything that begins with `prefix`.
pub(super) fn after_prefix(prefix: &str) -> Option<String> {
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

fn unscored(query: Boxed) -> Boxed {
    Box::new(ConstScoreQuery::new(query, 0.0))
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
