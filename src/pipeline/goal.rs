//! The goal of a run: when it ends by itself.

use super::queue::Queue;
use crate::position::Positions;

/// When a run ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// Never: it goes on until a stop is asked for.
    Stopped,
    /// When everything that was in the log at its start is in the index.
    Delivered,
    /// When all of that is searchable as well.
    Searchable,
}

/// The goal of a run.
pub(super) struct Goal {
    until: RunEnd,
    /// Where the log ended at the start.
    end: Positions,
    /// The step at which everything was folded that was there at the start.
    folded_at: Option<u64>,
}

impl Goal {
    /// The goal of a run whose log ended at `end` when it started.
    pub(super) fn new(until: RunEnd, end: Positions) -> Self {
        Self { until, end, folded_at: None }
    }

    /// True when the run ends by itself.
    pub(super) fn has_end(&self) -> bool {
        self.until != RunEnd::Stopped
    }

    /// True when the delivered documents have to be searchable at the end.
    pub(super) fn is_search(&self) -> bool {
        self.until == RunEnd::Searchable
    }

    /// True when everything up to the end is folded, and everything that was marked when it was is
    /// delivered. Later changes may still wait.
    pub(super) fn is_reached(&mut self, queue: &Queue) -> bool {
        if self.folded_at.is_none() && queue.positions().covers(&self.end) {
            self.folded_at = Some(queue.step());
        }
        let oldest = queue.oldest_waiting();
        self.folded_at.is_some_and(|step| oldest.is_none_or(|oldest| oldest > step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::tuning::Tuning;
    use crate::position::TopicPartition;

    fn positions(next: i64) -> Positions {
        [(TopicPartition::new("t", 0), next)].into_iter().collect()
    }

    #[test]
    fn the_goal_is_reached_once_the_end_is_folded_and_nothing_of_it_waits() {
        let mut goal = Goal::new(RunEnd::Delivered, positions(3));
        assert!(goal.has_end() && !goal.is_search());
        let queue = |next: i64| Queue::starting_at(2, None, positions(next), 0, Tuning::small());
        assert!(!goal.is_reached(&queue(2)));
        // The marks of the state were not looked for yet.
        assert!(!goal.is_reached(&queue(3)));
        let empty = queue(4);
        let scan = empty.next_scan().unwrap();
        empty.add_scanned(&scan, Vec::new(), 2, None);
        assert!(goal.is_reached(&empty));
    }
}
