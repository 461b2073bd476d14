//! `reindex`: from a request to a rebuild that goes through its phases.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::parts;
use crate::cli::{OutputFormat, Reindex};
use crate::config::{Config, Refresh};
use crate::dead_letter::{self, CountedDeadLetters, DeadLetter, DeadLetters};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::run::{IndexParts, LogParts, Parts};
use crate::pipeline::start::{Patience, while_away};
use crate::pipeline::status::Status;
use crate::pipeline::work::{blocking, let_go};
use crate::position::Positions;
use crate::projection::Limits;
use crate::reindex::session::{Folder, RebuildFrom, Session};
use crate::reindex::{
    Claim, Conductor, RebuildOptions, Round, Rounds, Sources, Target, abort, prune, prune_gone,
};
use crate::shutdown::Shutdown;
use crate::sink::claimant::Claimant;
use crate::sink::generations::Generations;
use crate::source::{EventSource, partial_log};
use crate::state::State;
use crate::state::fjall::FjallStore;
use sessions::Standing;

mod additions;
mod copy;
mod dry_run;
pub(super) mod instance_rebuild;
mod rebuild_output;
mod sessions;

/// Runs the subcommand.
pub(super) async fn run(mut config: Config, format: OutputFormat, command: Reindex) -> Result<()> {
    config.index.projections = chosen(&config, &command.projections)?;
    let sink = parts::sink(&config)?;
    let stop = Shutdown::default();
    let is_short = command.dry_run || command.prune || command.abort;
    let patience = Patience::of(if is_short { command.wait.or(Some(Duration::ZERO)) } else { command.wait });
    if !is_short {
        stop.on_signals().map_err(|error| Error::failed("signals cannot be listened to").because(error))?;
    }
    if command.dry_run {
        let answer = while_away(&stop, "the index", patience, async || sink.rebuilds().await);
        answer.await?.ok_or_else(stopped)?;
        return dry_run::run(&config, format, &*sink).await;
    }
    let claimant = Claimant { group: config.kafka.group.clone(), state: None, takes_over: false };
    let claimed = while_away(&stop, "the index", patience, async || claimant.claim(&*sink).await);
    claimed.await?.ok_or_else(stopped)?;
    if command.prune {
        let mut deleted = prune(&*sink, config.index.projections.len()).await?;
        // Names mean indexes of these projections alone.
        if command.projections.is_empty() {
            deleted.extend(prune_gone(&*sink).await?);
        }
        rebuild_output::deleted(format, &deleted);
        return Ok(());
    }
    if command.abort {
        let folder = Folder::hold(&Folder::path_of(&config.state))?;
        return give_up(&config, format, &*sink, &folder).await;
    }
    // Another one follows when a mapping's file changed too late for the first.
    while rebuild(&mut config, format, &command, patience, &stop).await? == Standing::IsOutdated {}
    Ok(())
}

/// Goes on with the rebuild that was begun, or makes one.
async fn rebuild(
    config: &mut Config,
    format: OutputFormat,
    command: &Reindex,
    patience: Patience,
    stop: &Shutdown,
) -> Result<Standing> {
    let folder = Folder::hold(&Folder::path_of(&config.state))?;
    let (mut former, mut standing) = (sessions::find_session(config, &folder, command)?, Standing::GoesOn);
    if let Some(session) = &former {
        // A rebuild that goes on does so for its own projections.
        config.index.projections.clone_from(&session.projections);
        let answer =
            while_away(stop, "the index", patience, async || sessions::stand(config, &folder, session).await);
        standing = answer.await?.ok_or_else(stopped)?;
        former = former.filter(|_| standing != Standing::GivenUp);
    }
    if !command.rollback && !command.rebuild && former.is_none() {
        let sink = parts::sink(config)?;
        let done = additions::put(config, format, &*sink, (patience, stop)).await?;
        config.index.projections.retain(|name| !done.contains(name));
        if config.index.projections.is_empty() {
            return Ok(standing);
        }
    }
    let is_kept = former.is_some();
    let from = former.as_ref().map_or_else(|| sessions::origin(command.from), |session| session.from);
    // The log and the state are checked before the session is kept and the claim is made, because a refusal leaves neither.
    if from == RebuildFrom::State && !is_kept {
        copy::check(config).await?;
    }
    let check = from == RebuildFrom::Log && !command.allow_partial_log;
    let log = Log::wait_for(config, (check, is_kept), patience, stop).await?;
    let session = match former {
        Some(session) => session,
        None => {
            let sink = parts::sink(config)?;
            let answer = while_away(stop, "the index", patience, async || {
                sessions::session(config, &*sink, &folder, (command, from)).await
            });
            answer.await?.ok_or_else(stopped)?
        }
    };
    config.index.projections.clone_from(&session.projections);
    let sink = parts::sink(config)?;
    let options = RebuildOptions { allow_rejected: command.allow_rejected, keep_state: command.keep_state };
    let rebuild = RebuildTask { config, sink, folder, session, is_kept, options };
    let conductor = rebuild.conductor(log, command.allow_partial_log, None, stop).await?;
    let shown = rebuild_output::ProgressOutput::new(format, &config.index.projections);
    let outcome = conductor.run(stop, move |phase, progress| shown.show(phase, progress)).await?;
    rebuild_output::outcome(
        format,
        &outcome,
        command.keep_state.then(|| Folder::path_of(&config.state).join("state")),
    );
    Ok(standing)
}

