//! The letters of documents: which records made them.

use super::contributors::contributors;
use super::{StateWriter, partition_hash};
use crate::dead_letter::{DeadLetter, RecordPlace};
use crate::error::Result;
use crate::position::TopicPartition;
use crate::projection::own_entity;
use crate::state::Snapshot;
use crate::state::keys::Space;
use crate::state::rows::Row;

/// A letter names the records of this many members of an embed; a document may show thousands.
const EMBEDDED_MAX: usize = 100;

impl StateWriter {
    /// Writes dead letters of documents that the index rejected.
    pub fn reject(&mut self, mut letters: Vec<DeadLetter>) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let snapshot = self.state.snapshot()?;
        for letter in &mut letters {
            self.name_records(&snapshot, letter)?;
        }
        self.dead_letters.append(&letters)
    }

    /// Names the record that changed the entity of the letter's document last, and those of all that the document shows.
    fn name_records(&self, snapshot: &Snapshot, letter: &mut DeadLetter) -> Result<()> {
        let Some((projection, key)) = letter.document_key() else { return Ok(()) };
        let Some(projection) = self.state.plan().projection(projection) else { return Ok(()) };
        let (of, id) = own_entity(projection, &key);
        let own = self.record_of(snapshot, Space::of_type(of), id)?;
        let mut records = Vec::new();
        for (kind, id) in contributors(snapshot, projection, &key, EMBEDDED_MAX)? {
            records.extend(self.record_of(snapshot, Space::of_type(kind), &id)?);
        }
        records.sort();
        records.dedup();
        letter.name_records(own, records);
        Ok(())
    }

    /// The record that changed an entity last, where its row knows it.
    fn record_of(&self, snapshot: &Snapshot, space: Space, id: &str) -> Result<Option<RecordPlace>> {
        let Some(bytes) = snapshot.view().get(space, id.as_bytes())? else { return Ok(None) };
        let row = Row::decode(&bytes)?;
        let hash = row.last.and_then(|last| last.elsewhere).or(row.home);
        let positions = self.progress.positions();
        let is_home = |partition: &&TopicPartition| Some(partition_hash(partition)) == hash;
        let partition = positions.iter().map(|(partition, _)| partition).find(is_home);
        Ok(partition.map(|partition| RecordPlace {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            offset: row.last.map(|last| last.offset),
        }))
    }
}
