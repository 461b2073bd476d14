//! Counts of values, and a collector of them.

use std::collections::HashMap;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use crate::search::index::Counts;

/// How many documents have each value of a field.
pub(super) struct ValueCounter(pub(super) String);

pub(super) struct SegmentValueCounter {
    values: Option<StrColumn>,
    counts: HashMap<u64, u64>,
}

/// The counts of all segments together.
pub(super) fn sum(counts: Vec<Counts>) -> Counts {
    let mut all = Counts::new();
    for (value, count) in counts.into_iter().flatten() {
        *all.entry(value).or_default() += count;
    }
    all
}

impl Collector for ValueCounter {
    type Fruit = Counts;
    type Child = SegmentValueCounter;

    fn for_segment(&self, _: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentValueCounter> {
        Ok(SegmentValueCounter { values: reader.fast_fields().str(&self.0)?, counts: HashMap::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Counts>) -> tantivy::Result<Counts> {
        Ok(sum(fruits))
    }
}

impl SegmentCollector for SegmentValueCounter {
    type Fruit = Counts;

    fn collect(&mut self, doc: DocId, _: Score) {
        for ordinal in self.values.iter().flat_map(|values| values.term_ords(doc)) {
            *self.counts.entry(ordinal).or_default() += 1;
        }
    }

    fn harvest(self) -> Counts {
        let Some(values) = self.values else { return Counts::new() };
        let text = |(ordinal, count): (u64, u64)| {
            let mut text = String::new();
            values.ord_to_str(ordinal, &mut text).ok().filter(|found| *found).map(|_| (text, count))
        };
        self.counts.into_iter().filter_map(text).collect()
    }
}
