//! The positions of a fold.

use std::collections::BTreeMap;

use super::DecodedRecord;
use crate::event::Record;
use crate::position::TopicPartition;
use crate::source::fingerprint_hash;
use crate::state::rows::{FoldProgress, PartitionProgress};

fn partition_mut<'a>(
    progress: &'a mut FoldProgress,
    partition: &TopicPartition,
) -> &'a mut PartitionProgress {
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

/// Moves the positions to those that were skipped without a record, and never back. The records of the same step may
/// lie behind such a position.
pub(in crate::pipeline) fn skip_offsets(progress: &mut FoldProgress, skipped: &[(TopicPartition, i64)]) {
    for (partition, next) in skipped {
        let at = partition_mut(progress, partition);
        at.next = at.next.max(*next);
    }
}

/// Moves the positions past `records`, and remembers the hash of each partition's last record.
pub(in crate::pipeline) fn advance(progress: &mut FoldProgress, records: &[DecodedRecord]) {
    let mut last: BTreeMap<&TopicPartition, &Record> = BTreeMap::new();
    for input in records {
        last.insert(&input.record.partition, &input.record);
    }
    for (partition, record) in last {
        let at = partition_mut(progress, partition);
        at.next = record.offset + 1;
        at.last = Some((record.offset, record.timestamp_ms, fingerprint_hash(record)));
    }
}
