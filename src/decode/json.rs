//! JSON without a tree: members of an object as they stand, and the canonical form of a value.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Poison;

/// How deep data may be nested, itself counted.
const DEPTH_MAX: usize = 20;
/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 1_000;
/// The most digits of a number: Elasticsearch refuses a document with a longer one.
const DIGITS_MAX: usize = 1_000;
/// Under such keys `serde_json` hands numbers and raw values on: a parser would not take them for keys.
const KEYS_RESERVED: &str = "$serde_json::private::";

/// Up to so many members are compared each with each to find one that repeats: cheaper than sorting.
const FEW: usize = 32;

/// A member of an object: its name, and its value as it stands.
pub(super) type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// The members of an object in their order; a name that repeats is there more than once.
pub(super) struct Members<'a>(pub(super) Vec<Member<'a>>);

impl<'a> Members<'a> {
    /// The members, of those that share a name only the last; sorted when there are many or one repeats.
    pub(super) fn last_of_each(self) -> Vec<Member<'a>> {
        let members = &self.0;
        let repeats = |(at, (name, _)): (usize, &Member<'_>)| {
            members.iter().skip(at + 1).any(|(later, _)| later == name)
        };
        // An object of a hundred thousand members must not cost the square of that.
        if members.len() > FEW || members.iter().enumerate().any(repeats) { self.sorted() } else { self.0 }
    }

    /// The members sorted by their names' bytes, of those that share a name only the last.
    fn sorted(self) -> Vec<Member<'a>> {
        let mut members = self.0;
        // The sort is stable: reversed, the last of equals comes first, which is the one `dedup` keeps.
        members.reverse();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members.dedup_by(|(later, _), (kept, _)| later == kept);
        members
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
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
        deserializer.deserialize_map(Visit)
    }
}

/// A string, borrowed where nothing is escaped in it.
pub(super) struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
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
        deserializer.deserialize_str(Visit)
    }
}

/// The members of the object that `bytes` hold.
pub(super) fn members<'a>(name: &str, bytes: &'a [u8]) -> Result<Members<'a>, Poison> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = String::from_utf8_lossy(bytes);
        format!("{name}: {} found, an object was expected ({error})", super::shown(&text))
    })
}

/// What a JSON string holds; `None` for any other value, and for what is no JSON.
pub(super) fn text(json: &str) -> Option<Cow<'_, str>> {
    if !json.starts_with('"') {
        return None;
    }
    serde_json::from_str(json).ok().map(|Text(text)| text)
}

/// The canonical form of a value inside data: keys sorted, no spaces, unescaped UTF-8. Numbers stay
/// as they are written. Of a key that repeats, the last value stands. Data itself is the first level.
pub(super) fn canonical(name: &str, raw: &RawValue) -> Result<Box<[u8]>, Poison> {
    let json = raw.get();
    let plain = match json.as_bytes().first() {
        Some(b'{' | b'[') => false,
        Some(b'"') => !json.contains('\\'),
        _ => {
            check_number(name, json)?;
            true
        }
    };
    if plain {
        return Ok(json.as_bytes().into());
    }
    let mut out = Vec::with_capacity(json.len());
    push(name, json, 1, &mut out)?;
    Ok(out.into())
}

fn push(name: &str, json: &str, depth: usize, out: &mut Vec<u8>) -> Result<(), Poison> {
    let broken = |error: serde_json::Error| format!("{name}: no JSON ({error})");
    match json.as_bytes().first() {
        Some(b'{') => {
            let depth = deeper(name, depth)?;
            let members: Members<'_> = serde_json::from_str(json).map_err(broken)?;
            out.push(b'{');
            for (at, (key, value)) in members.sorted().iter().enumerate() {
                check_key(key)?;
                if at > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, key).map_err(broken)?;
                out.push(b':');
                push(name, value.get(), depth, out)?;
            }
            out.push(b'}');
        }
        Some(b'[') => {
            let depth = deeper(name, depth)?;
            let Elements(elements) = serde_json::from_str(json).map_err(broken)?;
            out.push(b'[');
            for (at, value) in elements.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                push(name, value.get(), depth, out)?;
            }
            out.push(b']');
        }
        Some(b'"') => {
            let Text(text) = serde_json::from_str(json).map_err(broken)?;
            serde_json::to_writer(&mut *out, &text).map_err(broken)?;
        }
        _ => {
            check_number(name, json)?;
            out.extend_from_slice(json.as_bytes());
        }
    }
    Ok(())
}

/// Refuses the numbers that no index takes. How large a number is does not matter.
fn check_number(name: &str, json: &str) -> Result<(), Poison> {
    if json.len() <= DIGITS_MAX {
        return Ok(());
    }
    match json.bytes().filter(u8::is_ascii_digit).count() {
        digits if digits > DIGITS_MAX => {
            Err(format!("{name}: a number of {digits} digits, at most {DIGITS_MAX} are taken"))
        }
        _ => Ok(()),
    }
}

fn deeper(name: &str, depth: usize) -> Result<usize, Poison> {
    if depth >= DEPTH_MAX {
        return Err(format!("{name}: data is nested more than {DEPTH_MAX} levels deep"));
    }
    Ok(depth + 1)
}

/// Refuses the keys that no index takes.
pub(super) fn check_key(key: &str) -> Result<(), Poison> {
    if key.contains('\0') {
        return Err(format!("data: the key {} holds a NUL", super::shown(key)));
    }
    if key.starts_with(KEYS_RESERVED) {
        return Err(format!("data: the key {} cannot be kept, choose another one", super::shown(key)));
    }
    if key.len() > KEY_BYTES_MAX {
        let (length, key) = (key.len(), super::shown(key));
        return Err(format!("data: the key {key} has {length} bytes, at most {KEY_BYTES_MAX} are taken"));
    }
    Ok(())
}

struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(Visit)
    }
}
