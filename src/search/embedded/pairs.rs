//! Counts of the roles of contacts in some departments, or of the departments of those in some roles.

use std::collections::{HashMap, HashSet};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use super::collect::sum;
use crate::search::index::Counts;
use crate::search::query::Field;
use crate::sink::embedded::schema::PAIR;

/// How many documents have a contact with each value of a field that also has one of the other field's values.
pub(super) struct CountedPairs {
    field: Field,
    others: Vec<String>,
}

impl CountedPairs {
    /// `filters` are of the other field.
    pub(super) fn of(field: Field, filters: &[(Field, String)]) -> Self {
        Self { field, others: filters.iter().map(|(_, value)| value.clone()).collect() }
    }

    /// The value of a pair that counts.
    fn value(&self, pair: &str) -> Option<String> {
        let (role, department) = pair.split_once(PAIR)?;
        let (value, other) = if self.field == Field::Role { (role, department) } else { (department, role) };
        self.others.iter().any(|wanted| wanted == other).then(|| value.to_owned())
    }
}

pub(super) struct SegmentPairs {
    pairs: Option<StrColumn>,
    /// The values that count, and by each pair's number the number of its value.
    values: Vec<String>,
    by_pair: HashMap<u64, usize>,
    counts: HashMap<usize, u64>,
}

impl Collector for CountedPairs {
    type Fruit = Counts;
    type Child = SegmentPairs;

    fn for_segment(&self, _: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentPairs> {
        let pairs = reader.fast_fields().str("pair")?;
        let (mut values, mut numbers, mut by_pair) = (Vec::new(), HashMap::new(), HashMap::new());
        let mut pair = String::new();
        let ordinals =
            pairs.iter().flat_map(|pairs| (0..pairs.num_terms() as u64).map(move |at| (at, pairs)));
        for (ordinal, pairs) in ordinals {
            pair.clear();
            pairs.ord_to_str(ordinal, &mut pair)?;
            if let Some(value) = self.value(&pair) {
                let number = *numbers.entry(value.clone()).or_insert_with(|| {
                    values.push(value);
                    values.len() - 1
                });
                by_pair.insert(ordinal, number);
            }
        }
        Ok(SegmentPairs { pairs, values, by_pair, counts: HashMap::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Counts>) -> tantivy::Result<Counts> {
        Ok(sum(fruits))
    }
}

impl SegmentCollector for SegmentPairs {
    type Fruit = Counts;

    fn collect(&mut self, doc: DocId, _: Score) {
        let pairs = self.pairs.iter().flat_map(|pairs| pairs.term_ords(doc));
        // A value that several contacts have counts once.
        let values: HashSet<usize> = pairs.filter_map(|pair| self.by_pair.get(&pair).copied()).collect();
        for value in values {
            *self.counts.entry(value).or_default() += 1;
        }
    }

    fn harvest(self) -> Counts {
        let counted = self.counts.into_iter();
        counted.filter_map(|(number, count)| Some((self.values.get(number)?.clone(), count))).collect()
    }
}
