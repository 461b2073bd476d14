//! JSON without a tree: members of an object as they stand, and the canonical form of a value.

use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Poison;
pub(super) use crate::encoding::{Member, Members, Text, text};

/// How deep data may be nested, itself counted.
const DEPTH_MAX: usize = 20;
/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 1_000;
/// The most digits of a number: Elasticsearch refuses a document with a longer one.
const DIGITS_MAX: usize = 1_000;
/// Under such keys `serde_json` hands numbers and raw values on: a parser would not take them for keys.
const KEYS_RESERVED: &str = "$serde_json::private::";

/// The members of the object that `bytes` hold.
pub(super) fn members<'a>(name: &str, bytes: &'a [u8]) -> Result<Members<'a>, Poison> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = String::from_utf8_lossy(bytes);
        format!("{name}: {} found, an object was expected ({error})", super::excerpt(&text))
    })
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
            for (at, (key, value)) in members.into_sorted().iter().enumerate() {
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
        return Err(format!("data: the key {} holds a NUL", super::excerpt(key)));
    }
    if key.starts_with(KEYS_RESERVED) {
        return Err(format!("data: the key {} cannot be kept, choose another one", super::excerpt(key)));
    }
    if key.len() > KEY_BYTES_MAX {
        let (length, key) = (key.len(), super::excerpt(key));
        return Err(format!("data: the key {key} has {length} bytes, at most {KEY_BYTES_MAX} are taken"));
    }
    Ok(())
}

struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ElementsVisitor;
        impl<'de> Visitor<'de> for ElementsVisitor {
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
        deserializer.deserialize_seq(ElementsVisitor)
    }
}
