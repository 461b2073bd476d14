//! Dead letters: records that can never be folded, and documents that the index rejected for good. Each is
//! kept with everything that is needed to look at it and to try it again.

mod file;
mod kafka;
mod letter_name;
mod spill;
mod spilled_dead_letters;
mod tally;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::file::FileDeadLetters;
pub use self::kafka::KafkaDeadLetters;
#[cfg(test)]
pub(crate) use self::letter_name::document_name;
pub use self::spill::SpillPlace;
pub use self::spilled_dead_letters::SpilledDeadLetters;
pub use self::tally::{CountedDeadLetters, TELL_EVERY, Tally, TallyKind};

use self::spilled_dead_letters::DeadLetterReader;

use crate::base64;
use crate::config::{DeadLetterConfig, DeadLetterKind, KafkaConfig};
use crate::error::{Error, Result};
use crate::event::Record;
use crate::plan::{EntityType, id_and_owner, key_of};
use crate::position::TopicPartition;
use crate::shutdown::Shutdown;

/// Bytes as they go into a dead letter: text as it is, anything else in base64 (RFC 4648).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bytes {
    /// UTF-8.
    Text(String),
    /// Not UTF-8.
    Binary {
        /// The bytes in base64.
        base64: String,
    },
}

impl Bytes {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text.to_owned()),
            Err(_) => Bytes::Binary { base64: base64::encode(bytes) },
        }
    }

    /// The bytes; `None` when the base64 is damaged.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Bytes::Text(text) => Some(text.clone().into_bytes()),
            Bytes::Binary { base64 } => base64::decode(base64),
        }
    }
}

/// One dead letter (docs/events.md, "Poison records").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The record's topic; of a document, that of the record that changed its entity last, where that is known.
    pub topic: Option<String>,
    /// The record's partition.
    pub partition: Option<i32>,
    /// The record's offset.
    pub offset: Option<i64>,
    /// The record's key, or the document's id.
    pub key: Option<Bytes>,
    /// The record's value, as the text that it was.
    pub value: Option<Bytes>,
    /// The record's headers; of a name that repeats, the last.
    pub headers: BTreeMap<String, Option<Bytes>>,
    /// Why.
    pub reason: String,
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// The record's timestamp in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    /// Why the source could not read a record there at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub malformed: Option<String>,
    /// The projection of a rejected document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<String>,
    /// The id of the owner, where the rejected document is a child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Of a rejected document: the record that changed each entity last that the document shows. Of the members of
    /// an embed those of the first 100 by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordPlace>,
}

/// Where a record lies in the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordPlace {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset; `None` when only the partition is known, as of an entity that an older version of this program folded.
    pub offset: Option<i64>,
}

impl DeadLetter {
    /// The dead letter of a record.
    pub fn from_record(record: &Record, reason: &str) -> Self {
        let header =
            |(name, value): &(String, Option<Vec<u8>>)| (name.clone(), value.as_deref().map(Bytes::of));
        Self {
            topic: Some(record.partition.topic.to_string()),
            partition: Some(record.partition.partition),
            offset: Some(record.offset),
            key: record.key.as_deref().map(Bytes::of),
            value: record.value.as_deref().map(Bytes::of),
            headers: record.headers.iter().map(header).collect(),
            reason: reason.to_owned(),
            time: now(),
            timestamp: Some(record.timestamp_ms),
            malformed: record.malformed.clone(),
            projection: None,
            owner: None,
            records: Vec::new(),
        }
    }

    /// The dead letter of a document that the index rejected for good.
    pub fn from_document(projection: &str, key: &str, reason: &str) -> Self {
        let (id, owner) = id_and_owner(key);
        Self {
            topic: None,
            partition: None,
            offset: None,
            reason: format!("{projection}/{id}: {reason}"),
            key: Some(Bytes::Text(id)),
            value: None,
            headers: BTreeMap::new(),
            time: now(),
            timestamp: None,
            malformed: None,
            projection: Some(projection.to_owned()),
            owner,
            records: Vec::new(),
        }
    }

    /// Names the record of a rejected document's own entity, and those of all entities that the document shows.
    pub fn name_records(&mut self, own: Option<RecordPlace>, records: Vec<RecordPlace>) {
        if let Some(own) = own {
            (self.topic, self.partition, self.offset) = (Some(own.topic), Some(own.partition), own.offset);
        }
        self.records = records;
    }

