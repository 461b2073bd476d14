//! Which of an organisation's embedded contacts a query matched. Both engines take them from the document, because to ask
//! an index server for them costs as much for each hit as the search itself.

use serde_json::Value;

use super::index::MATCHED_MAX;
use super::query::{Term, Whole};
use super::rank::{contact, may_match};
use crate::searchable::{CONTACT, Words};

/// Takes the contacts out of a document: those that a term matches by their own fields, best first, at most
/// [`MATCHED_MAX`].
pub fn of(document: &mut Value, terms: &[Term], whole: &Whole) -> Vec<Value> {
    let contacts = document.as_object_mut().and_then(|members| members.remove("contacts"));
    let Some(Value::Array(contacts)) = contacts.filter(|_| !terms.is_empty()) else { return Vec::new() };
    let scored = contacts.into_iter().filter(|found| may_match(found, terms)).filter_map(|found| {
        let score = contact(&Words::of(&found, CONTACT), terms, whole)?;
        Some((score, found))
    });
    let mut scored: Vec<(u32, Value)> = scored.collect();
    // Contacts are sorted by id, and the sort keeps that order among equals.
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().take(MATCHED_MAX).map(|(_, contact)| contact).collect()
}
