//! Queries of the embedded index: the same clauses as on Elasticsearch. The order of hits is made by `rank`.

use std::ops::Bound;

use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, EmptyQuery, FuzzyTermQuery, Occur, PhraseQuery, Query,
    RangeQuery, TermQuery, TermSetQuery,
};
use tantivy::schema::{Field as Column, IndexRecordOption};
use tantivy::{Searcher, Term as IndexTerm};

use super::exclusion_query::ExclusionQuery;
use super::member_values::MemberConditions;
use crate::engine::embedded::index::schema::{IndexFields, SearchFields};
use crate::search::index::{EngineSearch, MemberFilters, MemberScope};
use crate::search::query::{FilterField, FilterValue, Filters, Term, by_field};

type BoxedQuery = Box<dyn Query>;

/// The query of a search; `searcher` is of the index that is searched.
pub(super) fn query(
    searcher: &Searcher,
    (fields, search): (&IndexFields, &SearchFields),
    find: &EngineSearch,
) -> tantivy::Result<BoxedQuery> {
    let mut clauses: Vec<(Occur, BoxedQuery)> = vec![(Occur::Must, without_score(Box::new(AllQuery)))];
    let mut must = |query: BoxedQuery| clauses.push((Occur::Must, query));
    if let Some(under) = &find.under {
        must(without_score(equals(search.below, under)));
    }
    for (field, values) in by_field(&find.filters) {
        must(without_score(any_of(search, field, &values)));
    }
    for filters in &find.member_filters {
        must(without_score(by_one_member(searcher, (fields, search), filters)?));
    }
    if let Some(ids) = &find.among {
        must(without_score(one_of(fields.id, ids)));
    }
    for (term, owners) in find.terms.iter().flatten() {
        must(without_score(anywhere(fields, search, term, owners)));
    }
    for (term, owners) in &find.excluded {
        let excluded = ExclusionQuery(anywhere(fields, search, term, owners));
        clauses.push((Occur::MustNot, Box::new(excluded)));
    }
    Ok(Box::new(BooleanQuery::new(clauses)))
}

/// One and the same member has one of the values of each field.
fn by_one_member(
    searcher: &Searcher,
    (fields, search): (&IndexFields, &SearchFields),
    filters: &MemberFilters,
) -> tantivy::Result<BoxedQuery> {
    let groups = by_field(&filters.filters);
    let mut ways = vec![one_of(fields.id, &filters.met)];
    match groups.iter().next() {
        Some((field, values)) if groups.len() == 1 => ways.push(any_of(search, field, values)),
        _ => {
            let together = MemberConditions::of(search.plan, filters.members, &filters.filters);
            if let Some((column, _)) = search.members.get(filters.members) {
                ways.push(one_of(*column, together.values(searcher, *column)?));
            }
        }
    }
    Ok(any(ways))
}

/// A field has any of the values.
fn any_of(search: &SearchFields, field: FilterField, values: &[&FilterValue]) -> BoxedQuery {
    let texts = values.iter().filter_map(|value| value.text());
    let texts = search.text(field).map(|column| one_of(column, texts));
    let number = search.number(field);
    let ranges = values.iter().filter_map(|value| range(number?, value));
    any(ranges.chain(texts).collect())
}

fn range(column: Column, value: &FilterValue) -> Option<BoxedQuery> {
    let bound = |term: Option<IndexTerm>| term.map_or(Bound::Unbounded, Bound::Included);
    let (from, to) = match value {
        FilterValue::Text(_) => return None,
        FilterValue::Integers(from, to) => {
            let term = |number: &i64| IndexTerm::from_field_i64(column, *number);
            (from.as_ref().map(term), to.as_ref().map(term))
        }
        FilterValue::Numbers(from, to) => {
            let term = |number: &f64| IndexTerm::from_field_f64(column, *number);
            (from.as_ref().map(term), to.as_ref().map(term))
        }
    };
    if from.is_none() && to.is_none() {
        // Everything that has the field.
        return Some(Box::new(RangeQuery::new(Bound::Included(lowest(column, value)?), Bound::Unbounded)));
    }
    Some(Box::new(RangeQuery::new(bound(from), bound(to))))
}

