//! Records as they lie in the log, and events as the fold takes them.

use crate::plan::EntityType;
use crate::position::TopicPartition;

/// The longest id that every index takes, in bytes.
pub const ID_BYTES_MAX: usize = 512;

/// One record of the log, undecoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The entity type that the record's topic carries.
    pub kind: EntityType,
    /// Where the record lies.
    pub partition: TopicPartition,
    /// The record's offset in its partition.
    pub offset: i64,
    /// Milliseconds since the Unix epoch; 0 when the log does not say.
    pub timestamp_ms: i64,
    /// The key's bytes; `None` when it is null.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers in their order, names may repeat.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The id that the log gives to the record itself, where it gives one.
    pub id: Option<Box<str>>,
    /// Why the source could not read a record here at all (a line of a file that is no record). `value` then
    /// holds the content that was found.
    pub malformed: Option<String>,
}

impl Record {
    /// The record at this place, of which nothing else is known: a tombstone without a key.
    pub fn new(kind: EntityType, partition: TopicPartition, offset: i64) -> Self {
        Self {
            kind,
            partition,
            offset,
            timestamp_ms: 0,
            key: None,
            value: None,
            headers: Vec::new(),
            id: None,
            malformed: None,
        }
    }
}

/// The effect of an event on its entity (docs/events.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The data is the whole state.
    Replace,
    /// The data is a JSON merge patch on the top-level fields (RFC 7396).
    Merge,
    /// The entity is deleted.
    Delete,
}

/// One field that an event writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventField {
    /// The field's name, never `id`.
    pub name: String,
    /// The value as canonical JSON: keys sorted, no spaces, unescaped UTF-8; `null` is a value.
    /// References are JSON strings or null.
    pub json: Box<[u8]>,
}

/// A decoded event, which the fold applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The entity type.
    pub kind: EntityType,
    /// The entity's id: not empty, at most [`ID_BYTES_MAX`] bytes.
    pub id: String,
    /// The version that orders the events of one entity: 0 to 2^63−1.
    pub version: u64,
    /// True when the version came with the event (`sequence`, `lsn`), false when it is the offset.
    pub sequenced: bool,
    /// The effect of the event.
    pub action: Action,
    /// The fields that it writes; empty on a delete.
    pub fields: Vec<EventField>,
}

impl Event {
    /// The delete of one entity.
    pub fn deletion(kind: EntityType, id: String, version: u64, sequenced: bool) -> Self {
        Self { kind, id, version, sequenced, action: Action::Delete, fields: Vec::new() }
    }
}

/// A table was emptied: all entities that came from the record's partition with a lower version are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncation {
    /// The version of the deletes.
    pub version: u64,
    /// As in [`Event::sequenced`].
    pub sequenced: bool,
    /// True when the configuration asks to stop here instead.
    pub stops: bool,
}

/// The result of decoding a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeOutcome {
    /// An event to fold.
    Event(Event),
    /// Many entities to delete.
    Truncation(Truncation),
    /// A record that the configuration says to pass over.
    Ignored,
    /// A record that can never be folded: the reason, naming the field.
    Poison(String),
}
