//! One pass over everything that a projection may have a document of: its entities and, in between, the organisations
//! that are known by references only, all in the order of their ids.
//!
//! Entities and the relation that their documents show lie in the same order, so that both are read once from end to
//! end: a document made where the pass stands costs no search.

use std::cell::RefCell;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use super::keys::{Space, behind_members, member_of, owner_of, owner_prefix};
use super::snapshot::{Snapshot, broken_relation};
use super::store::{Cursor, Reader};
use super::{rows, walked};
use crate::entity::affiliation::Affiliation;
use crate::entity::organisation::Summary;
use crate::entity::{Fields, Liveness};
use crate::error::{Error, Result};
use crate::projection::{Affiliated, Entities, Projection, Read};

/// So many members are passed over one by one; more are jumped over.
const STEPS: usize = 64;

/// A pass. It reads what it stands at from there, and everything else from the snapshot.
pub struct Pass<'a> {
    snapshot: &'a Snapshot,
    space: Space,
    entities: Box<dyn Cursor + 'a>,
    members: Option<RefCell<Members<'a>>>,
    at: At,
}

/// What a pass stands at.
enum At {
    /// Nothing: it has not begun, or is at its end.
    Nothing,
    /// The entity that its cursor is at.
    Entity,
    /// An organisation that has no row.
    Owner(String),
}

/// The relation, at the members of what the pass stands at or behind them.
struct Members<'a> {
    view: &'a dyn Reader,
    space: Space,
    cursor: Box<dyn Cursor + 'a>,
    owner: String,
    /// Begins the keys of the owner's members.
    prefix: Vec<u8>,
    /// Whether the owner has members.
    has_any: bool,
    /// True until they were visited.
    is_fresh: bool,
}

impl<'a> Pass<'a> {
    /// A pass over what comes after the id `after`; over everything when that is empty.
    ///
    /// # Errors
    /// Those of the state.
    pub fn new(snapshot: &'a Snapshot, projection: Projection, after: &str) -> Result<Self> {
        let (space, relation) = walked(projection);
        let behind = |key| if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(key) };
        let entities = snapshot.view().cursor(space, behind(after.as_bytes()))?;
        let members =
            relation.map(|relation| Members::behind(snapshot.view(), relation, after)).transpose()?;
        Ok(Self { snapshot, space, entities, members: members.map(RefCell::new), at: At::Nothing })
    }

    /// Goes on to the next id; false at the end.
    ///
    /// # Errors
    /// Those of the state.
    pub fn advance(&mut self) -> Result<bool> {
        if matches!(self.at, At::Entity) {
            self.entities.advance()?;
        }
        let entity = self.entities.entry().map(|(key, _)| key);
        let owner = match &mut self.members {
            Some(members) => members.get_mut().find(entity.map(text).transpose()?)?,
            None => None,
        };
        self.at = match owner {
            Some(owner) => At::Owner(owner),
            None if self.entities.entry().is_some() => At::Entity,
            None => At::Nothing,
        };
        Ok(!matches!(self.at, At::Nothing))
    }

    /// The id that it stands at; empty where it stands at none.
    ///
    /// # Errors
    /// When the key is damaged.
    pub fn id(&self) -> Result<&str> {
        self.key().map_or(Ok(""), text)
    }

    fn key(&self) -> Option<&[u8]> {
        match &self.at {
            At::Nothing => None,
            At::Entity => self.entities.entry().map(|(key, _)| key),
            At::Owner(owner) => Some(owner.as_bytes()),
        }
    }

    /// Whether there is a document of what it stands at, or was one: [`Liveness::Unseen`] when there is neither.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn document(&self) -> Result<Liveness> {
        let liveness = self.row().map_or(Ok(Liveness::Unseen), rows::liveness)?;
        let is_referred = || self.members.as_ref().is_some_and(|members| members.borrow().has_any);
        Ok(if liveness == Liveness::Unseen && is_referred() { Liveness::Alive } else { liveness })
    }

    fn row(&self) -> Option<&[u8]> {
        let entry = if matches!(self.at, At::Entity) { self.entities.entry() } else { None };
        entry.map(|(_, row)| row)
    }

    fn is_at(&self, space: Space, id: &str) -> bool {
        self.space == space && self.key() == Some(id.as_bytes())
    }

    fn read(&self, read: &mut Read<'_>) -> Result<()> {
        match self.row() {
            Some(row) => rows::read(row, read),
            None => read(&Fields::default()),
        }
    }

    /// Visits the members of what it stands at; false, and nothing was visited, where the snapshot has to be asked.
    fn visit(
        &self,
        space: Space,
        owner: &str,
        visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>,
    ) -> Result<bool> {
        let Some(members) = &self.members else { return Ok(false) };
        // Whoever asks while members are visited is answered by the snapshot.
        let Ok(mut members) = members.try_borrow_mut() else { return Ok(false) };
        if members.space != space || members.owner != owner || !members.is_fresh {
            return Ok(false);
        }
        members.visit(visit).map(|()| true)
    }
}

