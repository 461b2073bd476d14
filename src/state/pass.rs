//! One pass over everything that a projection may have a document of, in the order of ids. It visits the projection's
//! entities and, in between, the owners that are known by references only.
//!
//! Entities and the relations that their documents show lie in the same order, so that all are read once from end to
//! end. A document made where the pass stands costs no search. Children come behind all of them, in the order of their
//! relation.

mod children;

use std::cell::RefCell;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use self::children::{Children, child_embeds};
use super::keys::{Space, behind_members, member_key, member_of, owner_of, owner_prefix};
use super::rows;
use super::snapshot::{Snapshot, relation_error};
use super::store::{EntryCursor, Reader};
use crate::entity::fragment::Fragment;
use crate::entity::{Fields, Header, Liveness};
use crate::error::{Error, Result};
use crate::plan::{Child, EntityType, Relation};
use crate::projection::{Entities, EntityReader, NewFragment, Projection};

/// So many members are passed over one by one; more are jumped over.
const STEPS: usize = 64;

/// A pass. It reads its present entity from there, and everything else from the snapshot.
pub struct Pass<'a> {
    snapshot: &'a Snapshot,
    projection: Projection,
    entity_type: EntityType,
    entities: Box<dyn EntryCursor + 'a>,
    members: Vec<RefCell<RelationMembers<'a>>>,
    /// The embeds whose children are still to come, the next one last.
    joined: Vec<(&'static str, Relation)>,
    /// The children of one embed, once it is their turn.
    children: Option<Children<'a>>,
    at: PassEntity,
}

/// The present entity of a pass.
enum PassEntity {
    /// Nothing: it has not begun, or is at its end.
    Nothing,
    /// The entity that its cursor is at.
    Entity,
    /// An owner that has no row.
    Owner(String),
    /// A child, by its key, its owner and the member.
    Child(String, String, String),
}

/// A relation, at the members of the pass's present entity or behind them.
struct RelationMembers<'a> {
    view: &'a dyn Reader,
    relation: Relation,
    /// True where members alone make a document of their owner.
    makes_stubs: bool,
    cursor: Box<dyn EntryCursor + 'a>,
    owner: String,
    /// Begins the keys of the owner's members.
    prefix: Vec<u8>,
    /// Whether the owner has members.
    has_any: bool,
    /// True until they were visited.
    is_fresh: bool,
}

