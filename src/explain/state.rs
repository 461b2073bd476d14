//! The state's side of an explanation, from one snapshot. A running instance answers it over HTTP.

use std::collections::HashSet;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::part::{Part, Role};
use crate::entity::{Liveness, contact};
use crate::error::{Error, Result};
use crate::projection::{Entities, Limits, Projection};
use crate::state::keys::{Space, dirty_key};
use crate::state::rows::{self, Progress, Row, Task, Work};
use crate::state::{Snapshot, State, space_of, sweeps};

/// The most parts that are explained one by one.
pub(super) const PARTS_MAX: usize = 100;

/// What the state says of a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StateSide {
    /// What the instance does: `starting`, `writing`, `catching up`, `standing by`; `stopped` when none runs.
    pub instance: String,
    /// How far the fold is.
    pub progress: Progress,
    /// The document as it is made from the state; none when the state calls for none.
    pub document: Option<Value>,
    /// True when the log is partial and holds no record of the document's entity: a document that one has made is left as
    /// it is.
    #[serde(default)]
    pub is_silent: bool,
    /// The step since which the document waits for its delivery.
    pub marked: Option<u64>,
    /// Fan-outs under way that may come to this document yet.
    pub fan_outs: u64,
    /// The concrete index that every document was marked for; empty when none.
    pub built_for: String,
    /// The entities that take part, the document's own first.
    pub parts: Vec<Part>,
    /// How many entities take part in all.
    pub parts_in_all: u64,
}

impl StateSide {
    /// Reads everything from one snapshot.
    ///
    /// # Errors
    /// Those of the state.
    pub fn of(
        state: &State,
        projection: Projection,
        id: &str,
        limits: Limits,
        instance: &str,
    ) -> Result<Self> {
        let snapshot = state.snapshot()?;
        let mut json = Vec::new();
        let position = snapshot.progress().version();
        let exists = projection.materialise(&snapshot, id, limits, position, &mut json)?;
        let document = exists.then(|| serde_json::from_slice(&json)).transpose().map_err(|error| {
            Error::failed(format!("{}/{id}: the document is no JSON", projection.name())).because(error)
        })?;
        let mark = snapshot.view().get(Space::Dirty, &dirty_key(projection as u8, id))?;
        let mut parts = Parts { snapshot: &snapshot, projection, found: Vec::new(), in_all: 0 };
        parts.gather(id, limits)?;
        let itself = parts.found.first().map(|part| part.row.registers.liveness());
        Ok(Self {
            instance: instance.to_owned(),
            document,
            is_silent: state.is_partial() && itself == Some(Liveness::Unseen),
            marked: mark.and_then(|mark| Some(u64::from_be_bytes(mark.try_into().ok()?))),
            fan_outs: fan_outs(&snapshot, projection, &parts.found)?,
            built_for: state.built_for(projection.name())?,
            parts_in_all: parts.in_all,
            parts: parts.found,
            progress: snapshot.progress().clone(),
        })
    }
}

struct Parts<'a> {
    snapshot: &'a Snapshot,
    projection: Projection,
    found: Vec<Part>,
    in_all: u64,
}

impl Parts<'_> {
    fn gather(&mut self, id: &str, limits: Limits) -> Result<()> {
        self.add(Role::Itself, id)?;
        match self.projection {
            Projection::Contacts => {
                let registers = self.snapshot.registers(Space::Contacts, id)?;
                if let Some(organisation) = contact::organisation(&registers) {
                    self.add(Role::Organisation, &organisation)?;
                    self.above(&organisation)?;
                }
            }
            Projection::Organisations | Projection::Hierarchy => {
                self.above(id)?;
                if self.snapshot.summary(id)?.liveness != Liveness::Deleted {
                    self.below(id, limits)?;
                }
            }
        }
        Ok(())
    }

    /// The organisations above `id`, up to the root or to the first that is deleted: it is why the
    /// chain ends there.
    fn above(&mut self, id: &str) -> Result<()> {
        let mut seen = HashSet::from([id.to_owned()]);
        let mut at = self.snapshot.summary(id)?;
        while at.liveness == Liveness::Alive
            && let Some(parent) = at.parent.clone()
        {
            if !seen.insert(parent.as_ref().to_owned()) {
                break;
            }
            self.add(Role::Ancestor, &parent)?;
            at = self.snapshot.summary(&parent)?;
        }
        Ok(())
    }

    /// What is embedded, as far as the document embeds it.
    fn below(&mut self, id: &str, limits: Limits) -> Result<()> {
        let (role, max) = match self.projection {
            Projection::Organisations => (Role::Contact, limits.max_embedded_contacts),
            _ => (Role::Child, crate::projection::CHILDREN_MAX),
        };
        let room = PARTS_MAX.saturating_sub(self.found.len());
        let (mut ids, mut count) = (Vec::new(), 0);
        let mut visit = |member: &str, _: &[u8]| {
            if count < max.min(room) {
                ids.push(member.to_owned());
            }
            count += 1;
            if count < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        match role {
            Role::Contact => self.snapshot.contacts_of(id, &mut visit)?,
            _ => self.snapshot.children_of(id, &mut visit)?,
        }
        self.in_all += (count - ids.len()) as u64;
        ids.iter().try_for_each(|member| self.add(role, member))
    }

    fn add(&mut self, role: Role, id: &str) -> Result<()> {
        self.in_all += 1;
        if self.found.len() >= PARTS_MAX {
            return Ok(());
        }
        let mut part = Part { role, id: id.to_owned(), row: Row::default() };
        if let Some(bytes) = self.snapshot.view().get(space_of(part.kind(self.projection)), id.as_bytes())? {
            part.row = rows::decode(&bytes)?;
        }
        self.found.push(part);
        Ok(())
    }
}

