//! Which documents, relations and fan-outs a changed entity calls for.
//!
//! Marks made at once are those that can be named without walking down: the entity's own, and, going
//! up, the counts of its old and new ancestors. Everything below is left to [`Work`] in bounded steps:
//! whoever joins or leaves a subtree meanwhile is a changed entity itself, and is marked as one.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::Projection;
use crate::entity::organisation::Summary;
use crate::entity::{Liveness, Registers, contact};
use crate::error::Result;
use crate::event::EntityKind;
use crate::state::rows::Work;

/// A row of a relation: put with a value, removed without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The organisation whose member it is.
    pub owner: String,
    /// The contact or child.
    pub member: String,
    /// The value to put; `None` removes the row.
    pub value: Option<Vec<u8>>,
}

/// What a fold step has to write beside the entities' own rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Documents that changed, or may have.
    pub marks: BTreeSet<(Projection, String)>,
    /// Changes of an organisation's contacts.
    pub contacts: Vec<Relation>,
    /// Changes of an organisation's children.
    pub children: Vec<Relation>,
    /// What is to be marked below.
    pub works: Vec<Work>,
}

/// Looks up what relatives show of an organisation.
pub type Lookup<'a> = dyn Fn(&str) -> Result<Arc<Summary>> + 'a;

impl Effects {
    fn mark(&mut self, projection: Projection, id: &str) {
        self.marks.insert((projection, id.to_owned()));
    }

    /// Adds what follows from an entity's change.
    ///
    /// # Errors
    /// Those of the lookups.
    pub fn of(
        &mut self,
        kind: EntityKind,
        id: &str,
        (before, after): (&Registers, &Registers),
        was: &Lookup<'_>,
        is: &Lookup<'_>,
    ) -> Result<()> {
        match kind {
            EntityKind::Contact => self.of_contact(id, before, after),
            EntityKind::Organisation => return self.of_organisation(id, before, after, was, is),
        }
        Ok(())
    }

    /// Adds what an entity called for that changed and changed on: the documents, and not the relations, which
    /// are those of its last state.
    pub fn pass(&mut self, passing: Self) {
        self.marks.extend(passing.marks);
        let mut works = passing.works;
        works.dedup();
        for work in works {
            if !self.works.iter().rev().take(4).any(|held| *held == work) {
                self.works.push(work);
            }
        }
    }

    /// Adds what follows from a contact's change.
    pub fn of_contact(&mut self, id: &str, before: &Registers, after: &Registers) {
        if looks_alike(before, after) {
            return;
        }
        self.mark(Projection::Contacts, id);
        let (old, new) = (contact::organisation(before), contact::organisation(after));
        let json = new.as_ref().map(|_| contact::embedded(id, after));
        if old == new {
            let unchanged = json == old.as_ref().map(|_| contact::embedded(id, before));
            if let (Some(organisation), false) = (new, unchanged) {
                self.contact_of(organisation, id, json);
            }
            return;
        }
        if let Some(organisation) = old {
            self.contact_of(organisation, id, None);
        }
        if let Some(organisation) = new {
            self.contact_of(organisation, id, json);
        }
    }

    fn contact_of(&mut self, owner: Cow<'_, str>, contact: &str, value: Option<Vec<u8>>) {
        self.mark(Projection::Organisations, &owner);
        self.contacts.push(Relation { owner: owner.into_owned(), member: contact.to_owned(), value });
    }

    /// Adds what follows from an organisation's change. `was` looks up others as they were before
    /// this step, `is` as they are after it.
    ///
    /// # Errors
    /// Those of the lookups.
    pub fn of_organisation(
        &mut self,
        id: &str,
        before: &Registers,
        after: &Registers,
        was: &Lookup<'_>,
        is: &Lookup<'_>,
    ) -> Result<()> {
        if looks_alike(before, after) {
            return Ok(());
        }
        self.mark(Projection::Organisations, id);
        let (old, new) = (Summary::of(before), Summary::of(after));
        if old == new {
            return Ok(());
        }
        self.mark(Projection::Hierarchy, id);
        self.child_of(id, &old, &new);
        let moved = old.liveness != new.liveness || old.parent != new.parent;
        if moved {
            self.mark_upwards(old.parent.as_deref(), was)?;
            self.mark_upwards(new.parent.as_deref(), is)?;
        } else if let Some(parent) = &new.parent {
            self.mark(Projection::Hierarchy, parent);
        }
        self.works.push(Work::Contacts { organisation: id.to_owned() });
        self.works.push(Work::Below { root: id.to_owned(), node: id.to_owned(), contacts: moved });
        Ok(())
    }

