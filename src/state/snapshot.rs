//! The state at one moment, as projections read it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::keys::{Space, member_of, owner_prefix};
use super::rows::{self, Progress, Row};
use super::store::Reader;
use super::summaries::Summaries;
use crate::entity::organisation::Summary;
use crate::entity::{Liveness, Registers};
use crate::error::{Error, Result};
use crate::projection::Entities;

/// How many organisations a snapshot remembers, so that a shared ancestor is read once.
const REMEMBERED_MAX: usize = 4096;

/// A consistent view with the position that it reflects. For one thread at a time.
pub struct Snapshot {
    view: Box<dyn Reader>,
    progress: Progress,
    summaries: RefCell<HashMap<String, Arc<Summary>>>,
    /// An entity that was read already, for whoever asks next.
    held: RefCell<Option<(Space, String, Registers)>>,
    remembered: Arc<Summaries>,
}

impl Snapshot {
    pub(super) fn of(view: Box<dyn Reader>, remembered: Arc<Summaries>) -> Result<Self> {
        let progress = super::read_meta(&*view, b"progress")?;
        Ok(Self { view, progress, summaries: RefCell::default(), held: RefCell::default(), remembered })
    }

    /// How far the fold was.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The view itself.
    pub fn view(&self) -> &dyn Reader {
        &*self.view
    }

    /// Takes an entity that was read from this view: it is not read again when it is asked for next.
    pub fn hold(&self, space: Space, id: &str, registers: Registers) {
        *self.held.borrow_mut() = Some((space, id.to_owned(), registers));
    }

    /// Whether an entity is there, without reading its fields.
    pub fn liveness(&self, space: Space, id: &str) -> Result<Liveness> {
        self.view.get(space, id.as_bytes())?.map_or(Ok(Liveness::Unseen), |row| rows::liveness(&row))
    }

    fn registers(&self, space: Space, id: &str) -> Result<Registers> {
        let held = self.held.borrow_mut().take_if(|(of, held, _)| *of == space && held == id);
        if let Some((_, _, registers)) = held {
            return Ok(registers);
        }
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
        let step = self.progress.step;
        let summary = match self.remembered.get(id, step) {
            Some(summary) => summary,
            None => {
                let read = Arc::new(Summary::of(&self.organisation(id)?));
                self.remembered.put(id, step, Arc::clone(&read));
                read
            }
        };
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
