//! The positions of a fold.

use std::collections::BTreeMap;

use super::Taken;
use crate::event::Record;
use crate::position::TopicPartition;
use crate::source::fingerprint_hash;
use crate::state::rows::{PartitionProgress, Progress};

fn partition_mut<'a>(progress: &'a mut Progress, partition: &TopicPartition) -> &'a mut PartitionProgress {
    let found = progress
        .partitions
        .iter()
        .position(|at| at.partition == partition.partition && *at.topic == *partition.topic);
    #[expect(clippy::indexing_slicing, reason = "the index was found in this list just now")]
    match found {
        Some(index) => &mut progress.partitions[index],
        None => {
            let (topic, partition) = (partition.topic.to_string(), partition.partition);
            progress.partitions.push_mut(PartitionProgress { topic, partition, next: 0, last: None })
        }
    }
}

/// Moves the positions to those that were passed without a record, and never back: records that lie behind such
/// a position may be among those taken with it.
pub(in crate::pipeline) fn pass(progress: &mut Progress, passed: &[(TopicPartition, i64)]) {
    for (partition, next) in passed {
        let at = partition_mut(progress, partition);
        at.next = at.next.max(*next);
    }
}

/// Moves the positions past `taken`, and remembers the hash of each partition's last record.
pub(in crate::pipeline) fn advance(progress: &mut Progress, taken: &[Taken]) {
    let mut last: BTreeMap<&TopicPartition, &Record> = BTreeMap::new();
    for taken in taken {
        last.insert(&taken.record.partition, &taken.record);
    }
    for (partition, record) in last {
        let at = partition_mut(progress, partition);
        at.next = record.offset + 1;
        at.last = Some((record.offset, record.timestamp_ms, fingerprint_hash(record)));
    }
}
