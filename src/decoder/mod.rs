//! Bytes to events: one decoder for each envelope of docs/events.md, and one way to poison.
//!
//! A decoder is total. It answers any bytes with an event, a record to pass over, or a reason. A reason
//! names the field, the value that was found and the value that was expected.

mod cloud_events;
mod connect;
mod converter;
mod data;
mod debezium;
mod encoded_records;
mod fields;
mod json;
mod keys;
mod names;
mod outbox;
mod placeholder;
mod plain;
mod transform;
mod unknown_fields;
mod verb;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use self::connect::{Schemas, Type};
pub use self::encoded_records::RecordReadiness;
use crate::config::{Encoding, EntityConfig, Format, TruncateRule, TypeRule, VersionRule};
use crate::encoding::Registry;
use crate::error::{REASON_BYTES_MAX, shorten};
use crate::event::{Action, DecodeOutcome, Event, Record, Truncation};
use crate::plan::{EntityType, PlanRef};

/// The highest version: 2^63−1.
const VERSION_MAX: u64 = i64::MAX as u64;

/// Why a record is poison.
type Poison = String;

/// Decodes the records of one configuration.
#[derive(Debug, Clone)]
pub struct Decoder {
    /// By the number of the entity type.
    layouts: Vec<RecordLayout>,
    types: verb::Types,
    schemas: Schemas,
    unknown: Arc<unknown_fields::UnknownFields>,
    registry: Option<Arc<Registry>>,
}

/// How the records of one kind of entity are laid out.
#[derive(Debug, Clone)]
pub struct RecordLayout {
    format: Format,
    encoding: Encoding,
    key_encoding: Option<Encoding>,
    version: VersionRule,
    truncate: Option<TruncateRule>,
    key: Vec<String>,
    names: names::Names,
}

impl From<Format> for RecordLayout {
    fn from(format: Format) -> Self {
        let encoding = Encoding::Json;
        Self {
            format,
            encoding,
            key_encoding: None,
            version: VersionRule::Offset,
            truncate: None,
            key: Vec::new(),
            names: Default::default(),
        }
    }
}

impl RecordLayout {
    /// The layout that a configuration says for an entity type.
    pub fn of(entity_type: EntityType, config: &EntityConfig) -> Self {
        let EntityConfig { format, encoding, key_encoding, version, truncate, ref key, .. } = *config;
        let names = names::Names::of(entity_type, config);
        Self { format, encoding, key_encoding, version, truncate, key: key.clone(), names }
    }
}

/// An envelope, before its data is looked at.
struct Envelope<'a> {
    /// The id that the envelope itself names.
    subject: Option<Cow<'a, str>>,
    /// The version, when the envelope carries one.
    version: Option<u64>,
    action: Action,
    data: Option<Cow<'a, [u8]>>,
    place: DataPlace,
}

/// How a reason names an envelope's data and the id in it.
#[derive(Debug, Clone, Copy)]
struct DataPlace {
    data: &'static str,
    id: &'static str,
    /// The member of the value that holds the data; empty when the value is the data.
    member: &'static str,
}

impl DataPlace {
    const DATA: Self = Self { data: "data", id: "data.id", member: "" };
    const MEMBER: Self = Self { data: "data", id: "data.id", member: "data" };
    const VALUE: Self = Self { data: "value", id: "value.id", member: "" };
    const AFTER: Self = Self { data: "after", id: "after.id", member: "after" };
    const BEFORE: Self = Self { data: "before", id: "before.id", member: "before" };
}

impl Decoder {
    /// A decoder for the records of the plan's entity types, whose layouts are in their order, and the table
    /// `[events.types]`.
    pub fn new(plan: PlanRef, layouts: Vec<RecordLayout>, types: BTreeMap<String, TypeRule>) -> Self {
        Self {
            layouts,
            types: verb::Types::new(types),
            schemas: Schemas::default(),
            unknown: Arc::new(unknown_fields::UnknownFields::of_plan(plan)),
            registry: None,
        }
    }

    /// Decodes `record` to an event, a truncation, a record to pass over or a poison record.
    pub fn decode(&self, record: &Record) -> DecodeOutcome {
        let layout = self.layout(record.kind);
        let event = match record.malformed.is_none() && layout.is_encoded() {
            true => self.in_json(record, layout).and_then(|record| self.event(&record, layout)),
            false => self.event(record, layout).map_err(|reason| Self::name_frame(record, reason)),
        };
        match event {
            Ok(decoded) => decoded,
            // A parser's sentence may quote all that it found.
            Err(reason) => DecodeOutcome::Poison(shorten(reason, REASON_BYTES_MAX)),
        }
    }