impl<'a> Pass<'a> {
    /// A pass over the entities after the id `after`; over all when that is empty.
    ///
    /// # Errors
    /// Those of the state.
    pub fn new(snapshot: &'a Snapshot, projection: Projection, after: &str) -> Result<Self> {
        if let Some(child) = projection.child(after) {
            return Self::behind_child(snapshot, projection, &child);
        }
        let entity_type = projection.entity_type();
        let behind = |key| if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(key) };
        let entities = snapshot.view().cursor(Space::of_type(entity_type), behind(after.as_bytes()))?;
        let mut members: Vec<RefCell<RelationMembers<'_>>> = Vec::new();
        for relation in projection.members() {
            if !members.iter().any(|member| member.borrow().relation == relation) {
                let of = (relation, projection.makes_stubs(relation));
                members.push(RefCell::new(RelationMembers::behind(snapshot.view(), of, after)?));
            }
        }
        let (joined, children, at) = (child_embeds(projection), None, PassEntity::Nothing);
        Ok(Self { snapshot, projection, entity_type, entities, members, joined, children, at })
    }

    /// A pass over the children behind one of them.
    fn behind_child(snapshot: &'a Snapshot, projection: Projection, child: &Child<'_>) -> Result<Self> {
        let entity_type = projection.entity_type();
        let behind_all = Bound::Excluded(&[255][..]);
        let entities = snapshot.view().cursor(Space::of_type(entity_type), behind_all)?;
        let mut joined = child_embeds(projection);
        while joined.pop().is_some_and(|(embed, _)| embed != child.embed.name) {}
        let key = member_key(&child.owner, child.member);
        let space = Space::of_relation(child.relation);
        let cursor = snapshot.view().cursor(space, Bound::Excluded(&key))?;
        let children = Some(Children::of(child.embed.name, child.relation, cursor));
        let (members, at) = (Vec::new(), PassEntity::Nothing);
        Ok(Self { snapshot, projection, entity_type, entities, members, joined, children, at })
    }

    /// Goes on to the next child; false behind the last.
    fn advance_children(&mut self) -> Result<bool> {
        loop {
            if self.children.is_none() {
                let Some((embed, relation)) = self.joined.pop() else {
                    self.at = PassEntity::Nothing;
                    return Ok(false);
                };
                let cursor = self.snapshot.view().cursor(Space::of_relation(relation), Bound::Unbounded)?;
                self.children = Some(Children::of(embed, relation, cursor));
            }
            if let Some(children) = &mut self.children
                && let Some((key, owner, member)) = children.next()?
            {
                self.at = PassEntity::Child(key, owner, member);
                return Ok(true);
            }
            self.children = None;
        }
    }

    /// Goes on to the next id; false at the end.
    ///
    /// # Errors
    /// Those of the state.
    pub fn advance(&mut self) -> Result<bool> {
        if self.children.is_some() {
            return self.advance_children();
        }
        if matches!(self.at, PassEntity::Entity) {
            self.entities.advance()?;
        }
        let entity = self.entities.entry().map(|(key, _)| text(key)).transpose()?;
        let mut owner: Option<String> = None;
        for members in &mut self.members {
            let members = members.get_mut();
            members.leave()?;
            if !members.makes_stubs {
                continue;
            }
            let before = owner.as_deref().or(entity);
            owner = members.owner_before(before)?.or(owner);
        }
        for members in &mut self.members {
            members.get_mut().stand_at(owner.as_deref().or(entity))?;
        }
        self.at = match owner {
            Some(owner) => PassEntity::Owner(owner),
            None if entity.is_some() => PassEntity::Entity,
            None => return self.advance_children(),
        };
        Ok(true)
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
            PassEntity::Nothing => None,
            PassEntity::Entity => self.entities.entry().map(|(key, _)| key),
            PassEntity::Owner(key) | PassEntity::Child(key, ..) => Some(key.as_bytes()),
        }
    }

    /// The liveness of the present entity's document: [`Liveness::Unseen`] when there is and was none.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn document(&self) -> Result<Liveness> {
        if let PassEntity::Child(key, ..) = &self.at {
            // A member has a row for as long as it refers to the owner.
            let Some(child) = self.projection.child(key) else { return Ok(Liveness::Unseen) };
            let has_owner = self.has_owner(self.projection, &child)?;
            return Ok(if has_owner { Liveness::Alive } else { Liveness::Deleted });
        }
        let liveness = self.row().map_or(Ok(Liveness::Unseen), |row| rows::document(row, self.projection))?;
        let is_stub = |members: &RefCell<RelationMembers<'_>>| {
            let members = members.borrow();
            members.makes_stubs && members.has_any
        };
        let is_referred = || self.members.iter().any(is_stub);
        Ok(if liveness == Liveness::Unseen && is_referred() { Liveness::Alive } else { liveness })
    }

    fn row(&self) -> Option<&[u8]> {
        let entry = if matches!(self.at, PassEntity::Entity) { self.entities.entry() } else { None };
        entry.map(|(_, row)| row)
    }

    fn is_at(&self, entity_type: EntityType, id: &str) -> bool {
        self.entity_type == entity_type && self.key() == Some(id.as_bytes())
    }

    fn read(&self, read: &mut EntityReader<'_>) -> Result<()> {
        match self.row() {
            Some(row) => rows::read(row, read),
            None => read(&Fields::default()),
        }
    }

    /// Visits the members of the present entity; false, and nothing was visited, where the snapshot has to be asked.
    fn visit(
        &self,
        relation: Relation,
        owner: &str,
        visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>,
    ) -> Result<bool> {
        for members in &self.members {
            // While members are visited, the snapshot answers who asks for others.
            let Ok(mut members) = members.try_borrow_mut() else { continue };
            if members.relation == relation && members.owner == owner && members.is_fresh {
                return members.visit(visit).map(|()| true);
            }
        }
        Ok(false)
    }
}

