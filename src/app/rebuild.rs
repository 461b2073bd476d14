//! A rebuild that a command or a running instance makes: its session, its log, its indexes and its state.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::config::{Config, Refresh};
use crate::dead_letter::{self, CountedDeadLetters, DeadLetter, DeadLetters};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::run::{IndexParts, LogParts, Parts};
use crate::pipeline::start::{Patience, retry_outage};
use crate::pipeline::status::Status;
use crate::pipeline::work::{blocking, drop_in_background};
use crate::position::Positions;
use crate::projection::Limits;
use crate::reindex::session::{Folder, RebuildFrom, Session};
use crate::reindex::{Claim, Conductor, RebuildOptions, Round, Rounds, Sources, Target};
use crate::shutdown::Shutdown;
use crate::sink::generations::Generations;
use crate::source::{EventSource, partial_log};
use crate::state::State;
use crate::state::fjall::FjallStore;

pub(super) mod copy;
pub(super) mod instance_rebuild;
pub(super) mod sessions;

/// A rebuild that is to begin, or to go on.
pub(super) struct RebuildTask<'a> {
    pub(super) config: &'a Config,
    pub(super) sink: Arc<dyn Generations>,
    pub(super) folder: Folder,
    pub(super) session: Session,
    /// True when another process kept the session.
    pub(super) is_kept: bool,
    pub(super) options: RebuildOptions,
}

impl RebuildTask<'_> {
    /// Claims the projections, and makes ready the indexes and the state of the rebuild; `open_state` is the state
    /// when this process has it open.
    pub(super) async fn conductor(
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
        let rejected_before = claim.count_rejected().await?;
        let round = round(config.clone(), Arc::clone(&state), limits, allow_partial_log, stop.clone());
        let opened = config.clone();
        let sources = Sources::new(Arc::new(move || super::source(&opened)), log.source);
        let rounds = Rounds::new(round, sources);
        let conductor = Conductor::new(sink, claim, folder, session, state, limits, rounds);
        Ok(conductor.with_options(options).with_rejected(rejected_before))
    }

    /// Claims the projections. Of a session that begins here nothing is left when another one rebuilds them.
    async fn claim(&self) -> Result<Claim> {
        let projections = self.config.projections();
        let claimed = Claim::take(Arc::clone(&self.sink), &projections, &self.session).await;
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
        let indexes = self.session.indexes_of(&self.config.projections())?;
        let create = |(projection, index)| async move { self.sink.create(projection, index, identity).await };
        join_all(indexes.iter().map(|(projection, index)| create((*projection, index))))
            .await
            .into_iter()
            .collect()
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

/// The error of a command that was told to stop while it waited.
pub(super) fn stop_error() -> Error {
    Error::failure("the rebuild was stopped before the servers answered; the same command begins it again")
}

/// The log, as a rebuild finds it.
pub(super) struct Log {
    identity: String,
    /// Not started; `None` when it had to be.
    source: Option<Box<dyn EventSource>>,
}

impl Log {
    /// As [`Self::open`], waiting for it while it is away.
    pub(super) async fn wait_for(
        config: &Config,
        (check, is_kept): (bool, bool),
        patience: Patience,
        stop: &Shutdown,
    ) -> Result<Self> {
        let log = retry_outage(stop, "the log", patience, async || {
            let config = config.clone();
            blocking(move || Log::open(&config, check, is_kept)).await
        });
        log.await?.ok_or_else(stop_error)
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
        if let Some((at, first)) = source.find_cut_partitions()?.first() {
            let instead = if is_kept {
                "Give the rebuild that was begun up with `tributary reindex --abort`, then --from state knows them. "
            } else {
                "--from state knows them. "
            };
            return Err(partial_log(at, *first, instead));
        }
        drop_in_background(source);
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
        let log = LogParts::new(source, Arc::new(super::decoder(&config)?), config.topics())
            .with_partial(allow_partial_log);
        let index = IndexParts::new(target, config.projections(), limits, Refresh::Interval);
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
