//! Documents without records in a partial log, carried from the readers' index into its successor.
//!
//! A state of such a log knows no record of some entities that the live index holds documents of. Their documents are
//! carried as they are. No instance writes the new index meanwhile, because this goes between two passes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::interruption::{ask_index, interruption};
use super::target::Target;
use crate::error::{Error, Result};
use crate::pipeline::status::Status;
use crate::pipeline::versions::{SILENT, above_silent, is_made_of_references};
use crate::pipeline::work::blocking;
use crate::projection::Projection;
use crate::shutdown::Shutdown;
use crate::sink::documents::{StoredDocument, at_least_one};
use crate::sink::{Batch, Buffer, DocumentSink, Outcome};
use crate::state::State;
use crate::verify::walk::{DELETED, explain_surplus};

/// How many documents are read and written together at most.
const PAGE: usize = 1_000;
/// How long a write that failed rests.
const PAUSE: Duration = Duration::from_millis(500);
/// So many rejected documents of an index are logged one by one.
const LOGGED_MAX: u64 = 10;

/// The documents carried into one index.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CarryOutcome {
    /// Documents that the new index holds as the former one did.
    pub(super) documents: u64,
    /// Those that the new index rejected.
    rejected: u64,
    /// The highest version of ours in the former index. Later changes there have no lower one.
    pub(super) newest: u64,
}

/// From where to where.
pub(super) struct Carrier<'a> {
    pub(super) target: &'a Target,
    pub(super) state: &'a Arc<State>,
    pub(super) status: &'a Status,
    pub(super) stop: &'a Shutdown,
    pub(super) projection: Projection,
    /// The index that readers have, or had.
    pub(super) from: &'a str,
}

/// A write that is to arrive.
struct WaitingWrite {
    id: Arc<str>,
    version: u64,
    /// None deletes it.
    body: Option<Vec<u8>>,
}

