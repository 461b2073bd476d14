//! Last-writer-wins registers, one for each top-level field.

use serde::{Deserialize, Serialize};

use super::NULL;
use crate::event::{Action, Event};

/// Whether an entity is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// No event of it was ever seen: it is known by references only.
    Unseen,
    /// Its highest write is a replace or a merge.
    Alive,
    /// Its highest write is a delete.
    Deleted,
}

impl Liveness {
    /// The liveness by the highest versions written and deleted.
    pub(crate) fn of(written: Option<u64>, deleted: Option<u64>) -> Self {
        match (written, deleted) {
            (None, None) => Liveness::Unseen,
            (written, deleted) if written > deleted => Liveness::Alive,
            _ => Liveness::Deleted,
        }
    }
}

/// The last write of one field.
///
/// Ordered as docs/events.md orders writes: by version, then a replace above a merge,
/// then by the canonical JSON's bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Register {
    version: u64,
    by_replace: bool,
    #[serde(with = "bytes")]
    json: Box<[u8]>,
}

impl Register {
    /// The version of the write.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether a replace made it (else a merge).
    pub fn is_by_replace(&self) -> bool {
        self.by_replace
    }

    /// The value as canonical JSON; `null` when the write cleared the field.
    pub fn json(&self) -> &[u8] {
        &self.json
    }
}

/// The rule that keeps a write from being seen, for every value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hider {
    /// A delete of its version or above.
    Delete,
    /// A replace above it.
    Replace,
}

/// The folded state of one entity.
///
/// Fields that can never be seen again are dropped: those written below the last replace, or at or below the
/// last delete. Nothing is lost, because those two only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registers {
    deleted: Option<u64>,
    replaced: Option<u64>,
    written: Option<u64>,
    /// By name.
    fields: Vec<(Box<str>, Register)>,
}

impl Registers {
    /// Takes in one event.
    pub fn apply(&mut self, event: &Event) {
        match event.action {
            Action::Delete => self.deleted = self.deleted.max(Some(event.version)),
            Action::Replace => {
                self.replaced = self.replaced.max(Some(event.version));
                self.written = self.written.max(Some(event.version));
            }
            Action::Merge => self.written = self.written.max(Some(event.version)),
        }
        let by_replace = event.action == Action::Replace;
        for field in &event.fields {
            if self.hider(event.version).is_some() {
                break;
            }
            let register = Register { version: event.version, by_replace, json: field.json.clone() };
            self.write(&field.name, register);
        }
        self.prune();
    }

    /// The entity as it would be had this event come last; `None` when no event of a higher version came before it.
    /// A reader of the events in another order has seen it so.
    pub fn as_if_latest(&self, event: &Event) -> Option<Self> {
        if self.written.max(self.deleted) <= Some(event.version) {
            return None;
        }
        let mut supposed = self.clone();
        supposed.apply(&Event { version: u64::MAX, ..event.clone() });
        Some(supposed)
    }

    /// Takes in the state that other events of the same entity were folded to.
    pub fn merge(&mut self, other: Registers) {
        let Registers { deleted, replaced, written, fields } = other;
        self.deleted = self.deleted.max(deleted);
        self.replaced = self.replaced.max(replaced);
        self.written = self.written.max(written);
        for (name, register) in fields {
            self.write(&name, register);
        }
        self.prune();
    }

    /// True when something of a higher version than this was taken in.
    pub fn is_above(&self, version: u64) -> bool {
        self.written.max(self.deleted) > Some(version)
    }

    /// Whether the entity is there.
    pub fn liveness(&self) -> Liveness {
        Liveness::of(self.written, self.deleted)
    }

    /// The value of a field as canonical JSON; `None` when it is absent or cleared.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.register(name).map(|register| &*register.json).filter(|json| *json != NULL)
    }

    /// The fields that have a value, by name, as canonical JSON.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields
            .iter()
            .map(|(name, register)| (&**name, &*register.json))
            .filter(|(_, json)| *json != NULL)
    }

    /// The writes that stand, by field, those that cleared one too.
    pub fn registers(&self) -> impl Iterator<Item = (&str, &Register)> {
        self.fields.iter().map(|(name, register)| (&**name, register))
    }

    /// The write of a field that stands, one that cleared it too.
    pub fn register(&self, name: &str) -> Option<&Register> {
        // Most names differ in their length already, and there are few.
        self.fields.iter().find(|(known, _)| **known == *name).map(|(_, register)| register)
    }

    /// The version of the highest delete.
    pub fn delete_version(&self) -> Option<u64> {
        self.deleted
    }

    /// The version of the highest replace.
    pub fn replace_version(&self) -> Option<u64> {
        self.replaced
    }

    /// The version of the highest replace or merge.
    pub fn write_version(&self) -> Option<u64> {
        self.written
    }

    /// The rule that keeps a write of this version from being seen.
    pub fn hider(&self, version: u64) -> Option<Hider> {
        if Some(version) <= self.deleted {
            Some(Hider::Delete)
        } else {
            (Some(version) < self.replaced).then_some(Hider::Replace)
        }
    }

    fn write(&mut self, name: &str, register: Register) {
        match self.fields.binary_search_by(|(known, _)| (**known).cmp(name)) {
            Ok(at) => {
                if let Some((_, current)) = self.fields.get_mut(at).filter(|(_, current)| *current < register)
                {
                    *current = register;
                }
            }
            Err(at) => self.fields.insert(at, (name.into(), register)),
        }
    }

    fn prune(&mut self) {
        if self.replaced.is_some() || self.deleted.is_some() {
            let (replaced, deleted) = (self.replaced, self.deleted);
            self.fields.retain(|(_, register)| {
                Some(register.version) >= replaced && Some(register.version) > deleted
            });
        }
    }
}

