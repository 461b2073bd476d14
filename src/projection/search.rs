//! The words that finding needs of a document's fields.

use serde_json::Value;

use crate::entity::plain_text;
use crate::text::push_words;

/// About how much room the words of an entity take.
pub const WORDS_BYTES: usize = 160;

/// Appends the words of a field that is searched; a phone number is found by its digits too, but
/// what is written in it counts as words.
pub fn push_field(words: &mut String, json: Option<&[u8]>) {
    let Some(json) = json else { return };
    if let Some(text) = plain_text(json) {
        return push_words(words, text);
    }
    match serde_json::from_slice(json) {
        Ok(Value::String(text)) => push_words(words, &text),
        Ok(Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).for_each(|text| push_words(words, text))
        }
        Ok(Value::Object(members)) => {
            members.values().filter_map(Value::as_str).for_each(|text| push_words(words, text));
        }
        _ => {}
    }
}
