//! A collector of a page of hits in an order.

use std::collections::{BinaryHeap, HashMap};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use super::column::{Column, first_ordinal_above};
use super::rank::Ranking;
use crate::search::cursor::Cursor;
use crate::search::sort::{Key, Sort};

/// A hit: its sort value, its score, its id and its address.
#[derive(Debug, Clone)]
pub(super) struct RankedHit {
    pub(super) key: Key,
    pub(super) score: u32,
    pub(super) id: String,
    pub(super) at: DocAddress,
}

/// The first `size` hits after a place, in an order and then by id, and the number of all.
pub(super) struct FirstHits<'a> {
    pub(super) size: usize,
    pub(super) after: Option<&'a Cursor>,
    /// The worth of each hit; without it all are worth nothing.
    pub(super) ranking: Option<&'a Ranking>,
    /// `None` for the best first.
    pub(super) sort: Option<Sort>,
}

/// The place of a hit within a segment: the numbers of its sort value and of its id. The least comes first.
type HitPlace = (u64, u64);

pub(super) struct SegmentFirstHits {
    segment: SegmentOrdinal,
    /// Where and how hits are ranked, once they are known.
    ranking: Option<(SegmentReader, Ranking)>,
    /// The hits to be ranked first, where their worth makes the order.
    hits: Vec<DocId>,
    column: Column,
    ids: Option<StrColumn>,
    size: usize,
    /// Hits before this place are left out.
    after: Option<HitPlace>,
    total: u64,
    best: BinaryHeap<(HitPlace, DocId)>,
}

impl Collector for FirstHits<'_> {
    type Fruit = (u64, Vec<RankedHit>);
    type Child = SegmentFirstHits;

    fn for_segment(
        &self,
        segment: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<SegmentFirstHits> {
        let ids = reader.fast_fields().str("id")?;
        let column = Column::of(self.sort, reader)?;
        let after = match (&self.after, &ids) {
            (Some(cursor), Some(ids)) => Some(match column.number_after(&cursor.key)? {
                (number, true) => (number, first_ordinal_above(ids, &cursor.id)?),
                (number, false) => (number, 0),
            }),
            _ => None,
        };
        let ranking = self.ranking.filter(|_| self.size > 0);
        Ok(SegmentFirstHits {
            segment,
            ranking: ranking.map(|ranking| (reader.clone(), ranking.clone())),
            hits: Vec::new(),
            column,
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
        fruits: Vec<tantivy::Result<(u64, Vec<RankedHit>)>>,
    ) -> tantivy::Result<(u64, Vec<RankedHit>)> {
        let fruits = fruits.into_iter().collect::<tantivy::Result<Vec<_>>>()?;
        let total = fruits.iter().map(|(total, _)| total).sum();
        let mut all: Vec<RankedHit> = fruits.into_iter().flat_map(|(_, ranked)| ranked).collect();
        all.sort_by(|one, other| one.key.compare(&other.key, self.sort).then_with(|| one.id.cmp(&other.id)));
        all.truncate(self.size);
        Ok((total, all))
    }
}

impl SegmentFirstHits {
    fn push(&mut self, doc: DocId, number: u64) {
        let worst = self.best.peek().filter(|_| self.best.len() >= self.size).map(|(place, _)| *place);
        if worst.is_some_and(|worst| number > worst.0) || self.after.is_some_and(|after| number < after.0) {
            return;
        }
        let ordinal = self.ids.as_ref().and_then(|ids| ids.term_ords(doc).next()).unwrap_or(0);
        let place = (number, ordinal);
        if self.after.is_some_and(|after| place < after) || worst.is_some_and(|worst| place > worst) {
            return;
        }
        self.best.push((place, doc));
        if self.best.len() > self.size {
            self.best.pop();
        }
    }

    /// The scores of the best hits, where scores do not make their order.
    fn scores_of_best(&self) -> tantivy::Result<HashMap<DocId, u32>> {
        let Some((reader, ranking)) = &self.ranking else { return Ok(HashMap::new()) };
        let mut docs: Vec<DocId> = self.best.iter().map(|(_, doc)| *doc).collect();
        docs.sort_unstable();
        let scores = ranking.scores(reader, &docs)?;
        Ok(docs.into_iter().zip(scores).collect())
    }
}

impl SegmentCollector for SegmentFirstHits {
    type Fruit = tantivy::Result<(u64, Vec<RankedHit>)>;

    fn collect(&mut self, doc: DocId, _: Score) {
        self.total += 1;
        if self.size == 0 {
            return;
        }
        match self.column {
            Column::Score if self.ranking.is_some() => self.hits.push(doc),
            _ => self.push(doc, self.column.number(doc, 0)),
        }
    }

    fn harvest(mut self) -> tantivy::Result<(u64, Vec<RankedHit>)> {
        let mut scores = HashMap::new();
        if !matches!(self.column, Column::Score) {
            scores = self.scores_of_best()?;
        } else if let Some((reader, ranking)) = self.ranking.take() {
            let hits = std::mem::take(&mut self.hits);
            let worths = ranking.scores(&reader, &hits)?;
            hits.into_iter()
                .zip(worths)
                .for_each(|(doc, worth)| self.push(doc, self.column.number(doc, worth)));
        }
        let mut ranked = Vec::new();
        for ((number, ordinal), doc) in self.best {
            let mut id = String::new();
            if let Some(ids) = &self.ids
                && ids.ord_to_str(ordinal, &mut id).unwrap_or(false)
            {
                let key = self.column.key(number)?;
                let score = match key {
                    Key::Score(score) => score,
                    _ => scores.get(&doc).copied().unwrap_or(0),
                };
                ranked.push(RankedHit { key, score, id, at: DocAddress::new(self.segment, doc) });
            }
        }
        Ok((self.total, ranked))
    }
}
