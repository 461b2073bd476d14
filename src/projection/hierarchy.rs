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
    let mut child_count = 0;
    entities.children_of(id, &mut |child, name| {
        if children.len() < CHILDREN_MAX {
            children.push((child.to_owned(), (!name.is_empty()).then(|| name.to_vec())));
        }
        child_count += 1;
        ControlFlow::Continue(())
    })?;
    if summary.liveness == Liveness::Unseen && child_count == 0 {
        return Ok(false);
    }
    let ancestry = ancestry(entities, id, &summary)?;
    let descendant_count = descendant_count(entities, id, &children, child_count)?;
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

/// How many distinct organisations lie below `id`, itself not counted; `children` are the first of its `child_count`.
fn descendant_count(
    entities: &dyn Entities,
    id: &str,
    children: &[(String, Option<Vec<u8>>)],
    child_count: u64,
) -> Result<u64> {
    let mut seen = HashSet::from([id.to_owned()]);
    let mut waiting = Vec::new();
    if children.len() as u64 == child_count {
        let children = children.iter().map(|(child, _)| child).filter(|child| seen.insert((*child).clone()));
        waiting.extend(children.cloned());
    } else {
        waiting.push(id.to_owned());
    }
    while let Some(parent) = waiting.pop() {
        entities.children_of(&parent, &mut |child, _| {
            if !seen.contains(child) {
                seen.insert(child.to_owned());
                waiting.push(child.to_owned());
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(seen.len() as u64 - 1)
}
