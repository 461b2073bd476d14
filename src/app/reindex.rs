//! `reindex`: from what is asked to a rebuild that goes through its phases.

use std::sync::Arc;

use super::parts::{self, Sink};
use super::topics;
use crate::cli::{OutputFormat, Reindex, ReindexFrom};
use crate::config::Config;
use crate::dead_letter::{self, DeadLetter, DeadLetters};
use crate::error::{Error, Result};
use crate::http::client::Instance;
use crate::pipeline::run::Parts;
use crate::pipeline::status::Status;
use crate::position::Positions;
use crate::projection::{Limits, Projection};
use crate::reindex::session::{Folder, From, Session};
use crate::reindex::{Claim, Conductor, Options, Round, Target, abort, prune};
use crate::shutdown::Shutdown;
use crate::sink::generations::{Aliases, Generations};
use crate::source::leadership::Alone;
use crate::state::fjall::FjallStore;
use crate::state::{State, copy};

mod show;

/// Runs the subcommand.
pub(super) async fn run(mut config: Config, format: OutputFormat, wanted: Reindex) -> Result<()> {
    config.index.projections = chosen(&config, &wanted.projections)?;
    let sink = Arc::new(parts::sink(&config)?);
    if wanted.prune {
        let deleted = prune(&*sink, config.index.projections.len()).await?;
        show::deleted(format, &deleted);
        return Ok(());
    }
    let folder = Folder::hold(&Folder::path_of(&config.state))?;
    if wanted.abort {
        return give_up(&config, format, &sink, &folder).await;
    }
    let stop = Shutdown::default();
    stop.on_signals().map_err(|error| Error::failed("signals cannot be listened to").because(error))?;
    let options = Options { allow_rejected: wanted.allow_rejected, keep_state: wanted.keep_state };
    let session = session(&config, &sink, &folder, &wanted).await?;
    // A rebuild that goes on does so for its own projections.
    config.index.projections.clone_from(&session.projections);
    let sink = Arc::new(parts::sink(&config)?);
    let conductor = conductor(&config, sink, folder, session, options, &wanted, &stop).await?;
    let shown = show::Progress::new(format, &config.index.projections);
    let outcome = conductor.run(&stop, move |phase, progress| shown.show(phase, progress)).await?;
    show::outcome(format, &outcome, wanted.keep_state.then(|| Folder::path_of(&config.state).join("state")));
    Ok(())
}

/// The projections that are meant, in the configuration's order.
fn chosen(config: &Config, wanted: &[String]) -> Result<Vec<String>> {
    let known = &config.index.projections;
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        return Err(Error::usage(format!(
            "there is no projection {unknown:?} in index.projections; it has {}",
            known.join(", ")
        )));
    }
    Ok(known.iter().filter(|name| wanted.is_empty() || wanted.contains(name)).cloned().collect())
}

/// The session that was begun here and not ended, or a new one.
async fn session(config: &Config, sink: &Arc<Sink>, folder: &Folder, wanted: &Reindex) -> Result<Session> {
    if let Some(session) = folder.session()? {
        if !wanted.projections.is_empty() && session.projections != config.index.projections
            || session.is_rollback != wanted.rollback
        {
            return Err(Error::failed(format!(
                "a {} of {} was begun here and not ended; go on with it by the same command, or give it up with \
                 `tributary reindex --abort`",
                if session.is_rollback { "rollback" } else { "reindex" },
                session.projections.join(", ")
            )));
        }
        tracing::info!(indexes = session.indexes.join(", "), "going on with the rebuild that was begun");
        return Ok(session);
    }
    folder.clear_state()?;
    let session = if wanted.rollback {
        rollback(config, sink, wanted).await?
    } else {
        let indexes = new_names(sink, config.index.projections.len()).await?;
        Session { indexes, ..begun(config, sink.behind().await?, wanted) }
    };
    folder.keep(&session)?;
    Ok(session)
}

fn begun(config: &Config, previous: Vec<Option<String>>, wanted: &Reindex) -> Session {
    let from = match wanted.from {
        ReindexFrom::Log => From::Log,
        ReindexFrom::State => From::State,
    };
    Session {
        id: format!("{:016x}", fastrand::u64(..)),
        projections: config.index.projections.clone(),
        indexes: Vec::new(),
        previous,
        from,
        copied: false,
        is_rollback: wanted.rollback,
        ended_at: None,
    }
}

/// Names that no index has: they hold the second.
async fn new_names(sink: &Arc<Sink>, count: usize) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for number in 0..count {
        let taken = sink.generations(number).await?;
        let mut name = sink.new_name(number);
        while taken.iter().any(|made| made.index == name) {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            name = sink.new_name(number);
        }
        names.push(name);
    }
    Ok(names)
}

