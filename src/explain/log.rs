//! The log's side: read once, from its beginning to where it ends now. For each entity that takes part, the record of
//! each write that stands in the state is kept. So is the last record that made none.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::state::StateSide;
use crate::decoder::{Decoder, RecordReadiness};
use crate::entity::{Hider, References, Registers};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Action, DecodeOutcome, Event, Record, Truncation};
use crate::pipeline::fold::{apply_one, partition_hash};
use crate::pipeline::stream::record_name;
use crate::plan::EntityType;
use crate::position::{Positions, TopicPartition};
use crate::projection::Projection;
use crate::source::{EventSource, fingerprint_hash};
use crate::state::rows::Row;

/// Of the records of one entity that have no effect, so many are kept, the last ones.
const IDLE_MAX: usize = 10;
/// Of the records that the state has not taken in, so many are kept, the first ones.
const WAITING_MAX: usize = 100;
const POLL_WAIT: Duration = Duration::from_millis(200);
const POLL_BYTES_MAX: usize = 1 << 20;
/// When no record comes for so long, the missing records up to the end are gone, or the broker is away.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something of an entity's state that one record made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// A field's value.
    Field(String),
    /// The highest delete.
    Deleted,
    /// The highest replace.
    Replaced,
    /// The highest replace or merge.
    Written,
}

/// Why a record has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoEffectReason {
    /// Another made the same writes before.
    Repeats(Slot),
    /// A delete or a replace hides it.
    Hidden(Hider),
    /// Something of higher order stands in each of its fields; the first of them.
    Overwritten(Slot),
    /// It can't be folded.
    Poison(String),
    /// The configuration passes over it.
    Ignored,
    /// It should stand in the state, and does not.
    NotTaken,
}

/// The records of one entity.
#[derive(Debug, Default)]
pub(super) struct EntityRecords {
    /// The records that made the present values.
    pub(super) holders: BTreeMap<Slot, String>,
    /// How many records there are of the entity, below the state's positions.
    pub(super) records: u64,
    /// The last of those without effect.
    pub(super) idle: VecDeque<(String, NoEffectReason)>,
    /// How many have none.
    pub(super) idle_in_all: u64,
}

/// A record that the state has not taken in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WaitingRecord {
    /// `topic/partition:offset`.
    pub record: String,
    /// Of which entity: its kind and id.
    pub of: String,
    /// Its effect to come.
    pub effect: String,
}

/// The records of a document's entities.
#[derive(Debug, Default)]
pub struct LogSide {
    pub(super) traced: Vec<EntityRecords>,
    /// The first records that the state has not taken in.
    pub waiting: Vec<WaitingRecord>,
    /// How many there are.
    pub waiting_in_all: u64,
    /// The log's end when it was read.
    pub end: Positions,
    /// Notes on the log itself: its beginning, missing records.
    pub notes: Vec<String>,
}

impl LogSide {
    /// Reads all of `source`. Nothing is committed for any group.
    ///
    /// # Errors
    /// Those of the source.
    pub fn read(
        source: &mut dyn EventSource,
        decoder: &Decoder,
        projection: Projection,
        id: &str,
        state: &StateSide,
    ) -> Result<Self> {
        source.start(&Positions::default(), &[])?;
        let mut reading = Reading::new(decoder, projection, id, state);
        reading.log.end = source.end()?;
        reading.has_gaps = source.has_gaps();
        let mut came = Instant::now();
        while !reading.read.covers(&reading.log.end) && came.elapsed() < PATIENCE {
            let polled = source.poll(POLL_WAIT, POLL_BYTES_MAX)?;
            if !polled.records.is_empty() || !polled.passed.is_empty() {
                came = Instant::now();
            }
            for record in &polled.records {
                wait_for_schemas(decoder, record)?;
                reading.take(record);
            }
            for (at, next) in &polled.passed {
                reading.note_begin(at, *next);
                reading.read.advance(at, *next);
            }
        }
        Ok(reading.end())
    }
}

/// Waits until a record can be decoded.
fn wait_for_schemas(decoder: &Decoder, record: &Record) -> Result<()> {
    let began = Instant::now();
    loop {
        match decoder.readiness(record, POLL_WAIT) {
            RecordReadiness::Ready => return Ok(()),
            RecordReadiness::Waiting(Some(why)) if began.elapsed() >= PATIENCE => {
                return Err(Error::new(ErrorKind::Unavailable, &*why));
            }
            RecordReadiness::Waiting(_) => {}
        }
    }
}

