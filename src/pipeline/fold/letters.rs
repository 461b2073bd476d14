//! The letters of documents: which record made them.

use super::{Folder, partition_hash};
use crate::dead_letter::DeadLetter;
use crate::error::Result;
use crate::projection::Projection;
use crate::state::rows::Row;
use crate::state::store::Reader;
use crate::state::walked;

impl Folder {
    /// Writes dead letters of documents that the index rejected.
    pub fn reject(&mut self, mut letters: Vec<DeadLetter>) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let view = self.state.view();
        for letter in &mut letters {
            self.name_record(&*view, letter)?;
        }
        self.dead_letters.append(&letters)
    }

    /// Names the record that changed the letter's document last, where its entity knows it.
    fn name_record(&self, view: &dyn Reader, letter: &mut DeadLetter) -> Result<()> {
        let Some((projection, id)) = letter.document() else { return Ok(()) };
        let Some(projection) = Projection::of_name(projection) else { return Ok(()) };
        let Some(bytes) = view.get(walked(projection).0, id.as_bytes())? else { return Ok(()) };
        let row = Row::decode(&bytes)?;
        let hash = row.last.and_then(|last| last.elsewhere).or(row.home);
        let positions = self.progress.positions();
        let mut partitions = positions.iter().map(|(partition, _)| partition);
        if let Some(partition) = partitions.find(|partition| Some(partition_hash(partition)) == hash) {
            letter.topic = Some(partition.topic.to_string());
            letter.partition = Some(partition.partition);
            letter.offset = row.last.map(|last| last.offset);
        }
        Ok(())
    }
}
