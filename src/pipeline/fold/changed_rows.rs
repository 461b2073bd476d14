//! The rows that a step changes, and the effects of their changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{DecodedRecord, StateWriter, partition_hash};
use crate::dead_letter::DeadLetter;
use crate::entity::{References, Registers};
use crate::error::Result;
use crate::event::{DecodeOutcome, Event, Record};
use crate::pipeline::superseded_records::SupersededRecords;
use crate::plan::EntityType;
use crate::position::TopicPartition;
use crate::projection::effects::{Effects, Lookup};
use crate::state::EntityKey;
use crate::state::keys::Space;
use crate::state::rows::{FoldProgress, Origin, Row};
use crate::state::store::{Changes, Reader};

/// A row that a step touches, before and after it.
pub(super) struct RowChange {
    before: Arc<Row>,
    after: Row,
    has_events: bool,
    /// Its intermediate state, when several events came at once, or its possible state elsewhere.
    between: Vec<Registers>,
}

impl StateWriter {
    /// Applies the events to the rows that they touch, read in key order.
    pub(super) fn apply(
        &self,
        view: &dyn Reader,
        progress: &FoldProgress,
        records: &[DecodedRecord],
        (poison, superseded): (&mut Vec<DeadLetter>, &mut SupersededRecords),
    ) -> Result<BTreeMap<EntityKey, RowChange>> {
        let mut keys: Vec<(EntityType, &str)> =
            records.iter().filter_map(|input| event_of(input)).map(|e| (e.kind, e.id.as_str())).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut touched = BTreeMap::new();
        for (kind, id) in keys {
            let key: EntityKey = (kind, id.into());
            let before = self.state.row(view, &key)?;
            let after = (*before).clone();
            touched.insert(key, RowChange { before, after, has_events: false, between: Vec::new() });
        }
        for input in records {
            match &input.decoded {
                DecodeOutcome::Ignored | DecodeOutcome::Truncation(_) => {}
                DecodeOutcome::Poison(reason) => poison.push(DeadLetter::from_record(&input.record, reason)),
                DecodeOutcome::Event(event) => {
                    let key: EntityKey = (event.kind, event.id.as_str().into());
                    let Some(entry) = touched.get_mut(&key) else { continue };
                    let earlier = entry.has_events.then(|| entry.after.registers.clone());
                    entry.has_events = true;
                    let (at, registers) = (&input.record.partition, &entry.after.registers);
                    let supposed = (!self.is_settled).then(|| registers.as_if_latest(event)).flatten();
                    superseded.note(at, registers.is_above(event.version), self.tuning.superseded_run);
                    if let Err(reason) = apply_one(&mut entry.after, event, &input.record, progress) {
                        poison.push(DeadLetter::from_record(&input.record, &reason));
                    }
                    entry.between.extend(earlier.filter(|earlier| *earlier != entry.after.registers));
                    entry.between.extend(supposed);
                }
            }
        }
        Ok(touched)
    }

    /// The effects of the changes on relations, documents and fan-outs.
    pub(super) fn effects(
        &self,
        view: &dyn Reader,
        touched: &BTreeMap<EntityKey, RowChange>,
    ) -> Result<Effects> {
        let mut effects = Effects::default();
        let was = |of: EntityType, id: &str, field: u16| self.references(view, of, id, field);
        let is = |of: EntityType, id: &str, field: u16| match touched.get(&(of, id.into())) {
            Some(entry) => Ok(References::of(&entry.after.registers, of.field_at(field).name)),
            None => self.references(view, of, id, field),
        };
        let nobody = |_: EntityType, _: &str, _: u16| Ok(References::Absent);
        let was: &Lookup<'_> = if bug!(OldChainForgotten) { &nobody } else { &was };
        for ((kind, id), entry) in touched {
            let (before, after): (&Registers, &Registers) = (&entry.before.registers, &entry.after.registers);
            effects.of(*kind, id, (before, after), was, &is)?;
            if entry.between.is_empty() || bug!(BetweenForgotten) {
                continue;
            }
            // Another instance, or this one before its state fell back, may have folded these events one by one. It may
            // have folded those of several partitions in another order, and delivered an intermediate state.
            let mut passing = Effects::default();
            let states = std::iter::once(before).chain(&entry.between);
            for (earlier, later) in states.zip(entry.between.iter().chain([after])) {
                passing.of(*kind, id, (earlier, later), was, &is)?;
            }
            effects.pass(passing);
        }
        Ok(effects)
    }
}

/// Applies an event, or says why it can't be applied. An event without a version of its own counts only in
/// the first partition of its entity.
pub(crate) fn apply_one(
    row: &mut Row,
    event: &Event,
    record: &Record,
    progress: &FoldProgress,
) -> Result<(), String> {
    let here = partition_hash(&record.partition);
    let home = *row.home.get_or_insert(here);
    if home != here && !event.sequenced {
        let first = progress.positions();
        let first =
            first.iter().map(|(partition, _)| partition).find(|partition| partition_hash(partition) == home);
        let first = first.map_or_else(|| "another partition".to_owned(), TopicPartition::to_string);
        return Err(format!(
            "sequence: missing, and {} was met in {first} before {}; an entity whose events come by more than one \
             partition must carry a sequence",
            event.id, record.partition
        ));
    }
    let elsewhere = (home != here).then_some(here);
    row.note(event.version, Origin { offset: record.offset, elsewhere });
    row.registers.apply(event);
    Ok(())
}

fn event_of(input: &DecodedRecord) -> Option<&Event> {
    match &input.decoded {
        DecodeOutcome::Event(event) => Some(event),
        _ => None,
    }
}

/// Writes the rows that have changed; answers them.
pub(super) fn put_rows(
    changes: &mut Changes,
    touched: BTreeMap<EntityKey, RowChange>,
) -> Result<Vec<(EntityKey, Arc<Row>)>> {
    let written: Vec<(EntityKey, Arc<Row>)> = touched
        .into_iter()
        .filter(|(_, entry)| entry.after != *entry.before)
        .map(|(key, entry)| (key, Arc::new(entry.after)))
        .collect();
    for ((kind, id), row) in &written {
        changes.put(Space::of_type(*kind), id.as_bytes().to_vec(), row.encode()?);
    }
    Ok(written)
}
