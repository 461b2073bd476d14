//! A rebuild beside the instances: the real phases, begun as `app/rebuild.rs` begins them.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::MAX_EMBEDDED;
use super::instance::parts;
use super::log::Source;
use super::sink::Sink;
use super::store::{Disk, Remains, Store};
use super::world::{Process, World};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::status::Status;
use crate::plan::PlanRef;
use crate::projection::Limits;
use crate::reindex::session::{Folder, RebuildFrom, Session};
use crate::reindex::{Claim, Conductor, Round, Rounds, Sources, Target, abort};
use crate::shutdown::Shutdown;
use crate::sink::generations::Generations;
use crate::source::EventSource;
use crate::state::store::StateStore;
use crate::state::{State, copy};

/// A rebuild, running or not.
pub(super) struct Rebuild {
    path: PathBuf,
    life: u32,
    pub(super) disk: Disk,
    running: Option<(Arc<Process>, JoinHandle<Result<()>>)>,
    pub(super) has_begun: bool,
    pub(super) is_over: bool,
}

impl Rebuild {
    pub(super) fn new(folder: &std::path::Path) -> Self {
        Self {
            path: folder.join("reindex"),
            life: 0,
            disk: Disk::new(folder.join("load-rebuild")),
            running: None,
            has_begun: false,
            is_over: false,
        }
    }

    pub(super) fn process(&self) -> Option<&Arc<Process>> {
        self.running.as_ref().map(|(process, _)| process)
    }

    /// Begins, or goes on; `from` is the state of a running instance.
    pub(super) fn start(&mut self, world: &Arc<World>, from: Option<Arc<State>>) {
        self.has_begun = true;
        self.life += 1;
        let process = Arc::new(Process::new(format!("rebuild {}", self.life)));
        world.note(format_args!("{} starts", process.name));
        let call = Call {
            world: Arc::clone(world),
            process: Arc::clone(&process),
            path: self.path.clone(),
            disk: self.disk.in_life(self.life),
            from,
        };
        self.running = Some((process, tokio::task::spawn_local(call.run())));
    }

    /// Buries the process if it died or ended.
    ///
    /// # Errors
    /// When it ended as it should not have.
    pub(super) async fn bury(&mut self, world: &Arc<World>, left: Remains) -> Result<(), String> {
        let Some((process, task)) = &mut self.running else { return Ok(()) };
        if process.is_dead() {
            task.abort();
            world.note(format_args!("{} is dead", process.name));
            // Its folder is free once nothing of it is left.
            let _ = task.await;
            self.disk = self.disk.after_crash(left, world);
            self.running = None;
            return Ok(());
        }
        if !task.is_finished() {
            return Ok(());
        }
        let ended = task.await.map_err(|error| format!("the rebuild broke off: {error}"))?;
        process.kill();
        self.running = None;
        match ended {
            Ok(()) => {
                world.note(format_args!("the rebuild is done"));
                self.is_over = true;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => Ok(()),
            Err(error) if error.chain().contains("no longer the one that is noted") => {
                world.count("rebuild's claim lost");
                self.give_up(world).await
            }
            Err(error) => Err(format!("the rebuild ended: {}", error.chain())),
        }
    }

    /// Gives the rebuild up, as its operator would.
    async fn give_up(&mut self, world: &Arc<World>) -> Result<(), String> {
        let process = Arc::new(Process::new("abort".to_owned()));
        let sink = Sink::new(world, &process);
        for _ in 0..100 {
            match abort(&sink, |_| true, |_| false).await {
                Err(error) if error.kind() == ErrorKind::Unavailable => {}
                Err(error) => return Err(format!("the rebuild cannot be given up: {}", error.chain())),
                Ok(_) => {
                    self.is_over = true;
                    return Ok(());
                }
            }
        }
        Err("the rebuild cannot be given up".to_owned())
    }
}

/// One call of the command.
struct Call {
    world: Arc<World>,
    process: Arc<Process>,
    path: PathBuf,
    disk: Disk,
    from: Option<Arc<State>>,
}

impl Call {
    async fn run(self) -> Result<()> {
        let folder = Folder::hold(&self.path)?;
        let sink: Arc<dyn Generations> = Arc::new(Sink::new(&self.world, &self.process));
        let mut session = self.session(&folder, &*sink).await?;
        let claim = Arc::new(Claim::take(Arc::clone(&sink), &self.world.domain.projections, &session).await?);
        let store: Arc<dyn StateStore> = Arc::new(Store {
            world: Arc::clone(&self.world),
            process: Arc::clone(&self.process),
            disk: self.disk.clone(),
        });
        if session.from == RebuildFrom::State && !session.copied {
            // No instance runs that could give a copy: the command is called again.
            let away = || Error::new(ErrorKind::Unavailable, "no instance answers");
            let from = self.from.as_ref().ok_or_else(away)?;
            store_cleared(&*store, self.world.domain.plan)?;
            copy::between(&*from.view(), self.world.domain.plan, &*store)?;
            session.copied = true;
            self.process.check()?;
            folder.keep(&session)?;
        }
        for (projection, index) in session.indexes_of(&self.world.domain.projections)? {
            sink.create(projection, &index, "simulated").await?;
        }
        let state = Arc::new(State::open(store, self.world.domain.plan, "simulated")?);
        let stop = Shutdown::default();
        let rounds = Rounds::new(self.round(&state), self.sources());
        let limits = Limits { max_embedded_contacts: MAX_EMBEDDED };
        let conductor = Conductor::new(sink, claim, folder, session, state, limits, rounds);
        conductor.run(&stop, |_, _| {}).await.map(|_| ())
    }

    async fn session(&self, folder: &Folder, sink: &dyn Generations) -> Result<Session> {
        if let Some(session) = folder.session()? {
            return Ok(session);
        }
        let projections = &self.world.domain.projections;
        let indexes =
            projections.iter().map(|projection| sink.new_name(*projection)).collect::<Result<_>>()?;
        let id = format!("{:016x}", fastrand::u64(..));
        let behind = sink.indexes_behind().await?;
        let session = Session {
            id,
            projections: projections.iter().map(|projection| projection.name().to_owned()).collect(),
            indexes,
            previous: projections.iter().map(|projection| behind.get(projection).cloned()).collect(),
            from: if self.from.is_some() { RebuildFrom::State } else { RebuildFrom::Log },
            copied: false,
            is_rollback: false,
            rolled_back_from: Vec::new(),
            ended_at: None,
            is_new: true,
        };
        folder.keep(&session)?;
        Ok(session)
    }

    fn round(&self, state: &Arc<State>) -> Round {
        let (world, process, state) = (Arc::clone(&self.world), Arc::clone(&self.process), Arc::clone(state));
        Box::new(move |source: Box<dyn EventSource>, target: Arc<Target>, status: Arc<Status>| {
            Ok(parts(&world, &process, Arc::clone(&state), target, status).with_source(source))
        })
    }

    fn sources(&self) -> Sources {
        let (world, process) = (Arc::clone(&self.world), Arc::clone(&self.process));
        Sources::new(Arc::new(move || Ok(Box::new(Source::new(&world, &process)))), None)
    }
}

/// Removes the rows that a broken-off copy has left.
fn store_cleared(store: &dyn StateStore, plan: PlanRef) -> Result<()> {
    crate::state::keys::Space::all(plan).into_iter().try_for_each(|(space, _)| store.clear(space))
}
