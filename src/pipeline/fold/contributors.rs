//! The entities that a document shows, found by making the document once more.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::entity::Fields;
use crate::entity::affiliation::Affiliation;
use crate::entity::organisation::Summary;
use crate::error::Result;
use crate::event::EntityKind;
use crate::projection::{Affiliated, Entities, Limits, Projection, Read};
use crate::state::Snapshot;

/// Entities of a snapshot, which notes those that are read.
struct Noting<'a> {
    snapshot: &'a Snapshot,
    /// So many members of a relation are visited.
    count: usize,
    read: RefCell<BTreeSet<(EntityKind, String)>>,
}

/// The entities that the document of `id` shows: of its contacts and children the first `count`.
pub(super) fn contributors(
    snapshot: &Snapshot,
    projection: Projection,
    id: &str,
    count: usize,
) -> Result<BTreeSet<(EntityKind, String)>> {
    let noting = Noting { snapshot, count, read: RefCell::default() };
    let limits = Limits { max_embedded_contacts: count };
    projection.materialise(&noting, id, limits, 0, &mut Vec::new())?;
    Ok(noting.read.into_inner())
}

impl Noting<'_> {
    fn note(&self, kind: EntityKind, id: &str) {
        self.read.borrow_mut().insert((kind, id.to_owned()));
    }

    /// Shows a member of a relation, and ends the visit after the last that counts.
    fn visit(
        &self,
        (kind, id): (EntityKind, &str),
        left: &mut usize,
        visit: impl FnOnce() -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if *left == 0 {
            return ControlFlow::Break(());
        }
        *left -= 1;
        self.note(kind, id);
        visit()
    }
}

impl Entities for Noting<'_> {
    fn organisation(&self, id: &str, read: &mut Read<'_>) -> Result<()> {
        self.note(EntityKind::Organisation, id);
        self.snapshot.organisation(id, read)
    }

    fn contact(&self, id: &str, read: &mut Read<'_>) -> Result<()> {
        self.note(EntityKind::Contact, id);
        self.snapshot.contact(id, read)
    }

    fn summary(&self, id: &str) -> Result<Arc<Summary>> {
        self.note(EntityKind::Organisation, id);
        self.snapshot.summary(id)
    }

    fn summary_of(&self, id: &str, organisation: &Fields<'_>) -> Arc<Summary> {
        self.note(EntityKind::Organisation, id);
        self.snapshot.summary_of(id, organisation)
    }

    // One that is remembered would read nothing.
    fn affiliation(&self, _: &str, make: &dyn Fn() -> Result<Affiliated>) -> Result<Affiliation> {
        make().map(|(affiliation, _)| affiliation)
    }

    fn contacts_of(
        &self,
        organisation: &str,
        visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut left = self.count;
        self.snapshot.contacts_of(organisation, &mut |id, contact| {
            self.visit((EntityKind::Contact, id), &mut left, || visit(id, contact))
        })
    }

    fn children_of(&self, parent: &str, visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>) -> Result<()> {
        let mut left = self.count;
        self.snapshot.children_of(parent, &mut |id, name| {
            self.visit((EntityKind::Organisation, id), &mut left, || visit(id, name))
        })
    }
}
