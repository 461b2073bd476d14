//! A document as it is indexed.

use std::collections::BTreeSet;

use serde_json::Value;
use tantivy::TantivyDocument;
use tantivy::schema::Field;

use super::keys::member_key;
use super::owner::OWN;
use super::placed_words::PlacedWords;
use super::schema::{ABSENT, IndexFields, PART, SearchFields, VALUE_LETTERS_MAX};
use crate::plan::{FilterPlan, MembersPlan, SortPlan};
use crate::searchable_fields::{
    SortKind, ValueKind, Words, each_at, each_text, integer, number, sort_key, value_text,
};
use crate::text::words;
use crate::time::milliseconds;

/// So many combinations of values of one member are kept; filters of several fields find no others.
const COMBINATIONS_MAX: usize = 1_024;

impl IndexFields {
    /// A document as it is indexed. `json` is the projection's document.
    pub(super) fn document(
        &self,
        id: &str,
        version: u64,
        json: &[u8],
    ) -> serde_json::Result<TantivyDocument> {
        let value: Value = serde_json::from_slice(json)?;
        let mut document = TantivyDocument::default();
        document.add_text(self.id, id);
        document.add_u64(self.version, version);
        document.add_bytes(self.document, json);
        if let Some(search) = &self.search {
            search.add(&mut document, id, &value);
        }
        Ok(document)
    }
}

impl SearchFields {
    fn add(&self, document: &mut TantivyDocument, id: &str, value: &Value) {
        self.add_words(document, value);
        for (filter, (text, number)) in self.plan.filters.iter().zip(&self.filters) {
            add_filter(document, (*text, *number), filter, value);
        }
        for (sort, column) in self.plan.sorts.iter().zip(&self.sorts) {
            add_sort(document, *column, sort, value);
        }
        for (number, (members, (together, truncated))) in
            self.plan.members.iter().zip(&self.members).enumerate()
        {
            if members.truncated.is_some_and(|name| value.get(name) == Some(&Value::Bool(true))) {
                document.add_text(*truncated, "yes");
            }
            let filters: Vec<&FilterPlan> = self.plan.filters_of(Some(number)).collect();
            if filters.len() > 1 {
                let combinations = combinations(members, &filters, value);
                combinations.into_iter().for_each(|values| document.add_text(*together, values));
            }
        }
        if let Some(under) = &self.plan.under {
            if under.at == "id" {
                document.add_text(self.below, id);
            }
            let mut add = |value: &Value| add(document, self.below, value.as_str());
            if under.at != "id" {
                each_at(value, &under.at, &mut add);
            }
            each_at(value, &under.above, &mut add);
        }
        for (embed, column) in &self.owners {
            each_at(value, &format!("{embed}.id"), &mut |owner| {
                document.add_text(*column, owner.as_str().unwrap_or_default());
            });
        }
    }

    fn add_words(&self, document: &mut TantivyDocument, value: &Value) {
        let mut placed = PlacedWords::new(self);
        let own = placed.push(OWN, &Words::of(value, self.plan.own));
        document.add_u64(self.length, own);
        let mut owner = OWN;
        for (number, members, searched) in self.plan.members_to_search() {
            for member in value.get(members.path).and_then(Value::as_array).into_iter().flatten() {
                owner += 1;
                placed.push(owner, &Words::of(member, searched));
                let id = member.get("id").and_then(Value::as_str).filter(|_| members.is_found_by_id());
                if let Some(id) = id {
                    placed.push_key(owner, &member_key(number, id));
                }
            }
        }
        for referred in &self.plan.referred {
            for field in &referred.fields {
                each_at(value, &format!("{}.{field}", referred.name), &mut |value| {
                    each_text(value, &mut |text| placed.push_referred(&words(text)));
                });
            }
            for field in &referred.phones {
                each_at(value, &format!("{}.{field}", referred.name), &mut |value| {
                    each_text(value, &mut |text| placed.push_number(text));
                });
            }
        }
        placed.add_to(document);
    }
}

fn add_filter(
    document: &mut TantivyDocument,
    (text, column): (Field, Option<Field>),
    filter: &FilterPlan,
    value: &Value,
) {
    let mut texts = BTreeSet::new();
    each_at(value, filter.path, &mut |value| {
        texts.extend(value_text(filter.kind, value).filter(|text| is_short(text)));
        if let Some(column) = column {
            add_number(document, column, filter.kind, value);
        }
    });
    // A value that several members have counts once.
    texts.iter().for_each(|value| document.add_text(text, value));
}

fn add_number(document: &mut TantivyDocument, column: Field, kind: ValueKind, value: &Value) {
    match kind {
        ValueKind::Integer => integer(value).into_iter().for_each(|value| document.add_i64(column, value)),
        ValueKind::Date => {
            let time = value.as_str().and_then(milliseconds);
            time.into_iter().for_each(|time| document.add_i64(column, time));
        }
        _ => number(value).into_iter().for_each(|value| document.add_f64(column, value)),
    }
}

fn add_sort(document: &mut TantivyDocument, column: Field, sort: &SortPlan, value: &Value) {
    let Some(value) = value.get(sort.member) else { return };
    let kind = match sort.kind {
        SortKind::Title => {
            let name = value.as_str().filter(|name| is_short(name));
            return name.into_iter().for_each(|name| document.add_text(column, sort_key(name)));
        }
        SortKind::Integer => ValueKind::Integer,
        SortKind::Number => ValueKind::Number,
        SortKind::Date => ValueKind::Date,
    };
    add_number(document, column, kind, value);
}

/// The values of each member, one for each filter, in all their combinations.
fn combinations(members: &MembersPlan, filters: &[&FilterPlan], document: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    each_at(document, members.path, &mut |member| {
        let mut combinations = vec![String::new()];
        for (number, filter) in filters.iter().enumerate() {
            let mut values = BTreeSet::new();
            each_at(member, filter.path_in(members), &mut |value| {
                values.extend(value_text(filter.kind, value).filter(|text| is_short(text)));
            });
            if values.is_empty() {
                values.insert(ABSENT.to_owned());
            }
            let before = |combination: &String| {
                if number == 0 { String::new() } else { format!("{combination}{PART}") }
            };
            let longer = combinations.iter().flat_map(|combination| {
                let before = before(combination);
                values.iter().map(move |value| format!("{before}{value}"))
            });
            combinations = longer.take(COMBINATIONS_MAX).collect();
        }
        all.extend(combinations);
    });
    all
}

fn add(document: &mut TantivyDocument, field: Field, value: Option<&str>) {
    if let Some(value) = value.filter(|value| is_short(value)) {
        document.add_text(field, value);
    }
}

fn is_short(text: &str) -> bool {
    text.chars().count() <= VALUE_LETTERS_MAX
}
