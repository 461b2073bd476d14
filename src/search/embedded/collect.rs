//! Collectors: a page in the order of rank and id, and counts of values.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use super::rank::Ranking;
use crate::search::cursor::Cursor;
use crate::search::index::Counts;

/// A hit: its score, its id, and where it lies.
pub(super) type Ranked = (u32, String, DocAddress);

/// The first `size` hits after a place, by score (best first) and id, and the number of all.
pub(super) struct Ordered<'a> {
    pub(super) size: usize,
    pub(super) after: Option<&'a Cursor>,
    /// What each hit is worth; without it all are worth nothing.
    pub(super) ranking: Option<&'a Ranking>,
}

/// The place of a hit within a segment, where ids are numbered in their order: the least comes first.
type Place = (Reverse<u32>, u64);

pub(super) struct SegmentOrdered {
    segment: SegmentOrdinal,
    /// Where and how hits are ranked, once all of them are known.
    ranking: Option<(SegmentReader, Ranking)>,
    hits: Vec<DocId>,
    ids: Option<StrColumn>,
    size: usize,
    /// Only what comes after this.
    after: Option<Place>,
    total: u64,
    best: BinaryHeap<(Place, DocId)>,
}

impl Collector for Ordered<'_> {
    type Fruit = (u64, Vec<Ranked>);
    type Child = SegmentOrdered;

    fn for_segment(
        &self,
        segment: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<SegmentOrdered> {
        let ids = reader.fast_fields().str("id")?;
        let after = match (&self.after, &ids) {
            (Some(cursor), Some(ids)) => Some((Reverse(cursor.score), first_ordinal_above(ids, &cursor.id)?)),
            _ => None,
        };
        let ranking = self.ranking.filter(|_| self.size > 0);
        Ok(SegmentOrdered {
            segment,
            ranking: ranking.map(|ranking| (reader.clone(), ranking.clone())),
            hits: Vec::new(),
            ids,
            size: self.size,
            after,
            total: 0,
            best: BinaryHeap::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(
        &self,
        fruits: Vec<tantivy::Result<(u64, Vec<Ranked>)>>,
    ) -> tantivy::Result<(u64, Vec<Ranked>)> {
        let fruits = fruits.into_iter().collect::<tantivy::Result<Vec<_>>>()?;
        let total = fruits.iter().map(|(total, _)| total).sum();
        let mut all: Vec<Ranked> = fruits.into_iter().flat_map(|(_, ranked)| ranked).collect();
        all.sort_by(by_score_and_id);
        all.truncate(self.size);
        Ok((total, all))
    }
}

fn by_score_and_id(a: &Ranked, b: &Ranked) -> Ordering {
    b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1))
}

/// The number of the first id above `id`.
fn first_ordinal_above(ids: &StrColumn, id: &str) -> std::io::Result<u64> {
    let (mut low, mut high) = (0, ids.num_terms() as u64);
    let mut text = Vec::new();
    while low < high {
        let middle = low + (high - low) / 2;
        text.clear();
        ids.dictionary().ord_to_term(middle, &mut text)?;
        if text.as_slice() <= id.as_bytes() { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

impl SegmentOrdered {
    fn push(&mut self, doc: DocId, score: u32) {
        let score = Reverse(score);
        let worst = self.best.peek().filter(|_| self.best.len() >= self.size).map(|(place, _)| *place);
        if worst.is_some_and(|worst| score > worst.0) || self.after.is_some_and(|after| score < after.0) {
            return;
        }
        let ordinal = self.ids.as_ref().and_then(|ids| ids.term_ords(doc).next()).unwrap_or(0);
        let is_after = self.after.is_none_or(|(at, first)| score > at || ordinal >= first);
        let place = (score, ordinal);
        if !is_after || worst.is_some_and(|worst| place > worst) {
            return;
        }
        self.best.push((place, doc));
        if self.best.len() > self.size {
            self.best.pop();
        }
    }
}

impl SegmentCollector for SegmentOrdered {
    type Fruit = tantivy::Result<(u64, Vec<Ranked>)>;

    fn collect(&mut self, doc: DocId, _: Score) {
        self.total += 1;
        if self.ranking.is_some() {
            self.hits.push(doc);
        } else if self.size > 0 {
            self.push(doc, 0);
        }
    }

    fn harvest(mut self) -> tantivy::Result<(u64, Vec<Ranked>)> {
        if let Some((reader, ranking)) = self.ranking.take() {
            let hits = std::mem::take(&mut self.hits);
            let scores = ranking.scores(&reader, &hits)?;
            hits.into_iter().zip(scores).for_each(|(doc, score)| self.push(doc, score));
        }
        let mut ranked = Vec::new();
        for ((Reverse(score), ordinal), doc) in self.best {
            let mut id = String::new();
            if let Some(ids) = &self.ids
                && ids.ord_to_str(ordinal, &mut id).unwrap_or(false)
            {
                ranked.push((score, id, DocAddress::new(self.segment, doc)));
            }
        }
        Ok((self.total, ranked))
    }
}

/// How many documents have each value of a field.
pub(super) struct Counted(pub(super) &'static str);

pub(super) struct SegmentCounted {
    values: Option<StrColumn>,
    counts: HashMap<u64, u64>,
}

impl Collector for Counted {
    type Fruit = Counts;
    type Child = SegmentCounted;

    fn for_segment(&self, _: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentCounted> {
        Ok(SegmentCounted { values: reader.fast_fields().str(self.0)?, counts: HashMap::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Counts>) -> tantivy::Result<Counts> {
        let mut all = Counts::new();
        for (value, count) in fruits.into_iter().flatten() {
            *all.entry(value).or_default() += count;
        }
        Ok(all)
    }
}

impl SegmentCollector for SegmentCounted {
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
