//! How many entities are below another in a tree.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::Entities;
use crate::error::Result;
use crate::plan::Relation;

/// The entities below one, as they are met.
#[derive(Default)]
pub(super) struct Descendants {
    ids: HashSet<String>,
    /// Those whose members are not met yet.
    waiting: Vec<String>,
}

impl Descendants {
    pub(super) fn meet(&mut self, child: &str) {
        if !self.ids.contains(child) {
            self.ids.insert(child.to_owned());
            self.waiting.push(child.to_owned());
        }
    }

    /// How many distinct ones there are below `id`, whose members were met. In a circle it is not counted itself.
    pub(super) fn count(mut self, entities: &dyn Entities, tree: Relation, id: &str) -> Result<u64> {
        while let Some(parent) = self.waiting.pop() {
            entities.members(tree, &parent, &mut |child, _| {
                self.meet(child);
                ControlFlow::Continue(())
            })?;
        }
        Ok(self.ids.len() as u64 - u64::from(self.ids.contains(id)))
    }
}