    /// Notes on the decoded records, in sentences: the fields that no declaration knows.
    pub fn notes(&self) -> Vec<String> {
        self.unknown.notes()
    }

    /// The id that the record's key names, because a record is of no other entity, whether its value agrees
    /// or not.
    pub fn id_of_key(&self, record: &Record) -> Option<String> {
        let layout = self.layout(record.kind);
        if !layout.is_encoded() {
            return key(record, layout, &self.schemas).ok().flatten().map(Cow::into_owned);
        }
        let key = self.key_in_json(record, layout).ok()?;
        let record = Record { key, value: None, ..record.clone() };
        self::key(&record, layout, &self.schemas).ok().flatten().map(Cow::into_owned)
    }

    #[expect(clippy::expect_used, reason = "a plan's types all have a layout")]
    fn layout(&self, kind: EntityType) -> &RecordLayout {
        self.layouts.get(usize::from(kind.number())).expect("a layout of each entity type")
    }

    /// The reason that names the registry's frame where the value is in one; else the same reason.
    fn name_frame(record: &Record, reason: Poison) -> Poison {
        let value = record.value.as_deref().filter(|_| record.malformed.is_none());
        value.and_then(|value| encoded_records::find_frame("value", value)).unwrap_or(reason)
    }

    fn event(&self, record: &Record, layout: &RecordLayout) -> Result<DecodeOutcome, Poison> {
        if let Some(reason) = &record.malformed {
            return Err(reason.clone());
        }
        let Some(value) = record.value.as_deref() else { return self.tombstone(record, layout) };
        let body = converter::unwrap_value(value);
        let envelope = match (layout.format, body.bytes.as_deref()) {
            (Format::CloudEvents, bytes) => cloud_events::read(record, bytes, &self.types)?,
            (Format::Outbox, bytes) => outbox::read(record, bytes, &self.types)?,
            // A converter without schemas writes four letters for the null of a tombstone.
            (Format::Debezium | Format::Plain, None) => return self.tombstone(record, layout),
            (Format::Debezium, Some(bytes)) => match debezium::read(bytes, layout.version)? {
                debezium::Change::Row(envelope) => Some(envelope),
                debezium::Change::Other => None,
                debezium::Change::Truncation(lsn) => return Ok(truncation(record, layout, lsn)),
            },
            (Format::Plain, Some(bytes)) => Some(plain::read(bytes)),
        };
        // A record to pass over is passed over with any key and any data.
        let schema = body.schema.map(|schema| self.schemas.read(schema));
        match envelope {
            Some(envelope) => {
                self.finish(record, layout, envelope, schema.as_deref()).map(DecodeOutcome::Event)
            }
            None => Ok(DecodeOutcome::Ignored),
        }
    }

    /// The event of an envelope, once its data is read and every name of the entity agrees.
    fn finish(
        &self,
        record: &Record,
        layout: &RecordLayout,
        envelope: Envelope<'_>,
        schema: Option<&Type>,
    ) -> Result<Event, Poison> {
        let place = envelope.place;
        let is_row = matches!(layout.format, Format::Debezium | Format::Plain);
        let reader = data::DataReader {
            kind: record.kind,
            place,
            is_row,
            is_protobuf: layout.encoding == Encoding::Protobuf,
            other: &layout.names,
            unknown: &self.unknown,
            names: &layout.key,
            types: types_of(schema, place),
        };
        let data = match (envelope.action, envelope.data.as_deref()) {
            (Action::Delete, data) => reader.read_id(data)?,
            (_, Some(data)) => reader.read(data)?,
            (_, None) => return Err(format!("{}: missing, an object was expected", place.data)),
        };
        let action = match envelope.action {
            _ if data.is_deleted => Action::Delete,
            // A replace would clear a field that the row still holds and the event does not carry.
            Action::Replace if data.is_partial => Action::Merge,
            action => action,
        };
        let key = key(record, layout, &self.schemas)?;
        let id = agree([("subject", envelope.subject), ("key", key), (place.id, data.id)])?;
        Ok(Event {
            kind: record.kind,
            id,
            version: envelope.version.unwrap_or(offset_version(record)),
            sequenced: envelope.version.is_some(),
            action,
            fields: data.fields,
        })
    }

