//! Which of a document's embedded members a query matched. Both engines take them from the document, because to ask an
//! index server for them costs as much for each hit as the search itself.

use serde_json::Value;

use super::index::MATCHED_MAX;
use super::query::{QueryReadings, Term};
use super::rank::{may_match, member};
use crate::plan::{MembersPlan, SearchPlan};
use crate::searchable_fields::{SearchableFields, Words};

/// For each searched `from` embed the members that a term matches by their own fields, best first, at most
/// [`MATCHED_MAX`]. Members that no hit needs are taken out of the document.
pub fn of(document: &mut Value, plan: &SearchPlan, terms: &[Term], whole: &QueryReadings) -> Vec<Vec<Value>> {
    let of_embed = |(_, members, searched): (usize, &MembersPlan, SearchableFields)| {
        let found = document.get(members.path).and_then(Value::as_array).filter(|_| !terms.is_empty());
        best(found.into_iter().flatten(), searched, terms, whole)
    };
    let matched = plan.members_to_search().map(of_embed).collect();
    if let Some(document) = document.as_object_mut() {
        document.retain(|name, _| !plan.hidden.contains(&name.as_str()));
    }
    matched
}

/// The best of these members, which are sorted by id.
pub(crate) fn best<'a>(
    members: impl Iterator<Item = &'a Value>,
    searched: SearchableFields,
    terms: &[Term],
    whole: &QueryReadings,
) -> Vec<Value> {
    // The query may be the id of one of them.
    let id = whole.ids.first().map(String::as_str);
    let is_it = |found: &Value| id.is_some() && found.get("id").and_then(Value::as_str) == id;
    let score = |found: &Value| {
        if is_it(found) {
            return Some(u32::MAX);
        }
        may_match(found, searched, terms).then(|| member(&Words::of(found, searched), terms, whole))?
    };
    let scored = members.filter_map(|found| Some((score(found)?, found)));
    let mut scored: Vec<(u32, &Value)> = scored.collect();
    // Members are sorted by id, and the sort keeps that order among equals.
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().take(MATCHED_MAX).map(|(_, member)| member.clone()).collect()
}
