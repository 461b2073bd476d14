//! The state at one moment, as projections read it.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::keys::{Space, member_of, owner_prefix};
use super::rows::{self, Progress, Row};
use super::store::Reader;
use super::summaries::Summaries;
use crate::entity::affiliation::Affiliation;
use crate::entity::organisation::Summary;
use crate::entity::{Fields, Liveness, Registers};
use crate::error::{Error, Result};
use crate::projection::{Affiliated, Entities, Read};

/// A consistent view with the position that it reflects.
pub struct Snapshot {
    view: Box<dyn Reader>,
    progress: Progress,
    remembered: Arc<Summaries>,
}

impl Snapshot {
    pub(super) fn of(view: Box<dyn Reader>, remembered: Arc<Summaries>) -> Result<Self> {
        let progress = super::read_meta(&*view, b"progress")?;
        Ok(Self { view, progress, remembered })
    }

    /// How far the fold was.
    pub fn progress(&self) -> &Progress {
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

    fn read(&self, space: Space, id: &str, read: &mut Read<'_>) -> Result<()> {
        match self.view.get(space, id.as_bytes())? {
            Some(row) => rows::read(&row, read),
            None => read(&Fields::default()),
        }
    }

    fn remember(&self, id: &str, organisation: &Fields<'_>) -> Arc<Summary> {
        let read = Arc::new(Summary::of(organisation));
        self.remembered.put_summary(id, self.progress.step, Arc::clone(&read));
        read
    }

    fn members(
        &self,
        space: Space,
        owner: &str,
        visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        let prefix = owner_prefix(owner);
        self.view.scan(space, &prefix, &[], &mut |key, value| match member_of(key, &prefix) {
            Some(member) => Ok(visit(member, value)),
            None => Err(broken_relation(owner)),
        })
    }

    /// What relatives show of an organisation, which is read by `entities` when it is not remembered.
    pub(super) fn summary_by(&self, entities: &dyn Entities, id: &str) -> Result<Arc<Summary>> {
        if let Some(known) = self.remembered.summary(id, self.progress.step) {
            return Ok(known);
        }
        let mut summary = None;
        entities.organisation(id, &mut |organisation| {
            summary = Some(self.remember(id, organisation));
            Ok(())
        })?;
        Ok(summary.unwrap_or_else(|| Arc::new(Summary::unseen())))
    }
}

/// What is wrong with a relation whose keys are not what was written.
pub(super) fn broken_relation(owner: &str) -> Error {
    Error::failed(format!(
        "a relation of {owner} in the state is damaged; delete the state's folder and start again to replay"
    ))
}

impl Entities for Snapshot {
    fn organisation(&self, id: &str, read: &mut Read<'_>) -> Result<()> {
        self.read(Space::Organisations, id, read)
    }

    fn contact(&self, id: &str, read: &mut Read<'_>) -> Result<()> {
        self.read(Space::Contacts, id, read)
    }

    fn summary(&self, id: &str) -> Result<Arc<Summary>> {
        self.summary_by(self, id)
    }

    fn summary_of(&self, id: &str, organisation: &Fields<'_>) -> Arc<Summary> {
        self.remembered.summary(id, self.progress.step).unwrap_or_else(|| self.remember(id, organisation))
    }

    fn affiliation(&self, organisation: &str, make: &dyn Fn() -> Result<Affiliated>) -> Result<Affiliation> {
        if let Some(known) = self.remembered.affiliation(organisation, self.progress.step) {
            return Ok(known);
        }
        let (made, of) = make()?;
        self.remembered.put_affiliation(self.progress.step, made.clone(), of);
        Ok(made)
    }

    fn contacts_of(
        &self,
        organisation: &str,
        visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        self.members(Space::ContactsOf, organisation, visit)
    }

    fn children_of(&self, parent: &str, visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.members(Space::ChildrenOf, parent, visit)
    }
}
