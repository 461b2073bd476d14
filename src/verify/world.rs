//! A state in memory for tests.

use crate::plan::{CHILDREN_OF, CONTACTS_OF};
use crate::plan::{CONTACT, ORGANISATION, builtin};
use std::sync::Arc;

use crate::event::{Action, Event, EventField};
use crate::plan::EntityType;
use crate::projection::Projection;
use crate::projection::effects::FanOut;
use crate::state::State;
use crate::state::keys::{PROGRESS_KEY, Space, dirty_key, member_key};
use crate::state::memory::MemoryStore;
use crate::state::rows::{Backfill, FoldProgress, Row, Task, encode};
use crate::state::store::Changes;

pub(super) struct World {
    pub(super) state: State,
}

impl Default for World {
    fn default() -> Self {
        Self { state: State::open(Arc::new(MemoryStore::default()), builtin(), "").unwrap() }
    }
}

impl World {
    fn put(&self, space: Space, key: Vec<u8>, value: Vec<u8>) {
        let mut changes = Changes::default();
        changes.put(space, key, value);
        self.state.commit(changes).unwrap();
    }

    fn entity(&self, kind: EntityType, id: &str, action: Action, reference: Option<(&str, &str)>) {
        let mut row = Row::default();
        let field = |(name, id): (&str, &str)| EventField {
            name: name.to_owned(),
            json: serde_json::to_vec(id).unwrap().into(),
        };
        let fields = reference.map(field).into_iter().collect();
        row.registers.apply(&Event { kind, id: id.to_owned(), version: 1, sequenced: true, action, fields });
        self.put(Space::of_type(kind), id.as_bytes().to_vec(), encode(&row).unwrap());
    }

    pub(super) fn organisation(&self, id: &str, parent: Option<&str>) {
        let reference = parent.map(|parent| ("parentId", parent));
        self.entity(ORGANISATION, id, Action::Replace, reference);
        if let Some(parent) = parent {
            self.put(Space::of_relation(CHILDREN_OF), member_key(parent, id), Vec::new());
        }
    }

    pub(super) fn delete_organisation(&self, id: &str) {
        self.entity(ORGANISATION, id, Action::Delete, None);
    }

    pub(super) fn contact(&self, id: &str, organisation: &str) {
        self.entity(CONTACT, id, Action::Replace, Some(("organisationId", organisation)));
        self.put(Space::of_relation(CONTACTS_OF), member_key(organisation, id), b"{}".to_vec());
    }

    pub(super) fn mark(&self, projection: Projection, id: &str) {
        self.put(Space::DIRTY, dirty_key(projection.number(), id), 1_u64.to_be_bytes().to_vec());
    }

    pub(super) fn backfill(&self, projection: Projection) {
        let backfill = Backfill { step: 1, marks_from: None, cursor: String::new(), done: 0 };
        self.put(Space::BACKFILLS, vec![projection.number()], encode(&backfill).unwrap());
    }

    pub(super) fn task(&self, fan_out: FanOut) {
        let progress = FoldProgress { task_steps: [(1, 1)].into(), ..FoldProgress::default() };
        self.put(Space::META, PROGRESS_KEY.to_vec(), encode(&progress).unwrap());
        let task = Task { step: 1, fan_out, after: Vec::new() };
        self.put(Space::TASKS, 1_u64.to_be_bytes().to_vec(), encode(&task).unwrap());
    }
}