    /// About how large the dead letter is, in bytes.
    fn size(&self) -> usize {
        let size = |bytes: &Option<Bytes>| match bytes {
            Some(Bytes::Text(text)) => text.len(),
            Some(Bytes::Binary { base64 }) => base64.len(),
            None => 0,
        };
        let headers = self.headers.iter().map(|(name, value)| name.len() + size(value));
        size(&self.key) + size(&self.value) + headers.sum::<usize>()
    }

    /// True when [`Self::leave_out`] would make it smaller.
    fn has_contents(&self) -> bool {
        self.value.is_some() || !self.headers.is_empty()
    }

    /// Leaves out value and headers, and says so. A retry makes it a dead letter again and never a tombstone. The whole record
    /// still lies in the log, at the offset of the dead letter.
    fn leave_out(&mut self) {
        let note =
            format!("its value and headers ({} bytes) are left out, too large to be kept", self.size());
        self.reason = format!("{}; {note}", self.reason);
        self.malformed.get_or_insert(note);
        self.value = None;
        self.headers.clear();
    }

    /// The name of the dead letter: `topic/partition:offset`, or `projection/id`, with the owner of a child behind `@`.
    pub fn name(&self) -> String {
        if let Some((projection, id)) = self.document() {
            return letter_name::document_name(projection, id, self.owner.as_deref());
        }
        let topic = self.topic.as_deref().unwrap_or_default();
        let (partition, offset) = (self.partition.unwrap_or_default(), self.offset.unwrap_or_default());
        letter_name::record_name(topic, partition, offset)
    }

    /// The name that earlier versions gave it.
    fn former_name(&self) -> String {
        self.document().map_or_else(|| self.name(), |(projection, id)| format!("{projection}/{id}"))
    }

    /// The projection and id of a rejected document; `None` for a record.
    pub fn document(&self) -> Option<(&str, &str)> {
        match (&self.projection, &self.key) {
            (Some(projection), Some(Bytes::Text(id))) => Some((projection, id)),
            _ => None,
        }
    }

    /// The projection and the key of a rejected document; `None` for a record.
    pub fn document_key(&self) -> Option<(&str, String)> {
        self.document().map(|(projection, id)| (projection, key_of(id, self.owner.as_deref())))
    }

    /// The record again, byte for byte; `kinds` has the entity type of each topic.
    ///
    /// # Errors
    /// When the dead letter is damaged, or its topic is none of ours.
    pub fn to_record(&self, kinds: &[(String, EntityType)]) -> Result<Record> {
        let broken = |what: &str| Error::failure(format!("dead letter {}: {what}", self.name()));
        let (Some(topic), Some(partition), Some(offset)) = (&self.topic, self.partition, self.offset) else {
            return Err(broken("topic, partition or offset is missing"));
        };
        let kind = kinds.iter().find(|(known, _)| known == topic).map(|(_, kind)| *kind);
        let kind = kind.ok_or_else(|| broken("its topic is not among the configured ones"))?;
        let bytes = |bytes: &Option<Bytes>| match bytes {
            Some(bytes) => bytes.bytes().map(Some).ok_or_else(|| broken("its base64 is damaged")),
            None => Ok(None),
        };
        let headers = self.headers.iter().map(|(name, value)| Ok((name.clone(), bytes(value)?)));
        Ok(Record {
            timestamp_ms: self.timestamp.unwrap_or_default(),
            key: bytes(&self.key)?,
            value: bytes(&self.value)?,
            headers: headers.collect::<Result<_>>()?,
            malformed: self.malformed.clone(),
            ..Record::new(kind, TopicPartition::new(topic.as_str(), partition), offset)
        })
    }
}

/// Where dead letters are kept.
pub trait DeadLetters: Send {
    /// Keeps dead letters; they are durable when this returns. A dead letter may be appended again after a
    /// crash: it is listed once.
    fn append(&mut self, letters: &[DeadLetter]) -> Result<()>;

    /// The dead letters that wait, oldest first, each name once.
    fn list(&mut self) -> Result<Vec<DeadLetter>>;

    /// Takes dead letters out, by name: they were tried again with success, or are discarded.
    fn resolve(&mut self, names: &[String]) -> Result<()>;
}

/// Dead letters of tests that ask for none.
#[cfg(test)]
pub(crate) struct NoDeadLetters;

