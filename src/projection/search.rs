//! The words that finding needs of a document's fields.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::entity::plain_text;
use crate::text::Words;

/// Appends the words of a field that is searched: a text, or the texts of a list or an object. A phone number is found
/// by its digits too, but what is written in it counts as words.
pub fn push_field(words: &mut Words<'_>, json: Option<&[u8]>) {
    let Some(json) = json else { return };
    if let Some(text) = plain_text(json) {
        return words.push(text);
    }
    // What the state holds was valid JSON when it was folded.
    let _ = Texts { words, is_inner: false }.deserialize(&mut serde_json::Deserializer::from_slice(json));
}

/// Pushes the words of a value's texts.
struct Texts<'a, 'b> {
    words: &'a mut Words<'b>,
    /// True of what lies in a list or an object: of those in turn nothing is searched.
    is_inner: bool,
}

impl<'de> DeserializeSeed<'de> for Texts<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.words.push(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let is_passed = self.is_inner;
        while items.next_element_seed(Item { words: self.words, is_passed })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let is_passed = self.is_inner;
        while members.next_key::<IgnoredAny>()?.is_some() {
            members.next_value_seed(Item { words: self.words, is_passed })?;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// What lies in a list or an object.
struct Item<'a, 'b> {
    words: &'a mut Words<'b>,
    is_passed: bool,
}

impl<'de> DeserializeSeed<'de> for Item<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.is_passed {
            deserializer.deserialize_ignored_any(IgnoredAny).map(drop)
        } else {
            Texts { words: self.words, is_inner: true }.deserialize(deserializer)
        }
    }
}
