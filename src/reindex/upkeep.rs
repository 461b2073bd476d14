//! The remains of rebuilds: given up, and deleted.

use tokio::time::Instant;

use super::session::Session;
use crate::error::{Error, Result};
use crate::pipeline::hand_over::LEASE;
use crate::projection::Projection;
use crate::sink::generations::{Generations, Orphan, Phase, Rebuild, Revision};

/// Gives up the rebuilds of the sink's projections. Their records go, and so do the indexes that they made, unless an
/// alias stands for one or it was there before. `is_own` says which session was begun here and is known to be dead.
/// Answers the deleted indexes.
///
/// # Errors
/// When a rebuild is alive elsewhere.
pub async fn abort(
    sink: &dyn Generations,
    is_dead: impl Fn(&Rebuild) -> bool,
    was_there: impl Fn(&Rebuild) -> bool,
) -> Result<Vec<String>> {
    let mut found = sink.rebuilds().await?;
    found.retain(|_, (record, _)| record.is_under_way());
    let mut deleted = Vec::new();
    for (projection, (record, revision)) in found {
        let revision =
            if is_dead(&record) { revision } else { wait_for_silence(sink, projection, &record).await? };
        if !restore(sink, projection, &record, &revision).await? {
            return Err(lease_error(projection, &record));
        }
        let generations = sink.generations(projection).await?;
        let free = generations.iter().any(|made| made.index == record.index && made.aliases.is_empty());
        if free && !was_there(&record) {
            sink.delete(&record.index).await?;
            deleted.push(record.index);
        }
    }
    Ok(deleted)
}

/// Gives up one session: nothing of it is noted any more, and the indexes that it made are gone, unless an alias stands for
/// one.
///
/// # Errors
/// Those of the index.
pub async fn give_up(sink: &dyn Generations, session: &Session) -> Result<()> {
    let behind: Vec<String> = sink.indexes_behind().await?.into_values().collect();
    let mut found = sink.rebuilds().await?;
    found.retain(|_, (record, _)| record.session == session.id);
    for (projection, (record, revision)) in found {
        restore(sink, projection, &record, &revision).await?;
        let index = session.index(projection)?;
        if !session.is_rollback && !behind.iter().any(|behind| behind == index) {
            sink.delete(index).await?;
        }
    }
    Ok(())
}

/// Restores the record of before a rebuild, if the alias still stands for the index of that record. A rollback is
/// remembered, and documents that are to be sent again still are. Else nothing is noted any more. False when the record
/// is another one by now.
async fn restore(
    sink: &dyn Generations,
    projection: Projection,
    record: &Rebuild,
    revision: &Revision,
) -> Result<bool> {
    let behind = sink.indexes_behind().await?.remove(&projection);
    let earlier =
        record.earlier.as_deref().filter(|earlier| Some(&earlier.index) == behind.as_ref()).cloned();
    // Additions may have been put in place while the rebuild was under way.
    let sends_again = record.sends_again || earlier.as_ref().is_some_and(|earlier| earlier.sends_again);
    let earlier = earlier.or_else(|| behind.filter(|_| sends_again).map(|index| Rebuild::of_index(&index)));
    let earlier = earlier.map(|earlier| Rebuild { sends_again, ..earlier });
    sink.note_rebuild(projection, earlier.as_ref(), Some(revision)).await
}

/// True when the aliases stand for the session's indexes already, or may be about to.
///
/// # Errors
/// Those of the index.
pub async fn is_swapping(sink: &dyn Generations, session: &Session) -> Result<bool> {
    let records = sink.rebuilds().await?.into_values();
    let mut own = records.filter(|(record, _)| record.session == session.id);
    if session.ended_at.is_some() || own.any(|(record, _)| record.phase >= Phase::Swapping) {
        return Ok(true);
    }
    let behind = sink.indexes_behind().await?;
    Ok(behind.iter().any(|(projection, index)| session.is_index_of(*projection, index)))
}

