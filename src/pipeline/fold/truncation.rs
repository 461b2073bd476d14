//! Truncations: a table was emptied, and all entities that came from its partition are deleted.

use std::ops::ControlFlow;

use super::{DecodedRecord, StateWriter, Step, partition_hash};
use crate::entity::Liveness;
use crate::error::Result;
use crate::event::{DecodeOutcome, Event, Record, Truncation};
use crate::position::TopicPartition;
use crate::state::keys::Space;
use crate::state::rows::{self, Row};

impl StateWriter {
    /// Folds records among which are truncations. The position moves past a truncation once its deletes are made, and
    /// deletes that are made twice are made once.
    pub(super) fn fold_truncations(
        &mut self,
        records: &[DecodedRecord],
        skipped: &[(TopicPartition, i64)],
    ) -> Result<Step> {
        let (mut step, mut begin) = (Step::default(), 0);
        for (at, found) in records.iter().enumerate() {
            let DecodeOutcome::Truncation(truncation) = &found.decoded else { continue };
            step.join(self.fold_part(records.get(begin..at).unwrap_or_default(), &[])?);
            step.join(self.truncate(&found.record, truncation)?);
            begin = at;
        }
        step.join(self.fold_part(records.get(begin..).unwrap_or_default(), skipped)?);
        Ok(step)
    }

    /// Deletes all entities that came from the record's partition before it.
    fn truncate(&mut self, record: &Record, truncation: &Truncation) -> Result<Step> {
        tracing::info!(record = %record.partition, offset = record.offset, "a table was truncated: its entities are deleted");
        let record = Record { value: None, key: None, headers: Vec::new(), ..record.clone() };
        let (mut step, mut after) = (Step::default(), Vec::new());
        loop {
            let (ids, last) = self.rows_from(&record, &after)?;
            let deletion = |id| {
                let Truncation { version, sequenced, .. } = *truncation;
                let event = Event::deletion(record.kind, id, version, sequenced);
                DecodedRecord { record: record.clone(), decoded: DecodeOutcome::Event(event) }
            };
            let records: Vec<DecodedRecord> = ids.into_iter().map(deletion).collect();
            if !records.is_empty() {
                let progress = self.progress.clone();
                step.join(self.commit_fold(&records, progress, &mut |letters, new| letters.append(&new))?);
            }
            match last {
                Some(last) => after = last,
                None => return Ok(step),
            }
        }
    }

    /// Some entities that came from a record's partition, behind the key `after`, and the last key that was looked at; no
    /// key at the end.
    fn rows_from(&self, record: &Record, after: &[u8]) -> Result<(Vec<String>, Option<Vec<u8>>)> {
        let home = Some(partition_hash(&record.partition));
        let (mut ids, mut last) = (Vec::new(), None);
        self.state.view().scan(Space::of_type(record.kind), &[], after, &mut |key, value| {
            if rows::liveness(value)? == Liveness::Alive
                && Row::decode(value)?.home == home
                && let Ok(id) = std::str::from_utf8(key)
            {
                ids.push(id.to_owned());
            }
            if ids.len() < self.tuning.step_deletes_max {
                return Ok(ControlFlow::Continue(()));
            }
            last = Some(key.to_vec());
            Ok(ControlFlow::Break(()))
        })?;
        Ok((ids, last))
    }
}

impl Step {
    /// Takes in a later step.
    fn join(&mut self, later: Step) {
        self.number = self.number.max(later.number);
        self.marked.extend(later.marked);
        self.poisoned += later.poisoned;
        self.superseded += later.superseded;
        self.begun_anew.extend(later.begun_anew);
    }
}
