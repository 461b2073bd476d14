//! The hand-over of an index, simulated: random interleavings of two instances and a rebuild, of deaths,
//! pauses, lag, late and lost requests, from a seed. The decision of [`super::judge`] is the real one.
//! No run may end with a wrong document, or break a published low watermark. A left-out rule must do so, because the
//! simulation would otherwise see nothing.

use instance::Instance;
use rebuild::Rebuild;
use world::{DOCUMENTS, Request, World, covers};

mod instance;
mod rebuild;
mod state;
mod world;

/// The rules that can be left out.
#[derive(Debug, Clone, Copy)]
struct Rules {
    /// The instance waits for the rebuild's end before it writes the new index.
    hands_over: bool,
    /// Nothing is delivered before the log's end as it was when writing began is passed.
    has_gate: bool,
    /// A conflict is not taken for done.
    judges_conflicts: bool,
    /// A rebuild writes only while its claim is confirmed.
    has_lease: bool,
    /// A new writer asks for the log's end, and about the index, at that moment.
    begins_anew: bool,
    /// The index remembers the version of a deleted document.
    remembers_deletes: bool,
    /// Nothing is published of an index before it is handed over.
    keeps_silent: bool,
}

const ALL: Rules = Rules {
    hands_over: true,
    has_gate: true,
    judges_conflicts: true,
    has_lease: true,
    begins_anew: true,
    remembers_deletes: true,
    keeps_silent: true,
};

/// How many things happen before it becomes quiet.
const EVENTS: usize = 500;
/// How long it may take until everything is delivered then.
const QUIET_MAX: usize = 5_000;

struct Simulation {
    world: World,
    instances: [Instance; 2],
    rebuild: Rebuild,
    writer: Option<usize>,
    /// The event at which the rebuild begins.
    begins_at: usize,
    /// The fault of the rebuild in its dual-write phase.
    trouble: RebuildTrouble,
    pace: EventWeights,
}

/// A fault of a rebuild in its dual-write phase, which the lease is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RebuildTrouble {
    None,
    /// It pauses until its claim has gone.
    Sleeps,
    /// Its heartbeats do not arrive, and it naps meanwhile.
    IsMute,
}

/// The weights of the events, drawn for each run.
#[derive(Debug, Clone, Copy)]
struct EventWeights {
    events: usize,
    appends: u32,
    instances: [u32; 2],
    rebuild: u32,
    requests: u32,
    fates: u32,
    /// How many events a second takes.
    second: u32,
    /// The event from which on nothing is appended.
    appends_until: usize,
}

impl EventWeights {
    fn of(random: &mut fastrand::Rng) -> Self {
        Self {
            events: EVENTS,
            appends: random.u32(1..12),
            instances: [random.u32(5..40), random.u32(2..40)],
            rebuild: random.u32(10..60),
            requests: random.u32(10..50),
            fates: random.u32(1..6),
            second: random.u32(3..30),
            appends_until: random.usize(EVENTS / 3..EVENTS),
        }
    }
}

impl Simulation {
    fn new(seed: u64, rules: Rules) -> Self {
        let mut world = World::new(seed, rules);
        (0..world.random.usize(0..20)).for_each(|_| world.append());
        // The second may be a fresh one.
        let second = world.random.bool().then_some(0);
        let begins_at = world.random.usize(0..EVENTS / 3);
        let mut pace = EventWeights::of(&mut world.random);
        let mut instances = [Instance::new(0, Some(0)), Instance::new(1, second)];
        instances[0].start(&mut world);
        if world.random.bool() {
            instances[1].start(&mut world);
        }
        let trouble = match world.random.u32(0..4) {
            0 => RebuildTrouble::Sleeps,
            1 => RebuildTrouble::IsMute,
            _ => RebuildTrouble::None,
        };
        if trouble != RebuildTrouble::None {
            // It gets as far as that.
            let (events, appends_until) = (2 * EVENTS, 2 * EVENTS - 200);
            pace = EventWeights {
                events,
                appends_until,
                appends: 3,
                rebuild: 80,
                requests: 60,
                fates: 1,
                ..pace
            };
        }
        Self { world, instances, rebuild: Rebuild::new(), writer: Some(0), begins_at, trouble, pace }
    }

    fn run(&mut self) -> Result<(), String> {
        for event in 0..self.pace.events {
            if event == self.begins_at {
                self.rebuild.start(&mut self.world);
            }
            if event == self.pace.appends_until {
                self.pace.appends = 0;
            }
            self.trouble();
            self.event(event > self.begins_at);
            if let Some((at, index, document)) = self.world.find_broken_promise() {
                let stored = self.world.indexes[index][document];
                return Err(format!(
                    "index {index} is said to hold {at:?}, and its document {document} is {stored:?}"
                ));
            }
        }
        self.quieten()?;
        self.compare()
    }

