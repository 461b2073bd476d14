//! What several projections show alike: ancestors, parents, attributes.

use std::collections::HashSet;
use std::sync::Arc;

use super::Entities;
use super::json::{Object, push_list, push_text};
use crate::entity::organisation::Summary;
use crate::entity::{Fields, Liveness};
use crate::error::Result;

/// An organisation as it is referred to.
#[derive(Clone)]
pub(super) struct Reference {
    pub(super) id: Arc<str>,
    summary: Arc<Summary>,
}

impl Reference {
    fn name(&self) -> Option<&[u8]> {
        self.summary.name.as_deref()
    }
}

/// A chain longer than this is looked up in a set.
const SHORT: usize = 16;

/// The chain of parents.
pub(super) struct Ancestry {
    /// The parent, also when it is the organisation itself; none when it is deleted.
    pub(super) parent: Option<Reference>,
    /// The parent first, the root last; ends before the first repeated id.
    pub(super) ancestors: Vec<Reference>,
    /// True when the chain comes back.
    pub(super) cycle: bool,
    /// The organisation that it ends at because that is deleted.
    pub(super) end: Option<Arc<str>>,
}

/// Follows the parents of `id`; a reference to a deleted organisation counts as none.
pub(super) fn ancestry(entities: &dyn Entities, id: &str, summary: &Summary) -> Result<Ancestry> {
    let mut ancestry = Ancestry { parent: None, ancestors: Vec::new(), cycle: false, end: None };
    let mut seen: HashSet<Arc<str>> = HashSet::new();
    let mut next = summary.parent.clone();
    while let Some(parent) = next {
        let found = entities.summary(&parent)?;
        if found.liveness == Liveness::Deleted {
            ancestry.end = Some(parent);
            break;
        }
        next = found.parent.clone();
        let reference = Reference { id: parent, summary: found };
        if ancestry.parent.is_none() {
            ancestry.parent = Some(reference.clone());
        }
        let ancestors = &mut ancestry.ancestors;
        if ancestors.len() == SHORT {
            seen.extend(ancestors.iter().map(|ancestor| Arc::clone(&ancestor.id)));
        }
        let is_repeated = if ancestors.len() < SHORT {
            ancestors.iter().any(|ancestor| ancestor.id == reference.id)
        } else {
            !seen.insert(Arc::clone(&reference.id))
        };
        if is_repeated || *reference.id == *id {
            ancestry.cycle = true;
            break;
        }
        ancestors.push(reference);
    }
    Ok(ancestry)
}

/// Writes `parent`, `ancestors` and `hierarchyCycle`.
pub(super) fn write_ancestry(object: &mut Object<'_>, ancestry: &Ancestry) {
    if let Some(parent) = &ancestry.parent {
        object.nested("parent", |object| write_reference(object, &parent.id, parent.name()));
    }
    push_list(object.value("ancestors"), &ancestry.ancestors, |out, ancestor| {
        push_reference(out, &ancestor.id, ancestor.name());
    });
    if ancestry.cycle {
        object.yes("hierarchyCycle");
    }
}

/// Writes `{"id":…,"name":…}`.
pub(super) fn push_reference(out: &mut Vec<u8>, id: &str, name: Option<&[u8]>) {
    let mut object = Object::open(out);
    write_reference(&mut object, id, name);
    object.close();
}

fn write_reference(object: &mut Object<'_>, id: &str, name: Option<&[u8]>) {
    object.text("id", id);
    object.raw_if("name", name);
}

/// Writes the fields that the contract does not name (not among `known`, which are in the order of names) under `attributes`.
pub(super) fn write_attributes(object: &mut Object<'_>, fields: &Fields<'_>, known: &[&str]) {
    let mut unknown = fields.beside(known).peekable();
    if unknown.peek().is_some() {
        object.nested("attributes", |attributes| {
            unknown.for_each(|(name, json)| attributes.named(name, json));
        });
    }
}

/// Writes `_log`: what the document reflects.
pub(super) fn write_log(object: &mut Object<'_>, position: u64) {
    object.nested("_log", |log| log.number("position", position));
}

/// Writes a JSON string list of ids.
pub(super) fn push_ids<'a>(out: &mut Vec<u8>, ids: impl Iterator<Item = &'a str>) {
    push_list(out, ids, push_text);
}