/// A session whose indexes are the ones before those that the aliases stand for.
async fn rollback(config: &Config, sink: &Arc<Sink>, wanted: &Reindex) -> Result<Session> {
    let behind = sink.behind().await?;
    let records = sink.rebuilds().await?;
    let mut session = begun(config, Vec::new(), wanted);
    session.projections.clear();
    for (number, (projection, current)) in config.index.projections.iter().zip(behind).enumerate() {
        let Some(current) = current else { continue };
        let generations = sink.generations(number).await?;
        let noted = records.get(number).and_then(Option::as_ref).map(|(record, _)| record);
        let noted = noted.filter(|record| record.index == current).and_then(|record| record.previous.clone());
        let is_there = |index: &String| generations.iter().any(|made| made.index == *index);
        let older = || generations.iter().map(|made| &made.index).rfind(|index| **index < current).cloned();
        match noted.filter(is_there).or_else(older) {
            Some(index) => {
                session.projections.push(projection.clone());
                session.indexes.push(index);
                session.previous.push(Some(current));
            }
            None if wanted.projections.is_empty() => {
                tracing::info!(projection, index = current, "there is no index before this one");
            }
            None => {
                return Err(Error::failed(format!(
                    "{projection}: there is no index before {current} to go back to"
                )));
            }
        }
    }
    if session.projections.is_empty() {
        return Err(Error::failed("no projection has an index to go back to"));
    }
    Ok(session)
}

async fn give_up(config: &Config, format: OutputFormat, sink: &Arc<Sink>, folder: &Folder) -> Result<()> {
    let own = folder.session()?;
    // This process holds the folder: whoever began the session there is dead.
    let is_own = |id: &str| own.as_ref().is_some_and(|own| own.id == id);
    let is_rollback = own.as_ref().is_some_and(|own| own.is_rollback);
    let names = &config.index.projections;
    let deleted = abort(
        &**sink,
        names,
        |record| is_own(&record.session),
        |record| is_rollback && is_own(&record.session),
    )
    .await?;
    if own.as_ref().is_some_and(|own| own.projections.iter().all(|projection| names.contains(projection))) {
        folder.clear(false)?;
    }
    show::deleted(format, &deleted);
    Ok(())
}

/// Claims the projections and makes ready what the rebuild writes and reads.
async fn conductor(
    config: &Config,
    sink: Arc<Sink>,
    folder: Folder,
    mut session: Session,
    options: Options,
    wanted: &Reindex,
    stop: &Shutdown,
) -> Result<Conductor<Sink>> {
    let identity = {
        let (config, check) = (config.clone(), session.from == From::Log && !wanted.allow_partial_log);
        blocking(move || identity(&config, check)).await?
    };
    let claim = Arc::new(Claim::take(Arc::clone(&sink), &session).await?);
    if session.from == From::State && !session.copied {
        let instance = Instance::find(config).await;
        let (config, path) = (config.clone(), folder.state());
        folder.clear_state()?;
        blocking(move || copy_state(&config, instance, &path)).await?;
        session.copied = true;
        folder.keep(&session)?;
    }
    if !session.is_rollback {
        for (number, index) in session.indexes.iter().enumerate() {
            sink.create(number, index, &identity).await?;
        }
    }
    let store = Arc::new(FjallStore::open(&folder.state())?);
    let state = Arc::new(State::open(store, &config.fingerprint())?);
    let limits = Limits { max_embedded_contacts: config.index.max_embedded_contacts };
    let round = round(config.clone(), Arc::clone(&state), limits, stop.clone());
    Ok(Conductor { sink, claim, folder, session, state, limits, round, options, status: Arc::default() })
}

/// The log's identity, after a look whether it is whole.
fn identity(config: &Config, check: bool) -> Result<String> {
    let mut source = super::source(config)?;
    source.start(&Positions::default(), &[])?;
    let missing = if check { source.cut_off()? } else { Vec::new() };
    if let Some((at, first)) = missing.first() {
        return Err(Error::failed(format!(
            "{at} begins at offset {first} and is not compacted: what was before is gone, and a replay would not know of \
             it; use --from state, or --allow-partial-log to go without"
        )));
    }
    Ok(source.identity())
}

fn copy_state(config: &Config, instance: Option<Instance>, path: &std::path::Path) -> Result<()> {
    let store = FjallStore::open(path)?;
    let count = match instance {
        Some(instance) => instance.copy(|input| copy::read(input, &store))?,
        None if config.state.is_dir() => {
            let held = FjallStore::open(&config.state)?;
            // The copy passes through a pipe, so that it is never whole in memory.
            copy::between(&held, &store)?
        }
        None => {
            return Err(Error::failed(format!(
                "no instance answers, and there is no state in {}; use --from log",
                config.state.display()
            )));
        }
    };
    tracing::info!(entries = count, "the state is copied");
    Ok(())
}

fn round(config: Config, state: Arc<State>, limits: Limits, stop: Shutdown) -> Round<Sink> {
    Box::new(move |target: Arc<Target<Sink>>, status: Arc<Status>| {
        let letters = dead_letter::open(&config.dead_letters, &config.kafka, stop.clone())?;
        Ok(Parts {
            state: Arc::clone(&state),
            source: super::source(&config)?,
            sink: target,
            dead_letters: Box::new(DocumentLetters(letters)),
            leadership: Arc::new(Alone::default()),
            projections: config
                .index
                .projections
                .iter()
                .filter_map(|name| Projection::of_name(name))
                .collect(),
            decoder: Arc::new(super::decoder(&config)),
            kinds: topics(&config),
            limits,
            refresh: crate::config::Refresh::Interval,
            status,
            commands: std::sync::mpsc::channel(),
        })
    })
}

/// Records that are poison have their letters from the running instance, or get them from it; documents that
/// the new index rejects have none yet.
struct DocumentLetters(Box<dyn DeadLetters>);

impl DeadLetters for DocumentLetters {
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

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::failed("a part of the rebuild broke off").because(error))?
}
