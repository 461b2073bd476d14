//! A running instance: it folds, and as the writer delivers; as `pipeline/{gate,hand_over,run}.rs` do.

use super::super::super::filling::Filling;
use super::super::{LEASE, RebuildVerdict, judge};
use super::state::Process;
use super::world::{DOCUMENTS, Offsets, Record, World, covers, real};

#[derive(Debug, Clone, Copy)]
pub(super) enum Gate {
    HandOver { index: usize, stopped_at: Option<Offsets>, last_sign: Option<(u64, u64)> },
    Closed,
    Until(Offsets),
    Open,
}

pub(super) struct Instance {
    pub(super) process: Process,
    pub(super) gate: Gate,
    /// The index that is written.
    pub(super) index: usize,
    /// An index to which everything is sent, until it is noted as its own.
    sends_everything: bool,
    filling: Filling,
    was_writer: bool,
    /// Marks were cleared of nothing above; `None` when that is where the fold is.
    cleared_to: Option<Offsets>,
    /// No mark was cleared of a later step.
    cleared: u64,
    /// Since which step each document waits, as far as this life knows; 0 is before it.
    waiting: [Option<u64>; DOCUMENTS],
    /// The first step that marked a document while it was on its way.
    again: [Option<u64>; DOCUMENTS],
    /// Where the fold was after which step.
    history: Vec<(u64, Offsets)>,
}

impl Instance {
    pub(super) fn new(number: usize, built_for: Option<usize>) -> Self {
        Self {
            process: Process::new(number, built_for),
            gate: Gate::Closed,
            index: 0,
            sends_everything: false,
            filling: Filling::Nothing,
            was_writer: false,
            cleared_to: None,
            cleared: 0,
            waiting: [None; DOCUMENTS],
            again: [None; DOCUMENTS],
            history: Vec::new(),
        }
    }

    pub(super) fn start(&mut self, world: &mut World) {
        self.process.start(world);
        let state = &self.process.state;
        self.index = world.alias;
        self.was_writer = false;
        self.sends_everything = false;
        self.filling = Filling::Nothing;
        self.cleared_to = Some(state.at);
        self.cleared = state.step;
        self.waiting = state.marks.map(|mark| (mark > 0).then_some(0));
        self.again = [None; DOCUMENTS];
        self.history = vec![(state.step, state.at)];
        self.gate = Gate::Until(world.end());
        if !world.rules.begins_anew {
            self.begin_to_write();
        }
    }

