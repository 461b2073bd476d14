//! The marks of dirty documents.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::{DocumentKey, StateWriter, Step};
use crate::error::Result;
use crate::projection::Projection;
use crate::state::keys::{Space, dirty_key, dirty_parts};
use crate::state::store::Changes;

impl StateWriter {
    /// Marks documents of a step; answers them.
    pub(in crate::pipeline) fn put_marks(
        &self,
        changes: &mut Changes,
        step: u64,
        marks: impl IntoIterator<Item = (Projection, String)>,
    ) -> Vec<DocumentKey> {
        let marks = marks.into_iter().filter(|(projection, _)| self.projections.contains(projection));
        let marked = marks.map(|(projection, id)| {
            changes.put(Space::DIRTY, dirty_key(projection.number(), &id), step.to_be_bytes().to_vec());
            (projection, Arc::from(id))
        });
        marked.collect()
    }

    /// Clears the marks of documents that the index acknowledged, each with the step of the snapshot that it was made
    /// from. A later mark stays.
    pub fn acknowledge(&mut self, acknowledged: &[(DocumentKey, u64)]) -> Result<()> {
        let view = self.state.view();
        let mut changes = Changes::default();
        for ((projection, id), step) in acknowledged {
            let key = dirty_key(projection.number(), id);
            if mark_step(view.get(Space::DIRTY, &key)?)
                .is_some_and(|marked| marked <= *step || bug!(LaterMarkCleared))
            {
                changes.remove(Space::DIRTY, key);
            }
        }
        self.commit_if_any(changes)
    }

    /// Clears the marks up to `step`, because another instance has delivered their documents.
    pub fn trim(&mut self, step: u64) -> Result<()> {
        let mut changes = Changes::default();
        self.state.view().scan(Space::DIRTY, &[], &[], &mut |key, value| {
            if mark_step(Some(value.to_vec())).is_some_and(|marked| marked <= step) {
                changes.remove(Space::DIRTY, key.to_vec());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.trim_backfills(step, &mut changes)?;
        self.commit_if_any(changes)
    }

    /// Marks documents by name: those found in an index that the state does not know of.
    pub fn mark(&mut self, documents: Vec<(Projection, String)>) -> Result<Step> {
        let mut progress = self.progress.clone();
        progress.step += 1;
        let mut changes = Changes::default();
        let marked = self.put_marks(&mut changes, progress.step, documents);
        self.commit_step(changes, progress, marked)
    }

    /// The marks that lie in the state.
    pub fn marks(&self) -> Result<HashSet<(u8, String)>> {
        let mut marks = HashSet::new();
        self.state.view().scan(Space::DIRTY, &[], &[], &mut |key, _| {
            if let Some((projection, id)) = dirty_parts(key) {
                marks.insert((projection, id.to_owned()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(marks)
    }
}

/// The step of a mark.
fn mark_step(value: Option<Vec<u8>>) -> Option<u64> {
    Some(u64::from_be_bytes(value?.try_into().ok()?))
}
