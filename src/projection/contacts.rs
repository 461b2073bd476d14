//! `contacts`: a contact with its organisation.

use std::sync::Arc;

use super::json::Object;
use super::search::{push_fields, push_marked, write_sort};
use super::shared::{Ancestry, ancestry, push_ids, write_attributes, write_log};
use super::{Affiliated, Entities};
use crate::entity::affiliation::Affiliation;
use crate::entity::contact::{self, FIELDS, KNOWN};
use crate::entity::organisation::Summary;
use crate::entity::{Fields, Liveness, Shown};
use crate::error::Result;
use crate::searchable::{CONTACT, ORGANISATION_MARK};

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
    let organisation = contact::organisation(contact)
        .map(|id| entities.affiliation(&id, &|| affiliation(entities, &id)))
        .transpose()?;
    object.raw_if("organisation", organisation.as_ref().and_then(Affiliation::object));
    object.nested("_search", |search| {
        write_sort(search, name.as_deref());
        search.words("words", |out, begin| {
            push_fields(out, begin, (contact, name.as_deref()), CONTACT);
            let organisation =
                organisation.as_ref().map(Affiliation::words).filter(|words| !words.is_empty());
            if let Some(words) = organisation {
                if out.len() > begin {
                    out.push(b' ');
                }
                out.extend_from_slice(words);
            }
        });
    });
    write_log(&mut object, position);
    object.close();
    Ok(())
}

/// Makes what contacts show of an organisation, unless it is deleted.
fn affiliation(entities: &dyn Entities, id: &str) -> Result<Affiliated> {
    let summary = entities.summary(id)?;
    if summary.liveness == Liveness::Deleted {
        return Ok((Affiliation::new(id, b"", b""), vec![id.into()]));
    }
    let ancestry = ancestry(entities, id, &summary)?;
    Ok(affiliated(id, &summary, &ancestry))
}

/// What contacts show of an organisation that is not deleted.
pub(super) fn affiliated(id: &str, summary: &Summary, ancestry: &Ancestry) -> Affiliated {
    let (mut json, mut words) = (Vec::new(), Vec::new());
    let mut organisation = Object::open(&mut json);
    organisation.text("id", id);
    organisation.raw_if("name", summary.name.as_deref());
    push_ids(organisation.value("ancestorIds"), ancestry.ancestors.iter().map(|ancestor| &*ancestor.id));
    organisation.close();
    push_marked(&mut words, 0, ORGANISATION_MARK, summary.words());
    let above = ancestry.ancestors.iter().map(|ancestor| Arc::clone(&ancestor.id));
    let of = std::iter::once(id.into()).chain(above).chain(ancestry.end.clone()).collect();
    (Affiliation::new(id, &json, &words), of)
}
