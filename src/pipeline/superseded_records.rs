//! Records whose versions are below those that their entities have already. A few are usual, where a producer sends again.
//! A long run of them says that the producer's versions began anew, and that its changes are ignored.

use std::collections::BTreeMap;

use crate::position::TopicPartition;

/// The runs of superseded records, by their partitions.
#[derive(Debug, Clone, Default)]
pub(super) struct SupersededRecords {
    /// Those under way; a partition that was told of stays.
    runs: BTreeMap<TopicPartition, u32>,
    count: usize,
    new: Vec<TopicPartition>,
}

impl SupersededRecords {
    /// Takes note of a record that was folded. A run of the length `run_length` is told of.
    pub(super) fn note(&mut self, at: &TopicPartition, is_superseded: bool, run_length: u32) {
        if !is_superseded {
            // Nearly always there is no run.
            if self.runs.get(at).is_some_and(|run| *run < run_length) {
                self.runs.remove(at);
            }
            return;
        }
        self.count += 1;
        let run = self.runs.entry(at.clone()).or_default();
        if *run < run_length {
            *run += 1;
            if *run == run_length {
                self.new.push(at.clone());
            }
        }
    }

    /// How many were superseded since this was asked last, and the partitions to tell of.
    pub(super) fn take(&mut self) -> (usize, Vec<TopicPartition>) {
        (std::mem::take(&mut self.count), std::mem::take(&mut self.new))
    }
}

/// The sentence for people about a run of the length `run_length`.
pub(super) fn sentence(at: &TopicPartition, run_length: u32) -> String {
    format!(
        "{run_length} records in a row on {at} have lower versions than those before them, and are ignored. The \
         producer's versions seem to have begun anew. Delete the state's folder and replay once the topic holds the \
         new versions only, or let the versions grow again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::tuning::Tuning;

    #[test]
    fn a_long_run_is_told_of_once_and_a_short_one_never() {
        let (at, other) = (TopicPartition::new("contacts", 0), TopicPartition::new("contacts", 1));
        let (mut superseded, long) = (SupersededRecords::default(), Tuning::small().superseded_run);
        for _ in 0..10 {
            (1..long).for_each(|_| superseded.note(&at, true, long));
            superseded.note(&at, false, long);
            superseded.note(&other, true, long);
        }
        assert_eq!(superseded.take(), ((long as usize) * 10, Vec::new()));
        (0..long * 3).for_each(|_| superseded.note(&at, true, long));
        superseded.note(&at, false, long);
        (0..long * 3).for_each(|_| superseded.note(&at, true, long));
        assert_eq!(superseded.take(), (long as usize * 6, vec![at]));
    }
}