/// An id of a key that is one.
fn text(key: &[u8]) -> Result<&str> {
    std::str::from_utf8(key).map_err(|error| {
        Error::failure("a key in the state is damaged; delete the state's folder and start again to replay")
            .because(error)
    })
}

impl<'a> RelationMembers<'a> {
    fn behind(view: &'a dyn Reader, (relation, makes_stubs): (Relation, bool), owner: &str) -> Result<Self> {
        let behind = behind_members(owner);
        let start = if owner.is_empty() { Bound::Unbounded } else { Bound::Excluded(&*behind) };
        let cursor = view.cursor(Space::of_relation(relation), start)?;
        Ok(Self {
            view,
            relation,
            makes_stubs,
            cursor,
            owner: String::new(),
            prefix: Vec::new(),
            has_any: false,
            is_fresh: false,
        })
    }

    /// The owner of the next members, where it comes before `id`.
    fn owner_before(&self, id: Option<&str>) -> Result<Option<String>> {
        let Some((key, _)) = self.cursor.entry() else { return Ok(None) };
        if id.is_some_and(|id| key >= owner_prefix(id).as_slice()) {
            return Ok(None);
        }
        owner_of(key).map(Some).ok_or_else(|| relation_error(&String::from_utf8_lossy(key)))
    }

    /// Goes on to the members of `id`.
    fn stand_at(&mut self, id: Option<&str>) -> Result<()> {
        self.owner.clear();
        self.owner.push_str(id.unwrap_or_default());
        self.prefix = id.map(owner_prefix).unwrap_or_default();
        self.is_fresh = id.is_some();
        if !self.makes_stubs {
            // Members of owners that have no document lie in between.
            let mut steps = 0;
            while self.cursor.entry().is_some_and(|(key, _)| *key < *self.prefix) {
                steps += 1;
                if steps > STEPS {
                    let space = Space::of_relation(self.relation);
                    self.cursor = self.view.cursor(space, Bound::Included(&self.prefix))?;
                    break;
                }
                self.cursor.advance()?;
            }
        }
        self.has_any = id.is_some() && self.is_at_one();
        Ok(())
    }

    /// Leaves the members of the id that it stands at.
    fn leave(&mut self) -> Result<()> {
        for _ in 0..STEPS {
            if self.prefix.is_empty() || !self.is_at_one() {
                return Ok(());
            }
            self.cursor.advance()?;
        }
        let space = Space::of_relation(self.relation);
        self.cursor = self.view.cursor(space, Bound::Excluded(&behind_members(&self.owner)))?;
        Ok(())
    }

    fn is_at_one(&self) -> bool {
        self.cursor.entry().is_some_and(|(key, _)| key.starts_with(&self.prefix))
    }

    fn visit(&mut self, visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.is_fresh = false;
        while let Some((key, value)) = self.cursor.entry().filter(|(key, _)| key.starts_with(&self.prefix)) {
            let member = member_of(key, &self.prefix).ok_or_else(|| relation_error(&self.owner))?;
            if visit(member, value).is_break() {
                break;
            }
            self.cursor.advance()?;
        }
        Ok(())
    }
}

