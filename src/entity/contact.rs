//! What an organisation's document shows of a contact.

use std::borrow::Cow;

use super::{Liveness, Shown, text};
use crate::projection::json::Object;
use crate::projection::search::push_fields;
use crate::searchable;

/// The fields of an embedded contact that are shown after its `id` and `name`, in order; all of them
/// are searched, as the name is.
pub const EMBEDDED: &[&str] = &["firstName", "lastName", "email", "phone", "role", "department", "tags"];

/// The fields that have a place of their own in a contact's document, `name` aside.
pub const FIELDS: &[&str] =
    &["firstName", "lastName", "email", "phone", "role", "department", "tags", "createdAt", "updatedAt"];

/// Everything of a contact that is no attribute, in the order of names.
pub const KNOWN: &[&str] = &[
    "createdAt",
    "department",
    "email",
    "firstName",
    "id",
    "lastName",
    "name",
    "organisationId",
    "phone",
    "role",
    "tags",
    "updatedAt",
];

/// The reference to the organisation: shown as `organisation`, never under its own name.
pub const ORGANISATION: &str = "organisationId";

/// The id of the organisation that a living contact belongs to.
pub fn organisation(contact: &impl Shown) -> Option<Cow<'_, str>> {
    if contact.liveness() != Liveness::Alive {
        return None;
    }
    contact.get(ORGANISATION).and_then(text)
}

/// The contact's name as a JSON string: its own, else first and last name, empty parts skipped.
pub fn name(contact: &impl Shown) -> Option<Cow<'_, [u8]>> {
    if let Some(own) = contact.get("name") {
        return Some(Cow::Borrowed(own));
    }
    match ["firstName", "lastName"].map(|field| contact.get(field).filter(|json| is_filled(json))) {
        [None, None] => None,
        [Some(only), None] | [None, Some(only)] => Some(Cow::Borrowed(only)),
        // Between their quotes canonical strings are put together as they are.
        [Some(first), Some(last)] => {
            let ends = [first.strip_suffix(b"\"")?, last.strip_prefix(b"\"")?];
            Some(Cow::Owned(ends.join(&b' ')))
        }
    }
}

/// Whether canonical JSON is a string that is not empty.
fn is_filled(json: &[u8]) -> bool {
    json.first() == Some(&b'"') && json.len() > 2
}

/// The contact as it stands in its organisation's document: a JSON object.
pub fn embedded(id: &str, contact: &impl Shown) -> Vec<u8> {
    let mut json = Vec::with_capacity(512);
    let mut object = Object::open(&mut json);
    object.text("id", id);
    let name = name(contact);
    object.raw_if("name", name.as_deref());
    for field in EMBEDDED {
        object.raw_if(field, contact.get(field));
    }
    object.words("_search", |out, begin| {
        push_fields(out, begin, (contact, name.as_deref()), searchable::CONTACT)
    });
    object.close();
    json
}

#[cfg(test)]
mod tests {
    use super::super::organisation;
    use super::*;
    use crate::entity::Registers;
    use crate::event::{Action, EntityKind, Event, Field};

    #[test]
    fn a_name_is_the_own_one_or_both_of_the_others_as_far_as_they_are_texts() {
        let name_of = |fields: &[(&str, &str)]| {
            let field = |(name, json): &(&str, &str)| Field {
                name: (*name).to_owned(),
                json: json.as_bytes().into(),
            };
            let (kind, id, fields) =
                (EntityKind::Contact, "c1".to_owned(), fields.iter().map(field).collect());
            let mut contact = Registers::default();
            contact.apply(&Event { kind, id, version: 1, sequenced: true, action: Action::Replace, fields });
            name(&contact).map(|json| String::from_utf8(json.into_owned()).unwrap())
        };
        let both = |first, last| name_of(&[("firstName", first), ("lastName", last)]);
        assert_eq!(name_of(&[("name", "7"), ("firstName", "\"Ada\"")]).unwrap(), "7");
        assert_eq!(both(r#""A \"da""#, r#""Löve\\lace""#).unwrap(), r#""A \"da Löve\\lace""#);
        assert_eq!(both("\"Ada\"", "\"\"").unwrap(), "\"Ada\"");
        assert_eq!(both("[\"Ada\"]", "\"Lovelace\"").unwrap(), "\"Lovelace\"");
        assert_eq!((both("null", "5"), name_of(&[])), (None, None));
    }

    #[test]
    fn what_is_known_is_every_field_with_a_place_in_the_order_of_names() {
        let check = |known: &[&str], fields: &[&str], own: &[&str]| {
            let mut expected = [fields, own].concat();
            expected.sort_unstable();
            assert_eq!(known, expected);
        };
        check(KNOWN, FIELDS, &["id", "name", ORGANISATION]);
        check(organisation::KNOWN, organisation::FIELDS, &["id", organisation::PARENT]);
    }
}