    fn child_of(&mut self, id: &str, old: &Summary, new: &Summary) {
        if old.parent != new.parent
            && let Some(owner) = old.parent.as_deref().map(str::to_owned)
        {
            self.children.push(Relation { owner, member: id.to_owned(), value: None });
        }
        if let Some(owner) = new.parent.as_deref().map(str::to_owned) {
            let value = new.name.as_deref().unwrap_or_default().to_vec();
            self.children.push(Relation { owner, member: id.to_owned(), value: Some(value) });
        }
    }

    /// Marks the hierarchy documents from `parent` to its root: their descendants changed.
    fn mark_upwards(&mut self, parent: Option<&str>, look_up: &Lookup<'_>) -> Result<()> {
        let mut seen = HashSet::new();
        let mut next: Option<Arc<str>> = parent.map(Into::into);
        while let Some(id) = next {
            if !seen.insert(Arc::clone(&id)) {
                break;
            }
            self.mark(Projection::Hierarchy, &id);
            let summary = look_up(&id)?;
            next = if summary.liveness == Liveness::Alive { summary.parent.clone() } else { None };
        }
        Ok(())
    }
}

/// True when nothing that a document can show differs.
fn looks_alike(before: &Registers, after: &Registers) -> bool {
    before.liveness() == after.liveness() && before.fields().eq(after.fields())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Action, EntityKind, Event, Field};

    fn state(fields: &[(&str, &str)]) -> Registers {
        let mut registers = Registers::default();
        registers.apply(&Event {
            kind: EntityKind::Contact,
            id: "x".to_owned(),
            version: 1,
            sequenced: true,
            action: Action::Replace,
            fields: fields
                .iter()
                .map(|(name, json)| Field { name: (*name).to_owned(), json: json.as_bytes().into() })
                .collect(),
        });
        registers
    }

    #[test]
    fn a_moved_contact_touches_both_organisations() {
        let mut effects = Effects::default();
        let before = state(&[("organisationId", "\"o1\"")]);
        effects.of_contact("c1", &before, &state(&[("organisationId", "\"o2\"")]));
        let marked: Vec<&str> = effects.marks.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!(marked, ["o1", "o2", "c1"]);
        assert_eq!(effects.contacts[0].value, None);
        assert!(effects.contacts[1].value.is_some());
    }

    #[test]
    fn a_field_that_is_not_embedded_leaves_the_organisation_alone() {
        let mut effects = Effects::default();
        let before = state(&[("organisationId", "\"o1\"")]);
        effects.of_contact("c1", &before, &state(&[("organisationId", "\"o1\""), ("hobby", "\"chess\"")]));
        assert_eq!(effects.marks.len(), 1);
        assert!(effects.contacts.is_empty());
    }

    #[test]
    fn an_unchanged_entity_marks_nothing() {
        let mut effects = Effects::default();
        let same = state(&[("name", "\"a\"")]);
        effects.of_contact("c1", &same, &same);
        effects.of_organisation("o1", &same, &same, &|_| unreachable!(), &|_| unreachable!()).unwrap();
        assert_eq!(effects, Effects::default());
    }

    #[test]
    fn a_move_marks_the_counts_of_the_old_and_of_the_new_chain() {
        let summary = |parent: Option<&str>| {
            let parent = parent.map(Into::into);
            Ok(Arc::new(Summary::new(Liveness::Alive, None, parent)))
        };
        let chain = |id: &str| {
            summary(match id {
                "old" => Some("top"),
                "new" => Some("other"),
                _ => None,
            })
        };
        let mut effects = Effects::default();
        let (before, after) = (state(&[("parentId", "\"old\"")]), state(&[("parentId", "\"new\"")]));
        effects.of_organisation("x", &before, &after, &chain, &chain).unwrap();
        let hierarchy = effects.marks.iter().filter(|(projection, _)| *projection == Projection::Hierarchy);
        let marked: Vec<&str> = hierarchy.map(|(_, id)| id.as_str()).collect();
        assert_eq!(marked, ["new", "old", "other", "top", "x"]);
    }
}
