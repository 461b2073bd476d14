//! `contacts`: a contact with its organisation.

use std::sync::Arc;

use super::Entities;
use super::json::Object;
use super::search::push_words;
use super::shared::{ancestry, push_ids, write_attributes, write_log};
use crate::entity::contact::{self, FIELDS, KNOWN};
use crate::entity::organisation::Summary;
use crate::entity::{Fields, Liveness, Shown};
use crate::error::Result;

pub(super) fn materialise(
    entities: &dyn Entities,
    id: &str,
    position: u64,
    out: &mut Vec<u8>,
) -> Result<bool> {
    let mut exists = false;
    entities.contact(id, &mut |contact| {
        exists = contact.liveness() == Liveness::Alive;
        if exists { write(entities, id, contact, position, out) } else { Ok(()) }
    })?;
    Ok(exists)
}

fn write(
    entities: &dyn Entities,
    id: &str,
    contact: &Fields<'_>,
    position: u64,
    out: &mut Vec<u8>,
) -> Result<()> {
    let name = contact::name(contact);
    let mut object = Object::open(out);
    object.text("id", id);
    object.raw_if("name", name.as_deref());
    for field in FIELDS {
        object.raw_if(field, contact.get(field));
    }
    write_attributes(&mut object, contact, KNOWN);
    let organisation = match contact::organisation(contact) {
        Some(organisation) => write_organisation(&mut object, entities, &organisation)?,
        None => None,
    };
    object.nested("_search", |search| {
        search.words("name", |words| push_words(words, name.as_deref()));
        contact::write_search(search, contact);
        search.text("organisation", organisation.as_ref().map_or("", |organisation| organisation.words()));
    });
    write_log(&mut object, position);
    object.close();
    Ok(())
}

/// Writes the organisation, unless it is deleted.
fn write_organisation(
    object: &mut Object<'_>,
    entities: &dyn Entities,
    id: &str,
) -> Result<Option<Arc<Summary>>> {
    let summary = entities.summary(id)?;
    if summary.liveness == Liveness::Deleted {
        return Ok(None);
    }
    let ancestry = ancestry(entities, id, &summary)?;
    object.nested("organisation", |organisation| {
        organisation.text("id", id);
        organisation.raw_if("name", summary.name.as_deref());
        push_ids(organisation.value("ancestorIds"), ancestry.ancestors.iter().map(|ancestor| &*ancestor.id));
    });
    Ok(Some(summary))
}
