//! The gate before delivery.

use crossbeam_channel::{Receiver, TryRecvError};

use super::hand_over::HandOver;
use super::queue::Queue;
use crate::error::Result;
use crate::position::Positions;
use crate::projection::Projection;

/// The gate holds back delivery until the fold has passed the end that the log had when writing began. From then on
/// every snapshot dominates every earlier write of any writer.
pub(super) struct Gate {
    stage: Stage,
    /// How far rebuilds delivered the log to the indexes that they handed over; nothing is delivered before the fold is there.
    rebuilt: Vec<Positions>,
    /// Marks were cleared of no event above; `None` when that is where the fold is.
    cleared_to: Option<Positions>,
}

/// The stages before delivery, in their order.
enum Stage {
    /// An alias stands for another index, which is not ours to write yet.
    HandOver(HandOver),
    /// The end has to be asked for.
    Closed,
    /// Asked for.
    Asked(Receiver<Result<Positions>>),
    /// To be passed.
    Until(Positions),
    /// Passed; the fan-outs that the backlog began are made first, up to this step: a document that
    /// they mark would be written twice.
    FanningOut(u64),
    /// Nothing is held back.
    Open,
}

/// The work that the gate calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GateAction {
    /// Nothing before the next look.
    Wait,
    /// The next step at once.
    Continue,
    /// A look at the hand-over.
    HandOver,
    /// A look at the aliases, then a request for the log's end.
    Ask,
    /// Delivery begins.
    Begin,
}

impl Gate {
    /// The gate of a start. The log ended at `end`, and no mark was cleared of an event above `cleared_to`.
    pub(super) fn new(end: Positions, cleared_to: Positions) -> Self {
        Self { stage: Stage::Until(end), rebuilt: Vec::new(), cleared_to: Some(cleared_to) }
    }

    /// Goes one step on, by the fold's progress in the queue.
    pub(super) fn next(&mut self, queue: &Queue) -> GateAction {
        let (stage, action) = match &self.stage {
            Stage::Open => return GateAction::Wait,
            Stage::HandOver(_) => return GateAction::HandOver,
            Stage::Closed => return GateAction::Ask,
            Stage::Asked(answer) => match answer.try_recv() {
                Ok(Ok(end)) => (Stage::Until(end), GateAction::Continue),
                // A broker that is away is asked again; any other error is the reader's own end.
                Ok(Err(_)) | Err(TryRecvError::Disconnected) => (Stage::Closed, GateAction::Wait),
                Err(TryRecvError::Empty) => return GateAction::Wait,
            },
            Stage::Until(end) => {
                // A rebuild may have read a partition that this instance has not found yet.
                let here = queue.positions();
                let is_passed = here.covers(end) && self.rebuilt.iter().all(|rebuilt| here.covers(rebuilt));
                if !is_passed && !bug!(NoGateAndConflictsDone) {
                    return GateAction::Wait;
                }
                (Stage::FanningOut(queue.step()), GateAction::Continue)
            }
            Stage::FanningOut(step) => {
                if queue.oldest_task().is_some_and(|oldest| oldest <= *step) {
                    return GateAction::Wait;
                }
                (Stage::Open, GateAction::Begin)
            }
        };
        self.stage = stage;
        if self.is_open() {
            self.rebuilt.clear();
            self.cleared_to = None;
        }
        action
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// True when the log's end has to be asked for.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed)
    }

    /// Has the log's end asked for anew before delivery.
    pub(super) fn close(&mut self) {
        self.stage = Stage::Closed;
    }

    /// Waits for this answer of the reader.
    pub(super) fn wait_for_end(&mut self, answer: Receiver<Result<Positions>>) {
        self.stage = Stage::Asked(answer);
    }

    /// The hand-over that is waited for.
    pub(super) fn hand_over(&self) -> Option<&HandOver> {
        match &self.stage {
            Stage::HandOver(hand_over) => Some(hand_over),
            _ => None,
        }
    }

    /// The same, to go on with it.
    pub(super) fn hand_over_mut(&mut self) -> Option<&mut HandOver> {
        match &mut self.stage {
            Stage::HandOver(hand_over) => Some(hand_over),
            _ => None,
        }
    }

