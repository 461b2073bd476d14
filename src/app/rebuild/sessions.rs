//! The sessions of rebuilds: which indexes each is of.

use std::time::Duration;

use crate::app::adapters;
use crate::cli::{Reindex, ReindexFrom};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::plan::Projection;
use crate::reindex::session::{Folder, RebuildFrom, Session};
use crate::reindex::{give_up, is_swapping};
use crate::sink::generations::Generations;

/// The session that was begun here and not ended, when it is the one that is wanted.
pub(in crate::app) fn find_session(
    config: &Config,
    folder: &Folder,
    command: &Reindex,
) -> Result<Option<Session>> {
    let Some(session) = folder.session()? else { return Ok(None) };
    let name = if session.is_rollback { "rollback" } else { "reindex" };
    let projections = session.projections.join(", ");
    if !command.projections.is_empty() && session.projections != config.index.projections
        || session.is_rollback != command.rollback
    {
        return Err(Error::failure(format!(
            "a {name} of {projections} was begun here and not ended. Go on with it by the same command, or give it up with \
             `tributary reindex --abort`"
        )));
    }
    if command.from.is_some_and(|from| origin(Some(from)) != session.from) {
        let (from, other) = match session.from {
            RebuildFrom::Log => ("log", "state"),
            RebuildFrom::State => ("state", "log"),
        };
        return Err(Error::failure(format!(
            "a {name} of {projections} with --from {from} was begun here and not ended. Go on with it without --from, \
             or \
             give it up with `tributary reindex --abort` and begin again with --from {other}"
        )));
    }
    Ok(Some(session))
}

/// Where a rebuild that begins gets its documents.
pub(in crate::app) fn origin(from: Option<ReindexFrom>) -> RebuildFrom {
    match from {
        None | Some(ReindexFrom::Log) => RebuildFrom::Log,
        Some(ReindexFrom::State) => RebuildFrom::State,
    }
}

/// How a kept session goes on, compared with the mappings' files and the model of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum Standing {
    /// It goes on.
    GoesOn,
    /// It goes on, and another one has to follow: a file changed, and the aliases stand for its indexes already.
    IsOutdated,
    /// It was given up, because a file or the model changed since its beginning; its indexes are gone.
    GivenUp,
}

/// Refuses a session of a projection that the model does not have, because nothing describes the index of such a
/// projection.
pub(in crate::app) fn check_projections(config: &Config, session: &Session) -> Result<()> {
    let absent = session.projections.iter().find(|name| config.plan().projection(name).is_none());
    absent.map_or(Ok(()), |name| {
        Err(Error::usage(format!(
            "a rebuild of {name} was begun here, and the model has no such projection now. Restore the projection. Then \
             end the rebuild with `tributary reindex`, or give it up with `tributary reindex --abort`"
        )))
    })
}

/// Looks whether a session builds the indexes that the mappings' files and the model declare, and gives it up when
/// it does not.
pub(in crate::app) async fn stand(config: &Config, folder: &Folder, session: &Session) -> Result<Standing> {
    check_projections(config, session)?;
    let config = {
        let mut own = config.clone();
        own.index.projections.clone_from(&session.projections);
        own
    };
    let sink = adapters::sink(&config)?;
    if session.is_rollback {
        for (projection, index) in session.indexes_of(&config.projections())? {
            check_shape(&*sink, projection, &index).await?;
        }
        tracing::info!(indexes = session.indexes.join(", "), "the rollback that was begun goes on");
        return Ok(Standing::GoesOn);
    }
    let changed = first_changed(&*sink, &config.projections(), session).await?;
    let Some((projection, changed)) = changed else {
        tracing::info!(indexes = session.indexes.join(", "), "the rebuild that was begun goes on");
        return Ok(Standing::GoesOn);
    };
    let projection = projection.name();
    let indexes = session.indexes.join(", ");
    if is_swapping(&*sink, session).await? {
        tracing::warn!(
            projection,
            indexes,
            "{changed} changed since this rebuild was begun; it is ended first, since it is about to serve"
        );
        return Ok(Standing::IsOutdated);
    }
    give_up(&*sink, session).await?;
    folder.clear(false)?;
    tracing::warn!(
        projection,
        indexes,
        "{changed} changed since this rebuild was begun: its indexes are deleted, and it begins anew"
    );
    Ok(Standing::GivenUp)
}