struct Reading<'a> {
    decoder: &'a Decoder,
    projection: Projection,
    id: &'a str,
    state: &'a StateSide,
    positions: Positions,
    /// The parts by entity. One entity can take part twice (a parent of itself).
    parts: HashMap<(EntityType, &'a str), Vec<usize>>,
    read: Positions,
    /// True when a first offset above 0 says nothing of records that are gone.
    has_gaps: bool,
    log: LogSide,
}

impl<'a> Reading<'a> {
    fn new(decoder: &'a Decoder, projection: Projection, id: &'a str, state: &'a StateSide) -> Self {
        let mut parts: HashMap<_, Vec<usize>> = HashMap::new();
        for (number, part) in state.parts.iter().enumerate() {
            let entity_type = part.entity_type(projection);
            if let Some(entity_type) = entity_type {
                parts.entry((entity_type, part.id.as_str())).or_default().push(number);
            }
        }
        let log = LogSide {
            traced: state.parts.iter().map(|_| EntityRecords::default()).collect(),
            ..LogSide::default()
        };
        let positions = state.progress.positions();
        Self {
            decoder,
            projection,
            id,
            state,
            positions,
            parts,
            read: Positions::default(),
            has_gaps: false,
            log,
        }
    }

    fn take(&mut self, record: &Record) {
        let at = &record.partition;
        self.note_begin(at, record.offset);
        self.read.advance(at, record.offset + 1);
        let is_folded = self.positions.get(at).is_some_and(|next| record.offset < next);
        if !is_folded {
            self.wait(record);
            return;
        }
        self.compare_fingerprint(record);
        let key = self.decoder.id_of_key(record);
        if let Some(key) = &key
            && !self.parts.contains_key(&(record.kind, key.as_str()))
        {
            return;
        }
        let decoded = self.decoder.decode(record);
        if let DecodeOutcome::Truncation(truncation) = &decoded {
            self.truncate(record, truncation);
            return;
        }
        let id = match (&decoded, &key) {
            (DecodeOutcome::Event(event), _) => Some(event.id.as_str()),
            (_, key) => key.as_deref(),
        };
        let numbers = id.and_then(|id| self.parts.get(&(record.kind, id))).cloned().unwrap_or_default();
        for number in numbers {
            if let (Some(part), Some(traced)) =
                (self.state.parts.get(number), self.log.traced.get_mut(number))
            {
                traced.take(record, &decoded, &part.row, self.state);
            }
        }
    }

    /// A truncation is a delete of each part that came from its partition.
    fn truncate(&mut self, record: &Record, truncation: &Truncation) {
        for (part, traced) in self.state.parts.iter().zip(&mut self.log.traced) {
            let is_of = part.entity_type(self.projection) == Some(record.kind);
            if is_of && part.row.home == Some(partition_hash(&record.partition)) {
                let Truncation { version, sequenced, .. } = *truncation;
                let event = Event::deletion(record.kind, part.id.clone(), version, sequenced);
                traced.take(record, &DecodeOutcome::Event(event), &part.row, self.state);
            }
        }
    }

    fn note_begin(&mut self, at: &TopicPartition, first: i64) {
        if self.read.get(at).is_none() && first > 0 && !self.has_gaps {
            let note = format!("{at} begins at offset {first}: what was before is no longer in the log");
            self.log.notes.push(note);
        }
    }

    /// A record beyond the state's positions: of an entity that takes part, or of one that will.
    fn wait(&mut self, record: &Record) {
        let (id, effect, refers) = match self.decoder.decode(record) {
            DecodeOutcome::Ignored | DecodeOutcome::Truncation(_) => return,
            DecodeOutcome::Poison(reason) => {
                (self.decoder.id_of_key(record), format!("goes to the dead letters: {reason}"), false)
            }
            DecodeOutcome::Event(event) => {
                let refers = self.refers_to(&event);
                let effect = verb(event.action);
                let effect =
                    if refers { format!("{effect}, and names {}", self.id) } else { effect.to_owned() };
                (Some(event.id), effect, refers)
            }
        };
        let Some(id) = id else { return };
        if !refers && !self.parts.contains_key(&(record.kind, id.as_str())) {
            return;
        }
        self.log.waiting_in_all += 1;
        if self.log.waiting.len() < WAITING_MAX {
            let of = format!("{} {id}", record.kind.name);
            self.log.waiting.push(WaitingRecord { record: record_name(record), of, effect });
        }
    }

