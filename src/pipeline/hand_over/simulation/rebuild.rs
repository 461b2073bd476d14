//! A rebuild: it fills the new index, moves the alias, and goes on until the instance has taken over; as
//! `reindex/{conduct,claim,target}.rs` do.

use super::super::LEASE;
use super::state::Process;
use super::world::{Offsets, Record, World, covers};
use crate::sink::generations::Phase;

/// How long it waits for an instance to say where it stopped, in seconds.
const INSTANCE_WAIT: u64 = 15;
/// How often it writes a heartbeat, in seconds.
const BEAT_EVERY: u64 = 2;
/// The index that it fills.
const INDEX: usize = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Loading,
    Swapping,
    Feeding { since: u64 },
    Ending,
}

pub(super) struct Rebuild {
    pub(super) process: Process,
    stage: Stage,
    /// The log's end when the round began.
    round: Option<Offsets>,
    /// Where it ended, in its folder.
    ended_at: Option<Offsets>,
    /// When a request began that wrote a heartbeat.
    confirmed: Option<u64>,
    beaten: u64,
    /// It does nothing until then; it does not know.
    pub(super) paused_until: u64,
    /// Its record can be read and not written until then.
    pub(super) mute_until: u64,
    /// It does nothing any more, and is not called again.
    pub(super) is_over: bool,
}

impl Rebuild {
    pub(super) fn new() -> Self {
        Self {
            process: Process::new(2, Some(INDEX)),
            stage: Stage::Loading,
            round: None,
            ended_at: None,
            confirmed: None,
            beaten: 0,
            paused_until: 0,
            mute_until: 0,
            is_over: false,
        }
    }

    /// Begins, or goes on from where it is.
    pub(super) fn start(&mut self, world: &mut World) {
        self.process.start(world);
        self.confirmed = None;
        self.round = None;
        self.beaten = 0;
        let new = Record { phase: Phase::Loading, beat: 0, stopped_at: None, ended_at: None };
        let record = *world.record.get_or_insert(new);
        self.stage = if self.ended_at.is_some() {
            Stage::Ending
        } else if record.phase >= Phase::Swapping && world.alias == INDEX {
            Stage::Swapping
        } else {
            Stage::Loading
        };
        if self.stage == Stage::Loading {
            self.begin(world, Phase::Loading);
        }
    }

    /// Its own end, or that of its claim: nothing is left to go on with.
    fn end(&mut self) {
        self.process.is_alive = false;
        self.is_over = true;
    }

    pub(super) fn is_sleeping(&self, world: &World) -> bool {
        world.now < self.paused_until
    }

    pub(super) fn is_amid_feeding(&self, world: &World) -> bool {
        let feeds = self.process.is_alive && matches!(self.stage, Stage::Feeding { .. });
        feeds && self.is_past_gate(world) && !self.process.state.is_delivered()
    }

    /// Reads the record; false when it is this session's no more.
    fn read(&mut self, world: &World) -> bool {
        if world.record.is_none_or(|record| record.is_taken()) {
            self.end();
            return false;
        }
        true
    }

    /// Changes the record with a heartbeat; false when it did not come to that.
    fn change(&mut self, world: &mut World, change: impl Fn(&mut Record)) -> bool {
        if !self.read(world) || world.now < self.mute_until {
            return false;
        }
        if let Some(record) = &mut world.record {
            change(record);
            record.beat += 1;
        }
        // The answer may be lost.
        if !world.once_in(6) {
            self.confirmed = Some(world.now);
        }
        true
    }

    fn begin(&mut self, world: &mut World, phase: Phase) -> bool {
        self.change(world, |record| record.phase = phase)
    }

    fn holds(&self, world: &World) -> bool {
        let lease = LEASE.as_secs() / 2;
        !world.rules.has_lease || self.confirmed.is_some_and(|at| world.now - at < lease)
    }

    /// One step of one of its parts.
    pub(super) fn act(&mut self, world: &mut World) {
        if self.is_sleeping(world) {
            return;
        }
        // Heartbeats take their time, and the writes go on beside them.
        if world.now >= self.beaten + BEAT_EVERY && world.once_in(12) {
            self.beaten = world.now;
            self.change(world, |_| {});
        }
        if !self.process.is_alive {
            return;
        }
        match world.random.u32(0..10) {
            0..3 if self.stage != Stage::Ending => {
                self.process.fold(world, 6);
            }
            3..7 if self.is_past_gate(world) && self.holds(world) => self.process.deliver(world, INDEX),
            7..9 => self.go_on(world),
            9 => self.process.sync(),
            _ => {}
        }
    }

    fn is_past_gate(&self, world: &World) -> bool {
        let writes = matches!(self.stage, Stage::Loading | Stage::Feeding { .. });
        let passed = |end: Offsets| covers(&self.process.state.at, &end) || !world.rules.has_gate;
        writes && self.round.is_some_and(passed)
    }

    /// A round ends when everything up to its end is folded, and all that is folded is in the index.
    fn is_round_over(&mut self, world: &World) -> bool {
        let end = *self.round.get_or_insert(world.end());
        covers(&self.process.state.at, &end) && self.process.state.is_delivered() && self.process.is_resting()
    }

    fn go_on(&mut self, world: &mut World) {
        let has_rounds = matches!(self.stage, Stage::Loading | Stage::Feeding { .. });
        if has_rounds && !self.is_round_over(world) {
            return;
        }
        match self.stage {
            Stage::Loading => {
                if self.begin(world, Phase::Swapping) {
                    self.stage = Stage::Swapping;
                }
            }
            Stage::Swapping => {
                world.alias = INDEX;
                if self.begin(world, Phase::Feeding) {
                    self.stage = Stage::Feeding { since: world.now };
                    self.round = None;
                }
            }
            Stage::Feeding { since } => self.feed(world, since),
            Stage::Ending => {
                let ended_at = self.ended_at;
                let ends = |record: &mut Record| {
                    record.phase = Phase::Done;
                    record.ended_at = ended_at;
                };
                if self.change(world, ends) {
                    self.end();
                }
            }
        }
    }

    fn feed(&mut self, world: &World, since: u64) {
        if !self.read(world) {
            return;
        }
        let here = self.process.state.at;
        let is_through = match world.record.and_then(|record| record.stopped_at) {
            Some(stopped_at) => covers(&here, &stopped_at),
            None => world.now - since >= INSTANCE_WAIT,
        };
        if is_through {
            self.ended_at = Some(here);
            self.stage = Stage::Ending;
        }
        self.round = None;
    }
}