/// The first projection whose index is no longer the one that is wanted, with the reason; none when the session goes on.
async fn first_changed(
    sink: &dyn Generations,
    projections: &[Projection],
    session: &Session,
) -> Result<Option<(Projection, &'static str)>> {
    // A name ends with the hash of its mapping.
    let hash = |name: &str| name.rsplit('-').next().map(str::to_owned);
    for projection in projections.iter().copied() {
        let index = session.index(projection)?;
        if hash(index) != hash(&sink.new_name(projection)?) {
            return Ok(Some((projection, "the mapping's file")));
        }
        if !sink.other_shape(projection, index).await?.is_empty() {
            return Ok(Some((projection, "the model")));
        }
    }
    Ok(None)
}

/// A new session, which the folder keeps from here on.
pub(in crate::app) async fn session(
    config: &Config,
    sink: &dyn Generations,
    folder: &Folder,
    (command, from): (&Reindex, RebuildFrom),
) -> Result<Session> {
    let session = if command.rollback {
        rollback(config, sink, from, command.projections.is_empty()).await?
    } else {
        begin(config, sink, from).await?
    };
    keep(folder, &session)?;
    Ok(session)
}

/// Keeps a session that begins with nothing.
pub(super) fn keep(folder: &Folder, session: &Session) -> Result<()> {
    folder.clear_state()?;
    folder.keep(session)
}

/// A session of new indexes.
pub(super) async fn begin(config: &Config, sink: &dyn Generations, from: RebuildFrom) -> Result<Session> {
    let projections = config.projections();
    let indexes = new_names(sink, &projections).await?;
    let mut behind = sink.indexes_behind().await?;
    let previous = projections.iter().map(|projection| behind.remove(projection)).collect();
    Ok(Session { indexes, previous, is_new: true, ..blank(config, from) })
}

fn blank(config: &Config, from: RebuildFrom) -> Session {
    Session {
        id: format!("{:016x}", fastrand::u64(..)),
        projections: config.index.projections.clone(),
        indexes: Vec::new(),
        previous: Vec::new(),
        from,
        copied: false,
        is_rollback: false,
        rolled_back_from: Vec::new(),
        ended_at: None,
        is_new: false,
    }
}

/// Names that no index has: they hold the second.
async fn new_names(sink: &dyn Generations, projections: &[Projection]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for projection in projections.iter().copied() {
        let generations = sink.generations(projection).await?;
        let mut name = sink.new_name(projection)?;
        while generations.iter().any(|made| made.index == name) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            name = sink.new_name(projection)?;
        }
        names.push(name);
    }
    Ok(names)
}

/// A session whose indexes are the ones before those that the aliases stand for.
async fn rollback(config: &Config, sink: &dyn Generations, from: RebuildFrom, all: bool) -> Result<Session> {
    let behind = sink.indexes_behind().await?;
    let records = sink.rebuilds().await?;
    let mut session = Session { projections: Vec::new(), is_rollback: true, ..blank(config, from) };
    for (projection, current) in behind {
        let name = projection.name();
        let generations = sink.generations(projection).await?;
        let noted = records.get(&projection).map(|(record, _)| record);
        let noted = noted.filter(|record| record.index == current).and_then(|record| record.previous.clone());
        let is_there = |index: &String| generations.iter().any(|made| made.index == *index);
        let older = || generations.iter().map(|made| &made.index).rfind(|index| **index < current).cloned();
        match noted.filter(is_there).or_else(older) {
            Some(index) => {
                check_shape(sink, projection, &index).await?;
                session.projections.push(name.to_owned());
                session.rolled_back_from.push(hash_left_for(sink, projection, &index).await?);
                session.indexes.push(index);
                session.previous.push(Some(current));
            }
            None if all => {
                tracing::info!(projection = name, index = current, "there is no index before this one");
            }
            None => {
                return Err(Error::failure(format!(
                    "{name}: there is no index before {current} to go back to"
                )));
            }
        }
    }
    if session.projections.is_empty() {
        return Err(Error::failure("no projection has an index to go back to"));
    }
    Ok(session)
}

/// Refuses a rollback to an index that was built for documents of another shape, because it would be filled with those of the
/// configured model.
async fn check_shape(sink: &dyn Generations, projection: Projection, index: &str) -> Result<()> {
    let other = sink.other_shape(projection, index).await?;
    if other.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{}: {index} was built by another model or version ({}). A rollback would fill it with documents of \
         the present one. Restore the model of the index, then run the command again",
        projection.name(),
        other.join(", ")
    )))
}

/// The hash of the mapping's file, which a rollback to `index` leaves aside; none when `index` was built with that file.
async fn hash_left_for(
    sink: &dyn Generations,
    projection: Projection,
    index: &str,
) -> Result<Option<String>> {
    let Some(left) = sink.describe(projection).await? else { return Ok(None) };
    let built_with = sink.hash_of(index).await?;
    Ok(Some(left.hash).filter(|hash| built_with.as_ref() != Some(hash)))
}
