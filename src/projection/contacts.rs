//! `contacts`: a contact with its organisation.

use super::Entities;
use super::json::Object;
use super::search::WORDS_BYTES;
use super::shared::{ancestry, push_ids, write_attributes, write_log};
use crate::entity::contact::{self, FIELDS, KNOWN};
use crate::entity::{Fields, Liveness, Shown, text};
use crate::error::Result;
use crate::text::push_words;

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
    let mut organisation_words = String::new();
    if let Some(organisation) = contact::organisation(contact) {
        write_organisation(&mut object, entities, &organisation, &mut organisation_words)?;
    }
    object.nested("_search", |search| {
        let mut words = String::with_capacity(WORDS_BYTES);
        if let Some(name) = name.as_deref().and_then(text) {
            push_words(&mut words, &name);
        }
        search.text("name", &words);
        contact::write_search(search, contact);
        search.text("organisation", &organisation_words);
    });
    write_log(&mut object, position);
    object.close();
    Ok(())
}

fn write_organisation(
    object: &mut Object<'_>,
    entities: &dyn Entities,
    id: &str,
    words: &mut String,
) -> Result<()> {
    let summary = entities.summary(id)?;
    if summary.liveness == Liveness::Deleted {
        return Ok(());
    }
    let ancestry = ancestry(entities, id, &summary)?;
    object.nested("organisation", |organisation| {
        organisation.text("id", id);
        organisation.raw_if("name", summary.name.as_deref());
        push_ids(organisation.value("ancestorIds"), ancestry.ancestors.iter().map(|ancestor| &*ancestor.id));
    });
    words.push_str(summary.words());
    Ok(())
}