    fn tombstone(&self, record: &Record, layout: &RecordLayout) -> Result<DecodeOutcome, Poison> {
        if layout.version == VersionRule::Lsn {
            // A tombstone has no LSN to be ordered by. The change event before it has deleted the entity
            // already.
            return Ok(DecodeOutcome::Ignored);
        }
        let version = header(record, "ce_sequence")?.map(|text| sequence("ce_sequence", text)).transpose()?;
        let subject = header(record, "ce_subject")?.map(Cow::Borrowed);
        let id = agree([("ce_subject", subject), ("key", key(record, layout, &self.schemas)?)])?;
        let (version, sequenced) = (version.unwrap_or(offset_version(record)), version.is_some());
        Ok(DecodeOutcome::Event(Event::deletion(record.kind, id, version, sequenced)))
    }
}

/// The event that a truncation becomes. Its LSN is its version where LSNs are the versions.
fn truncation(record: &Record, layout: &RecordLayout, lsn: Option<u64>) -> DecodeOutcome {
    if layout.truncate == Some(TruncateRule::Ignore) {
        return DecodeOutcome::Ignored;
    }
    let (version, sequenced) = (lsn.unwrap_or(offset_version(record)), lsn.is_some());
    DecodeOutcome::Truncation(Truncation {
        version,
        sequenced,
        stops: layout.truncate == Some(TruncateRule::Stop),
    })
}

/// The types of the data's members: the schema is that of the whole value.
fn types_of(schema: Option<&Type>, place: DataPlace) -> Option<&Type> {
    if place.member.is_empty() { schema } else { schema?.member(place.member) }
}

/// The last header of this name. One that is not UTF-8 is an error, not absent: a `ce_sequence` that
/// cannot be read must never give way to the offset.
fn header<'a>(record: &'a Record, name: &str) -> Result<Option<&'a str>, Poison> {
    let found = record.headers.iter().rev().find(|(header, _)| header == name);
    let Some(value) = found.and_then(|(_, value)| value.as_deref()) else { return Ok(None) };
    std::str::from_utf8(value).map(Some).map_err(|_| {
        format!("{name}: {} found, text in UTF-8 was expected", excerpt(&String::from_utf8_lossy(value)))
    })
}

fn key<'a>(
    record: &'a Record,
    layout: &RecordLayout,
    schemas: &Schemas,
) -> Result<Option<Cow<'a, str>>, Poison> {
    let Some(key) = record.key.as_deref().map(converter::without_mark) else { return Ok(None) };
    if let Some(reason) = encoded_records::find_frame("key", key) {
        return Err(reason);
    }
    let Ok(key) = std::str::from_utf8(key) else {
        let key = String::from_utf8_lossy(key);
        return Err(format!("key: {} found, an id in UTF-8 was expected", excerpt(&key)));
    };
    keys::id(key, &layout.key, schemas)
}

fn offset_version(record: &Record) -> u64 {
    u64::try_from(record.offset).unwrap_or(0)
}

/// The id that all of those who name one agree on.
fn agree<const N: usize>(named: [(&str, Option<Cow<'_, str>>); N]) -> Result<String, Poison> {
    let mut agreed: Option<(&str, Cow<'_, str>)> = None;
    for (name, id) in named {
        let Some(id) = id else { continue };
        fields::check_id(name, &id, "an id")?;
        match &agreed {
            Some((first, first_id)) if *first_id != id => {
                let (id, first_id) = (excerpt(&id), excerpt(first_id));
                return Err(format!("{name}: {id} found, {first_id} was expected as {first} has it"));
            }
            Some(_) => {}
            None => agreed = Some((name, id)),
        }
    }
    agreed
        .map(|(_, id)| id.into_owned())
        .ok_or_else(|| "id: none found, one in subject, key or data.id was expected".to_owned())
}

/// A version that came as text: a non-negative integer up to 2^63−1.
fn sequence(name: &str, text: &str) -> Result<u64, Poison> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = if digits { text.parse().ok().filter(|value| *value <= VERSION_MAX) } else { None };
    value.ok_or_else(|| {
        format!(
            "{name}: {} found, a string holding an integer from 0 to {VERSION_MAX} was expected",
            excerpt(text)
        )
    })
}

/// At most 80 bytes of a value that was found, for a reason.
fn excerpt(text: &str) -> String {
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= 80).last().unwrap_or(0);
    let end = if text.len() <= 80 { text.len() } else { end };
    let cut = if end < text.len() { "…" } else { "" };
    format!("{:?}{cut}", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests;