/// The lowest value of a column of numbers.
fn lowest(column: Column, value: &FilterValue) -> Option<IndexTerm> {
    match value {
        FilterValue::Text(_) => None,
        FilterValue::Integers(..) => Some(IndexTerm::from_field_i64(column, i64::MIN)),
        FilterValue::Numbers(..) => Some(IndexTerm::from_field_f64(column, f64::MIN)),
    }
}

/// A term anywhere in the document.
fn anywhere(fields: &IndexFields, search: &SearchFields, term: &Term, owners: &[String]) -> BoxedQuery {
    let mut ways = ways(search, term);
    ways.extend(words(search.referred, term));
    if !owners.is_empty() {
        ways.push(one_of(fields.id, owners));
    }
    any(ways)
}

/// The ways in which a term matches words and phone numbers.
fn ways(search: &SearchFields, term: &Term) -> Vec<BoxedQuery> {
    let mut ways: Vec<BoxedQuery> = search.words.iter().flat_map(|field| words(*field, term)).collect();
    ways.extend(term.phone.endings.iter().map(|ending| prefix(search.phone, ending)));
    if !term.phone.whole.is_empty() {
        ways.push(one_of(search.phone, &term.phone.whole));
    }
    ways
}

/// The ways in which a term matches the words of a field.
fn words(field: Column, term: &Term) -> Vec<BoxedQuery> {
    if term.is_phrase() {
        let words = term.words().map(|word| IndexTerm::from_field_text(field, word));
        return vec![Box::new(PhraseQuery::new(words.collect()))];
    }
    if term.exact {
        return vec![equals(field, &term.text)];
    }
    let typo = term.fuzzy.then(|| Box::new(typo(field, &term.text)) as BoxedQuery);
    term.texts().map(|text| prefix(field, text)).chain(typo).collect()
}

pub(super) fn typo(field: Column, word: &str) -> FuzzyTermQuery {
    FuzzyTermQuery::new(IndexTerm::from_field_text(field, word), 1, true)
}

/// The members of these owners that any of the terms matches by their own fields.
pub(super) fn members_of(search: &SearchFields, among: MemberScope<'_>) -> BoxedQuery {
    let owners = search.owner(among.owner).map(|column| without_score(one_of(column, among.owners)));
    let mut clauses: Vec<(Occur, BoxedQuery)> =
        owners.into_iter().map(|owners| (Occur::Must, owners)).collect();
    if clauses.is_empty() {
        return Box::new(EmptyQuery);
    }
    if !among.terms.is_empty() {
        let ways = among.terms.iter().flat_map(|term| ways(search, term));
        clauses.push((Occur::Must, without_score(any(ways.collect()))));
    }
    clauses
        .extend(values(search, among.filters).into_iter().map(|query| (Occur::Must, without_score(query))));
    Box::new(BooleanQuery::new(clauses))
}

fn values(search: &SearchFields, filters: &Filters) -> Vec<BoxedQuery> {
    by_field(filters).into_iter().map(|(field, values)| any_of(search, field, &values)).collect()
}

pub(super) fn any(ways: Vec<BoxedQuery>) -> BoxedQuery {
    Box::new(BooleanQuery::new(ways.into_iter().map(|way| (Occur::Should, way)).collect()))
}

pub(super) fn equals(field: Column, value: &str) -> BoxedQuery {
    Box::new(TermQuery::new(IndexTerm::from_field_text(field, value), IndexRecordOption::Basic))
}

fn one_of(field: Column, values: impl IntoIterator<Item = impl AsRef<str>>) -> BoxedQuery {
    let terms = values.into_iter().map(|value| IndexTerm::from_field_text(field, value.as_ref()));
    Box::new(TermSetQuery::new(terms))
}

/// Words that begin with `value`: those from it on, up to the first text behind them.
fn prefix(field: Column, value: &str) -> BoxedQuery {
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

fn without_score(query: BoxedQuery) -> BoxedQuery {
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
