//! The progress of each backfill in this process: the chunks that were made, and the cursor below which all are complete.

use std::collections::BTreeMap;

use super::PendingBackfill;
use crate::projection::Projection;

/// One backfill that this process makes.
#[derive(Debug)]
pub(in crate::pipeline) struct BackfillProgress {
    projection: Projection,
    step: u64,
    /// Where the next chunk begins; `None` when all are made.
    next: Option<String>,
    /// The chunks that were made and are not reported yet, by their numbers.
    chunks: BTreeMap<u64, ChunkProgress>,
    last_number: u64,
}

#[derive(Debug)]
struct ChunkProgress {
    /// Where the chunk after it begins.
    next: Option<String>,
    documents: u64,
    is_complete: bool,
}

/// The beginning of the next chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline) struct ChunkStart {
    /// The projection.
    pub(in crate::pipeline) projection: Projection,
    /// The step that began the backfill.
    pub(in crate::pipeline) step: u64,
    /// The id after which the chunk begins.
    pub(in crate::pipeline) cursor: String,
}

/// The documents that are complete without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline) struct Completion {
    /// Up to here; `None` when the backfill is complete.
    pub(in crate::pipeline) cursor: Option<String>,
    /// How many documents since the last report.
    pub(in crate::pipeline) documents: u64,
}

/// The backfills that this process makes.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct BackfillsInFlight(Vec<BackfillProgress>);

impl BackfillsInFlight {
    /// The next chunk of the pending backfills. Backfills that are no longer pending are forgotten.
    pub(in crate::pipeline) fn next(&mut self, pending: &[PendingBackfill]) -> Option<ChunkStart> {
        let is_pending = |progress: &BackfillProgress| {
            pending
                .iter()
                .any(|backfill| backfill.projection == progress.projection && backfill.step == progress.step)
        };
        self.0.retain(is_pending);
        for backfill in pending {
            let Some(cursor) = &backfill.cursor else { continue };
            if !self.0.iter().any(|progress| progress.projection == backfill.projection) {
                self.0.push(BackfillProgress {
                    projection: backfill.projection,
                    step: backfill.step,
                    next: Some(cursor.clone()),
                    chunks: BTreeMap::new(),
                    last_number: 0,
                });
            }
        }
        let progress = self.0.iter().find(|progress| progress.next.is_some())?;
        Some(ChunkStart {
            projection: progress.projection,
            step: progress.step,
            cursor: progress.next.clone()?,
        })
    }

    /// Adds a chunk that was made; answers its number.
    pub(in crate::pipeline) fn add_chunk(
        &mut self,
        start: &ChunkStart,
        next: Option<String>,
        documents: u64,
    ) -> u64 {
        let Some(progress) = self.of(start) else { return 0 };
        progress.last_number += 1;
        progress.next.clone_from(&next);
        let chunk = ChunkProgress { next, documents, is_complete: false };
        progress.chunks.insert(progress.last_number, chunk);
        progress.last_number
    }

    /// Completes a chunk, whose documents are delivered or marked; answers the progress that can be reported since.
    pub(in crate::pipeline) fn complete_chunk(
        &mut self,
        start: &ChunkStart,
        number: u64,
    ) -> Option<Completion> {
        let progress = self.of(start)?;
        progress.chunks.get_mut(&number)?.is_complete = true;
        let mut completion: Option<Completion> = None;
        while let Some(first) = progress.chunks.first_entry().filter(|first| first.get().is_complete) {
            let ChunkProgress { next, documents, .. } = first.remove();
            let before = completion.map_or(0, |completion| completion.documents);
            completion = Some(Completion { cursor: next, documents: before + documents });
        }
        completion
    }

    /// True when every chunk is made and complete.
    pub(in crate::pipeline) fn are_complete(&self) -> bool {
        self.0.iter().all(|progress| progress.next.is_none() && progress.chunks.is_empty())
    }

    fn of(&mut self, start: &ChunkStart) -> Option<&mut BackfillProgress> {
        self.0
            .iter_mut()
            .find(|progress| progress.projection == start.projection && progress.step == start.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ORGANISATIONS;

    fn backfill(step: u64, cursor: Option<&str>) -> PendingBackfill {
        let cursor = cursor.map(str::to_owned);
        PendingBackfill { projection: ORGANISATIONS, step, cursor, left: 1 }
    }

    #[test]
    fn only_chunks_without_a_gap_are_reported() {
        let (mut backfills, pending) = (BackfillsInFlight::default(), [backfill(3, Some(""))]);
        let first = backfills.next(&pending).unwrap();
        let one = backfills.add_chunk(&first, Some("b".to_owned()), 10);
        let second = backfills.next(&pending).unwrap();
        assert_eq!(second.cursor, "b");
        let two = backfills.add_chunk(&second, Some("c".to_owned()), 20);
        let third = backfills.next(&pending).unwrap();
        let three = backfills.add_chunk(&third, None, 5);
        assert_eq!(backfills.next(&pending), None);
        assert!(!backfills.are_complete());
        assert_eq!(backfills.complete_chunk(&second, two), None);
        assert_eq!(
            backfills.complete_chunk(&first, one),
            Some(Completion { cursor: Some("c".to_owned()), documents: 30 })
        );
        assert_eq!(backfills.complete_chunk(&second, three), Some(Completion { cursor: None, documents: 5 }));
        assert!(backfills.are_complete());
    }

    #[test]
    fn a_paused_backfill_has_no_chunk_and_a_new_one_begins_at_the_start() {
        let mut backfills = BackfillsInFlight::default();
        assert_eq!(backfills.next(&[backfill(3, None)]), None);
        let start = backfills.next(&[backfill(3, Some("b"))]).unwrap();
        let number = backfills.add_chunk(&start, Some("c".to_owned()), 1);
        let anew = backfills.next(&[backfill(9, Some(""))]).unwrap();
        assert_eq!(anew.cursor, "");
        assert_eq!(backfills.complete_chunk(&start, number), None);
    }
}