    /// The rebuild's trouble, from when it feeds and has something left to send.
    fn trouble(&mut self) {
        let (world, rebuild) = (&mut self.world, &mut self.rebuild);
        let has_begun = self.pace.fates == 0;
        if self.trouble == RebuildTrouble::None || !(has_begun || rebuild.is_amid_feeding(world)) {
            return;
        }
        let naps = world.now < rebuild.mute_until && world.now >= rebuild.paused_until;
        if !has_begun {
            let second = if self.trouble == RebuildTrouble::Sleeps { 2 } else { 4 };
            self.pace = EventWeights { second, fates: 0, ..self.pace };
            match self.trouble {
                RebuildTrouble::Sleeps => rebuild.paused_until = world.now + world.random.u64(30..45),
                _ => rebuild.mute_until = world.now + world.random.u64(60..120),
            }
        } else if naps && world.once_in(4) {
            rebuild.paused_until = world.now + world.random.u64(4..10);
        }
    }

    fn event(&mut self, is_begun: bool) {
        let world = &mut self.world;
        if world.once_in(self.pace.second) {
            world.now += 1;
        }
        let EventWeights { appends, instances: [first, second], rebuild, requests, fates, .. } = self.pace;
        let parts = [appends, first, second, rebuild, requests, fates];
        let mut drawn = world.random.u32(0..parts.iter().sum());
        let part = parts.iter().position(|part| {
            let is_it = drawn < *part;
            if !is_it {
                drawn -= part;
            }
            is_it
        });
        match part {
            Some(0) => world.append(),
            Some(number @ (1 | 2)) => self.instance_acts(number - 1),
            Some(3) if is_begun => self.rebuild_acts(),
            Some(4) => self.request(),
            Some(5) => self.fate(is_begun),
            _ => {}
        }
    }

    fn fate(&mut self, is_begun: bool) {
        match self.world.random.u32(0..5) {
            0 => self.instance_fares(),
            1 | 2 if is_begun => self.rebuild_fares(),
            3 => self.elect(),
            // All is quiet for a while.
            4 => self.world.now += self.world.random.u64(1..40),
            _ => {}
        }
    }

    fn instance_acts(&mut self, number: usize) {
        let is_writer = self.writer == Some(number);
        let instance = &mut self.instances[number];
        if instance.process.is_alive {
            instance.act(&mut self.world, is_writer);
        }
    }

    fn rebuild_acts(&mut self) {
        if self.rebuild.process.is_alive {
            self.rebuild.act(&mut self.world);
        }
    }

    /// An instance starts, or dies.
    fn instance_fares(&mut self) {
        let number = self.world.random.usize(0..2);
        let instance = &mut self.instances[number];
        if !instance.process.is_alive {
            instance.start(&mut self.world);
        } else if self.world.once_in(2) {
            instance.die(self.world.random.bool());
            if self.writer == Some(number) {
                self.writer = None;
            }
        }
    }

    /// A rebuild dies, is called again, or is held up.
    fn rebuild_fares(&mut self) {
        let (world, rebuild) = (&mut self.world, &mut self.rebuild);
        if rebuild.is_over {
        } else if !rebuild.process.is_alive {
            rebuild.start(world);
        } else {
            match world.random.u32(0..6) {
                0 => rebuild.process.die(world.random.bool()),
                1 => rebuild.paused_until = world.now + world.random.u64(1..70),
                2 => rebuild.mute_until = world.now + world.random.u64(1..70),
                _ => {}
            }
        }
    }

    fn elect(&mut self) {
        let number = self.world.random.usize(0..2);
        if self.instances[number].process.is_alive && (self.writer.is_none() || self.world.once_in(2)) {
            self.writer = Some(number);
        }
    }

    /// Something happens to a request: applied or not, answered or not, early or late.
    fn request(&mut self) {
        let world = &mut self.world;
        if world.requests.is_empty() {
            return;
        }
        let number = world.random.usize(0..world.requests.len());
        match world.random.u32(0..12) {
            0..8 => self.land(number, true),
            8 => self.land(number, false),
            9 | 10 => {
                let request = self.world.requests[number];
                self.world.requests[number].waited_for = false;
                self.answer(&request, None);
            }
            _ => {
                let request = self.world.requests.swap_remove(number);
                self.answer(&request, None);
            }
        }
    }

    fn land(&mut self, number: usize, is_answered: bool) {
        let request = self.world.requests[number];
        // No instance waits for it, so it may take its time.
        if !request.waited_for && !self.world.once_in(4) {
            return;
        }
        self.world.requests.swap_remove(number);
        let answer = self.world.apply(&request);
        self.answer(&request, is_answered.then_some(answer));
    }

    fn answer(&mut self, request: &Request, answer: Option<Result<(), u64>>) {
        if !request.waited_for {
            return;
        }
        let (number, life) = request.sender;
        let is_sleeping = self.rebuild.is_sleeping(&self.world);
        let process = match self.instances.get_mut(number) {
            Some(instance) => &mut instance.process,
            None => &mut self.rebuild.process,
        };
        if !process.is_alive || process.life != life {
            return;
        }
        // Who pauses hears nothing, and takes it for unanswered when it wakes.
        let answer = answer.filter(|_| number < 2 || !is_sleeping);
        let is_done = process.take_answer(&self.world, request, answer);
        if let Some(instance) = self.instances.get_mut(number) {
            instance.note_answer(request.document, is_done);
        }
    }