impl Carrier<'_> {
    /// Carries the documents with a version of at least `since`.
    ///
    /// # Errors
    /// Those of both indexes, and a stop.
    pub(super) async fn carry(&self, since: u64) -> Result<CarryOutcome> {
        let mut carried = CarryOutcome::default();
        if !self.is_there().await? {
            return Ok(carried);
        }
        // It makes everything searchable, and only that is listed.
        ask_index(self.stop, async || self.target.sink.count(self.from).await).await?;
        let position = self.position()?;
        let mut cursor = None;
        loop {
            let page =
                ask_index(self.stop, async || self.target.sink.versions(self.from, cursor.clone()).await)
                    .await?;
            let versions = page.documents.iter().map(|(_, version)| *version);
            carried.newest = versions.filter(|version| *version <= position).fold(carried.newest, u64::max);
            let found = page.documents.into_iter().filter(|(_, version)| *version >= since);
            let found = found.map(|(id, _)| id).collect();
            for some in self.ids_without_record(found).await?.chunks(PAGE) {
                self.carry_some(some, position, &mut carried).await?;
            }
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        let (projection, count) = (self.projection.name(), carried.documents);
        tracing::info!(
            projection,
            from = self.from,
            count,
            "documents that the log has no record of were carried"
        );
        if carried.rejected > 0 {
            tracing::warn!(
                projection,
                count = carried.rejected,
                "the new index rejected some of the carried documents"
            );
            self.status.rejected.fetch_add(carried.rejected, Ordering::Relaxed);
        }
        Ok(carried)
    }

    /// Deletes carried documents that the former index no longer holds.
    ///
    /// # Errors
    /// As for [`Self::carry`].
    pub(super) async fn delete_superseded(&self) -> Result<()> {
        if !self.is_there().await? {
            return Ok(());
        }
        ask_index(self.stop, async || self.target.refresh().await).await?;
        let (position, mut cursor) = (self.position()?, None);
        loop {
            let page =
                ask_index(self.stop, async || self.target.ids(self.projection, cursor.clone()).await).await?;
            let mut left = self.find_surplus(page.ids).await?;
            while !left.is_empty() {
                let documents = self.fetch(&left).await?;
                let rest = left.split_off(documents.len().min(left.len()));
                let pairs = std::mem::replace(&mut left, rest).into_iter().zip(documents);
                let missing = pairs.filter(|(_, document)| document.is_none());
                let version = above_silent(position);
                let deletions = missing.map(|(id, _)| WaitingWrite { id: id.into(), version, body: None });
                self.write(deletions.collect(), &mut CarryOutcome::default()).await?;
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// False when the index was deleted since the rebuild began.
    async fn is_there(&self) -> Result<bool> {
        let made = ask_index(self.stop, async || self.target.sink.generations(self.projection).await).await?;
        let is_there = made.iter().any(|made| made.index == self.from);
        if !is_there {
            tracing::warn!(index = self.from, "the index is gone: nothing can be carried from it");
        }
        Ok(is_there)
    }

    fn position(&self) -> Result<u64> {
        Ok(self.state.progress()?.version())
    }

    /// Those of which the state has no record.
    async fn ids_without_record(&self, found: Vec<String>) -> Result<Vec<String>> {
        let (state, projection) = (Arc::clone(self.state), self.projection);
        blocking(move || {
            let snapshot = state.snapshot()?;
            let mut silent = Vec::new();
            for id in found {
                if !snapshot.is_recorded(projection, &id)? {
                    silent.push(id);
                }
            }
            Ok(silent)
        })
        .await
    }

    /// True of those that the state calls for.
    async fn are_called(&self, ids: Vec<String>) -> Result<Vec<bool>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (state, projection) = (Arc::clone(self.state), self.projection);
        blocking(move || {
            let snapshot = state.snapshot()?;
            ids.iter().map(|id| Ok(explain_surplus(&snapshot, projection, id)?.is_none())).collect()
        })
        .await
    }

    /// Those that the state neither calls for nor knows as deleted.
    async fn find_surplus(&self, ids: Vec<String>) -> Result<Vec<String>> {
        let (state, projection) = (Arc::clone(self.state), self.projection);
        blocking(move || find_surplus(&state, projection, ids)).await
    }

    async fn fetch(&self, ids: &[String]) -> Result<Vec<Option<StoredDocument>>> {
        at_least_one(ask_index(self.stop, async || self.target.sink.get_of(self.from, ids).await).await?)
    }

    async fn carry_some(&self, mut ids: &[String], position: u64, carried: &mut CarryOutcome) -> Result<()> {
        while !ids.is_empty() {
            let documents = self.fetch(ids).await?;
            let (now, later) = ids.split_at(documents.len().min(ids.len()));
            let are_stubs: Vec<bool> = documents
                .iter()
                .map(|document| document.as_ref().is_some_and(is_made_of_references))
                .collect();
            let stubs = now.iter().zip(&are_stubs).filter(|(_, is_stub)| **is_stub);
            let mut are_called =
                self.are_called(stubs.map(|(id, _)| id.clone()).collect()).await?.into_iter();
            let mut waiting = Vec::new();
            for ((id, document), is_stub) in now.iter().zip(documents).zip(are_stubs) {
                let is_called = is_stub && are_called.next() == Some(true);
                // One that was deleted meanwhile is gone.
                let Some(StoredDocument { version, body }) = document else { continue };
                if body.is_empty() {
                    return Err(Error::failure(format!(
                        "{} does not give the document {id} back, so that it cannot be carried; use --from state",
                        self.from
                    )));
                }
                if is_called {
                    // It was made of references only, and is made again of those that there are.
                    continue;
                }
                // Above all documents that the rebuild makes of references, also where these arrive late.
                let version = if is_stub { SILENT } else { above_silent(version.clamp(1, position.max(1))) };
                waiting.push(WaitingWrite { id: id.as_str().into(), version, body: Some(on_one_line(body)) });
            }
            self.write(waiting, carried).await?;
            ids = later;
        }
        Ok(())
    }

    /// Writes until all of it has arrived, or is known to have come to nothing.
    async fn write(&self, mut waiting: Vec<WaitingWrite>, carried: &mut CarryOutcome) -> Result<()> {
        while !waiting.is_empty() {
            let outcomes = self.target.write(batch(self.projection, &waiting)?).await;
            let mut outcomes = outcomes.into_iter();
            let mut left = Vec::new();
            let mut failed = None;
            for write in waiting {
                match outcomes.next() {
                    Some(Outcome::Done) => carried.documents += 1,
                    // It was carried at a later version, or is made of references again.
                    Some(Outcome::Conflict { stored: Some(_) }) => {}
                    Some(Outcome::Rejected(reason)) => {
                        carried.rejected += 1;
                        if carried.rejected <= LOGGED_MAX {
                            let (projection, id) = (self.projection.name(), &write.id);
                            tracing::warn!(projection, %id, reason, "the new index rejects a document");
                        }
                    }
                    Some(Outcome::Gone(reason) | Outcome::Refused(reason)) => {
                        return Err(Error::failure(reason));
                    }
                    Some(Outcome::Retry(reason)) => {
                        failed = Some(reason);
                        left.push(write);
                    }
                    Some(Outcome::Conflict { stored: None }) | None => {
                        failed = Some("no answer".to_owned());
                        left.push(write);
                    }
                }
            }
            waiting = left;
            if let Some(reason) = failed {
                tracing::debug!(reason, "the rebuild is waiting for the new index");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = self.stop.wait() => return Err(interruption()),
                }
            }
        }
        Ok(())
    }
}

/// Those of `ids` that the state neither calls for nor knows as deleted.
pub(super) fn find_surplus(state: &State, projection: Projection, ids: Vec<String>) -> Result<Vec<String>> {
    let snapshot = state.snapshot()?;
    let mut beside = Vec::new();
    for id in ids {
        if explain_surplus(&snapshot, projection, &id)?.is_some_and(|why| why != DELETED) {
            beside.push(id);
        }
    }
    Ok(beside)
}

fn batch(projection: Projection, waiting: &[WaitingWrite]) -> Result<Batch> {
    let mut batch = Batch::new(projection, Buffer::default());
    for write in waiting {
        batch.push(Arc::clone(&write.id), [write.version; 2], |out| {
            out.extend_from_slice(write.body.as_deref().unwrap_or_default());
            Ok(write.body.is_some())
        })?;
    }
    Ok(batch)
}

/// A document may have been written on several lines. A line break in JSON is only ever space.
fn on_one_line(mut body: Vec<u8>) -> Vec<u8> {
    body.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_several_lines_is_carried_on_one() {
        assert_eq!(on_one_line(b"{\n\"a\": \"\\n\"\r\n}".to_vec()), b"{ \"a\": \"\\n\"  }");
    }
}