#[cfg(test)]
impl DeadLetters for NoDeadLetters {
    fn append(&mut self, _: &[DeadLetter]) -> Result<()> {
        Ok(())
    }
    fn list(&mut self) -> Result<Vec<DeadLetter>> {
        Ok(Vec::new())
    }
    fn resolve(&mut self, _: &[String]) -> Result<()> {
        Ok(())
    }
}

/// Opens the configured store; a dead letter is waited for until it is kept.
///
/// # Errors
/// When the file's folder can't be made, or the producer's properties are wrong.
pub fn open(config: &DeadLetterConfig, kafka: &KafkaConfig, stop: Shutdown) -> Result<Box<dyn DeadLetters>> {
    match config.kind {
        DeadLetterKind::File => Ok(Box::new(FileDeadLetters::open(&config.path)?)),
        DeadLetterKind::Kafka => Ok(Box::new(KafkaDeadLetters::open(kafka, &config.topic, stop)?)),
    }
}

/// The same for the one process that has the state: dead letters for a topic that is away wait at `place`.
///
/// # Errors
/// Those of [`open`], and when the dead letters that wait cannot be read.
pub fn open_spilled(
    config: &DeadLetterConfig,
    kafka: &KafkaConfig,
    place: SpillPlace,
    stop: Shutdown,
) -> Result<Box<dyn DeadLetters>> {
    if config.kind == DeadLetterKind::File {
        return open(config, kafka, stop);
    }
    let closing = Shutdown::default();
    let topic = open(config, kafka, stop.clone())?;
    let sender = open(config, kafka, closing.clone())?;
    Ok(Box::new(SpilledDeadLetters::start(place, topic, sender, stop, closing)?))
}

/// The dead letters for a reader, with those that wait at `place`.
///
/// # Errors
/// Those of [`open`].
pub fn open_beside(
    config: &DeadLetterConfig,
    kafka: &KafkaConfig,
    place: SpillPlace,
) -> Result<Box<dyn DeadLetters>> {
    let topic = open(config, kafka, Shutdown::default())?;
    Ok(match config.kind {
        DeadLetterKind::File => topic,
        DeadLetterKind::Kafka => Box::new(DeadLetterReader { place, topic }),
    })
}

fn now() -> String {
    crate::time::rfc3339(std::time::SystemTime::now())
}

/// Each name once: the last dead letter of a name stands, in the place of the first.
fn each_once(letters: impl IntoIterator<Item = DeadLetter>) -> Vec<DeadLetter> {
    let mut list: Vec<DeadLetter> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for letter in letters {
        match places.get(&letter.name()).and_then(|place: &usize| list.get_mut(*place)) {
            Some(entry) => *entry = letter,
            None => {
                places.insert(letter.name(), list.len());
                list.push(letter);
            }
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CONTACT;

    #[test]
    fn a_record_comes_back_byte_for_byte() {
        let record = Record {
            kind: CONTACT,
            partition: TopicPartition::new("contacts", 2),
            offset: 7,
            timestamp_ms: 5,
            key: Some(vec![0xff, 0x00, 0x41]),
            value: Some(b"{\"a\": 1}".to_vec()),
            headers: vec![("h".to_owned(), None), ("i".to_owned(), Some(vec![0xfe]))],
            id: None,
            malformed: None,
        };
        let letter = DeadLetter::from_record(&record, "why");
        let json = serde_json::to_string(&letter).unwrap();
        let back: DeadLetter = serde_json::from_str(&json).unwrap();
        assert_eq!(back.to_record(&[("contacts".to_owned(), CONTACT)]).unwrap(), record);
        assert_eq!(back.name(), "contacts/2:7");
    }

    #[test]
    fn a_record_and_documents_that_look_alike_are_listed_beside_each_other() {
        let mut record = DeadLetter::from_document("contacts", "", "why");
        record.projection = None;
        (record.topic, record.partition, record.offset) = (Some("contacts".to_owned()), Some(0), Some(5));
        let of = |projection, key: &str| DeadLetter::from_document(projection, key, "why");
        let child = |owner| of("organisations", &key_of("contacts/c1", Some(owner)));
        let all =
            [record, of("contacts", "0:5"), of("organisations", "contacts/c1"), child("o1"), child("o2")];
        assert_eq!(each_once(all.clone()), all);
        assert_eq!(each_once([child("o1"), child("o1")]).len(), 1);
    }
}
