//! The children that a pass comes to behind all owners.

use std::cell::RefCell;

use crate::error::Result;
use crate::plan::{Child, Relation, child_key};
use crate::projection::{Entities, Projection};
use crate::state::keys::{member_of, owner_of, owner_prefix};
use crate::state::snapshot::{Snapshot, relation_error};
use crate::state::store::EntryCursor;

/// The rows of a relation whose members are children.
pub(super) struct Children<'a> {
    embed: &'static str,
    relation: Relation,
    cursor: Box<dyn EntryCursor + 'a>,
    /// True once the pass has come to the cursor's entry.
    is_met: bool,
    /// The owner that was asked for last, and whether it has a document: many children have the same.
    owner: RefCell<Option<(String, bool)>>,
}

/// The embeds whose members are children, the first one last, in the order of the children's keys.
pub(super) fn child_embeds(projection: Projection) -> Vec<(&'static str, Relation)> {
    let mut joined: Vec<_> =
        projection.child_embeds().map(|(embed, relation)| (embed.name, relation)).collect();
    joined.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
    joined
}

impl<'a> Children<'a> {
    pub(super) fn of(embed: &'static str, relation: Relation, cursor: Box<dyn EntryCursor + 'a>) -> Self {
        Self { embed, relation, cursor, is_met: false, owner: RefCell::default() }
    }

    /// The key, the owner and the member of the next child; none behind the last.
    pub(super) fn next(&mut self) -> Result<Option<(String, String, String)>> {
        if self.is_met {
            self.cursor.advance()?;
        }
        self.is_met = true;
        let Some((row, _)) = self.cursor.entry() else { return Ok(None) };
        let broken = || relation_error(&String::from_utf8_lossy(row));
        let owner = owner_of(row).ok_or_else(broken)?;
        let member = member_of(row, &owner_prefix(&owner)).ok_or_else(broken)?.to_owned();
        Ok(Some((child_key(self.embed, &owner, &member), owner, member)))
    }

    /// The row of the child that the pass is at, in its relation.
    pub(super) fn row(&self, relation: Relation) -> Option<Vec<u8>> {
        let entry = self.cursor.entry().filter(|_| self.relation == relation);
        entry.map(|(_, row)| row.to_vec())
    }

    /// Whether the owner of a child has a document itself.
    pub(super) fn has_owner(
        &self,
        snapshot: &Snapshot,
        projection: Projection,
        child: &Child<'_>,
    ) -> Result<bool> {
        let mut cache = self.owner.borrow_mut();
        if let Some((_, has_document)) = cache.as_ref().filter(|(owner, _)| *owner == child.owner) {
            return Ok(*has_document);
        }
        let has_document = snapshot.has_owner(projection, child)?;
        *cache = Some((child.owner.to_string(), has_document));
        Ok(has_document)
    }
}
