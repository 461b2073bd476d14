//! `hierarchy`: an organisation with its ancestors, its children and the number of all below it.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::Entities;
use super::json::{Object, push_list};
use super::shared::{ancestry, push_reference, write_ancestry, write_log};
use crate::entity::Liveness;
use crate::error::Result;

/// How many children a document shows.
pub(crate) const CHILDREN_MAX: usize = 1_000;

pub(super) fn materialise(
    entities: &dyn Entities,
    id: &str,
    position: u64,
    out: &mut Vec<u8>,
) -> Result<bool> {
    let summary = entities.summary(id)?;
    if summary.liveness == Liveness::Deleted {
        return Ok(false);
    }
    let mut children: Vec<(String, Option<Vec<u8>>)> = Vec::new();
    let (mut below, mut child_count) = (Below::default(), 0);
    entities.children_of(id, &mut |child, name| {
        if children.len() < CHILDREN_MAX {
            children.push((child.to_owned(), (!name.is_empty()).then(|| name.to_vec())));
        }
        below.meet(child);
        child_count += 1;
        ControlFlow::Continue(())
    })?;
    if summary.liveness == Liveness::Unseen && child_count == 0 {
        return Ok(false);
    }
    let ancestry = ancestry(entities, id, &summary)?;
    let descendant_count = below.count(entities, id)?;
    let mut object = Object::open(out);
    object.text("id", id);
    if summary.liveness == Liveness::Unseen {
        object.yes("stub");
    }
    object.raw_if("name", summary.name.as_deref());
    write_ancestry(&mut object, &ancestry);
    push_list(object.value("children"), &children, |out, (child, name)| {
        push_reference(out, child, name.as_deref());
    });
    object.number("childCount", child_count);
    if child_count > CHILDREN_MAX as u64 {
        object.yes("childrenTruncated");
    }
    object.number("descendantCount", descendant_count);
    write_log(&mut object, position);
    object.close();
    Ok(true)
}

/// The organisations below one, as they are met.
#[derive(Default)]
struct Below {
    seen: HashSet<String>,
    /// Those whose children are not met yet.
    waiting: Vec<String>,
}

impl Below {
    fn meet(&mut self, child: &str) {
        if !self.seen.contains(child) {
            self.seen.insert(child.to_owned());
            self.waiting.push(child.to_owned());
        }
    }

    /// How many distinct ones there are below `id`, whose children were met; itself, in a cycle, is not counted.
    fn count(mut self, entities: &dyn Entities, id: &str) -> Result<u64> {
        while let Some(parent) = self.waiting.pop() {
            entities.children_of(&parent, &mut |child, _| {
                self.meet(child);
                ControlFlow::Continue(())
            })?;
        }
        Ok(self.seen.len() as u64 - u64::from(self.seen.contains(id)))
    }
}