    /// Whether the event makes its entity a member of the document's.
    fn refers_to(&self, event: &Event) -> bool {
        let members = self.projection.members().filter(|relation| relation.member() == event.kind);
        let references: Vec<&str> =
            members.map(|relation| event.kind.get().field_at(relation.field).name).collect();
        let mut fields = event.fields.iter().filter(|field| references.contains(&field.name.as_str()));
        fields.any(|field| References::of_json(&field.json).ids().iter().any(|id| **id == *self.id))
    }

    /// The record that the state read last of a partition must be the one that lies there.
    fn compare_fingerprint(&mut self, record: &Record) {
        let at = &record.partition;
        let progress = self
            .state
            .progress
            .partitions
            .iter()
            .find(|progress| progress.partition == at.partition && *progress.topic == *at.topic);
        if let Some((offset, timestamp_ms, hash)) = progress.and_then(|progress| progress.last)
            && offset == record.offset
            && (timestamp_ms != record.timestamp_ms || hash != fingerprint_hash(record))
        {
            let name = record_name(record);
            self.log
                .notes
                .push(format!("{name} is not the record that the state read there: it is another log"));
        }
    }

    fn end(mut self) -> LogSide {
        for (at, end) in self.log.end.iter() {
            let reached = self.read.get(at).unwrap_or(0);
            if reached < end {
                let note = format!(
                    "{at} ends at offset {end}, nothing came from offset {reached} on: it is gone, or the broker is slow"
                );
                self.log.notes.push(note);
            }
        }
        self.log
    }
}

impl EntityRecords {
    /// Finds the values of the state that the record made.
    fn take(&mut self, record: &Record, decoded: &DecodeOutcome, row: &Row, state: &StateSide) {
        self.records += 1;
        let name = record_name(record);
        let event = match decoded {
            DecodeOutcome::Event(event) => event,
            DecodeOutcome::Ignored | DecodeOutcome::Truncation(_) => {
                return self.idle(name, NoEffectReason::Ignored);
            }
            DecodeOutcome::Poison(reason) => return self.idle(name, NoEffectReason::Poison(reason.clone())),
        };
        let mut alone = Row { home: row.home, ..Row::default() };
        if let Err(reason) = apply_one(&mut alone, event, record, &state.progress) {
            return self.idle(name, NoEffectReason::Poison(reason));
        }
        let slots = slots(&alone.registers, &row.registers);
        let first = slots.first().cloned();
        let mut new = false;
        for slot in slots {
            self.holders.entry(slot).or_insert_with(|| {
                new = true;
                name.clone()
            });
        }
        if new {
            return;
        }
        let why = match first {
            Some(slot) => NoEffectReason::Repeats(slot),
            None => why_none(event, &alone.registers, &row.registers),
        };
        self.idle(name, why);
    }

    fn idle(&mut self, name: String, why: NoEffectReason) {
        self.idle_in_all += 1;
        if self.idle.len() == IDLE_MAX {
            self.idle.pop_front();
        }
        self.idle.push_back((name, why));
    }
}

/// The values in `whole` that `alone` made, the writes of one record.
fn slots(alone: &Registers, whole: &Registers) -> Vec<Slot> {
    let stands = |(name, _): &(&str, _)| alone.register(name) == whole.register(name);
    let mut slots: Vec<Slot> =
        alone.registers().filter(stands).map(|(name, _)| Slot::Field(name.to_owned())).collect();
    let mut version = |alone: Option<u64>, whole: Option<u64>, slot| {
        if alone.is_some() && alone == whole {
            slots.push(slot);
        }
    };
    version(alone.delete_version(), whole.delete_version(), Slot::Deleted);
    // Versions are kept below a delete too, where they decide nothing.
    let is_seen = |version: &u64| whole.hider(*version).is_none();
    version(alone.replace_version().filter(is_seen), whole.replace_version(), Slot::Replaced);
    version(alone.write_version().filter(is_seen), whole.write_version(), Slot::Written);
    slots
}

