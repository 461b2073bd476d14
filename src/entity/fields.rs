//! An entity as documents read it, over the bytes that it is kept in: nothing is copied.

use serde::{Deserialize, Deserializer};

use super::{Liveness, NULL, Registers};

/// The fields of an entity, as documents read them.
pub trait EntityFields {
    /// Whether the entity is there.
    fn liveness(&self) -> Liveness;

    /// The value of a field as canonical JSON; `None` when it is absent or cleared.
    fn get(&self, name: &str) -> Option<&[u8]>;

    /// Visits the fields that have a value, by name, as canonical JSON.
    fn each(&self, visit: &mut dyn FnMut(&str, &[u8]));
}

impl EntityFields for Registers {
    fn liveness(&self) -> Liveness {
        self.liveness()
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        self.get(name)
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        self.fields().for_each(|(name, json)| visit(name, json));
    }
}

/// [`Registers`] of which only the shown parts are read, from their encoded bytes.
#[derive(Debug, Default, Deserialize)]
pub struct Fields<'a> {
    deleted: Option<u64>,
    _replaced: Option<u64>,
    written: Option<u64>,
    /// By name.
    #[serde(borrow)]
    fields: Vec<EncodedField<'a>>,
}

#[derive(Debug)]
struct EncodedField<'a> {
    /// The beginning of the name: most names are told apart by it.
    key: u64,
    name: &'a [u8],
    json: &'a [u8],
}

/// A register whose write is of no interest.
#[derive(Deserialize)]
struct Value<'a> {
    _version: u64,
    _by_replace: bool,
    #[serde(borrow)]
    json: &'a [u8],
}

impl<'de: 'a, 'a> Deserialize<'de> for EncodedField<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (name, value) = <(&'a [u8], Value<'a>)>::deserialize(deserializer)?;
        Ok(Self { key: key_of(name), name, json: value.json })
    }
}

/// The first eight bytes of a name: a name with a lower key is a lower name.
fn key_of(name: &[u8]) -> u64 {
    match name.first_chunk::<8>() {
        Some(first) => u64::from_be_bytes(*first),
        // Of four bytes and more, the first four and the last four overlap.
        None => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                let (first, last) = (u32::from_be_bytes(*first), u32::from_be_bytes(*last));
                let behind = u64::from(last) << (64 - 8 * name.len());
                (u64::from(first) << 32) | (behind & u64::from(u32::MAX))
            }
            _ => {
                let bytes = name.iter().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte));
                (bytes << (8 * (7 - name.len()))) << 8
            }
        },
    }
}

/// Whether two names, each with its key, are one. Of a short name the key is the whole.
fn is_same(left: (u64, &[u8]), right: (u64, &[u8])) -> bool {
    left.0 == right.0 && left.1.len() == right.1.len() && (left.1.len() <= 8 || left.1 == right.1)
}

impl EntityFields for Fields<'_> {
    fn liveness(&self) -> Liveness {
        Liveness::of(self.written, self.deleted)
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        let (key, name) = (key_of(name.as_bytes()), name.as_bytes());
        let found = self.fields.iter().find(|field| is_same((field.key, field.name), (key, name)));
        found.map(|field| field.json).filter(|json| *json != NULL)
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        for field in self.fields.iter().filter(|field| field.json != NULL) {
            if let Ok(name) = std::str::from_utf8(field.name) {
                visit(name, field.json);
            }
        }
    }
}

impl Fields<'_> {
    /// The fields that have a value and are not among `known`, as names and canonical JSON. `known` is in the order of
    /// names, and so are they.
    pub fn fields_except(&self, known: &[&str]) -> impl Iterator<Item = (&str, &[u8])> {
        let mut known = known.iter().map(|name| (key_of(name.as_bytes()), name.as_bytes())).peekable();
        self.fields.iter().filter_map(move |field| {
            let name = (field.key, field.name);
            let is_known = |known: &(u64, &[u8])| is_same(*known, name);
            while known.next_if(|known| known.0 < name.0 || !is_known(known) && *known < name).is_some() {}
            let is_shown = !known.peek().is_some_and(is_known) && field.json != NULL;
            let name = if is_shown { std::str::from_utf8(field.name).ok() } else { None };
            name.map(|name| (name, field.json))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Action, Event, EventField};
    use crate::plan::CONTACT;

    use proptest::prelude::*;

    fn event(version: u64, action: Action, fields: Vec<(String, &str)>) -> Event {
        let fields = fields.into_iter().map(|(name, json)| EventField { name, json: json.as_bytes().into() });
        let (kind, id) = (CONTACT, "c1".to_owned());
        Event { kind, id, version, sequenced: true, action, fields: fields.collect() }
    }

    fn fields() -> impl Strategy<Value = Vec<(String, &'static str)>> {
        let name = prop_oneof!["[a-c]{0,3}", "organisation[ab]{0,2}", "[äa]{0,5}"];
        proptest::collection::vec((name, prop_oneof![Just("null"), Just("\"x\""), Just("{}")]), 0..8)
    }

    proptest! {
        #[test]
        fn they_show_what_the_registers_do(
            before in fields(),
            after in fields(),
            deleted in proptest::option::of(0u64..4),
            known in proptest::collection::btree_set("[a-cä]{0,3}", 0..6),
        ) {
            let mut registers = Registers::default();
            registers.apply(&event(1, Action::Replace, before));
            registers.apply(&event(2, Action::Merge, after));
            if let Some(version) = deleted {
                registers.apply(&event(version, Action::Delete, Vec::new()));
            }
            let bytes = postcard::to_allocvec(&registers).unwrap();
            let shown: Fields<'_> = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(shown.liveness(), registers.liveness());
            for (name, _) in registers.registers() {
                prop_assert_eq!(shown.get(name), registers.get(name));
            }
            prop_assert_eq!(shown.get("absent"), None);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let beside: Vec<_> = shown.fields_except(&known).collect();
            let expected: Vec<_> = registers.fields().filter(|(name, _)| !known.contains(name)).collect();
            prop_assert_eq!(beside, expected);
        }
    }
}
