//! An instance: the real pipeline of a process, over the parts of the world.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::Sender;
use tokio::task::JoinHandle;

use super::MAX_EMBEDDED;
use super::group::Membership;
use super::log::Source;
use super::sink::Sink;
use super::store::{Disk, Remains, Store};
use super::world::{Process, World};
use crate::config::Refresh;
use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::pipeline::command::FoldCommand;
use crate::pipeline::run::{IndexParts, LogParts, Parts, RunEnd, run};
use crate::pipeline::status::Status;
use crate::pipeline::tuning::Tuning;
use crate::projection::Limits;
use crate::shutdown::Shutdown;
use crate::sink::generations::Aliases;
use crate::state::State;

/// How many of a thousand dead letters find their process dead.
const LETTER_DEATHS: u64 = 60;

/// The dead letters, as a process reaches them.
struct Letters(Arc<World>, Arc<Process>);

impl DeadLetters for Letters {
    fn append(&mut self, letters: &[DeadLetter]) -> Result<()> {
        let Self(world, process) = self;
        for letter in letters {
            // A step like any other, but for how seldom it is taken.
            if world.strikes("killed before a letter", LETTER_DEATHS) {
                process.kill();
            }
            process.check()?;
            world.note(format_args!("{} writes a letter of {}", process.name, letter.name()));
            world.letters.lock().unwrap().insert(letter.name(), letter.clone());
        }
        process.check()
    }
    fn list(&mut self) -> Result<Vec<DeadLetter>> {
        Ok(self.0.letters.lock().unwrap().values().cloned().collect())
    }
    fn resolve(&mut self, _: &[String]) -> Result<()> {
        Err(Error::failure("no one asks for dead letters to be tried again"))
    }
}

/// The parts of a run by `process`, over `state` and `sink`.
pub(super) fn parts(
    world: &Arc<World>,
    process: &Arc<Process>,
    state: Arc<State>,
    sink: Arc<dyn Aliases>,
    status: Arc<Status>,
) -> Parts {
    let decoder = Decoder::new(world.domain.plan, world.domain.layouts(), BTreeMap::new());
    let source = Box::new(Source::new(world, process));
    let log = LogParts::new(source, Arc::new(decoder), world.domain.types.clone()).with_partial(true);
    let limits = Limits { max_embedded_contacts: MAX_EMBEDDED };
    let index = IndexParts::new(sink, world.domain.projections.clone(), limits, Refresh::Adaptive);
    let letters = Box::new(Letters(Arc::clone(world), Arc::clone(process)));
    Parts::new(state, log, index, letters, status).with_tuning(Tuning::small())
}

/// A running process.
pub(super) struct Running {
    pub(super) process: Arc<Process>,
    pub(super) state: Arc<State>,
    pub(super) status: Arc<Status>,
    stop: Shutdown,
    task: JoinHandle<Result<()>>,
    _commands: Sender<FoldCommand>,
}

/// An instance, running or not.
pub(super) struct Instance {
    number: usize,
    life: u32,
    pub(super) disk: Disk,
    pub(super) running: Option<Running>,
}

impl Instance {
    pub(super) fn new(number: usize, scratch: &Path) -> Self {
        let disk = Disk::new(scratch.join(format!("load-{number}")));
        Self { number, life: 0, disk, running: None }
    }

    pub(super) fn start(&mut self, world: &Arc<World>) -> Result<(), String> {
        self.life += 1;
        let process = Arc::new(Process::new(format!("instance {}.{}", self.number, self.life)));
        world.note(format_args!("{} starts", process.name));
        let store = Store {
            world: Arc::clone(world),
            process: Arc::clone(&process),
            disk: self.disk.in_life(self.life),
        };
        let state = match State::open(Arc::new(store), world.domain.plan, "simulated") {
            Err(_) if process.is_dead() => {
                self.disk = self.disk.after_crash(Remains::Some, world);
                return Ok(());
            }
            opened => opened.map_err(|error| error.chain())?,
        };
        let (state, status) = (Arc::new(state), Arc::new(Status::default()));
        let sink = Arc::new(Sink::new(world, &process));
        let parts = parts(world, &process, Arc::clone(&state), sink, Arc::clone(&status));
        let membership = Membership::join(world, &process, Arc::clone(status.signals.requests()));
        let parts = parts.with_leadership(Arc::new(membership));
        let commands = parts.commands();
        let stop = Shutdown::default();
        let task = {
            let stop = stop.clone();
            tokio::task::spawn_local(async move { run(parts, RunEnd::Stopped, &stop).await })
        };
        self.running = Some(Running { process, state, status, stop, task, _commands: commands });
        Ok(())
    }

    /// Asks for a clean stop.
    pub(super) fn stop(&self, world: &World) {
        if let Some(running) = &self.running {
            world.note(format_args!("{} is to stop", running.process.name));
            running.stop.request();
        }
    }

    /// Buries the process if it died, leaving `left` of its disk; true when it did.
    ///
    /// # Errors
    /// When the run ended by itself though it should not have.
    pub(super) async fn bury(
        &mut self,
        world: &World,
        left: impl FnOnce() -> Remains,
    ) -> Result<bool, String> {
        let Some(running) = &mut self.running else { return Ok(false) };
        if running.process.is_dead() {
            running.task.abort();
            let left = left();
            world.note(format_args!("{} is dead, its disk keeps {left:?}", running.process.name));
            self.disk = self.disk.after_crash(left, world);
            self.running = None;
            return Ok(true);
        }
        if !running.task.is_finished() {
            return Ok(false);
        }
        let ended = (&mut running.task).await.map_err(|error| format!("a run broke off: {error}"))?;
        let name = running.process.name.clone();
        let was_asked = running.stop.is_requested();
        // The tasks of it that still go on reach nothing.
        running.process.kill();
        self.running = None;
        match ended {
            Ok(()) if was_asked => {
                world.note(format_args!("{name} has stopped"));
                Ok(true)
            }
            Ok(()) => Err(format!("{name} ended though nobody asked for it")),
            Err(error) => Err(format!("{name} ended: {}", error.chain())),
        }
    }
}
