//! A running instance: it folds, and as the writer delivers; as `pipeline/{gate,hand_over,run}.rs` do.

use super::super::{LEASE, Verdict, judge};
use super::state::Process;
use super::world::{At, DOCUMENTS, Record, World, covers, real};

#[derive(Debug, Clone, Copy)]
pub(super) enum Gate {
    HandOver { index: usize, stopped_at: Option<At>, seen: Option<(u64, u64)> },
    Closed,
    Until(At),
    Open,
}

pub(super) struct Instance {
    pub(super) process: Process,
    pub(super) gate: Gate,
    /// The index that is written.
    pub(super) index: usize,
    /// An index to which everything is sent, until it is noted as its own.
    sends_everything: bool,
    was_writer: bool,
    /// Since which step each document waits, as far as this life knows; 0 is before it.
    waiting: [Option<u64>; DOCUMENTS],
    /// Where the fold was after which step.
    history: Vec<(u64, At)>,
}

impl Instance {
    pub(super) fn new(number: usize, built_for: Option<usize>) -> Self {
        Self {
            process: Process::new(number, built_for),
            gate: Gate::Closed,
            index: 0,
            sends_everything: false,
            was_writer: false,
            waiting: [None; DOCUMENTS],
            history: Vec::new(),
        }
    }

    pub(super) fn start(&mut self, world: &mut World) {
        self.process.start(world);
        let state = &self.process.state;
        self.index = world.alias;
        self.was_writer = false;
        self.sends_everything = false;
        self.waiting = state.marks.map(|mark| (mark > 0).then_some(0));
        self.history = vec![(state.step, state.at)];
        self.gate = if state.built_for == Some(self.index) {
            Gate::Until(world.end())
        } else {
            Gate::HandOver { index: self.index, stopped_at: Some(state.at), seen: None }
        };
    }

    pub(super) fn die(&mut self, is_power_loss: bool) {
        self.process.die(is_power_loss);
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.gate, Gate::Open)
    }

    /// One step of one of its parts.
    pub(super) fn act(&mut self, world: &mut World, is_writer: bool) {
        self.notice(world, is_writer);
        match world.random.u32(0..12) {
            0..3 => self.fold(world),
            3..6 if is_writer && self.is_open() => self.process.deliver(world, self.index),
            6 if is_writer => self.look(world),
            7..10 if is_writer => self.pass_gate(world),
            10 if is_writer => self.publish(world),
            10 => self.follow(world),
            11 => self.process.sync(),
            _ => {}
        }
    }

    /// Whoever begins to write does so through the gate, of now.
    fn notice(&mut self, world: &World, is_writer: bool) {
        if std::mem::replace(&mut self.was_writer, is_writer) == is_writer {
            return;
        }
        if !world.rules.begins_anew {
            if !is_writer {
                self.gate = Gate::Closed;
            }
            return;
        }
        self.gate = Gate::Closed;
        if is_writer && self.process.state.built_for != Some(self.index) {
            self.sends_everything = false;
            self.gate = Gate::HandOver { index: self.index, stopped_at: None, seen: None };
        }
    }

    fn fold(&mut self, world: &mut World) {
        let marked = self.process.fold(world, 3);
        self.note(marked);
    }

    fn note(&mut self, marked: [bool; DOCUMENTS]) {
        let state = &self.process.state;
        if self.history.last().is_some_and(|(_, at)| *at != state.at) {
            self.history.push((state.step, state.at));
        }
        for (waiting, _) in self.waiting.iter_mut().zip(marked).filter(|(_, marked)| *marked) {
            waiting.get_or_insert(state.step);
        }
    }

    fn look(&mut self, world: &World) {
        if !matches!(self.gate, Gate::HandOver { .. }) && world.alias != self.index {
            self.gate = Gate::HandOver { index: world.alias, stopped_at: None, seen: None };
        }
    }

    fn pass_gate(&mut self, world: &mut World) {
        match self.gate {
            Gate::HandOver { .. } => self.hand_over(world),
            Gate::Closed => {
                self.look(world);
                if matches!(self.gate, Gate::Closed) {
                    self.gate = Gate::Until(world.end());
                }
            }
            Gate::Until(end) => {
                if covers(&self.process.state.at, &end) || !world.rules.has_gate {
                    self.open();
                }
            }
            Gate::Open => {}
        }
    }

    fn open(&mut self) {
        self.gate = Gate::Open;
        // What waits is looked for in the state again, and waits since the oldest did.
        let oldest = self.waiting.iter().flatten().min().copied();
        self.waiting = self.process.state.marks.map(|mark| (mark > 0).then(|| oldest.unwrap_or(0)));
        if std::mem::take(&mut self.sends_everything) {
            self.process.state.built_for = Some(self.index);
        }
    }

    fn hand_over(&mut self, world: &mut World) {
        let Gate::HandOver { index, stopped_at, seen } = &mut self.gate else { return };
        let index = *index;
        if stopped_at.is_none() && !self.process.is_resting() {
            return;
        }
        let stopped_at = *stopped_at.get_or_insert(self.process.state.at);
        if !world.rules.hands_over {
            return self.take_over(world, index, true, stopped_at);
        }
        let Some(record) = world.record else { return self.take_over(world, index, false, stopped_at) };
        let is_dead = match *seen {
            Some((beat, since)) if beat == record.beat => world.now - since >= LEASE.as_secs(),
            _ => {
                *seen = Some((record.beat, world.now));
                false
            }
        };
        match judge(record.real(), &index.to_string(), &real(&stopped_at), is_dead) {
            Verdict::Wait => {}
            Verdict::Note(record) => world.record = Some(Record::of(&record)),
            Verdict::Covered(covered) => self.take_over(world, index, covered, stopped_at),
        }
    }

    fn take_over(&mut self, world: &World, index: usize, covered: bool, stopped_at: At) {
        let has_state = stopped_at != At::default();
        if covered && has_state {
            self.process.state.built_for = Some(index);
        } else {
            if has_state {
                let marked = self.process.state.mark_everything(world);
                self.note(marked);
            }
            self.sends_everything = true;
        }
        self.index = index;
        self.gate = Gate::Closed;
    }

    /// The positions below which nothing waits.
    fn publish(&mut self, world: &mut World) {
        let frontier = match self.waiting.iter().flatten().min() {
            None => Some(self.process.state.at),
            Some(oldest) => self.history.iter().rev().find(|(step, _)| step < oldest).map(|(_, at)| *at),
        };
        world.committed = frontier.unwrap_or(world.committed);
    }

    /// A standby forgets what the writer says is in the index.
    fn follow(&mut self, world: &World) {
        let covered = self.history.iter().rev().find(|(_, at)| covers(&world.committed, at));
        let Some(&(step, _)) = covered else { return };
        for mark in &mut self.process.state.marks {
            if *mark <= step {
                *mark = 0;
            }
        }
    }

    /// A document is acknowledged: it waits no more, unless it was marked meanwhile.
    pub(super) fn acknowledged(&mut self, document: usize) {
        let state = &self.process.state;
        self.waiting[document] = (state.marks[document] > 0).then_some(state.step);
    }
}