/// How many fan-outs and sweeps may come to the document yet.
fn fan_outs(snapshot: &Snapshot, projection: Projection, parts: &[Part]) -> Result<u64> {
    let has = |roles: &[Role], id: &str| parts.iter().any(|part| roles.contains(&part.role) && part.id == id);
    let of_contacts = projection == Projection::Contacts;
    let sweeps = sweeps(snapshot.view())?;
    let mut count = sweeps.iter().filter(|(number, _)| *number == projection as u8).count() as u64;
    snapshot.view().scan(Space::Tasks, &[], &[], &mut |_, value| {
        let task: Task = rows::decode(value)?;
        let may_come = match &task.work {
            Work::Contacts { organisation } => of_contacts && has(&[Role::Organisation], organisation),
            Work::Below { root, contacts, .. } => {
                (!of_contacts || *contacts) && has(&[Role::Organisation, Role::Ancestor], root)
            }
        };
        count += u64::from(may_come);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::state::memory::MemoryStore;
    use crate::state::rows::Sweep;
    use crate::state::store::{Changes, StateStore};

    #[test]
    fn a_document_that_nothing_speaks_of_has_its_own_part_only() {
        let state = State::open(Arc::new(MemoryStore::default()), "f").unwrap();
        let limits = Limits { max_embedded_contacts: 10 };
        let side = StateSide::of(&state, Projection::Organisations, "o1", limits, "stopped").unwrap();
        assert!(side.document.is_none() && side.marked.is_none());
        assert_eq!((side.parts.len(), side.parts_in_all), (1, 1));
    }

    #[test]
    fn fan_outs_that_cannot_reach_the_document_do_not_count() {
        let store = Arc::new(MemoryStore::default());
        let works = [
            Work::Contacts { organisation: "o1".to_owned() },
            Work::Contacts { organisation: "o2".to_owned() },
            Work::Below { root: "o0".to_owned(), node: "o5".to_owned(), contacts: true },
            Work::Below { root: "o0".to_owned(), node: "o5".to_owned(), contacts: false },
        ];
        let mut changes = Changes::default();
        for (number, work) in works.into_iter().enumerate() {
            let task = Task { step: 1, work, after: Vec::new() };
            changes.put(Space::Tasks, vec![number as u8], rows::encode(&task).unwrap());
        }
        for projection in [Projection::Contacts, Projection::Hierarchy] {
            let sweep = Sweep { step: 1, awake: None, place: String::new(), done: 0 };
            changes.put(Space::Sweeps, vec![projection as u8], rows::encode(&sweep).unwrap());
        }
        store.commit(changes).unwrap();
        let state = State::open(store, "f").unwrap();
        let part = |role, id: &str| Part { role, id: id.to_owned(), row: Row::default() };
        let parts = [part(Role::Itself, "c1"), part(Role::Organisation, "o1"), part(Role::Ancestor, "o0")];
        let snapshot = state.snapshot().unwrap();
        assert_eq!(fan_outs(&snapshot, Projection::Contacts, &parts).unwrap(), 3);
        let parts = [part(Role::Itself, "o1"), part(Role::Ancestor, "o0")];
        assert_eq!(fan_outs(&snapshot, Projection::Organisations, &parts).unwrap(), 2);
    }
}
