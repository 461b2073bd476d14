//! Positions in the log: which partition, and the offset of the next record to read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// For each partition the offset of the next record: everything below it is included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions(BTreeMap<TopicPartition, i64>);

impl Positions {
    /// The next offset of `partition`; `None` when nothing is known of it.
    pub fn get(&self, partition: &TopicPartition) -> Option<i64> {
        self.0.get(partition).copied()
    }

    /// Sets the next offset of `partition`.
    pub fn set(&mut self, partition: TopicPartition, next: i64) {
        self.0.insert(partition, next);
    }

    /// Moves `partition` forward to `next`; never back.
    pub fn advance(&mut self, partition: &TopicPartition, next: i64) {
        match self.0.get_mut(partition) {
            Some(offset) => *offset = (*offset).max(next),
            None => self.set(partition.clone(), next),
        }
    }

    /// Moves every partition forward to where `other` has it.
    pub fn join(&mut self, other: &Positions) {
        other.iter().for_each(|(partition, next)| self.advance(partition, next));
    }

    /// True when every partition of `other` has reached the position given there.
    /// A partition that `other` holds at 0 is reached without being known here.
    pub fn covers(&self, other: &Positions) -> bool {
        other.0.iter().all(|(partition, next)| self.get(partition).unwrap_or(0) >= *next)
    }

    /// The log position: the sum of all next offsets. It grows with every record.
    pub fn sum(&self) -> u64 {
        self.0.values().map(|next| u64::try_from(*next).unwrap_or(0)).sum()
    }

    /// The partitions with their next offsets, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        self.0.iter().map(|(partition, next)| (partition, *next))
    }

    /// True when no partition is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As position tokens (docs/api.md): `topic/partition:offset` of the last record included.
impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached = self.0.iter().filter(|(_, next)| **next > 0);
        for (number, (partition, next)) in reached.enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{partition}:{}", next - 1)?;
        }
        Ok(())
    }
}

impl FromIterator<(TopicPartition, i64)> for Positions {
    fn from_iter<I: IntoIterator<Item = (TopicPartition, i64)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_never_goes_back() {
        let mut positions = Positions::default();
        let partition = TopicPartition::new("contacts", 0);
        positions.advance(&partition, 7);
        positions.advance(&partition, 3);
        assert_eq!(positions.get(&partition), Some(7));
        assert_eq!(positions.sum(), 7);
    }

    #[test]
    fn covers_asks_for_every_partition() {
        let end = [("a", 3), ("b", 0)].map(|(t, n)| (TopicPartition::new(t, 0), n));
        let end: Positions = end.into_iter().collect();
        let mut here = Positions::default();
        assert!(!here.covers(&end));
        here.set(TopicPartition::new("a", 0), 3);
        assert!(here.covers(&end));
    }
}
