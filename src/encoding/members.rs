//! The members of an object of JSON as they stand, without a tree.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Up to so many members are compared each with each to find one that repeats: cheaper than sorting.
const FEW: usize = 32;

/// A member of an object: its name, and its value as it stands.
pub(crate) type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// The members of an object in their order; a name that repeats is there more than once.
pub(crate) struct Members<'a>(pub(crate) Vec<Member<'a>>);

impl<'a> Members<'a> {
    /// The members, of those that share a name only the last; sorted when there are many or one repeats.
    pub(crate) fn last_of_each(self) -> Vec<Member<'a>> {
        let members = &self.0;
        let repeats = |(at, (name, _)): (usize, &Member<'_>)| {
            members.iter().skip(at + 1).any(|(later, _)| later == name)
        };
        // An object of a hundred thousand members must not cost the square of that.
        if members.len() > FEW || members.iter().enumerate().any(repeats) {
            self.into_sorted()
        } else {
            self.0
        }
    }

    /// The members sorted by their names' bytes, of those that share a name only the last.
    pub(crate) fn into_sorted(self) -> Vec<Member<'a>> {
        let mut members = self.0;
        // The sort is stable: reversed, the last of equals comes first, which is the one `dedup` keeps.
        members.reverse();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members.dedup_by(|(later, _), (earlier, _)| later == earlier);
        members
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some(Text(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// A string, borrowed where nothing is escaped in it.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// The text of a JSON string; `None` for any other value, and for a text that is no JSON.
pub(crate) fn text(json: &str) -> Option<Cow<'_, str>> {
    if !json.starts_with('"') {
        return None;
    }
    serde_json::from_str(json).ok().map(|Text(text)| text)
}
