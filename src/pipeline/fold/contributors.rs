//! The entities that a document shows, found by making the document once more.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::entity::fragment::Fragment;
use crate::entity::{Fields, Header};
use crate::error::Result;
use crate::plan::{Child, EntityType, Relation};
use crate::projection::{Entities, EntityReader, Limits, NewFragment, Projection, has_owner};
use crate::state::Snapshot;

/// Entities of a snapshot, which notes those that are read.
struct EntityRecorder<'a> {
    snapshot: &'a Snapshot,
    /// So many members of a relation are visited.
    count: usize,
    read: RefCell<BTreeSet<(EntityType, String)>>,
}

/// The entities that the document of `id` shows: of the members of each embed the first `count`.
pub(super) fn contributors(
    snapshot: &Snapshot,
    projection: Projection,
    id: &str,
    count: usize,
) -> Result<BTreeSet<(EntityType, String)>> {
    let noting = EntityRecorder { snapshot, count, read: RefCell::default() };
    let limits = Limits { max_embedded_contacts: count };
    projection.materialise(&noting, id, limits, 0, &mut Vec::new())?;
    Ok(noting.read.into_inner())
}

impl EntityRecorder<'_> {
    fn note(&self, kind: EntityType, id: &str) {
        self.read.borrow_mut().insert((kind, id.to_owned()));
    }

    /// Shows a member of a relation, and ends the visit after the last that counts.
    fn visit(
        &self,
        (kind, id): (EntityType, &str),
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

impl Entities for EntityRecorder<'_> {
    fn entity(&self, entity_type: EntityType, id: &str, read: &mut EntityReader<'_>) -> Result<()> {
        self.note(entity_type, id);
        self.snapshot.entity(entity_type, id, read)
    }

    fn header(&self, entity_type: EntityType, id: &str) -> Result<Arc<Header>> {
        self.note(entity_type, id);
        self.snapshot.header(entity_type, id)
    }

    fn header_of(&self, entity_type: EntityType, id: &str, entity: &Fields<'_>) -> Arc<Header> {
        self.note(entity_type, id);
        self.snapshot.header_of(entity_type, id, entity)
    }

    // One that is remembered would read nothing.
    fn fragment(&self, _: u16, _: &str, make: &dyn Fn() -> Result<NewFragment>) -> Result<Fragment> {
        make().map(|(fragment, _)| fragment)
    }

    fn members(
        &self,
        relation: Relation,
        owner: &str,
        visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut left = self.count;
        self.snapshot.members(relation, owner, &mut |id, row| {
            self.visit((relation.member(), id), &mut left, || visit(id, row))
        })
    }

    fn has_owner(&self, projection: Projection, child: &Child<'_>) -> Result<bool> {
        has_owner(self, projection, child)
    }

    fn member(&self, relation: Relation, owner: &str, member: &str) -> Result<Option<Vec<u8>>> {
        self.note(relation.member(), member);
        self.snapshot.member(relation, owner, member)
    }
}
