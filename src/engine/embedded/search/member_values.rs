//! The values of each member together: which of them meet filters of several fields, and counts over those.

use std::collections::{BTreeSet, HashMap, HashSet};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::schema::Field as Column;
use tantivy::{DocId, Score, Searcher, SegmentOrdinal, SegmentReader};

use super::counts::sum;
use crate::engine::embedded::index::schema::{ABSENT, PART, members_column};
use crate::plan::SearchPlan;
use crate::search::index::Counts;
use crate::search::query::{FilterField, FilterValue, Filters, by_field};

/// Values that one and the same member must have, by their places among its values.
#[derive(Debug, Clone)]
pub(super) struct MemberConditions {
    conditions: Vec<(usize, Vec<FilterValue>)>,
}

impl MemberConditions {
    /// `filters` are of the members with this number.
    pub(super) fn of(plan: &SearchPlan, members: usize, filters: &Filters) -> Self {
        let conditions = by_field(filters).into_iter().filter_map(|(field, values)| {
            Some((place(plan, members, field)?, values.into_iter().cloned().collect()))
        });
        Self { conditions: conditions.collect() }
    }

    fn holds(&self, values: &str) -> bool {
        let value = |place: usize| values.split(PART).nth(place).filter(|value| *value != ABSENT);
        let meets = |(place, choices): &(usize, Vec<FilterValue>)| {
            value(*place).is_some_and(|value| choices.iter().any(|choice| choice.holds(value)))
        };
        self.conditions.iter().all(meets)
    }

    /// The values of members that meet them, as they lie in a field.
    pub(super) fn values(&self, searcher: &Searcher, field: Column) -> tantivy::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for segment in searcher.segment_readers() {
            let index = segment.inverted_index(field)?;
            let mut terms = index.terms().stream()?;
            while terms.advance() {
                if let Ok(values) = std::str::from_utf8(terms.key())
                    && self.holds(values)
                {
                    found.insert(values.to_owned());
                }
            }
        }
        Ok(found)
    }
}

/// The place of a field among the values of a member.
fn place(plan: &SearchPlan, members: usize, field: FilterField) -> Option<usize> {
    plan.filters_of(Some(members)).position(|known| known == field)
}

/// How many documents have a member with each value of a field that also meets filters of other fields.
pub(super) struct MemberValueCounter {
    column: String,
    place: usize,
    others: MemberConditions,
}

impl MemberValueCounter {
    /// `filters` are of the members with this number.
    pub(super) fn of(
        plan: &SearchPlan,
        members: usize,
        field: FilterField,
        filters: &Filters,
    ) -> Option<Self> {
        let place = place(plan, members, field)?;
        Some(Self {
            column: members_column(members),
            place,
            others: MemberConditions::of(plan, members, filters),
        })
    }

    /// The value that counts.
    fn value(&self, values: &str) -> Option<String> {
        let value = values.split(PART).nth(self.place).filter(|value| *value != ABSENT)?;
        self.others.holds(values).then(|| value.to_owned())
    }
}

pub(super) struct SegmentMemberValueCounter {
    together: Option<StrColumn>,
    /// The values that count, and by the number of a member's values the number of its own.
    values: Vec<String>,
    by_ordinal: HashMap<u64, usize>,
    counts: HashMap<usize, u64>,
}

impl Collector for MemberValueCounter {
    type Fruit = Counts;
    type Child = SegmentMemberValueCounter;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<SegmentMemberValueCounter> {
        let together = reader.fast_fields().str(&self.column)?;
        let (mut values, mut numbers, mut by_ordinal) = (Vec::new(), HashMap::new(), HashMap::new());
        let mut text = String::new();
        let ordinals =
            together.iter().flat_map(|texts| (0..texts.num_terms() as u64).map(move |at| (at, texts)));
        for (ordinal, texts) in ordinals {
            text.clear();
            texts.ord_to_str(ordinal, &mut text)?;
            if let Some(value) = self.value(&text) {
                let number = *numbers.entry(value.clone()).or_insert_with(|| {
                    values.push(value);
                    values.len() - 1
                });
                by_ordinal.insert(ordinal, number);
            }
        }
        Ok(SegmentMemberValueCounter { together, values, by_ordinal, counts: HashMap::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Counts>) -> tantivy::Result<Counts> {
        Ok(sum(fruits))
    }
}

impl SegmentCollector for SegmentMemberValueCounter {
    type Fruit = Counts;

    fn collect(&mut self, doc: DocId, _: Score) {
        let together = self.together.iter().flat_map(|texts| texts.term_ords(doc));
        // A value that several members have counts once.
        let values: HashSet<usize> =
            together.filter_map(|ordinal| self.by_ordinal.get(&ordinal).copied()).collect();
        for value in values {
            *self.counts.entry(value).or_default() += 1;
        }
    }

    fn harvest(self) -> Counts {
        let counted = self.counts.into_iter();
        counted.filter_map(|(number, count)| Some((self.values.get(number)?.clone(), count))).collect()
    }
}
