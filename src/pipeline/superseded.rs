//! Records whose versions are below those that their entities have already. A few are usual, where a producer sends again.
//! A long run of them says that the producer's versions began anew, and that its changes are ignored.

use std::collections::BTreeMap;

use super::sizes::sized;
use crate::position::TopicPartition;

/// So many in a row on one partition are told of.
const RUN: u32 = sized(1_000, 40) as u32;

/// The runs of superseded records, by their partitions.
#[derive(Debug, Clone, Default)]
pub(super) struct Superseded {
    /// Those under way; a partition that was told of stays.
    runs: BTreeMap<TopicPartition, u32>,
    count: usize,
    new: Vec<TopicPartition>,
}

impl Superseded {
    /// Takes note of a record that was folded.
    pub(super) fn note(&mut self, at: &TopicPartition, is_superseded: bool) {
        if !is_superseded {
            // Nearly always there is no run.
            if self.runs.get(at).is_some_and(|run| *run < RUN) {
                self.runs.remove(at);
            }
            return;
        }
        self.count += 1;
        let run = self.runs.entry(at.clone()).or_default();
        if *run < RUN {
            *run += 1;
            if *run == RUN {
                self.new.push(at.clone());
            }
        }
    }

    /// How many were superseded since this was asked last, and the partitions to tell of.
    pub(super) fn take(&mut self) -> (usize, Vec<TopicPartition>) {
        (std::mem::take(&mut self.count), std::mem::take(&mut self.new))
    }
}

/// The sentence for people.
pub(super) fn sentence(at: &TopicPartition) -> String {
    format!(
        "{RUN} records in a row on {at} have lower versions than those before them, and are ignored: the producer's versions \
         seem to have begun anew; delete the state's folder and replay once the topic holds the new versions only, or let \
         the versions grow again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_told_of_once_and_a_short_one_never() {
        let (at, other) = (TopicPartition::new("contacts", 0), TopicPartition::new("contacts", 1));
        let mut superseded = Superseded::default();
        for _ in 0..10 {
            (1..RUN).for_each(|_| superseded.note(&at, true));
            superseded.note(&at, false);
            superseded.note(&other, true);
        }
        assert_eq!(superseded.take(), ((RUN as usize) * 10, Vec::new()));
        (0..RUN * 3).for_each(|_| superseded.note(&at, true));
        superseded.note(&at, false);
        (0..RUN * 3).for_each(|_| superseded.note(&at, true));
        assert_eq!(superseded.take(), (RUN as usize * 6, vec![at]));
    }
}
