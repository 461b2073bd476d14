//! Whether a route from a changed entity leads to a document. The check goes forward, from the document to the
//! entities that it shows.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Entities, Projection};
use crate::entity::References;
use crate::error::Result;
use crate::plan::{EntityType, Hop, Mark, PlanRef, Route};

/// True when a route by these rules may come to the document of `id` from one of the `roots`. Where the way forward is not
/// one of references alone, it may come to every document of the projection.
///
/// # Errors
/// Those of the state.
pub fn may_reach(
    entities: &dyn Entities,
    (plan, route, rules): (PlanRef, &Route, u128),
    (projection, id): (Projection, &str),
    roots: &dyn Fn(&str) -> bool,
) -> Result<bool> {
    let mut hops = vec![route.hop];
    may_reach_by(entities, (plan, route, rules), (projection, id), roots, &mut hops)
}

fn may_reach_by(
    entities: &dyn Entities,
    (plan, route, rules): (PlanRef, &Route, u128),
    (projection, id): (Projection, &str),
    roots: &dyn Fn(&str) -> bool,
    hops: &mut Vec<Hop>,
) -> Result<bool> {
    for mark in &route.marks {
        if mark.projection == projection.number()
            && mark.rule & rules != 0
            && let Some(id) = end(projection, mark, route.hop, id)
            && begins_at(entities, plan, &id, hops, roots)?
        {
            return Ok(true);
        }
    }
    for next in
        route.next.iter().filter_map(|number| plan.route(*number)).filter(|next| next.rules & rules != 0)
    {
        hops.push(next.hop);
        if may_reach_by(entities, (plan, next, rules), (projection, id), roots, hops)? {
            return Ok(true);
        }
        hops.pop();
    }
    Ok(false)
}

/// The entity at which a route ends that marks the document of a key; `None` where the mark means others.
fn end(projection: Projection, mark: &Mark, hop: Hop, key: &str) -> Option<String> {
    let marked = mark.child.and_then(|number| projection.get().embeds.get(usize::from(number)));
    match (projection.child(key), marked) {
        (None, None) => Some(key.to_owned()),
        (Some(child), Some(embed)) if child.embed.name == embed.name => Some(match hop {
            Hop::Up { .. } | Hop::Above { .. } => child.owner.into_owned(),
            Hop::Down { .. } | Hop::Below { .. } => child.member.to_owned(),
        }),
        _ => None,
    }
}

/// Whether the hops that end at `id` can begin at one of the `roots`.
fn begins_at(
    entities: &dyn Entities,
    plan: PlanRef,
    id: &str,
    hops: &[Hop],
    roots: &dyn Fn(&str) -> bool,
) -> Result<bool> {
    let mut at: HashSet<Arc<str>> = HashSet::from([id.into()]);
    for hop in hops.iter().rev() {
        let (relation, is_tree) = match hop {
            Hop::Down { relation } => (*relation, false),
            Hop::Below { relation } => (*relation, true),
            Hop::Up { .. } | Hop::Above { .. } => return Ok(true),
        };
        let Some(relation) = plan.relation_of_number(relation) else { return Ok(true) };
        let (of, field) = (relation.member(), relation.field);
        let mut before = if is_tree { at.clone() } else { HashSet::new() };
        let mut waiting: Vec<Arc<str>> = at.into_iter().collect();
        while let Some(id) = waiting.pop() {
            for owner in references(entities, of, &id, field)?.ids() {
                if before.insert(Arc::clone(owner)) && is_tree {
                    waiting.push(Arc::clone(owner));
                }
            }
        }
        at = before;
    }
    Ok(at.iter().any(|id| roots(id)))
}

/// The entities that a reference of an entity names.
pub fn references(entities: &dyn Entities, of: EntityType, id: &str, field: u16) -> Result<References> {
    let mut references = References::Absent;
    entities.entity(of, id, &mut |entity| {
        references = References::of(entity, of.field_at(field).name);
        Ok(())
    })?;
    Ok(references)
}
