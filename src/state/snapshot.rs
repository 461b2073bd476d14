//! The state at one moment, as projections read it.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::headers::Headers;
use super::keys::{PROGRESS_KEY, Space, member_key, member_of, owner_prefix};
use super::rows::{self, FoldProgress, Row};
use super::store::Reader;
use crate::entity::fragment::Fragment;
use crate::entity::{Fields, Header, Liveness, Registers};
use crate::error::{Error, Result};
use crate::plan::{Child, EntityType, Relation};
use crate::projection::{Entities, EntityReader, NewFragment, Projection, has_owner, own_entity};

/// A consistent view with the position that it reflects.
pub struct Snapshot {
    view: Box<dyn Reader>,
    progress: FoldProgress,
    remembered: Arc<Headers>,
}

impl Snapshot {
    pub(super) fn of(view: Box<dyn Reader>, remembered: Arc<Headers>) -> Result<Self> {
        let progress = super::read_meta(&*view, PROGRESS_KEY)?;
        Ok(Self { view, progress, remembered })
    }

    /// How far the fold was.
    pub fn progress(&self) -> &FoldProgress {
        &self.progress
    }

    /// The view itself.
    pub fn view(&self) -> &dyn Reader {
        &*self.view
    }

    /// Whether an entity is there, without reading its fields.
    pub fn liveness(&self, space: Space, id: &str) -> Result<Liveness> {
        self.view.get(space, id.as_bytes())?.map_or(Ok(Liveness::Unseen), |row| rows::liveness(&row))
    }

    /// Whether a projection has a document of an entity: one that does not meet the conditions counts as deleted. An owner that
    /// is known by references only counts as unseen.
    pub fn document(&self, projection: Projection, id: &str) -> Result<Liveness> {
        if let Some(child) = projection.child(id) {
            return self.child(projection, &child);
        }
        let row = self.view.get(Space::of_type(projection.entity_type()), id.as_bytes())?;
        row.map_or(Ok(Liveness::Unseen), |row| rows::document(&row, projection))
    }

    /// As [`Self::document`], of a child. One that has another owner now counts as deleted.
    fn child(&self, projection: Projection, child: &Child<'_>) -> Result<Liveness> {
        let member = self.liveness(Space::of_type(child.relation.member()), child.member)?;
        if member != Liveness::Alive {
            return Ok(member);
        }
        let is_member = self.member(child.relation, &child.owner, child.member)?.is_some();
        let has_owner = is_member && has_owner(self, projection, child)?;
        Ok(if has_owner { Liveness::Alive } else { Liveness::Deleted })
    }

    /// True when a record of the entity whose document this is was folded: of a child it is the member.
    pub fn is_recorded(&self, projection: Projection, id: &str) -> Result<bool> {
        let (of, id) = own_entity(projection, id);
        self.has_record(Space::of_type(of), id)
    }

    /// True when a record of the entity was folded; else it is known by references only, or not at all.
    pub fn has_record(&self, space: Space, id: &str) -> Result<bool> {
        Ok(self.liveness(space, id)? != Liveness::Unseen)
    }

    /// The folded state of an entity; empty when it was never seen.
    pub fn registers(&self, space: Space, id: &str) -> Result<Registers> {
        match self.view.get(space, id.as_bytes())? {
            Some(bytes) => Ok(rows::decode::<Row>(&bytes)?.registers),
            None => Ok(Registers::default()),
        }
    }

    fn read(&self, space: Space, id: &str, read: &mut EntityReader<'_>) -> Result<()> {
        match self.view.get(space, id.as_bytes())? {
            Some(row) => rows::read(&row, read),
            None => read(&Fields::default()),
        }
    }

    fn remember(&self, of: EntityType, id: &str, entity: &Fields<'_>) -> Arc<Header> {
        let read = Arc::new(Header::of(of, entity));
        self.remembered.put_header((of, id), self.progress.step, Arc::clone(&read));
        read
    }

    /// The header of an entity, which is read by `entities` when it is not remembered.
    pub(super) fn header_by(&self, entities: &dyn Entities, of: EntityType, id: &str) -> Result<Arc<Header>> {
        if let Some(known) = self.remembered.header(of, id, self.progress.step) {
            return Ok(known);
        }
        let mut header = None;
        entities.entity(of, id, &mut |entity| {
            header = Some(self.remember(of, id, entity));
            Ok(())
        })?;
        Ok(header.unwrap_or_else(|| Arc::new(Header::of_unseen())))
    }
}

/// The error about a relation with damaged keys.
pub(super) fn relation_error(owner: &str) -> Error {
    Error::failure(format!(
        "a relation of {owner} in the state is damaged; delete the state's folder and start again to replay"
    ))
}

impl Entities for Snapshot {
    fn entity(&self, entity_type: EntityType, id: &str, read: &mut EntityReader<'_>) -> Result<()> {
        self.read(Space::of_type(entity_type), id, read)
    }

    fn header(&self, entity_type: EntityType, id: &str) -> Result<Arc<Header>> {
        self.header_by(self, entity_type, id)
    }

    fn header_of(&self, of: EntityType, id: &str, entity: &Fields<'_>) -> Arc<Header> {
        let known = self.remembered.header(of, id, self.progress.step);
        known.unwrap_or_else(|| self.remember(of, id, entity))
    }

    fn fragment(&self, kind: u16, id: &str, make: &dyn Fn() -> Result<NewFragment>) -> Result<Fragment> {
        if let Some(known) = self.remembered.fragment(kind, id, self.progress.step) {
            return Ok(known);
        }
        let (made, of) = make()?;
        self.remembered.put_fragment(kind, self.progress.step, made.clone(), of);
        Ok(made)
    }

    fn members(
        &self,
        relation: Relation,
        owner: &str,
        visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        let prefix = owner_prefix(owner);
        self.view.scan(Space::of_relation(relation), &prefix, &[], &mut |key, value| match member_of(
            key, &prefix,
        ) {
            Some(member) => Ok(visit(member, value)),
            None => Err(relation_error(owner)),
        })
    }

    fn has_owner(&self, projection: Projection, child: &Child<'_>) -> Result<bool> {
        has_owner(self, projection, child)
    }

    fn member(&self, relation: Relation, owner: &str, member: &str) -> Result<Option<Vec<u8>>> {
        self.view.get(Space::of_relation(relation), &member_key(owner, member))
    }
}