/// An id of a key that is one.
fn text(key: &[u8]) -> Result<&str> {
    std::str::from_utf8(key).map_err(|error| {
        Error::failed("a key in the state is damaged; delete the state's folder and start again to replay")
            .because(error)
    })
}

impl<'a> Members<'a> {
    fn behind(view: &'a dyn Reader, space: Space, owner: &str) -> Result<Self> {
        let behind = behind_members(owner);
        let start = if owner.is_empty() { Bound::Unbounded } else { Bound::Excluded(&*behind) };
        let cursor = view.cursor(space, start)?;
        Ok(Self {
            view,
            space,
            cursor,
            owner: String::new(),
            prefix: Vec::new(),
            has_any: false,
            is_fresh: false,
        })
    }

    /// Leaves the members of the last id, for those of `id`; answers the owner instead that has some before it.
    fn find(&mut self, id: Option<&str>) -> Result<Option<String>> {
        self.leave()?;
        let first = self.cursor.entry().map(|(key, _)| key);
        let prefix = id.map(owner_prefix);
        let before = first.filter(|key| prefix.as_ref().is_none_or(|prefix| *key < prefix.as_slice()));
        let broken = |key| broken_relation(&String::from_utf8_lossy(key));
        let owner = before.map(|key| owner_of(key).ok_or_else(|| broken(key))).transpose()?;
        self.owner.clear();
        self.owner.push_str(owner.as_deref().or(id).unwrap_or_default());
        self.prefix = owner.as_deref().map(owner_prefix).or(prefix).unwrap_or_default();
        self.has_any = self.is_at_one();
        self.is_fresh = true;
        Ok(owner)
    }

    fn leave(&mut self) -> Result<()> {
        for _ in 0..STEPS {
            if self.prefix.is_empty() || !self.is_at_one() {
                return Ok(());
            }
            self.cursor.advance()?;
        }
        self.cursor = self.view.cursor(self.space, Bound::Excluded(&behind_members(&self.owner)))?;
        Ok(())
    }

    fn is_at_one(&self) -> bool {
        self.cursor.entry().is_some_and(|(key, _)| key.starts_with(&self.prefix))
    }

    fn visit(&mut self, visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.is_fresh = false;
        while let Some((key, value)) = self.cursor.entry().filter(|(key, _)| key.starts_with(&self.prefix)) {
            let member = member_of(key, &self.prefix).ok_or_else(|| broken_relation(&self.owner))?;
            if visit(member, value).is_break() {
                break;
            }
            self.cursor.advance()?;
        }
        Ok(())
    }
}

