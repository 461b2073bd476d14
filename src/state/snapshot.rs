//! The state at one moment, as projections read it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::keys::{Space, member_of, owner_prefix};
use super::rows::{self, Progress, Row};
use super::store::Reader;
use crate::entity::Registers;
use crate::entity::organisation::Summary;
use crate::error::{Error, Result};
use crate::projection::Entities;

/// How many organisations a snapshot remembers, so that a shared ancestor is read once.
const REMEMBERED_MAX: usize = 4096;

/// A consistent view with the position that it reflects. For one thread at a time.
pub struct Snapshot {
    view: Box<dyn Reader>,
    progress: Progress,
    summaries: RefCell<HashMap<String, Arc<Summary>>>,
}

impl Snapshot {
    pub(super) fn of(view: Box<dyn Reader>) -> Result<Self> {
        let progress = super::read_meta(&*view, b"progress")?;
        Ok(Self { view, progress, summaries: RefCell::default() })
    }

    /// How far the fold was.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The view itself.
    pub fn view(&self) -> &dyn Reader {
        &*self.view
    }

    fn registers(&self, space: Space, id: &str) -> Result<Registers> {
        match self.view.get(space, id.as_bytes())? {
            Some(bytes) => Ok(rows::decode::<Row>(&bytes)?.registers),
            None => Ok(Registers::default()),
        }
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
            None => Err(Error::failed(format!(
                "a relation of {owner} in the state is damaged; delete the state's folder and start again to replay"
            ))),
        })
    }
}

impl Entities for Snapshot {
    fn organisation(&self, id: &str) -> Result<Registers> {
        self.registers(Space::Organisations, id)
    }

    fn contact(&self, id: &str) -> Result<Registers> {
        self.registers(Space::Contacts, id)
    }

    fn summary(&self, id: &str) -> Result<Arc<Summary>> {
        if let Some(known) = self.summaries.borrow().get(id) {
            return Ok(Arc::clone(known));
        }
        let summary = Arc::new(Summary::of(&self.organisation(id)?));
        let mut summaries = self.summaries.borrow_mut();
        if summaries.len() >= REMEMBERED_MAX {
            summaries.clear();
        }
        summaries.insert(id.to_owned(), Arc::clone(&summary));
        Ok(summary)
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
