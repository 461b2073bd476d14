//! The world that all parts of a run share: its random numbers, its plan, its counts and its trace.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::domain::Domain;
use super::group::Group;
use super::index::Server;
use super::log::Log;
use super::plan::Plan;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, Result};

/// One run's world.
pub(super) struct World {
    pub(super) domain: Domain,
    pub(super) plan: Plan,
    pub(super) began: Instant,
    chance: Mutex<Chance>,
    pub(super) log: Mutex<Log>,
    pub(super) server: Mutex<Server>,
    pub(super) group: Mutex<Group>,
    /// The dead letters by name. They lie with the log, and outlive every process and disk.
    pub(super) letters: Mutex<BTreeMap<String, DeadLetter>>,
}

struct Chance {
    random: fastrand::Rng,
    /// Faults are over.
    is_quiet: bool,
    counts: BTreeMap<&'static str, u64>,
    trace: String,
}

impl World {
    pub(super) fn new(seed: u64, domain: Domain) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut plan = Plan::draw(&mut random, seed);
        // A document of another writer is repaired when an entity that it shows changes. A drawn document may show none.
        plan.has_foreign &= domain.is_built_in();
        let log = Log::new(&plan, &domain);
        // On one shard the documents of a member under two owners are one document.
        let shards = if domain.has_children() && seed.is_multiple_of(2) { 3 } else { 1 };
        let chance = Chance { random, is_quiet: false, counts: BTreeMap::new(), trace: String::new() };
        Self {
            domain,
            plan,
            began: Instant::now(),
            chance: Mutex::new(chance),
            log: Mutex::new(log),
            server: Mutex::new(Server::new(shards)),
            group: Mutex::default(),
            letters: Mutex::default(),
        }
    }

    fn chance(&self) -> MutexGuard<'_, Chance> {
        self.chance.lock().unwrap()
    }

    pub(super) fn draw(&self, range: Range<u64>) -> u64 {
        self.chance().random.u64(range)
    }

    pub(super) fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.draw(range))
    }

    /// Whether a fault strikes that does so in `per_mille` of a thousand cases.
    pub(super) fn strikes(&self, fault: &'static str, per_mille: u64) -> bool {
        let mut chance = self.chance();
        let strikes = !chance.is_quiet && per_mille > 0 && chance.random.u64(0..1000) < per_mille;
        drop(chance);
        if strikes {
            self.count(fault);
        }
        strikes
    }

    pub(super) fn count(&self, fault: &'static str) {
        *self.chance().counts.entry(fault).or_default() += 1;
        self.note(format_args!("! {fault}"));
    }

    /// Adds a line to the trace.
    pub(super) fn note(&self, what: fmt::Arguments<'_>) {
        use fmt::Write as _;
        let micros = self.began.elapsed().as_micros();
        let _ = writeln!(self.chance().trace, "{:>10.3} {what}", micros as f64 / 1000.0);
    }

    pub(super) fn quieten(&self) {
        self.note(format_args!("from here on no fault strikes"));
        self.chance().is_quiet = true;
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.chance().is_quiet
    }

    /// The counts and the trace.
    pub(super) fn report(&self) -> (BTreeMap<&'static str, u64>, String) {
        let chance = self.chance();
        (chance.counts.clone(), chance.trace.clone())
    }
}

/// A process; its calls reach nothing once it is dead.
pub(super) struct Process {
    pub(super) name: String,
    is_dead: AtomicBool,
    /// Dies at this many calls from now; 0 when it does not.
    fuse: AtomicU64,
    pub(super) died: Notify,
}

impl Process {
    pub(super) fn new(name: String) -> Self {
        Self { name, is_dead: AtomicBool::new(false), fuse: AtomicU64::new(0), died: Notify::new() }
    }

    pub(super) fn light_fuse(&self, calls: u64) {
        self.fuse.store(calls, Ordering::SeqCst);
    }

    pub(super) fn kill(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    /// One of the moments between two steps: true when the process lives on.
    pub(super) fn lives(&self) -> bool {
        let fuse = self.fuse.load(Ordering::SeqCst);
        if fuse > 0 {
            self.fuse.store(fuse - 1, Ordering::SeqCst);
            if fuse == 1 {
                self.kill();
            }
        }
        !self.is_dead()
    }

    /// As [`Self::lives`], for calls that can fail.
    pub(super) fn check(&self) -> Result<()> {
        if self.lives() { Ok(()) } else { Err(Error::failure("the process is dead")) }
    }

    /// As [`Self::lives`], for calls that can be waited for: the dead wait for ever.
    pub(super) async fn go_on(&self) {
        if !self.lives() {
            std::future::pending::<()>().await;
        }
    }
}