/// The projections that are meant, in the configuration's order.
fn chosen(config: &Config, names: &[String]) -> Result<Vec<String>> {
    let known = &config.index.projections;
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(Error::usage(format!(
            "there is no projection {unknown:?} in index.projections; it has {}",
            known.join(", ")
        )));
    }
    Ok(known.iter().filter(|name| names.is_empty() || names.contains(name)).cloned().collect())
}

async fn give_up(
    config: &Config,
    format: OutputFormat,
    sink: &dyn Generations,
    folder: &Folder,
) -> Result<()> {
    let own = folder.session()?;
    // This process holds the folder, so that the process that began the session there is dead.
    let is_own = |id: &str| own.as_ref().is_some_and(|own| own.id == id);
    let is_rollback = own.as_ref().is_some_and(|own| own.is_rollback);
    let names = &config.index.projections;
    let deleted =
        abort(sink, names, |record| is_own(&record.session), |record| is_rollback && is_own(&record.session))
            .await?;
    if own.as_ref().is_some_and(|own| own.projections.iter().all(|projection| names.contains(projection))) {
        folder.clear(false)?;
    }
    rebuild_output::deleted(format, &deleted);
    Ok(())
}

/// A rebuild that is to begin, or to go on.
struct RebuildTask<'a> {
    config: &'a Config,
    sink: Arc<dyn Generations>,
    folder: Folder,
    session: Session,
    /// True when another process kept the session.
    is_kept: bool,
    options: RebuildOptions,
}

impl RebuildTask<'_> {
    /// Claims the projections, and makes ready the indexes and the state of the rebuild; `open_state` is the state
    /// when this process has it open.
    async fn conductor(
        mut self,
        log: Log,
        allow_partial_log: bool,
        open_state: Option<Arc<State>>,
        stop: &Shutdown,
    ) -> Result<Conductor> {
        let claim = Arc::new(self.claim().await?);
        // Both run to their end, because no part may still be made while the rebuild is given up.
        let (made, state) = tokio::join!(self.indexes(&log.identity), self.state(open_state));
        if let Err(error) = made {
            let is_refused = error.kind() == ErrorKind::Usage;
            return Err(if is_refused { self.give_up(&claim, error).await } else { error });
        }
        let state = match state {
            // The aliases may stand for the indexes of a session that was kept.
            Err(error) if error.kind() == ErrorKind::Usage && self.is_kept => return Err(to_give_up(&error)),
            Err(error) if error.kind() == ErrorKind::Usage => return Err(self.give_up(&claim, error).await),
            state => state?,
        };
        self.session.copied = self.session.from == RebuildFrom::State;
        let Self { config, sink, folder, session, options, .. } = self;
        let limits = Limits { max_embedded_contacts: config.index.max_embedded_contacts };
        let rejected_before = claim.rejected().await?;
        let round = round(config.clone(), Arc::clone(&state), limits, allow_partial_log, stop.clone());
        let opened = config.clone();
        let sources = Sources::new(Arc::new(move || super::source(&opened)), log.source);
        let rounds = Rounds::new(round, sources);
        let conductor = Conductor::new(sink, claim, folder, session, state, limits, rounds);
        Ok(conductor.with_options(options).with_rejected(rejected_before))
    }

    /// Claims the projections. Of a session that begins here nothing is left when another one rebuilds them.
    async fn claim(&self) -> Result<Claim> {
        let claimed = Claim::take(Arc::clone(&self.sink), &self.session).await;
        if !self.is_kept && claimed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Failed) {
            self.folder.clear(false)?;
        }
        claimed
    }

    /// Ends a rebuild whose index cannot be made, so that nothing of it is left to go on with.
    async fn give_up(&self, claim: &Claim, error: Error) -> Error {
        let given_up = async { claim.give_up(&self.session).await.and_then(|()| self.folder.clear(false)) };
        match given_up.await {
            Ok(()) => error,
            Err(more) => to_give_up(&error).because(more),
        }
    }

    /// Makes the indexes, unless they were there before.
    async fn indexes(&self, identity: &str) -> Result<()> {
        if self.session.is_rollback {
            return Ok(());
        }
        let indexes = self.session.indexes.iter().enumerate();
        let made = join_all(indexes.map(|(number, index)| self.sink.create(number, index, identity))).await;
        made.into_iter().collect()
    }

    /// Opens the rebuild's own state, after it was copied where it is to be made from that.
    async fn state(&self, open_state: Option<Arc<State>>) -> Result<Arc<State>> {
        if self.session.from == RebuildFrom::State && !self.session.copied {
            copy::copy(self.config, &self.folder, open_state).await?;
            self.folder.keep(&Session { copied: true, ..self.session.clone() })?;
        }
        let (path, fingerprint) = (self.folder.state(), self.config.fingerprint());
        let plan = self.config.plan();
        blocking(move || {
            State::open(Arc::new(FjallStore::open(&path, plan)?), plan, &fingerprint).map(Arc::new)
        })
        .await
    }
}

