//! What finding needs of a document's fields.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::json::Object;
use crate::entity::text;
use crate::text::{Words, reversed_digits};

/// Appends the words of a text; none of what is no text.
pub fn push_words(words: &mut Words<'_>, json: Option<&[u8]>) {
    if let Some(text) = json.and_then(text) {
        words.push(&text);
    }
}

/// Appends the words of a field that is searched: a text, or the texts of a list or an object. A phone number is found
/// by its digits too, but what is written in it counts as words.
pub fn push_field(words: &mut Words<'_>, json: Option<&[u8]>) {
    let push = |words: &mut Words<'_>, value: &RawValue| push_words(words, Some(value.get().as_bytes()));
    // What the state holds is canonical, and was valid when it was folded.
    match json.and_then(|json| Some((json, json.first()?))) {
        Some((json, b'[')) => {
            let items: Vec<&RawValue> = serde_json::from_slice(json).unwrap_or_default();
            items.into_iter().for_each(|item| push(words, item));
        }
        Some((json, b'{')) => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_slice(json).unwrap_or_default();
            members.into_values().for_each(|member| push(words, member));
        }
        _ => push_words(words, json),
    }
}

/// Writes the digits of a phone number, last first, when there are enough.
pub fn write_phone(search: &mut Object<'_>, json: Option<&[u8]>) {
    if let Some(digits) = json.and_then(text).and_then(|phone| reversed_digits(&phone)) {
        search.text("phone", &digits);
    }
}
