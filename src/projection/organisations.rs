//! `organisations`: an organisation with its contacts, parent and ancestors. The search set.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::value::RawValue;

use super::json::Object;
use super::search::WORDS_BYTES;
use super::shared::{ancestry, write_ancestry, write_attributes, write_log};
use super::{Entities, Limits};
use crate::entity::organisation::{FIELDS, KNOWN, SEARCHED};
use crate::entity::{Fields, Liveness, Shown, text};
use crate::error::Result;
use crate::projection::search::push_field;
use crate::text::{push_words, reversed_digits};

/// The contacts as they go into the document.
struct Embedded {
    json: Vec<u8>,
    count: u64,
    truncated: bool,
}

pub(super) fn materialise(
    entities: &dyn Entities,
    id: &str,
    limits: Limits,
    position: u64,
    out: &mut Vec<u8>,
) -> Result<bool> {
    let mut exists = false;
    entities.organisation(id, &mut |organisation| {
        exists = write(entities, id, organisation, (limits, position), out)?;
        Ok(())
    })?;
    Ok(exists)
}

fn write(
    entities: &dyn Entities,
    id: &str,
    organisation: &Fields<'_>,
    (limits, position): (Limits, u64),
    out: &mut Vec<u8>,
) -> Result<bool> {
    let liveness = organisation.liveness();
    if liveness == Liveness::Deleted {
        return Ok(false);
    }
    let contacts = embedded_contacts(entities, id, limits)?;
    if liveness == Liveness::Unseen && contacts.count == 0 {
        return Ok(false);
    }
    let ancestry = ancestry(entities, id, &entities.summary_of(id, organisation))?;
    let mut object = Object::open(out);
    object.text("id", id);
    if liveness == Liveness::Unseen {
        object.yes("stub");
    }
    write_fields(&mut object, organisation);
    write_ancestry(&mut object, &ancestry);
    object.raw("contacts", &contacts.json);
    object.number("contactCount", contacts.count);
    if contacts.truncated {
        object.yes("contactsTruncated");
    }
    object.nested("_search", |search| write_search(search, organisation));
    write_log(&mut object, position);
    object.close();
    Ok(true)
}

fn embedded_contacts(entities: &dyn Entities, id: &str, limits: Limits) -> Result<Embedded> {
    let mut embedded = Embedded { json: vec![b'['], count: 0, truncated: false };
    let max = u64::try_from(limits.max_embedded_contacts).unwrap_or(u64::MAX);
    entities.contacts_of(id, &mut |_, contact| {
        if embedded.count < max {
            if embedded.count > 0 {
                embedded.json.push(b',');
            }
            embedded.json.extend_from_slice(contact);
        }
        embedded.count += 1;
        ControlFlow::Continue(())
    })?;
    embedded.truncated = embedded.count > max;
    embedded.json.push(b']');
    Ok(embedded)
}

fn write_fields(object: &mut Object<'_>, organisation: &Fields<'_>) {
    for field in FIELDS {
        match organisation.get(field) {
            Some(address) if *field == "address" => object.raw(field, &without_nulls(address)),
            value => object.raw_if(field, value),
        }
    }
    write_attributes(object, organisation, KNOWN);
}

/// An address without the members that are null: absent members are left out, never null.
fn without_nulls(address: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<BTreeMap<String, &RawValue>>(address) {
        Ok(mut members) if members.values().any(|value| value.get() == "null") => {
            members.retain(|_, value| value.get() != "null");
            serde_json::to_vec(&members).unwrap_or_else(|_| address.to_vec())
        }
        _ => address.to_vec(),
    }
}

fn write_search(search: &mut Object<'_>, organisation: &Fields<'_>) {
    let mut name = String::new();
    if let Some(own) = organisation.get("name").and_then(text) {
        push_words(&mut name, &own);
    }
    search.text("name", &name);
    let mut words = String::with_capacity(WORDS_BYTES);
    SEARCHED.iter().for_each(|field| push_field(&mut words, organisation.get(field)));
    search.text("words", &words);
    let phone = organisation.get("phone").and_then(text).and_then(|phone| reversed_digits(&phone));
    if let Some(digits) = phone {
        search.text("phone", &digits);
    }
}