/// Why nothing of a record stands.
fn why_none(event: &Event, alone: &Registers, whole: &Registers) -> NoEffectReason {
    if let Some(hider) = whole.hider(event.version) {
        return NoEffectReason::Hidden(hider);
    }
    let is_higher = |(name, register): (&str, _)| whole.register(name).is_some_and(|other| other > register);
    if alone.delete_version() > whole.delete_version()
        || alone.write_version() > whole.write_version()
        || !alone.registers().all(is_higher)
    {
        return NoEffectReason::NotTaken;
    }
    let first = alone.registers().next().map(|(name, _)| Slot::Field(name.to_owned()));
    NoEffectReason::Overwritten(first.unwrap_or(Slot::Written))
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Replace => "replaces it",
        Action::Merge => "changes it",
        Action::Delete => "deletes it",
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::CONTACT;
    use proptest::prelude::*;

    use super::*;
    use crate::event::EventField;
    use crate::state::rows::{FoldProgress, PartitionProgress};

    fn record(offset: i64) -> Record {
        let at = TopicPartition::new("contacts", 0);
        Record { key: Some(b"c1".to_vec()), ..Record::new(CONTACT, at, offset) }
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let action = prop_oneof![Just(Action::Replace), Just(Action::Merge), Just(Action::Delete)];
        let field = ("[ab]", "[123]|null")
            .prop_map(|(name, json)| EventField { name, json: json.into_bytes().into() });
        let fields = proptest::collection::btree_map("[ab]", field, 0..3);
        let event = (0u64..6, action, fields).prop_map(|(version, action, fields)| Event {
            kind: CONTACT,
            id: "c1".to_owned(),
            version,
            sequenced: true,
            action,
            fields: match action {
                Action::Delete => Vec::new(),
                _ => fields.into_iter().map(|(name, field)| EventField { name, ..field }).collect(),
            },
        });
        proptest::collection::vec(event, 0..12)
    }

    fn state() -> StateSide {
        let partition =
            PartitionProgress { topic: "contacts".to_owned(), partition: 0, next: 99, last: None };
        StateSide {
            child: None,
            computed: Vec::new(),
            instance: String::new(),
            progress: FoldProgress { partitions: vec![partition], ..FoldProgress::default() },
            document: None,
            is_silent: false,
            marked: None,
            fan_outs: 0,
            built_for: String::new(),
            parts: Vec::new(),
            parts_in_all: 0,
        }
    }

    fn trace(events: &[Event], folded: &[Event]) -> (Row, EntityRecords) {
        let (mut row, state) = (Row::default(), state());
        folded.iter().for_each(|event| row.registers.apply(event));
        let mut traced = EntityRecords::default();
        for (offset, event) in (0..).zip(events) {
            traced.take(&record(offset), &DecodeOutcome::Event(event.clone()), &row, &state);
        }
        (row, traced)
    }

    proptest! {
        #[test]
        fn every_write_that_stands_has_its_record_and_every_record_is_accounted_for(events in events()) {
            let (row, traced) = trace(&events, &events);
            for (name, _) in row.registers.registers() {
                prop_assert!(traced.holders.contains_key(&Slot::Field(name.to_owned())), "{name}");
            }
            let holders: std::collections::BTreeSet<_> = traced.holders.values().collect();
            prop_assert_eq!(holders.len() as u64 + traced.idle_in_all, events.len() as u64);
            prop_assert!(!traced.idle.iter().any(|(_, why)| *why == NoEffectReason::NotTaken), "{:?}", traced.idle);
            // Without the records that hold nothing, the state is the same.
            let survivors = (0..).zip(&events).filter(|(offset, _)| holders.contains(&record_name(&record(*offset))));
            let mut alone = Registers::default();
            survivors.for_each(|(_, event)| alone.apply(event));
            prop_assert!(alone.fields().eq(row.registers.fields()));
            prop_assert_eq!(alone.liveness(), row.registers.liveness());
        }

        #[test]
        fn a_write_that_the_state_lacks_is_told(events in events()) {
            let above = Event {
                kind: CONTACT,
                id: "c1".to_owned(),
                version: 9,
                sequenced: true,
                action: Action::Merge,
                fields: vec![EventField { name: "a".to_owned(), json: b"9".as_slice().into() }],
            };
            let all: Vec<Event> = events.iter().cloned().chain([above]).collect();
            let (_, traced) = trace(&all, &events);
            prop_assert_eq!(traced.idle.back().map(|(_, why)| why), Some(&NoEffectReason::NotTaken));
        }
    }
}