    fn begin_to_write(&mut self) {
        if self.process.state.built_for != Some(self.index) {
            self.sends_everything = false;
            self.gate = Gate::HandOver { index: self.index, stopped_at: self.cleared_to, last_sign: None };
        }
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

    /// A new writer begins to write through the gate of that moment.
    fn notice(&mut self, world: &World, is_writer: bool) {
        let is_other = std::mem::replace(&mut self.was_writer, is_writer) != is_writer;
        if !world.rules.begins_anew {
            return;
        }
        if is_other && is_writer {
            self.begin_to_write();
        } else if is_other {
            self.cleared_to = None;
        }
        if !is_writer {
            self.gate = Gate::Closed;
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
        for document in (0..DOCUMENTS).filter(|document| marked[*document]) {
            self.waiting[document].get_or_insert(state.step);
            if self.process.in_flight[document] {
                self.again[document].get_or_insert(state.step);
            }
        }
    }

    fn look(&mut self, world: &World) {
        if !matches!(self.gate, Gate::HandOver { .. }) && world.alias != self.index {
            self.gate = Gate::HandOver { index: world.alias, stopped_at: self.cleared_to, last_sign: None };
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
        self.cleared_to = None;
        // Waiting documents are looked for in the state again, and wait since the oldest did.
        let oldest = self.waiting.iter().flatten().min().copied();
        self.waiting = self.process.state.marks.map(|mark| (mark > 0).then(|| oldest.unwrap_or(0)));
        if std::mem::take(&mut self.sends_everything) {
            self.process.state.built_for = Some(self.index);
        }
    }

    fn hand_over(&mut self, world: &mut World) {
        let Gate::HandOver { index, stopped_at, last_sign } = &mut self.gate else { return };
        let index = *index;
        if stopped_at.is_none() && !self.process.is_resting() {
            return;
        }
        let stopped_at = *stopped_at.get_or_insert(self.process.state.at);
        if !world.rules.hands_over {
            return self.take_over(world, index, true, stopped_at);
        }
        let Some(record) = world.record else { return self.take_over(world, index, false, stopped_at) };
        let is_dead = match *last_sign {
            Some((beat, since)) if beat == record.beat => world.now - since >= LEASE.as_secs(),
            _ => {
                *last_sign = Some((record.beat, world.now));
                false
            }
        };
        match judge(record.real(), &index.to_string(), &real(&stopped_at), is_dead) {
            RebuildVerdict::Wait => {}
            RebuildVerdict::Note(record) => world.record = Some(Record::of(&record)),
            RebuildVerdict::Covered(covered) => self.take_over(world, index, covered, stopped_at),
        }
    }

    fn take_over(&mut self, world: &World, index: usize, covered: bool, stopped_at: Offsets) {
        if index != world.alias {
            self.gate = Gate::HandOver { index: world.alias, stopped_at: Some(stopped_at), last_sign: None };
            return;
        }
        let has_state = stopped_at != Offsets::default();
        let is_ours = self.process.state.built_for == Some(index);
        if is_ours || (covered && has_state) {
            self.process.state.built_for = Some(index);
        } else {
            if has_state {
                let marked = self.process.state.mark_everything(world);
                self.note(marked);
            }
            self.sends_everything = true;
            self.filling = Filling::Marking;
        }
        self.index = index;
        self.gate = Gate::Closed;
    }

    /// The positions below which nothing waits.
    fn publish(&mut self, world: &mut World) {
        // The publication of a handed-over index is still another's.
        let is_ours = !matches!(self.gate, Gate::HandOver { index, .. } if index == self.index);
        if self.is_filling() || !is_ours && world.rules.keeps_silent {
            return;
        }
        let low_watermark = match self.waiting.iter().flatten().min() {
            None => Some(self.process.state.at),
            Some(oldest) => self.history.iter().rev().find(|(step, _)| step < oldest).map(|(_, at)| *at),
        };
        if let Some(low_watermark) = low_watermark {
            world.committed = Some((low_watermark, self.index));
        }
    }

    fn is_filling(&mut self) -> bool {
        let is_marked = self.is_open() && !self.sends_everything;
        let oldest = self.waiting.iter().flatten().min().copied();
        self.filling = self.filling.at(is_marked, self.process.state.step, oldest);
        self.filling != Filling::Nothing
    }

    /// A standby clears the marks of documents that the writer says are in the index.
    fn follow(&mut self, world: &World) {
        let Some((committed, index)) = world.committed else { return };
        if let Some(cleared_to) = &mut self.cleared_to {
            cleared_to.iter_mut().zip(committed).for_each(|(at, to)| *at = (*at).max(to));
        }
        let covered = self.history.iter().rev().find(|(_, at)| covers(&committed, at));
        let Some(&(step, _)) = covered else { return };
        for mark in &mut self.process.state.marks {
            if *mark <= step {
                *mark = 0;
            }
        }
        if step >= self.cleared {
            self.cleared = step;
            self.process.state.built_for = Some(index);
        }
    }

    /// An acknowledged document waits no more, unless it was marked meanwhile.
    pub(super) fn note_answer(&mut self, document: usize, is_done: bool) {
        let again = self.again[document].take();
        if is_done {
            self.cleared = self.process.state.step;
            self.waiting[document] = again;
        }
    }
}
