//! The query of a search. The order of its hits is made by `order`.

use serde_json::{Value, json};

use super::dsl::{any, equals, mark_word, prefixes, score, typo, values};
use super::part::DocumentPart;
use super::{member_query, order};
use crate::plan::Collection;
use crate::search::index::{EngineSearch, MemberFilters};
use crate::search::query::Term;
use crate::searchable_fields::REFERENCE_MARK;

/// The query of a search.
pub(super) fn query(find: &EngineSearch) -> Value {
    let mut filter: Vec<Value> = Vec::new();
    if let Some(under) = &find.under {
        filter.extend(below(find.collection, under));
    }
    filter.extend(values(&find.filters));
    filter.extend(by_one_member(find));
    filter.extend(find.among.as_ref().map(|ids| json!({"terms": {"id": ids}})));
    let excluded = find.excluded.iter().map(|(term, owners)| anywhere(find.collection, term, owners));
    let excluded: Vec<Value> = excluded.collect();
    let terms = find.terms.as_deref().unwrap_or_default();
    if terms.is_empty() {
        // Nothing is worth more than nothing, whether there are filters or not.
        return score(0, json!({"bool": {"filter": filter, "must_not": excluded}}));
    }
    // One word needs no filter, because the query of its order finds it. A phrase needs one, because a name with
    // its words in another order counts in the order.
    if terms.len() > 1 || terms.iter().any(|(term, _)| term.is_phrase()) {
        filter.extend(terms.iter().map(|(term, owners)| anywhere(find.collection, term, owners)));
    }
    let (best, short) = (order::best(find, terms), order::short_name(terms));
    json!({"bool": {"filter": filter, "must": [best], "must_not": excluded, "should": short}})
}

fn below(collection: Collection, id: &str) -> Option<Value> {
    let under = collection.get().under.as_ref()?;
    let query = any(vec![equals(&under.at, id), equals(&under.above, id)]);
    Some(match &under.members {
        Some(path) => member_query::any((path, under.joined), query),
        None => query,
    })
}

fn by_one_member(find: &EngineSearch) -> Vec<Value> {
    let one = |found: &MemberFilters| {
        let members = find.collection.get().members.get(found.members)?;
        let met = json!({"bool": {"filter": values(&found.filters)}});
        let mut ways = vec![member_query::any((members.path, members.joined), met)];
        if !found.met.is_empty() {
            ways.push(json!({"terms": {"id": found.met}}));
        }
        Some(any(ways))
    };
    find.member_filters.iter().filter_map(one).collect()
}

/// A term anywhere in the document.
fn anywhere(collection: Collection, term: &Term, owners: &[String]) -> Value {
    let plan = collection.get();
    let part = DocumentPart::own(plan);
    let mut ways = part.ways(term);
    for (_, members, searched) in plan.members_to_search() {
        let part = DocumentPart::of_members(members, searched);
        ways.push(member_query::any((members.path, members.joined), part.any_way(term)));
    }
    if !plan.referred.is_empty() {
        ways.extend(prefixes(&part.words, REFERENCE_MARK, term));
        ways.extend(typo(&part.words, &mark_word(REFERENCE_MARK, &term.text), term));
    }
    if !owners.is_empty() {
        ways.push(json!({"terms": {"id": owners}}));
    }
    any(ways)
}
