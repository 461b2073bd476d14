//! The folded and marked state of a process, and the part that a death leaves.

use super::world::{Content, DOCUMENTS, Offsets, PARTITIONS, Request, World, sum};

/// The result of the commits so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct State {
    pub(super) at: Offsets,
    pub(super) step: u64,
    /// The step of each document's mark; 0 when it is not marked.
    pub(super) marks: [u64; DOCUMENTS],
    /// The index that the marks are for.
    pub(super) built_for: Option<usize>,
}

impl State {
    /// Folds some records; answers which documents they marked.
    pub(super) fn fold(
        &mut self,
        world: &mut World,
        partition: usize,
        records_max: u32,
    ) -> [bool; DOCUMENTS] {
        let mut marked = [false; DOCUMENTS];
        let (from, end) = (self.at[partition], world.end()[partition]);
        let to = end.min(from + world.random.u32(1..=records_max));
        if from == to {
            return marked;
        }
        self.at[partition] = to;
        self.step += 1;
        for (document, marked) in marked.iter_mut().enumerate() {
            *marked = world.concern(partition, from, to, document);
            if *marked {
                self.marks[document] = self.step;
            }
        }
        marked
    }

    /// Marks every document that the state knows.
    pub(super) fn mark_everything(&mut self, world: &World) -> [bool; DOCUMENTS] {
        self.step += 1;
        let known = std::array::from_fn(|document| {
            (0..PARTITIONS).any(|partition| world.concern(partition, 0, self.at[partition], document))
        });
        for (document, _) in known.iter().enumerate().filter(|(_, known)| **known) {
            self.marks[document] = self.step;
        }
        known
    }

    pub(super) fn is_delivered(&self) -> bool {
        self.marks == [0; DOCUMENTS]
    }
}

/// A process: its state, the part that would survive, and its requests.
#[derive(Debug, Clone, Default)]
pub(super) struct Process {
    pub(super) number: usize,
    pub(super) life: u32,
    pub(super) is_alive: bool,
    pub(super) state: State,
    synced: State,
    /// Documents on their way.
    pub(super) in_flight: [bool; DOCUMENTS],
    /// The partition that it reads most of the time.
    favourite: usize,
    /// Foreign versions to be written over.
    over: [u64; DOCUMENTS],
}

impl Process {
    pub(super) fn new(number: usize, built_for: Option<usize>) -> Self {
        let state = State { built_for, ..State::default() };
        Self { number, state, synced: state, ..Self::default() }
    }

    pub(super) fn start(&mut self, world: &mut World) {
        self.life += 1;
        self.favourite = world.random.usize(0..PARTITIONS);
        self.is_alive = true;
        self.in_flight = [false; DOCUMENTS];
        self.over = [0; DOCUMENTS];
    }

    pub(super) fn sync(&mut self) {
        self.synced = self.state;
    }

    /// A power loss takes the commits that were not synced. A killed process loses nothing.
    pub(super) fn die(&mut self, is_power_loss: bool) {
        self.is_alive = false;
        if is_power_loss {
            self.state = self.synced;
        } else {
            self.synced = self.state;
        }
    }

    pub(super) fn is_resting(&self) -> bool {
        self.in_flight == [false; DOCUMENTS]
    }

    /// Folds some records of one partition; answers which documents they marked.
    pub(super) fn fold(&mut self, world: &mut World, records_max: u32) -> [bool; DOCUMENTS] {
        let partition = if world.once_in(12) { world.random.usize(0..PARTITIONS) } else { self.favourite };
        if world.once_in(20) {
            self.favourite = world.random.usize(0..PARTITIONS);
        }
        self.state.fold(world, partition, records_max)
    }

    /// Sends one marked document, from a snapshot of now.
    pub(super) fn deliver(&mut self, world: &mut World, index: usize) {
        let first = world.random.usize(0..DOCUMENTS);
        let mut documents = (first..first + DOCUMENTS).map(|number| number % DOCUMENTS);
        let waits = |document: &usize| self.state.marks[*document] > 0 && !self.in_flight[*document];
        let Some(document) = documents.find(waits) else { return };
        self.in_flight[document] = true;
        let content: Content = world.content(&self.state.at, document);
        world.requests.push(Request {
            index,
            document,
            version: sum(&self.state.at) + self.over[document],
            content,
            reflects: world.counts(&self.state.at, document),
            step: self.state.step,
            sender: (self.number, self.life),
            waited_for: true,
        });
    }

    /// Takes an answer (`None` is none); true when it is an acknowledgement.
    pub(super) fn take_answer(
        &mut self,
        world: &World,
        request: &Request,
        answer: Option<Result<(), u64>>,
    ) -> bool {
        let document = request.document;
        self.in_flight[document] = false;
        let is_done = match answer {
            None => false,
            Some(Ok(())) => true,
            Some(Err(_)) if !world.rules.judges_conflicts => true,
            Some(Err(stored)) => {
                if stored > sum(&self.state.at) {
                    self.over[document] = stored;
                }
                false
            }
        };
        if is_done {
            self.over[document] = 0;
            if self.state.marks[document] <= request.step {
                self.state.marks[document] = 0;
            }
        }
        is_done
    }
}