    /// One instance lives on, and the rebuild does or does not; until everything is delivered.
    fn quieten(&mut self) -> Result<(), String> {
        let number = self.world.random.usize(0..2);
        self.instances[1 - number].die(false);
        if !self.instances[number].process.is_alive {
            self.instances[number].start(&mut self.world);
        }
        self.writer = Some(number);
        if self.world.once_in(3) {
            self.rebuild.process.die(true);
            self.rebuild.is_over = true;
        }
        for turn in 0..QUIET_MAX {
            if turn % 10 == 0 {
                self.world.now += 1;
            }
            if !self.rebuild.is_over && !self.rebuild.process.is_alive {
                self.rebuild.start(&mut self.world);
            }
            (0..3).for_each(|_| self.instance_acts(number));
            (0..2).for_each(|_| self.rebuild_acts());
            if let Some(at) = self.world.requests.iter().position(|request| request.waited_for) {
                self.land(at, true);
            }
            if self.is_quiet(number) {
                self.land_the_rest();
                return Ok(());
            }
        }
        Err(format!("no end: {:?}, record {:?}", self.instances[number].gate, self.world.record))
    }

    fn is_quiet(&self, number: usize) -> bool {
        let Instance { process, index, .. } = &self.instances[number];
        self.rebuild.is_over
            && self.instances[number].is_open()
            && *index == self.world.alias
            && process.state.is_delivered()
            && process.is_resting()
            && covers(&process.state.at, &self.world.end())
    }

    /// An old request lands at the very end.
    fn land_the_rest(&mut self) {
        while let Some(request) = self.world.requests.pop() {
            let _ = self.world.apply(&request);
        }
    }

    fn compare(&self) -> Result<(), String> {
        let end = self.world.end();
        for document in 0..DOCUMENTS {
            let stored = self.world.indexes[self.world.alias][document];
            let expected = self.world.content(&end, document);
            if stored.content != expected {
                return Err(format!(
                    "document {document} of index {} is {stored:?}, and the log (up to {end:?}) makes {expected:?} of it",
                    self.world.alias
                ));
            }
        }
        Ok(())
    }
}

fn simulate(seed: u64, rules: Rules) -> Result<(), String> {
    Simulation::new(seed, rules).run()
}

/// The seeds whose run ends wrong.
fn find_wrong(seeds: std::ops::Range<u64>, rules: Rules) -> Vec<u64> {
    seeds.filter(|seed| simulate(*seed, rules).is_err()).collect()
}

fn loses(name: &str, seeds: u64, rules: Rules) {
    let wrong = find_wrong(0..seeds, rules);
    println!("{name}: {} of {seeds} runs end wrong", wrong.len());
    assert!(!wrong.is_empty(), "{name}: the simulation sees no harm in it");
}

#[test]
fn nothing_is_lost_at_a_hand_over() {
    if let Some(seed) = std::env::var("TRIBUTARY_TEST_SEED").ok().and_then(|seed| seed.parse().ok()) {
        simulate(seed, ALL).unwrap();
        return;
    }
    let first = fastrand::u64(..1 << 40);
    // Half of them are the same every time.
    let seeds = (0..10_000).chain(first..first + 10_000);
    for seed in seeds {
        if let Err(wrong) = simulate(seed, ALL) {
            panic!("TRIBUTARY_TEST_SEED={seed}: {wrong}");
        }
    }
}

#[test]
fn without_the_hand_over_documents_are_lost() {
    loses("no hand-over", 10_000, Rules { hands_over: false, ..ALL });
}

#[test]
fn without_the_gate_documents_are_lost() {
    loses("no gate", 10_000, Rules { has_gate: false, ..ALL });
}

#[test]
fn with_conflicts_taken_for_done_documents_are_lost() {
    loses("conflicts done", 10_000, Rules { has_gate: false, judges_conflicts: false, ..ALL });
}

#[test]
fn without_the_lease_documents_are_lost() {
    loses("no lease", 20_000, Rules { has_lease: false, ..ALL });
}

#[test]
fn with_the_gate_of_its_start_a_standby_loses_documents() {
    loses("gate of the start", 20_000, Rules { begins_anew: false, ..ALL });
}

#[test]
fn with_deletes_forgotten_late_requests_bring_documents_back() {
    loses("deletes forgotten", 10_000, Rules { remembers_deletes: false, ..ALL });
}

#[test]
fn with_an_index_published_before_it_is_handed_over_a_promise_is_broken() {
    // It takes a restart at the wrong moment: very few runs come to it.
    let seed = 861_544_327_517;
    simulate(seed, ALL).unwrap();
    simulate(seed, Rules { keeps_silent: false, ..ALL }).unwrap_err();
}
