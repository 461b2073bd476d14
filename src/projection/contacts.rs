//! `contacts`: a contact with its organisation.

use super::Entities;
use super::json::Object;
use super::shared::{ancestry, push_ids, write_attributes, write_log};
use crate::entity::contact::{self, FIELDS, ORGANISATION};
use crate::entity::{Liveness, text};
use crate::error::Result;
use crate::text::push_words;

pub(super) fn materialise(
    entities: &dyn Entities,
    id: &str,
    position: u64,
    out: &mut Vec<u8>,
) -> Result<bool> {
    let registers = entities.contact(id)?;
    if registers.liveness() != Liveness::Alive {
        return Ok(false);
    }
    let name = contact::name(&registers);
    let mut object = Object::open(out);
    object.text("id", id);
    object.raw_if("name", name.as_deref());
    for field in FIELDS {
        object.raw_if(field, registers.get(field));
    }
    write_attributes(&mut object, &registers, &[FIELDS], &["id", "name", ORGANISATION]);
    let mut organisation_words = String::new();
    if let Some(organisation) = contact::organisation(&registers) {
        write_organisation(&mut object, entities, &organisation, &mut organisation_words)?;
    }
    object.nested("_search", |search| {
        let mut words = String::new();
        if let Some(name) = name.as_deref().and_then(text) {
            push_words(&mut words, &name);
        }
        search.text("name", &words);
        contact::write_search(search, &registers);
        search.text("organisation", &organisation_words);
    });
    write_log(&mut object, position);
    object.close();
    Ok(true)
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
        push_ids(
            organisation.value("ancestorIds"),
            ancestry.ancestors.iter().map(|ancestor| ancestor.id.as_str()),
        );
    });
    words.push_str(summary.words());
    Ok(())
}