impl Entities for Pass<'_> {
    fn organisation(&self, id: &str, read: &mut Read<'_>) -> Result<()> {
        if self.is_at(Space::Organisations, id) {
            self.read(read)
        } else {
            self.snapshot.organisation(id, read)
        }
    }

    fn contact(&self, id: &str, read: &mut Read<'_>) -> Result<()> {
        if self.is_at(Space::Contacts, id) { self.read(read) } else { self.snapshot.contact(id, read) }
    }

    fn summary(&self, id: &str) -> Result<Arc<Summary>> {
        self.snapshot.summary_by(self, id)
    }

    fn summary_of(&self, id: &str, organisation: &Fields<'_>) -> Arc<Summary> {
        self.snapshot.summary_of(id, organisation)
    }

    fn affiliation(&self, organisation: &str, make: &dyn Fn() -> Result<Affiliated>) -> Result<Affiliation> {
        self.snapshot.affiliation(organisation, make)
    }

    fn contacts_of(
        &self,
        organisation: &str,
        visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        if self.visit(Space::ContactsOf, organisation, visit)? {
            return Ok(());
        }
        self.snapshot.contacts_of(organisation, visit)
    }

    fn children_of(&self, parent: &str, visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>) -> Result<()> {
        if self.visit(Space::ChildrenOf, parent, visit)? {
            return Ok(());
        }
        self.snapshot.children_of(parent, visit)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::event::{Action, EntityKind, Event};
    use crate::state::State;
    use crate::state::keys::member_key;
    use crate::state::memory::MemoryStore;
    use crate::state::rows::{Row, encode};
    use crate::state::store::{Changes, StateStore};

    const MANY: usize = STEPS * 2 + 1;

    fn organisation(changes: &mut Changes, id: &str, action: Action) {
        let mut row = Row::default();
        let (kind, id_of, fields) = (EntityKind::Organisation, id.to_owned(), Vec::new());
        row.registers.apply(&Event { kind, id: id_of, version: 1, sequenced: true, action, fields });
        changes.put(Space::Organisations, id.into(), encode(&row).unwrap());
    }

    /// Alive without contacts, with one, and with many; deleted with many; known by its contacts only, between, behind
    /// and of a name that the keys of a relation are written otherwise for.
    fn state() -> State {
        let (store, mut changes) = (MemoryStore::default(), Changes::default());
        for id in ["a", "b", "c"] {
            organisation(&mut changes, id, Action::Replace);
        }
        organisation(&mut changes, "d", Action::Delete);
        changes.put(Space::Organisations, "unseen".into(), encode(&Row::default()).unwrap());
        for (owner, count) in [("b", 1), ("b\0", 2), ("c", MANY), ("d", MANY), ("da", 1), ("z", MANY)] {
            for number in 0..count {
                let contact = format!("{owner}-{number}");
                changes.put(Space::ContactsOf, member_key(owner, &contact), b"{}".to_vec());
            }
        }
        store.commit(changes).unwrap();
        State::open(Arc::new(store), "f").unwrap()
    }

    fn contacts(entities: &dyn Entities, id: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut visit = |contact: &str, _: &[u8]| {
            found.push(contact.to_owned());
            ControlFlow::Continue(())
        };
        entities.contacts_of(id, &mut visit).unwrap();
        found
    }

    fn walk(snapshot: &Snapshot, after: &str, mut meet: impl FnMut(&Pass<'_>)) -> Vec<(String, Liveness)> {
        let (mut pass, mut met) =
            (Pass::new(snapshot, Projection::Organisations, after).unwrap(), Vec::new());
        while pass.advance().unwrap() {
            met.push((pass.id().unwrap().to_owned(), pass.document().unwrap()));
            meet(&pass);
            assert_eq!(Some(pass.document().unwrap()), met.last().map(|(_, document)| *document));
        }
        assert!(pass.id().unwrap().is_empty() && !pass.advance().unwrap());
        met
    }

    #[test]
    fn it_meets_every_id_once_in_order_wherever_it_begins() {
        let state = state();
        let snapshot = state.snapshot().unwrap();
        let all = walk(&snapshot, "", |_| {});
        let alive = |id: &str| (id.to_owned(), Liveness::Alive);
        let unseen = ("unseen".to_owned(), Liveness::Unseen);
        let deleted = ("d".to_owned(), Liveness::Deleted);
        assert_eq!(
            all,
            [alive("a"), alive("b"), alive("b\0"), alive("c"), deleted, alive("da"), unseen, alive("z")]
        );
        for (number, (id, _)) in all.iter().enumerate() {
            assert_eq!(walk(&snapshot, id, |_| {}), all[number + 1..], "after {id:?}");
        }
    }

    #[test]
    fn where_it_stands_it_shows_what_the_snapshot_does_however_often_it_is_asked() {
        let state = state();
        let snapshot = state.snapshot().unwrap();
        let visited = Cell::new(0);
        walk(&snapshot, "", |pass| {
            let expected = contacts(&snapshot, pass.id().unwrap());
            let mut first = None;
            let mut visit = |contact: &str, _: &[u8]| {
                first = Some(contact.to_owned());
                assert_eq!(contacts(pass, pass.id().unwrap()), expected, "asked meanwhile");
                ControlFlow::Break(())
            };
            // Left before all are seen, asked again, and not asked at all.
            if visited.get() % 2 == 0 {
                pass.contacts_of(pass.id().unwrap(), &mut visit).unwrap();
                assert_eq!(first.as_ref(), expected.first());
                assert_eq!(contacts(pass, pass.id().unwrap()), expected);
            }
            assert_eq!(contacts(pass, "c").len(), MANY, "of another");
            visited.set(visited.get() + 1);
        });
        let mut plain = 0;
        walk(&snapshot, "", |pass| plain += contacts(pass, pass.id().unwrap()).len());
        assert_eq!(plain, 4 + 3 * MANY);
    }
}