/// JSON as one run of bytes.
mod bytes {
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[u8]>, D::Error> {
        deserializer.deserialize_bytes(BytesVisitor)
    }

    struct BytesVisitor;

    impl<'de> de::Visitor<'de> for BytesVisitor {
        type Value = Box<[u8]>;

        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("bytes")
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Box<[u8]>, E> {
            Ok(bytes.into())
        }

        // As formats without bytes have them, such as JSON.
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut bytes: A) -> Result<Box<[u8]>, A::Error> {
            let mut all = Vec::new();
            while let Some(byte) = bytes.next_element()? {
                all.push(byte);
            }
            Ok(all.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventField;
    use crate::plan::CONTACT;

    fn event(version: u64, action: Action, fields: &[(&str, &str)]) -> Event {
        let fields = fields
            .iter()
            .map(|(name, json)| EventField { name: (*name).to_owned(), json: json.as_bytes().into() });
        let (kind, id) = (CONTACT, "c1".to_owned());
        Event { kind, id, version, sequenced: true, action, fields: fields.collect() }
    }

    fn fold(events: &[Event]) -> Registers {
        let mut registers = Registers::default();
        events.iter().for_each(|event| registers.apply(event));
        registers
    }

    #[test]
    fn a_delete_beats_a_replace_of_equal_version() {
        let events = [event(5, Action::Replace, &[("name", "\"a\"")]), event(5, Action::Delete, &[])];
        assert_eq!(fold(&events).liveness(), Liveness::Deleted);
        assert_eq!(fold(&events).get("name"), None);
    }

    #[test]
    fn a_replace_keeps_what_a_merge_wrote_at_its_version() {
        let events = [
            event(5, Action::Replace, &[("name", "\"a\"")]),
            event(5, Action::Merge, &[("name", "\"z\""), ("email", "\"e\"")]),
            event(4, Action::Merge, &[("phone", "\"1\"")]),
        ];
        let registers = fold(&events);
        assert_eq!(registers.get("name"), Some(&b"\"a\""[..]));
        assert_eq!(registers.get("email"), Some(&b"\"e\""[..]));
        assert_eq!(registers.get("phone"), None);
    }

    #[test]
    fn an_empty_merge_above_a_delete_brings_the_entity_back() {
        let events = [event(1, Action::Delete, &[]), event(2, Action::Merge, &[])];
        assert_eq!(fold(&events).liveness(), Liveness::Alive);
    }

    #[test]
    fn registers_come_back_from_every_format_that_they_are_told_in() {
        let registers = fold(&[event(3, Action::Merge, &[("name", "\"ä\""), ("role", "null")])]);
        let json = serde_json::to_string(&registers).unwrap();
        assert_eq!(serde_json::from_str::<Registers>(&json).unwrap(), registers);
        let bytes = postcard::to_allocvec(&registers).unwrap();
        assert_eq!(postcard::from_bytes::<Registers>(&bytes).unwrap(), registers);
    }

    #[test]
    fn version_zero_counts() {
        let mut registers = fold(&[event(0, Action::Merge, &[("name", "\"a\"")])]);
        assert_eq!(registers.liveness(), Liveness::Alive);
        registers.apply(&event(0, Action::Delete, &[]));
        assert_eq!(registers.liveness(), Liveness::Deleted);
        assert_eq!(registers.get("name"), None);
    }

    #[test]
    fn partial_folds_merge_to_the_whole_fold() {
        let events = [
            event(3, Action::Merge, &[("name", "null"), ("role", "\"r\"")]),
            event(2, Action::Replace, &[("name", "\"b\""), ("email", "\"e\"")]),
            event(1, Action::Delete, &[]),
            event(2, Action::Merge, &[("phone", "\"1\"")]),
        ];
        for cut in 0..=events.len() {
            let mut first = fold(&events[..cut]);
            first.merge(fold(&events[cut..]));
            assert_eq!(first, fold(&events), "cut at {cut}");
        }
    }
}
