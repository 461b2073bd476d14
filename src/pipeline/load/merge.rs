//! The runs become the store's rows and relations.

use std::iter::Peekable;
use std::sync::{Mutex, PoisonError};

use super::ahead::ahead;
use super::runs::{Entry, Run, Runs, broken_off};
use super::sorter::Sorter;
use super::sources::in_order;
use super::truncated::Truncated;
use crate::entity::contact;
use crate::entity::organisation::Summary;
use crate::error::{Error, Result};
use crate::event::EntityKind;
use crate::state::keys::{Space, member_key};
use crate::state::rows::Row;
use crate::state::{State, space_of};

/// Fills the empty spaces of `state`, before `step` is committed.
pub(super) fn fill(state: &State, mut runs: Runs, truncated: &[Truncated], step: u64) -> Result<()> {
    let organisations = merged(runs.of(EntityKind::Organisation)?)?;
    let organisations = organisations.map(|entry| Ok(truncate(entry?, EntityKind::Organisation, truncated)));
    let contacts = merged(runs.of(EntityKind::Contact)?)?;
    let contacts = contacts.map(|entry| Ok(truncate(entry?, EntityKind::Contact, truncated)));
    let (children_of, contacts_of) = (runs.folder().join("children-of"), runs.folder().join("contacts-of"));
    std::thread::scope(|scope| {
        let organisations = scope.spawn(move || {
            let sorter = Sorter::new(children_of);
            let (kind, relation) = (EntityKind::Organisation, Space::ChildrenOf);
            fill_kind((state, step), kind, organisations, sorter, relation, &child)
        });
        let sorter = Sorter::new(contacts_of);
        let contacts =
            fill_kind((state, step), EntityKind::Contact, contacts, sorter, Space::ContactsOf, &member);
        organisations.join().unwrap_or_else(broken_off).and(contacts)
    })
}

/// An entity after the truncations of its table.
fn truncate(mut entry: Entry, kind: EntityKind, truncated: &[Truncated]) -> Entry {
    for truncation in truncated {
        if truncation.apply(kind, &mut entry.held.row) {
            entry.bytes = None;
        }
    }
    entry
}

/// The relation that an entity stands in: the owner and what is shown of the entity there.
type Relate<'a> = dyn Fn(&str, &Row) -> Option<(String, Vec<u8>)> + Sync + 'a;

fn child(_: &str, row: &Row) -> Option<(String, Vec<u8>)> {
    let summary = Summary::of(&row.registers);
    Some((summary.parent?.as_ref().to_owned(), summary.name.map(Into::into).unwrap_or_default()))
}

fn member(id: &str, row: &Row) -> Option<(String, Vec<u8>)> {
    let owner = contact::organisation(&row.registers)?;
    Some((owner.into_owned(), contact::embedded(id, &row.registers)))
}

/// Rows are read, merged and written anew on one thread while another fills the store with those before.
fn fill_kind(
    (state, step): (&State, u64),
    kind: EntityKind,
    entities: impl Iterator<Item = Result<Entry>> + Send,
    sorter: Sorter,
    relation: Space,
    relate: &Relate<'_>,
) -> Result<()> {
    let related = Mutex::new(sorter);
    std::thread::scope(|scope| {
        let mut rows = ahead(scope, |put| {
            let mut sorter = related.lock().unwrap_or_else(PoisonError::into_inner);
            let mut rows = entities.map(|entry| row_of(entry?, &mut sorter, relate));
            rows.all(put);
        });
        state.fill(space_of(kind), &mut rows, step)
    })?;
    let sorter = related.into_inner().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        let sorted = sorter.sorted()?;
        let mut pairs = ahead(scope, move |put| {
            let mut sorted = sorted;
            sorted.all(put);
        });
        state.fill(relation, &mut pairs, step)
    })?;
    Ok(())
}

/// The row of an entity, by its key; what it is related to goes to `sorter`.
fn row_of(entry: Entry, sorter: &mut Sorter, relate: &Relate<'_>) -> Result<(Vec<u8>, Vec<u8>)> {
    let Entry { id, held, bytes } = entry;
    if let Some((owner, shown)) = relate(&id, &held.row) {
        sorter.push(member_key(&owner, &id), shown)?;
    }
    let bytes = bytes.map_or_else(|| held.row.encode(), Ok)?;
    Ok((id.into_bytes(), bytes))
}

/// The entities of all runs, each once, by their ids.
struct Merged<I: Iterator<Item = Result<Entry>>>(Peekable<I>);

fn merged(runs: Vec<Run>) -> Result<Merged<impl Iterator<Item = Result<Entry>>>> {
    Ok(Merged(in_order(runs)?.peekable()))
}

impl<I: Iterator<Item = Result<Entry>>> Merged<I> {
    /// The next entity, with what later runs hold of it.
    fn merged(&mut self) -> Result<Option<Entry>> {
        let Some(mut first) = self.0.next().transpose()? else { return Ok(None) };
        let is_same = |next: &Result<Entry>, id: &str| next.as_ref().is_ok_and(|entry| entry.id == id);
        while let Some(later) = self.0.next_if(|next| is_same(next, &first.id)).transpose()? {
            if later.held.has_unsequenced && later.held.row.home != first.held.row.home {
                return Err(several_partitions(&first.id));
            }
            first.held.row.merge(later.held.row);
            first.bytes = None;
        }
        Ok(Some(first))
    }
}

impl<I: Iterator<Item = Result<Entry>>> Iterator for Merged<I> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.merged().transpose()
    }
}

fn several_partitions(id: &str) -> Error {
    Error::failed(format!(
        "sequence: missing in events of {id}, which came by more than one partition; start again: the log is then \
         folded record by record, and such events go to the dead letters"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::runs::Held;
    use super::*;

    fn run(entries: Vec<(&str, u64, bool)>) -> Run {
        let entries: Vec<Result<Entry>> = entries
            .into_iter()
            .map(|(id, home, has_unsequenced)| {
                let row = Row { home: Some(home), ..Row::default() };
                Ok(Entry { id: id.to_owned(), held: Held { row, has_unsequenced }, bytes: Some(vec![1]) })
            })
            .collect();
        Box::new(entries.into_iter())
    }

    #[test]
    fn each_entity_comes_once_with_the_home_of_its_oldest_run() {
        let runs =
            vec![run(vec![("a", 1, true), ("c", 1, true)]), run(vec![("a", 2, false), ("b", 2, true)])];
        let merged: Vec<Entry> = merged(runs).unwrap().map(Result::unwrap).collect();
        let seen: Vec<_> = merged
            .iter()
            .map(|entry| (entry.id.as_str(), entry.held.row.home, entry.bytes.is_some()))
            .collect();
        assert_eq!(seen, [("a", Some(1), false), ("b", Some(2), true), ("c", Some(1), true)]);
    }

    #[test]
    fn an_entity_of_two_partitions_without_a_sequence_is_not_merged() {
        let runs = vec![run(vec![("a", 1, false)]), run(vec![("a", 2, true)])];
        let error = merged(runs).unwrap().next().unwrap().unwrap_err();
        assert!(error.chain().contains("events of a"), "{}", error.chain());
    }
}
