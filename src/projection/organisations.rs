//! `organisations`: an organisation with its contacts, parent and ancestors. The search set.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::value::RawValue;

use super::contacts::affiliated;
use super::json::Object;
use super::search::{push_fields, write_sort};
use super::shared::{ancestry, write_ancestry, write_attributes, write_log};
use super::{Entities, Limits};
use crate::entity::organisation::{FIELDS, KNOWN};
use crate::entity::{Fields, Liveness, NULL, Shown};
use crate::error::Result;
use crate::searchable::ORGANISATION;

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
    let summary = entities.summary_of(id, organisation);
    let ancestry = ancestry(entities, id, &summary)?;
    let begin = out.len();
    let mut object = Object::open(out);
    object.text("id", id);
    if liveness == Liveness::Unseen {
        object.yes("stub");
    }
    write_fields(&mut object, organisation);
    write_ancestry(&mut object, &ancestry);
    let count = write_contacts(object.value("contacts"), entities, id, limits)?;
    if liveness == Liveness::Unseen && count == 0 {
        out.truncate(begin);
        return Ok(false);
    }
    if count > 0 {
        // Its contacts are made after it: nothing has to be looked up for them then.
        entities.affiliation(id, &|| Ok(affiliated(id, &summary, &ancestry)))?;
    }
    object.number("contactCount", count);
    if count > embedded_max(limits) {
        object.yes("contactsTruncated");
    }
    object.nested("_search", |search| {
        write_sort(search, organisation.get("name"));
        search.words("words", |out, begin| {
            push_fields(out, begin, (organisation, organisation.get("name")), ORGANISATION)
        });
    });
    write_log(&mut object, position);
    object.close();
    Ok(true)
}

fn embedded_max(limits: Limits) -> u64 {
    u64::try_from(limits.max_embedded_contacts).unwrap_or(u64::MAX)
}

/// Writes the first of the contacts; answers how many there are.
fn write_contacts(out: &mut Vec<u8>, entities: &dyn Entities, id: &str, limits: Limits) -> Result<u64> {
    let (mut count, max) = (0, embedded_max(limits));
    out.push(b'[');
    entities.contacts_of(id, &mut |_, contact| {
        if count < max {
            if count > 0 {
                out.push(b',');
            }
            out.extend_from_slice(contact);
        }
        count += 1;
        ControlFlow::Continue(())
    })?;
    out.push(b']');
    Ok(count)
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
fn without_nulls(address: &[u8]) -> Cow<'_, [u8]> {
    let mut places = address.iter().enumerate().filter(|(_, byte)| NULL.first() == Some(byte));
    if !places.any(|(at, _)| address.get(at..).is_some_and(|rest| rest.starts_with(NULL))) {
        return Cow::Borrowed(address);
    }
    match serde_json::from_slice::<BTreeMap<String, &RawValue>>(address) {
        Ok(mut members) if members.values().any(|value| value.get() == "null") => {
            members.retain(|_, value| value.get() != "null");
            serde_json::to_vec(&members).map_or(Cow::Borrowed(address), Cow::Owned)
        }
        _ => Cow::Borrowed(address),
    }
}