impl Entities for Pass<'_> {
    fn entity(&self, entity_type: EntityType, id: &str, read: &mut EntityReader<'_>) -> Result<()> {
        if self.is_at(entity_type, id) {
            return self.read(read);
        }
        self.snapshot.entity(entity_type, id, read)
    }

    fn header(&self, entity_type: EntityType, id: &str) -> Result<Arc<Header>> {
        self.snapshot.header_by(self, entity_type, id)
    }

    fn header_of(&self, entity_type: EntityType, id: &str, entity: &Fields<'_>) -> Arc<Header> {
        self.snapshot.header_of(entity_type, id, entity)
    }

    fn fragment(&self, kind: u16, id: &str, make: &dyn Fn() -> Result<NewFragment>) -> Result<Fragment> {
        self.snapshot.fragment(kind, id, make)
    }

    fn members(
        &self,
        relation: Relation,
        owner: &str,
        visit: &mut dyn FnMut(&str, &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        if self.visit(relation, owner, visit)? {
            return Ok(());
        }
        self.snapshot.members(relation, owner, visit)
    }

    fn has_owner(&self, projection: Projection, child: &Child<'_>) -> Result<bool> {
        match &self.children {
            Some(children) if projection == self.projection => {
                children.has_owner(self.snapshot, projection, child)
            }
            _ => self.snapshot.has_owner(projection, child),
        }
    }

    fn member(&self, relation: Relation, owner: &str, member: &str) -> Result<Option<Vec<u8>>> {
        match (&self.at, &self.children) {
            (PassEntity::Child(_, at, child), Some(children)) if at == owner && child == member => {
                match children.row(relation) {
                    Some(row) => Ok(Some(row)),
                    None => self.snapshot.member(relation, owner, member),
                }
            }
            _ => self.snapshot.member(relation, owner, member),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::CONTACTS_OF;
    use crate::plan::{ORGANISATION, ORGANISATIONS, builtin};
    use std::cell::Cell;

    use super::*;
    use crate::event::{Action, Event};

    use crate::state::State;
    use crate::state::keys::member_key;
    use crate::state::memory::MemoryStore;
    use crate::state::rows::{Row, encode};
    use crate::state::store::{Changes, StateStore};

    const MANY: usize = STEPS * 2 + 1;

    fn organisation(changes: &mut Changes, id: &str, action: Action) {
        let mut row = Row::default();
        let (kind, id_of, fields) = (ORGANISATION, id.to_owned(), Vec::new());
        row.registers.apply(&Event { kind, id: id_of, version: 1, sequenced: true, action, fields });
        changes.put(Space::of_type(ORGANISATION), id.into(), encode(&row).unwrap());
    }

    /// Alive without contacts, with one, and with many, and deleted with many. Known by its contacts only: between,
    /// behind, and with an id that keys of a relation escape.
    fn state() -> State {
        let (store, mut changes) = (MemoryStore::default(), Changes::default());
        for id in ["a", "b", "c"] {
            organisation(&mut changes, id, Action::Replace);
        }
        organisation(&mut changes, "d", Action::Delete);
        changes.put(Space::of_type(ORGANISATION), "unseen".into(), encode(&Row::default()).unwrap());
        for (owner, count) in [("b", 1), ("b\0", 2), ("c", MANY), ("d", MANY), ("da", 1), ("z", MANY)] {
            for number in 0..count {
                let contact = format!("{owner}-{number}");
                changes.put(Space::of_relation(CONTACTS_OF), member_key(owner, &contact), b"{}".to_vec());
            }
        }
        store.commit(changes).unwrap();
        State::open(Arc::new(store), builtin(), "f").unwrap()
    }

    fn contacts(entities: &dyn Entities, id: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut visit = |contact: &str, _: &[u8]| {
            found.push(contact.to_owned());
            ControlFlow::Continue(())
        };
        entities.members(CONTACTS_OF, id, &mut visit).unwrap();
        found
    }

    fn walk(snapshot: &Snapshot, after: &str, mut meet: impl FnMut(&Pass<'_>)) -> Vec<(String, Liveness)> {
        let (mut pass, mut met) = (Pass::new(snapshot, ORGANISATIONS, after).unwrap(), Vec::new());
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
                pass.members(CONTACTS_OF, pass.id().unwrap(), &mut visit).unwrap();
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
