//! What an organisation's document shows of a contact.

use super::{Liveness, Registers, text};
use crate::projection::json::Object;
use crate::text::{push_words, reversed_digits};

/// The fields of an embedded contact that are shown after its `id` and `name`, in order; all of them
/// are searched, as the name is.
pub const EMBEDDED: &[&str] = &["firstName", "lastName", "email", "phone", "role", "department", "tags"];

/// The fields that have a place of their own in a contact's document, `name` aside.
pub const FIELDS: &[&str] =
    &["firstName", "lastName", "email", "phone", "role", "department", "tags", "createdAt", "updatedAt"];

/// The reference to the organisation: shown as `organisation`, never under its own name.
pub const ORGANISATION: &str = "organisationId";

/// The id of the organisation that a living contact belongs to.
pub fn organisation(registers: &Registers) -> Option<String> {
    if registers.liveness() != Liveness::Alive {
        return None;
    }
    registers.get(ORGANISATION).and_then(text)
}

/// The contact's name as a JSON string: its own, else first and last name, empty parts skipped.
pub fn name(registers: &Registers) -> Option<Vec<u8>> {
    if let Some(own) = registers.get("name") {
        return Some(own.to_vec());
    }
    let parts =
        ["firstName", "lastName"].map(|field| registers.get(field).and_then(text).unwrap_or_default());
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { None } else { serde_json::to_vec(&parts.join(" ")).ok() }
}

/// The contact as it stands in its organisation's document: a JSON object.
pub fn embedded(id: &str, registers: &Registers) -> Vec<u8> {
    let mut json = Vec::with_capacity(256);
    let mut object = Object::open(&mut json);
    object.text("id", id);
    object.raw_if("name", name(registers).as_deref());
    for field in EMBEDDED {
        object.raw_if(field, registers.get(field));
    }
    object.nested("_search", |search| write_search(search, registers));
    object.close();
    json
}

/// Writes what finding needs: the words of the contact, and its phone number's digits reversed.
pub fn write_search(search: &mut Object<'_>, registers: &Registers) {
    let mut words = String::new();
    if let Some(name) = registers.get("name").and_then(text) {
        push_words(&mut words, &name);
    }
    for field in EMBEDDED {
        crate::projection::search::push_field(&mut words, registers.get(field));
    }
    search.text("words", &words);
    let phone = registers.get("phone").and_then(text).and_then(|phone| reversed_digits(&phone));
    if let Some(digits) = phone {
        search.text("phone", &digits);
    }
}
