//! The children that a pass comes to behind all owners.

use std::cell::RefCell;

use crate::entity::Fields;
use crate::error::Result;
use crate::plan::{Relation, child_key};
use crate::projection::{Projection, Read};
use crate::state::keys::{Space, member_of, owner_of, owner_prefix};
use crate::state::rows;
use crate::state::snapshot::{Snapshot, broken_relation};
use crate::state::store::Cursor;

/// The rows of a relation whose members are children.
pub(super) struct Children<'a> {
    embed: &'static str,
    relation: Relation,
    cursor: Box<dyn Cursor + 'a>,
    /// True once the pass has come to the cursor's entry.
    is_met: bool,
    /// The row of the owner that was asked for last: many children have the same.
    owner: RefCell<Option<(String, Option<Vec<u8>>)>>,
}

/// The embeds whose members are children, the first one last, in the order of the children's keys.
pub(super) fn joined(projection: Projection) -> Vec<(&'static str, Relation)> {
    let mut joined: Vec<_> = projection.joined().map(|(embed, relation)| (embed.name, relation)).collect();
    joined.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
    joined
}

impl<'a> Children<'a> {
    pub(super) fn of(embed: &'static str, relation: Relation, cursor: Box<dyn Cursor + 'a>) -> Self {
        Self { embed, relation, cursor, is_met: false, owner: RefCell::default() }
    }

    /// The key, the owner and the member of the next child; none behind the last.
    pub(super) fn next(&mut self) -> Result<Option<(String, String, String)>> {
        if self.is_met {
            self.cursor.advance()?;
        }
        self.is_met = true;
        let Some((row, _)) = self.cursor.entry() else { return Ok(None) };
        let broken = || broken_relation(&String::from_utf8_lossy(row));
        let owner = owner_of(row).ok_or_else(broken)?;
        let member = member_of(row, &owner_prefix(&owner)).ok_or_else(broken)?.to_owned();
        Ok(Some((child_key(self.embed, &owner, &member), owner, member)))
    }

    /// The row of the child that the pass is at, in its relation.
    pub(super) fn row(&self, relation: Relation) -> Option<Vec<u8>> {
        let entry = self.cursor.entry().filter(|_| self.relation == relation);
        entry.map(|(_, row)| row.to_vec())
    }

    /// Shows the owner of the child that the pass is at.
    pub(super) fn read_owner(
        &self,
        snapshot: &Snapshot,
        (space, id): (Space, &str),
        read: &mut Read<'_>,
    ) -> Result<()> {
        let mut held = self.owner.borrow_mut();
        if held.as_ref().is_none_or(|(owner, _)| owner != id) {
            *held = Some((id.to_owned(), snapshot.view().get(space, id.as_bytes())?));
        }
        match held.as_ref().and_then(|(_, row)| row.as_ref()) {
            Some(row) => rows::read(row, read),
            None => read(&Fields::default()),
        }
    }
}
