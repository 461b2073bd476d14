//! The document of a member beside that of its owner.

use super::Renderer;
use crate::error::Result;
use crate::json::Object;
use crate::plan::{Child, JOIN, Projection};

impl Renderer<'_> {
    /// Makes the document of a child: the member as its owner would show it, under the name of the embed.
    pub(super) fn child(
        &self,
        projection: Projection,
        child: &Child<'_>,
        position: u64,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let Some(row) = self.entities.member(child.relation, &child.owner, child.member)? else {
            return Ok(false);
        };
        if !self.entities.has_owner(projection, child)? {
            return Ok(false);
        }
        let mut object = Object::open(out);
        let value = object.value(child.embed.name);
        self.member(value, child.embed, child.relation, child.member, &row)?;
        object.object(JOIN, |join| {
            join.text("name", child.embed.name);
            join.text("parent", &child.owner);
        });
        object.object("_log", |log| log.number("position", position));
        object.close();
        Ok(true)
    }
}
