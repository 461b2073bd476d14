//! The remains of rebuilds: given up, and deleted.

use tokio::time::Instant;

use super::session::Session;
use crate::error::{Error, Result};
use crate::pipeline::hand_over::LEASE;
use crate::sink::generations::{Generations, Orphan, Phase, Rebuild, Revision, number_error};

/// Gives up the rebuilds of the sink's projections. Their records go, and so do the indexes that they made, unless an
/// alias stands for one or it was there before. `is_own` says which session was begun here and is known to be dead.
/// Answers the deleted indexes.
///
/// # Errors
/// When a rebuild is alive elsewhere.
pub async fn abort(
    sink: &dyn Generations,
    names: &[String],
    is_dead: impl Fn(&Rebuild) -> bool,
    was_there: impl Fn(&Rebuild) -> bool,
) -> Result<Vec<String>> {
    let found = sink.rebuilds().await?;
    let mut deleted = Vec::new();
    for (number, found) in found.into_iter().enumerate() {
        let Some((record, revision)) = found.filter(|(record, _)| record.is_under_way()) else { continue };
        let name = names.get(number).ok_or_else(|| number_error(number))?;
        let revision =
            if is_dead(&record) { revision } else { wait_for_silence(sink, number, name, &record).await? };
        if !restore(sink, number, &record, &revision).await? {
            return Err(lease_error(name, &record));
        }
        let generations = sink.generations(number).await?;
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
    let behind: Vec<String> = sink.indexes_behind().await?.into_iter().flatten().collect();
    for (number, found) in sink.rebuilds().await?.into_iter().enumerate() {
        let Some((record, revision)) = found.filter(|(record, _)| record.session == session.id) else {
            continue;
        };
        restore(sink, number, &record, &revision).await?;
        let made =
            session.indexes.get(number).filter(|index| !session.is_rollback && !behind.contains(index));
        if let Some(index) = made {
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
    number: usize,
    record: &Rebuild,
    revision: &Revision,
) -> Result<bool> {
    let behind = sink.indexes_behind().await?.into_iter().nth(number).flatten();
    let earlier =
        record.earlier.as_deref().filter(|earlier| Some(&earlier.index) == behind.as_ref()).cloned();
    // Additions may have been put in place while the rebuild was under way.
    let sends_again = record.sends_again || earlier.as_ref().is_some_and(|earlier| earlier.sends_again);
    let earlier = earlier.or_else(|| behind.filter(|_| sends_again).map(|index| Rebuild::of_index(&index)));
    let earlier = earlier.map(|earlier| Rebuild { sends_again, ..earlier });
    sink.note_rebuild(number, earlier.as_ref(), Some(revision)).await
}

/// True when the aliases stand for the session's indexes already, or may be about to.
///
/// # Errors
/// Those of the index.
pub async fn is_swapping(sink: &dyn Generations, session: &Session) -> Result<bool> {
    let records = sink.rebuilds().await?.into_iter().flatten();
    let mut own = records.filter(|(record, _)| record.session == session.id);
    if session.ended_at.is_some() || own.any(|(record, _)| record.phase >= Phase::Swapping) {
        return Ok(true);
    }
    let behind = sink.indexes_behind().await?;
    Ok(behind.iter().zip(&session.indexes).any(|(behind, index)| behind.as_ref() == Some(index)))
}

/// Waits for a heartbeat; the writing of the record when none came for the whole lease.
async fn wait_for_silence(
    sink: &dyn Generations,
    number: usize,
    name: &str,
    record: &Rebuild,
) -> Result<Revision> {
    tracing::info!(
        projection = name,
        seconds = LEASE.as_secs(),
        "the command waits for a heartbeat of that rebuild"
    );
    let until = Instant::now() + LEASE;
    loop {
        let found = sink.rebuild_of(number).await?;
        match found {
            Some((current, revision)) if current.beat == record.beat && current.session == record.session => {
                if Instant::now() >= until {
                    return Ok(revision);
                }
            }
            _ => return Err(lease_error(name, record)),
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

fn lease_error(name: &str, record: &Rebuild) -> Error {
    Error::failure(format!(
        "the reindex of {name} into {} is alive; stop it where it runs, then give it up",
        record.index
    ))
}

/// Deletes the indexes of the sink's projections that no alias stands for and no rebuild fills. Answers their names.
///
/// # Errors
/// Those of the index.
pub async fn prune(sink: &dyn Generations, count: usize) -> Result<Vec<String>> {
    let rebuilds = sink.rebuilds().await?;
    let mut deleted = Vec::new();
    for (number, rebuild) in (0..count).zip(rebuilds) {
        let filled = rebuild.filter(|(record, _)| record.is_under_way()).map(|(record, _)| record.index);
        for made in sink.generations(number).await? {
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
    use crate::sink::generations::{Aliases, Move};

    #[tokio::test]
    async fn a_session_that_is_given_up_takes_its_indexes_with_it_but_for_those_behind_an_alias() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::load(&Kinds::examples(), None, std::iter::empty(), &Vec::new()).unwrap();
        config.index.path = folder.path().to_owned();
        let sink = EmbeddedSink::new(&config.index, &["organisations", "contacts"]).unwrap();
        let names = ["organisations", "contacts"];
        let new = |number| sink.new_name(number).unwrap();
        let session = Session::begin(&names, vec![new(0), new(1)]);
        for (number, index) in session.indexes.iter().enumerate() {
            sink.create(number, index, "log").await.unwrap();
            let record = Rebuild { session: "a".into(), phase: Phase::Swapping, ..Rebuild::of_index(index) };
            assert!(sink.note_rebuild(number, Some(&record), None).await.unwrap());
        }
        sink.swap(&[Move { projection: 1, from: None, to: session.indexes[1].clone() }]).await.unwrap();
        give_up(&sink, &session).await.unwrap();
        assert_eq!(sink.hash_of(&session.indexes[0]).await.unwrap(), None);
        assert!(sink.hash_of(&session.indexes[1]).await.unwrap().is_some());
        assert!(sink.rebuilds().await.unwrap().iter().all(Option::is_none));
    }
}
