//! The runs become the store's rows and relations.

use std::iter::Peekable;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::merge_order::in_order;
use super::prefetch::prefetch;
use super::runs::{EntityRun, RunEntry, Runs, panic_error};
use super::scoped_truncation::ScopedTruncation;
use super::sorter::Sorter;
use crate::error::{Error, Result};
use crate::plan::{EntityType, Relation};
use crate::projection::{owners, row};
use crate::state::State;
use crate::state::keys::{Space, member_key};

/// Fills the empty keyspaces of `state`, before `step` is committed: each entity type on a thread of its own.
pub(super) fn fill(state: &State, mut runs: Runs, truncated: &[ScopedTruncation], step: u64) -> Result<()> {
    let mut types = Vec::new();
    for entity_type in state.plan().entity_types() {
        let entities = merge_runs(runs.of(entity_type)?)?;
        types.push((entity_type, entities.map(move |entry| Ok(truncate(entry?, entity_type, truncated)))));
    }
    let folder = runs.folder().clone();
    std::thread::scope(|scope| {
        let fill = |(entity_type, entities)| {
            let folder = folder.clone();
            scope.spawn(move || fill_type((state, step), entity_type, entities, &folder))
        };
        let filling: Vec<_> = types.into_iter().map(fill).collect();
        let filled = filling.into_iter().map(|thread| thread.join().unwrap_or_else(panic_error));
        filled.fold(Ok(()), Result::and)
    })
}

/// An entity after the truncations of its table.
fn truncate(mut entry: RunEntry, entity_type: EntityType, truncated: &[ScopedTruncation]) -> RunEntry {
    for truncation in truncated {
        if truncation.apply(entity_type, &mut entry.fold.row) {
            entry.bytes = None;
        }
    }
    entry
}

/// Rows are read, merged and written anew on one thread while another fills the store with those before.
fn fill_type(
    (state, step): (&State, u64),
    entity_type: EntityType,
    entities: impl Iterator<Item = Result<RunEntry>> + Send,
    folder: &Path,
) -> Result<()> {
    let sorter =
        |relation: Relation| (relation, Sorter::new(folder.join(format!("relation-{}", relation.number()))));
    let related = Mutex::new(entity_type.relations().map(sorter).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        let mut rows = prefetch(scope, |put| {
            let mut related = related.lock().unwrap_or_else(PoisonError::into_inner);
            let mut rows = entities.map(|entry| row_of(entry?, &mut related));
            rows.all(put);
        });
        state.fill(Space::of_type(entity_type), &mut rows, step)
    })?;
    for (relation, sorter) in related.into_inner().unwrap_or_else(PoisonError::into_inner) {
        fill_relation((state, step), relation, sorter)?;
    }
    Ok(())
}

/// Fills an empty keyspace of a relation with its sorted rows.
fn fill_relation((state, step): (&State, u64), relation: Relation, sorter: Sorter) -> Result<()> {
    std::thread::scope(|scope| {
        let sorted = sorter.into_sorted()?;
        let mut pairs = prefetch(scope, move |put| {
            let mut sorted = sorted;
            sorted.all(put);
        });
        state.fill(Space::of_relation(relation), &mut pairs, step)
    })?;
    Ok(())
}

/// The row of an entity, by its key; its rows in relations go to their sorters.
fn row_of(entry: RunEntry, related: &mut [(Relation, Sorter)]) -> Result<(Vec<u8>, Vec<u8>)> {
    let RunEntry { id, fold, bytes } = entry;
    for (relation, sorter) in related {
        let owners = owners(*relation, &fold.row.registers);
        if owners.is_empty() {
            continue;
        }
        let shown = row(*relation, &id, &fold.row.registers);
        for owner in owners {
            sorter.push(member_key(&owner, &id), shown.clone())?;
        }
    }
    let bytes = bytes.map_or_else(|| fold.row.encode(), Ok)?;
    Ok((id.into_bytes(), bytes))
}

/// The entities of all runs, each once, by their ids.
struct MergedRuns<I: Iterator<Item = Result<RunEntry>>>(Peekable<I>);

fn merge_runs(runs: Vec<EntityRun>) -> Result<MergedRuns<impl Iterator<Item = Result<RunEntry>>>> {
    Ok(MergedRuns(in_order(runs)?.peekable()))
}

impl<I: Iterator<Item = Result<RunEntry>>> MergedRuns<I> {
    /// The next entity, merged over all later runs.
    fn next_entity(&mut self) -> Result<Option<RunEntry>> {
        let Some(mut first) = self.0.next().transpose()? else { return Ok(None) };
        let is_same = |next: &Result<RunEntry>, id: &str| next.as_ref().is_ok_and(|entry| entry.id == id);
        while let Some(later) = self.0.next_if(|next| is_same(next, &first.id)).transpose()? {
            if later.fold.has_unsequenced && later.fold.row.home != first.fold.row.home {
                return Err(several_partitions(&first.id));
            }
            first.fold.row.merge(later.fold.row);
            first.bytes = None;
        }
        Ok(Some(first))
    }
}

impl<I: Iterator<Item = Result<RunEntry>>> Iterator for MergedRuns<I> {
    type Item = Result<RunEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_entity().transpose()
    }
}

fn several_partitions(id: &str) -> Error {
    Error::failure(format!(
        "sequence: missing in events of {id}, which came by more than one partition. Start again: the log is then \
         folded record by record, and such events go to the dead letters"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::runs::EntityFold;
    use super::*;
    use crate::state::rows::Row;

    fn run(entries: Vec<(&str, u64, bool)>) -> EntityRun {
        let entries: Vec<Result<RunEntry>> = entries
            .into_iter()
            .map(|(id, home, has_unsequenced)| {
                let row = Row { home: Some(home), ..Row::default() };
                Ok(RunEntry {
                    id: id.to_owned(),
                    fold: EntityFold { row, has_unsequenced },
                    bytes: Some(vec![1]),
                })
            })
            .collect();
        Box::new(entries.into_iter())
    }

    #[test]
    fn each_entity_comes_once_with_the_home_of_its_oldest_run() {
        let runs =
            vec![run(vec![("a", 1, true), ("c", 1, true)]), run(vec![("a", 2, false), ("b", 2, true)])];
        let merged: Vec<RunEntry> = merge_runs(runs).unwrap().map(Result::unwrap).collect();
        let entities: Vec<_> = merged
            .iter()
            .map(|entry| (entry.id.as_str(), entry.fold.row.home, entry.bytes.is_some()))
            .collect();
        assert_eq!(entities, [("a", Some(1), false), ("b", Some(2), true), ("c", Some(1), true)]);
    }

    #[test]
    fn an_entity_of_two_partitions_without_a_sequence_is_not_merged() {
        let runs = vec![run(vec![("a", 1, false)]), run(vec![("a", 2, true)])];
        let error = merge_runs(runs).unwrap().next().unwrap().unwrap_err();
        assert!(error.chain().contains("events of a"), "{}", error.chain());
    }
}