    /// Waits until these indexes are handed over.
    pub(super) fn begin_hand_over(&mut self, moved: Vec<(Projection, String)>) {
        self.stage = Stage::HandOver(HandOver::of(moved, self.cleared_to.clone()));
    }

    /// The same for further indexes, of an instance that stopped there.
    pub(super) fn repeat_hand_over(
        &mut self,
        moved: Vec<(Projection, String)>,
        stopped_at: Option<Positions>,
    ) {
        self.stage = Stage::HandOver(HandOver::of(moved, stopped_at));
    }

    /// Closes the gate; answers the hand-over that was waited for.
    pub(super) fn end_hand_over(&mut self) -> Option<HandOver> {
        match std::mem::replace(&mut self.stage, Stage::Closed) {
            Stage::HandOver(hand_over) => Some(hand_over),
            _ => None,
        }
    }

    /// Has the fold also pass the positions to which rebuilds delivered the log.
    pub(super) fn set_rebuilt(&mut self, rebuilt: Vec<Positions>) {
        self.rebuilt = rebuilt;
    }

    /// Stops being the writer. A late acknowledgement clears the marks of everything folded by then.
    pub(super) fn stand_by(&mut self) {
        self.cleared_to = None;
    }

    /// True when marks may be cleared of everything that is folded.
    pub(super) fn may_have_cleared_all(&self) -> bool {
        self.cleared_to.is_none()
    }

    /// Notes that the marks of events below these positions are cleared.
    pub(super) fn note_cleared(&mut self, low_watermark: &Positions) {
        if let Some(cleared_to) = &mut self.cleared_to {
            cleared_to.join(low_watermark);
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;

    use super::*;
    use crate::pipeline::tuning::Tuning;
    use crate::position::TopicPartition;

    fn positions(next: i64) -> Positions {
        [(TopicPartition::new("t", 0), next)].into_iter().collect()
    }

    /// The queue of a fold at this step and at this position.
    fn queue(step: u64, next: i64, oldest_task: Option<u64>) -> Queue {
        Queue::starting_at(step, oldest_task, positions(next), 0, Tuning::small())
    }

    #[test]
    fn the_gate_opens_once_the_end_is_passed_and_its_fan_outs_are_made() {
        let mut gate = Gate::new(positions(3), Positions::default());
        assert_eq!(gate.next(&queue(1, 2, None)), GateAction::Wait);
        assert_eq!(gate.next(&queue(2, 3, Some(1))), GateAction::Continue);
        assert_eq!(gate.next(&queue(2, 3, Some(2))), GateAction::Wait, "a fan-out of the backlog is left");
        assert!(!gate.is_open() && !gate.may_have_cleared_all());
        assert_eq!(gate.next(&queue(3, 4, Some(3))), GateAction::Begin);
        assert!(gate.is_open() && gate.may_have_cleared_all());
        assert_eq!(gate.next(&queue(3, 4, Some(3))), GateAction::Wait);
    }

    #[test]
    fn a_gate_that_was_closed_asks_for_the_end_and_passes_the_rebuilds_as_well() {
        let mut gate = Gate::new(positions(3), Positions::default());
        gate.close();
        gate.set_rebuilt(vec![positions(5)]);
        assert_eq!(gate.next(&queue(1, 3, None)), GateAction::Ask);
        let (reply, answer) = bounded(1);
        gate.wait_for_end(answer);
        assert_eq!(gate.next(&queue(1, 3, None)), GateAction::Wait, "there is no answer yet");
        reply.send(Ok(positions(3))).unwrap();
        assert_eq!(gate.next(&queue(1, 3, None)), GateAction::Continue);
        assert_eq!(gate.next(&queue(1, 4, None)), GateAction::Wait);
        assert_eq!(gate.next(&queue(1, 5, None)), GateAction::Continue);
        let (reply, answer) = bounded(1);
        gate.wait_for_end(answer);
        drop(reply);
        assert_eq!(gate.next(&queue(1, 5, None)), GateAction::Wait);
        assert!(gate.is_closed(), "without an answer the reader is asked again");
    }
}
