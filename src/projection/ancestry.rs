//! The way up a tree.

use std::collections::HashSet;
use std::sync::Arc;

use super::Entities;
use crate::entity::{Header, Liveness};
use crate::error::Result;
use crate::plan::EntityType;

/// A chain longer than this is looked up in a set.
const SHORT: usize = 16;

/// An entity that a reference names.
#[derive(Clone)]
pub(super) struct Referent {
    pub(super) id: Arc<str>,
    pub(super) header: Arc<Header>,
}

/// The entities above one.
#[derive(Default)]
pub(super) struct Ancestry {
    /// The nearest first; ends before the first repeated id.
    pub(super) ancestors: Vec<Referent>,
    /// True when the chain comes back.
    pub(super) cycle: bool,
    /// The entity that it ends at because that is deleted.
    pub(super) end: Option<Arc<str>>,
}

/// Follows the reference in the header slot `slot` upwards from `first`, the parent of `id`; a reference to a deleted entity
/// counts as none.
pub(super) fn ancestry(
    entities: &dyn Entities,
    (entity_type, slot): (EntityType, u16),
    id: &str,
    first: Option<Arc<str>>,
) -> Result<Ancestry> {
    let mut ancestry = Ancestry::default();
    let mut ancestor_ids: HashSet<Arc<str>> = HashSet::new();
    let mut next = first;
    while let Some(parent) = next {
        let header = entities.header(entity_type, &parent)?;
        if header.liveness == Liveness::Deleted {
            ancestry.end = Some(parent);
            break;
        }
        next = header.reference(slot).first().cloned();
        let ancestors = &mut ancestry.ancestors;
        if ancestors.len() == SHORT {
            ancestor_ids.extend(ancestors.iter().map(|ancestor| Arc::clone(&ancestor.id)));
        }
        let is_repeated = if ancestors.len() < SHORT {
            ancestors.iter().any(|ancestor| ancestor.id == parent)
        } else {
            !ancestor_ids.insert(Arc::clone(&parent))
        };
        if is_repeated || *parent == *id {
            ancestry.cycle = true;
            break;
        }
        ancestors.push(Referent { id: parent, header });
    }
    Ok(ancestry)
}
