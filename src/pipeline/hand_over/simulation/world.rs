//! The world of the actors: the log, both indexes, the alias, the record, the committed low watermark, and the
//! requests that are on their way.

use fastrand::Rng;

use super::Rules;
use crate::position::{Positions, TopicPartition};
use crate::sink::generations::{Phase, Rebuild, RebuildProgress, to_record};

pub(super) const PARTITIONS: usize = 3;
pub(super) const DOCUMENTS: usize = 6;

/// The next offset of each partition.
pub(super) type Offsets = [u32; PARTITIONS];
/// How many records of each partition a document reflects; `None` when they delete it.
pub(super) type Content = Option<Offsets>;

pub(super) fn covers(here: &Offsets, other: &Offsets) -> bool {
    here.iter().zip(other).all(|(here, other)| here >= other)
}

pub(super) fn sum(at: &Offsets) -> u64 {
    at.iter().copied().map(u64::from).sum()
}

/// Positions as the real code holds them.
pub(super) fn real(at: &Offsets) -> Positions {
    let pairs = at.iter().zip(0..);
    pairs.map(|(next, partition)| (TopicPartition::new("log", partition), i64::from(*next))).collect()
}

/// The deciding fields of the record, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) phase: Phase,
    pub(super) beat: u64,
    pub(super) stopped_at: Option<Offsets>,
    pub(super) ended_at: Option<Offsets>,
}

impl Record {
    /// The record as the real code reads it.
    pub(super) fn real(&self) -> Rebuild {
        Rebuild {
            session: "session".into(),
            index: "1".into(),
            previous: Some("0".into()),
            phase: self.phase,
            beat: self.beat,
            stopped_at: self.stopped_at.map(|at| to_record(&real(&at))),
            ended_at: self.ended_at.map(|at| to_record(&real(&at))),
            progress: RebuildProgress::default(),
            rolled_back_from: None,
            sends_again: false,
            earlier: None,
        }
    }

    /// As the real code wrote it.
    pub(super) fn of(record: &Rebuild) -> Self {
        let at = |written: &Vec<(String, i32, i64)>| {
            let mut at = Offsets::default();
            for (_, partition, next) in written {
                at[usize::try_from(*partition).unwrap()] = u32::try_from(*next).unwrap();
            }
            at
        };
        Self {
            phase: record.phase,
            beat: record.beat,
            stopped_at: record.stopped_at.as_ref().map(at),
            ended_at: record.ended_at.as_ref().map(at),
        }
    }

    /// Given up by the instance: no end will come.
    pub(super) fn is_taken(&self) -> bool {
        self.phase == Phase::Done && self.ended_at.is_none()
    }
}

/// One write of one document, in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) index: usize,
    pub(super) document: usize,
    pub(super) version: u64,
    pub(super) content: Content,
    pub(super) reflects: Offsets,
    /// The step of the snapshot.
    pub(super) step: u64,
    /// Who sent it, in which of its lives.
    pub(super) sender: (usize, u32),
    /// Whether the sender waits for the answer still.
    pub(super) waited_for: bool,
}

/// An index's copy of a document. Version 0 is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DocumentCopy {
    pub(super) version: u64,
    pub(super) content: Content,
    /// How many records of each partition it reflects, also when they delete it.
    pub(super) reflects: Offsets,
}

pub(super) struct World {
    pub(super) random: Rng,
    pub(super) rules: Rules,
    /// Seconds.
    pub(super) now: u64,
    /// For each partition and offset: how many records below it concern each document.
    counts: [Vec<[u32; DOCUMENTS]>; PARTITIONS],
    pub(super) indexes: [[DocumentCopy; DOCUMENTS]; 2],
    /// The index that the alias stands for.
    pub(super) alias: usize,
    pub(super) record: Option<Record>,
    /// The writer's word on which index holds the documents.
    pub(super) committed: Option<(Offsets, usize)>,
    pub(super) requests: Vec<Request>,
}

impl World {
    pub(super) fn new(seed: u64, rules: Rules) -> Self {
        Self {
            random: Rng::with_seed(seed),
            rules,
            now: 100,
            counts: std::array::from_fn(|_| vec![[0; DOCUMENTS]]),
            indexes: Default::default(),
            alias: 0,
            record: None,
            committed: None,
            requests: Vec::new(),
        }
    }

    /// True once in `n` times.
    pub(super) fn once_in(&mut self, n: u32) -> bool {
        self.random.u32(0..n) == 0
    }

    /// A record that concerns one document or two.
    pub(super) fn append(&mut self) {
        let partition = self.random.usize(0..PARTITIONS);
        let mut counts = *self.counts[partition].last().unwrap();
        counts[self.random.usize(0..DOCUMENTS)] += 1;
        if self.once_in(3) {
            counts[self.random.usize(0..DOCUMENTS)] += 1;
        }
        self.counts[partition].push(counts);
    }

    pub(super) fn end(&self) -> Offsets {
        std::array::from_fn(|partition| u32::try_from(self.counts[partition].len() - 1).unwrap())
    }

    fn count(&self, partition: usize, next: u32, document: usize) -> u32 {
        self.counts[partition][next as usize][document]
    }

    /// True when the records of `partition` from `from` up to `to` concern the document.
    pub(super) fn concern(&self, partition: usize, from: u32, to: u32, document: usize) -> bool {
        self.count(partition, from, document) != self.count(partition, to, document)
    }

    /// How many records of each partition below `at` concern the document.
    pub(super) fn counts(&self, at: &Offsets, document: usize) -> Offsets {
        std::array::from_fn(|partition| self.count(partition, at[partition], document))
    }

    /// The published low watermark of an index, and a document of it that does not reflect that.
    pub(super) fn find_broken_promise(&self) -> Option<(Offsets, usize, usize)> {
        let (at, index) = self.committed?;
        let reflects = |document: usize| self.indexes[index][document].reflects;
        let breaks = |document: &usize| !covers(&reflects(*document), &self.counts(&at, *document));
        (0..DOCUMENTS).find(breaks).map(|document| (at, index, document))
    }

    /// The document as a snapshot at `at` makes it.
    pub(super) fn content(&self, at: &Offsets, document: usize) -> Content {
        let content = self.counts(at, document);
        let touches: u32 = content.iter().sum();
        // Every fifth change deletes it, the next one brings it back.
        (!touches.is_multiple_of(5)).then_some(content)
    }

    /// Applies a write as `external_gte` does; the stored version when it is above.
    pub(super) fn apply(&mut self, request: &Request) -> Result<(), u64> {
        let stored = &mut self.indexes[request.index][request.document];
        if stored.version > request.version {
            return Err(stored.version);
        }
        let Request { version, content, reflects, .. } = *request;
        *stored = DocumentCopy { version, content, reflects };
        if content.is_none() && !self.rules.remembers_deletes {
            stored.version = 0;
        }
        Ok(())
    }
}