/// The error of a rebuild that is left as it is, with the command that gives it up.
fn to_give_up(error: &Error) -> Error {
    Error::new(error.kind(), format!("{}; `tributary reindex --abort` gives the rebuild up", error.chain()))
}

fn stopped() -> Error {
    Error::failed("stopped before the servers answered; the same call begins again")
}

/// The log, as a rebuild finds it.
struct Log {
    identity: String,
    /// Not started; `None` when it had to be.
    source: Option<Box<dyn EventSource>>,
}

impl Log {
    /// As [`Self::open`], waiting for it while it is away.
    async fn wait_for(
        config: &Config,
        (check, is_kept): (bool, bool),
        patience: Patience,
        stop: &Shutdown,
    ) -> Result<Self> {
        let log = while_away(stop, "the log", patience, async || {
            let config = config.clone();
            blocking(move || Log::open(&config, check, is_kept)).await
        });
        log.await?.ok_or_else(stopped)
    }

    /// Opens it, with a look whether it is whole when `check` says so. `is_kept` says that it is for a session that was
    /// begun before.
    fn open(config: &Config, check: bool, is_kept: bool) -> Result<Self> {
        let mut source = super::source(config)?;
        let identity = source.identity();
        if !check {
            return Ok(Self { identity, source: Some(source) });
        }
        source.start(&Positions::default(), &[])?;
        if let Some((at, first)) = source.cut_off()?.first() {
            let instead = if is_kept {
                "Give the rebuild that was begun up with `tributary reindex --abort`, then --from state knows them. "
            } else {
                "--from state knows them. "
            };
            return Err(partial_log(at, *first, instead));
        }
        let_go(source);
        Ok(Self { identity, source: None })
    }
}

fn round(
    config: Config,
    state: Arc<State>,
    limits: Limits,
    allow_partial_log: bool,
    stop: Shutdown,
) -> Round {
    Box::new(move |source: Box<dyn EventSource>, target: Arc<Target>, status: Arc<Status>| {
        let letters = CountedDeadLetters::new(
            dead_letter::open(&config.dead_letters, &config.kafka, stop.clone())?,
            Arc::clone(&status.dead_letters),
        );
        let projections = config.index.projections.iter();
        let projections = projections.filter_map(|name| config.plan().projection(name)).collect();
        let log = LogParts::new(source, Arc::new(super::decoder(&config)?), config.topics())
            .with_partial(allow_partial_log);
        let index = IndexParts::new(target, projections, limits, Refresh::Interval);
        let letters = Box::new(DocumentDeadLetters(Box::new(letters)));
        Ok(Parts::new(Arc::clone(&state), log, index, letters, status))
    })
}

/// Records that are poison have their dead letters from the running instance, or get them from it. Documents that the
/// new index rejects have none yet.
struct DocumentDeadLetters(Box<dyn DeadLetters>);

impl DeadLetters for DocumentDeadLetters {
    fn append(&mut self, letters: &[DeadLetter]) -> Result<()> {
        let documents: Vec<DeadLetter> =
            letters.iter().filter(|letter| letter.projection.is_some()).cloned().collect();
        if documents.is_empty() { Ok(()) } else { self.0.append(&documents) }
    }

    fn list(&mut self) -> Result<Vec<DeadLetter>> {
        self.0.list()
    }

    fn resolve(&mut self, names: &[String]) -> Result<()> {
        self.0.resolve(names)
    }
}