/// Waits for a heartbeat; the writing of the record when none came for the whole lease.
async fn wait_for_silence(
    sink: &dyn Generations,
    projection: Projection,
    record: &Rebuild,
) -> Result<Revision> {
    tracing::info!(
        projection = projection.name(),
        seconds = LEASE.as_secs(),
        "the command waits for a heartbeat of that rebuild"
    );
    let until = Instant::now() + LEASE;
    loop {
        let found = sink.rebuild_of(projection).await?;
        match found {
            Some((current, revision)) if current.beat == record.beat && current.session == record.session => {
                if Instant::now() >= until {
                    return Ok(revision);
                }
            }
            _ => return Err(lease_error(projection, record)),
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

fn lease_error(projection: Projection, record: &Rebuild) -> Error {
    Error::failure(format!(
        "the reindex of {} into {} is alive; stop it where it runs, then give it up",
        projection.name(),
        record.index
    ))
}

/// Deletes the indexes of these projections that no alias stands for and no rebuild fills. Answers their names.
///
/// # Errors
/// Those of the index.
pub async fn prune(sink: &dyn Generations, projections: &[Projection]) -> Result<Vec<String>> {
    let mut rebuilds = sink.rebuilds().await?;
    let mut deleted = Vec::new();
    for projection in projections.iter().copied() {
        let filled = rebuilds
            .remove(&projection)
            .filter(|(record, _)| record.is_under_way())
            .map(|(record, _)| record.index);
        for made in sink.generations(projection).await? {
            if made.aliases.is_empty() && filled.as_ref() != Some(&made.index) {
                sink.delete(&made.index).await?;
                deleted.push(made.index);
            }
        }
    }
    Ok(deleted)
}

/// Deletes the indexes of projections that the model does not have, with their aliases. Answers their names. Those of a
/// projection that is being rebuilt with another model stay.
///
/// # Errors
/// Those of the index.
pub async fn prune_gone(sink: &dyn Generations) -> Result<Vec<String>> {
    let mut deleted = Vec::new();
    for Orphan { projection, index, is_rebuilt } in sink.find_orphans().await? {
        if is_rebuilt {
            tracing::warn!(
                projection,
                index,
                "a rebuild with another model has not ended, so the index is left alone. End it with that model, or \
                 give it up with `tributary reindex --abort`"
            );
            continue;
        }
        sink.delete(&index).await?;
        deleted.push(index);
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Kinds};
    use crate::engine::embedded::EmbeddedSink;
    use crate::plan::{CONTACTS, ORGANISATIONS};
    use crate::sink::generations::{Aliases, Move};

    #[tokio::test]
    async fn a_session_that_is_given_up_takes_its_indexes_with_it_but_for_those_behind_an_alias() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::load(&Kinds::examples(), None, std::iter::empty(), &Vec::new()).unwrap();
        config.index.path = folder.path().to_owned();
        let projections = [ORGANISATIONS, CONTACTS];
        let sink = EmbeddedSink::new(&config.index, &projections).unwrap();
        let new = |projection| sink.new_name(projection).unwrap();
        let session = Session::begin(&projections, projections.map(new).to_vec());
        for projection in projections {
            let index = session.index(projection).unwrap();
            sink.create(projection, index, "log").await.unwrap();
            let record = Rebuild { session: "a".into(), phase: Phase::Swapping, ..Rebuild::of_index(index) };
            assert!(sink.note_rebuild(projection, Some(&record), None).await.unwrap());
        }
        sink.swap(&[Move { projection: CONTACTS, from: None, to: session.indexes[1].clone() }])
            .await
            .unwrap();
        give_up(&sink, &session).await.unwrap();
        assert_eq!(sink.hash_of(&session.indexes[0]).await.unwrap(), None);
        assert!(sink.hash_of(&session.indexes[1]).await.unwrap().is_some());
        assert!(sink.rebuilds().await.unwrap().is_empty());
    }
}
