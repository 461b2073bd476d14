//! A state whose documents another plan made.
//!
//! Entities are the same by both plans, or the state is refused. Fan-outs, marks and backfills name projections and routes by
//! their numbers, so they go, and every document is looked at anew. Rows of relations that the other plan did not have are
//! made of the rows of their members: a row depends on its member alone.

use std::ops::ControlFlow;

use super::copy;
use super::keys::{PLAN_KEY, PROGRESS_KEY, Space, member_key};
use super::rows::{self, Row};
use super::store::{Changes, StateStore};
use crate::error::{Error, Result};
use crate::plan::{PlanRef, Projection, Relation};
use crate::projection::{owners, row};

/// So many members are related by one commit.
const MEMBERS_MAX: usize = 2_000;

/// Makes the content of the store fit the plan.
///
/// # Errors
/// Those of the store.
pub(super) fn take(store: &dyn StateStore, plan: PlanRef) -> Result<()> {
    let is_plain = plan.is_built_in() && !plan.projections().any(Projection::has_children);
    let shape = plan.shape();
    let view = store.view();
    let entry = view
        .get(Space::META, PLAN_KEY)?
        .map(|bytes| rows::decode::<(u64, Vec<String>)>(&bytes))
        .transpose()?;
    if entry.as_ref().map_or(is_plain, |(former_shape, _)| *former_shape == shape) {
        return Ok(());
    }
    let is_new = view.get(Space::META, PROGRESS_KEY)?.is_none();
    if !is_new {
        tracing::debug!("the projections of the model changed since the state was written");
        copy::strip(store)?;
        let known = entry.map(|(_, relations)| relations).unwrap_or_default();
        // The built-in model has the same relations with every layout.
        let is_known =
            |relation: &Relation| plan.is_built_in() || known.iter().any(|name| **name == *relation.name);
        for relation in plan.relations().filter(|relation| !is_known(relation)) {
            relate(store, relation)?;
        }
    }
    let names: Vec<String> = plan.relations().map(|relation| relation.name.to_string()).collect();
    let mut changes = Changes::default();
    if is_plain {
        changes.remove(Space::META, PLAN_KEY.to_vec());
    } else {
        changes.put(Space::META, PLAN_KEY.to_vec(), rows::encode(&(shape, names))?);
    }
    store.commit(changes)?;
    store.sync()
}

/// Makes all rows of a relation.
fn relate(store: &dyn StateStore, relation: Relation) -> Result<()> {
    let (space, members) = (Space::of_relation(relation), Space::of_type(relation.member()));
    store.clear(space)?;
    let mut after = Vec::new();
    loop {
        let (mut changes, mut count, mut last) = (Changes::default(), 0, None);
        store.view().scan(members, &[], &after, &mut |key, value| {
            let registers = Row::decode(value)?.registers;
            let id = std::str::from_utf8(key).map_err(|error| {
                Error::failure("a key in the state is damaged; delete the state's folder and start again")
                    .because(error)
            })?;
            for owner in owners(relation, &registers) {
                changes.put(space, member_key(&owner, id), row(relation, id, &registers));
            }
            count += 1;
            if count < MEMBERS_MAX {
                return Ok(ControlFlow::Continue(()));
            }
            last = Some(key.to_vec());
            Ok(ControlFlow::Break(()))
        })?;
        if !changes.is_empty() {
            store.commit(changes)?;
        }
        match last {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}
