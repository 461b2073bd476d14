//! Whether something is on its way to a document: its mark, or a fan-out that has not come to it yet.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::entity::{Liveness, contact};
use crate::error::Result;
use crate::projection::{Entities, Projection};
use crate::state::keys::{Space, dirty_key};
use crate::state::rows::{self, Task, Work};
use crate::state::{Snapshot, sweeps};

/// When more fan-outs wait, all documents do.
const TASKS_MAX: usize = 10_000;

/// The fan-outs of a snapshot, by what they are about.
#[derive(Debug, Default)]
pub(super) struct Pending {
    projections: HashSet<u8>,
    contacts_of: HashSet<String>,
    below: HashSet<String>,
    too_many: bool,
}

impl Pending {
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self> {
        let projections = sweeps(snapshot.view())?.into_iter().map(|(projection, _)| projection).collect();
        let mut pending = Self { projections, ..Self::default() };
        if snapshot.progress().task_steps.is_empty() {
            return Ok(pending);
        }
        let mut count = 0;
        snapshot.view().scan(Space::Tasks, &[], &[], &mut |_, value| {
            match rows::decode::<Task>(value)?.work {
                Work::Contacts { organisation } => pending.contacts_of.insert(organisation),
                Work::Below { root, .. } => pending.below.insert(root),
            };
            count += 1;
            pending.too_many = count >= TASKS_MAX;
            Ok(if pending.too_many { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(pending)
    }

    /// True when the document is marked, or may yet be by what waits.
    pub(super) fn touches(&self, snapshot: &Snapshot, projection: Projection, id: &str) -> Result<bool> {
        let marked = snapshot.view().get(Space::Dirty, &dirty_key(projection as u8, id))?.is_some();
        if marked || self.too_many || self.projections.contains(&(projection as u8)) {
            return Ok(true);
        }
        if self.contacts_of.is_empty() && self.below.is_empty() {
            return Ok(false);
        }
        if projection != Projection::Contacts {
            return self.is_below(snapshot, id);
        }
        match contact::organisation(&snapshot.registers(Space::Contacts, id)?) {
            Some(organisation) if self.contacts_of.contains(&*organisation) => Ok(true),
            Some(organisation) => self.is_below(snapshot, &organisation),
            None => Ok(false),
        }
    }

    /// Follows the parents, as the fan-outs go down: through the living, up to the first that is not.
    fn is_below(&self, snapshot: &Snapshot, id: &str) -> Result<bool> {
        let mut seen = HashSet::new();
        let mut next: Option<Arc<str>> = Some(id.into());
        while let Some(id) = next {
            if self.below.contains(&*id) {
                return Ok(true);
            }
            let summary = snapshot.summary(&id)?;
            if summary.liveness != Liveness::Alive || !seen.insert(id) {
                break;
            }
            next = summary.parent.clone();
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::world::World;

    /// c1 belongs to o2, which is below o1; o3 and its contact c3 are beside them.
    fn world() -> World {
        let world = World::default();
        world.organisation("o1", None);
        world.organisation("o2", Some("o1"));
        world.organisation("o3", None);
        world.contact("c1", "o2");
        world.contact("c3", "o3");
        world
    }

    fn touched(world: &World) -> Vec<String> {
        let snapshot = world.state.snapshot().unwrap();
        let pending = Pending::of(&snapshot).unwrap();
        let documents = [
            (Projection::Organisations, ["o1", "o2", "o3"].as_slice()),
            (Projection::Contacts, &["c1", "c3"]),
            (Projection::Hierarchy, &["o1", "o2", "o3"]),
        ];
        let mut touched = Vec::new();
        for (projection, ids) in documents {
            for id in ids {
                if pending.touches(&snapshot, projection, id).unwrap() {
                    touched.push(format!("{} {id}", projection.name()));
                }
            }
        }
        touched
    }

    #[test]
    fn a_mark_touches_its_document_alone() {
        let world = world();
        assert!(touched(&world).is_empty());
        world.mark(Projection::Contacts, "c3");
        assert_eq!(touched(&world), ["contacts c3"]);
    }

    #[test]
    fn a_fan_out_touches_what_it_may_mark() {
        let named = |work: Work| {
            let world = world();
            world.task(work);
            touched(&world)
        };
        let contacts = Work::Contacts { organisation: "o3".to_owned() };
        assert_eq!(named(contacts), ["contacts c3"]);
        let below = Work::Below { root: "o1".to_owned(), node: "o1".to_owned(), contacts: true };
        let under_o1 =
            ["organisations o1", "organisations o2", "contacts c1", "hierarchy o1", "hierarchy o2"];
        assert_eq!(named(below), under_o1);
        let world = world();
        world.sweep(Projection::Contacts);
        assert_eq!(touched(&world), ["contacts c1", "contacts c3"]);
    }

    #[test]
    fn what_was_below_a_deleted_organisation_is_touched_too() {
        let world = world();
        world.deleted_organisation("o1");
        world.task(Work::Below { root: "o1".to_owned(), node: "o1".to_owned(), contacts: true });
        let touched = touched(&world);
        for wanted in ["hierarchy o2", "contacts c1"] {
            assert!(touched.iter().any(|found| found == wanted), "{touched:?}");
        }
    }
}
