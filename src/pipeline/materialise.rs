//! Documents from one snapshot of the state, written straight into the bytes of a request.

use std::sync::Arc;

use super::fold::DocumentKey;
use super::versions::Bases;
use crate::entity::{EntityFields, Fields, Liveness};
use crate::error::Result;
use crate::projection::{Entities, Limits, LogPosition, Projection, key_now, own_entity};
use crate::sink::{Batch, Buffer};
use crate::state::State;
use crate::state::rows::FoldProgress;

/// No more is reserved for a request before it is made.
const RESERVED_MAX: usize = 16 << 20;
/// About how large a document is.
const DOCUMENT_BYTES: usize = 1 << 10;

/// A request's worth of documents.
#[derive(Debug)]
pub struct DocumentBatch {
    /// The documents of one request to one index. Its writes are in the order of `documents`.
    pub batch: Batch,
    /// The documents in it.
    pub documents: Vec<DocumentKey>,
    /// Documents for which there was no room.
    pub left: Vec<DocumentKey>,
    /// The step of the snapshot.
    pub step: u64,
    /// Of a partial log: the turn of the claims that each version was made with, where no record of the document's
    /// entity was folded.
    pub claims: Vec<Option<u64>>,
}

/// Makes documents (or finds that there are none, which is a delete) of one moment.
pub(super) struct Maker<'a> {
    limits: Limits,
    /// The bases of versions above foreign writes.
    bases: &'a Bases,
    position: u64,
    /// True when the log that the state was made of did not begin at its beginning.
    is_partial: bool,
    made: DocumentBatch,
}

impl<'a> Maker<'a> {
    /// For documents of this projection.
    pub(super) fn new(
        (progress, is_partial): (&FoldProgress, bool),
        projection: Projection,
        limits: Limits,
        bases: &'a Bases,
        buffer: Buffer,
    ) -> Self {
        let made = DocumentBatch {
            batch: Batch::new(projection, buffer),
            documents: Vec::new(),
            left: Vec::new(),
            step: progress.step,
            claims: Vec::new(),
        };
        Self { limits, bases, position: progress.version(), is_partial, made }
    }

    /// Adds one, from `entities` of that moment.
    pub(super) fn make(&mut self, entities: &dyn Entities, document: DocumentKey) -> Result<()> {
        // It grows with the position above a foreign version too: a request that arrives late must not undo a later one.
        let is_silent = self.is_partial && is_silent(entities, &document)?;
        let version = if is_silent {
            self.bases.version_of_silent(&document, self.position)
        } else {
            self.bases.version(&document, self.position)
        };
        let of_delete = if bug!(DeleteUnversioned) { 0 } else { version };
        let limits = self.limits;
        let reflected = LogPosition { position: self.position, is_partial: self.is_partial };
        self.made.batch.push(Arc::clone(&document.1), [version, of_delete], |out| {
            document.0.materialise(entities, &document.1, limits, reflected, out)
        })?;
        self.make_moved(entities, &document)?;
        self.made.documents.push(document);
        if self.is_partial {
            self.made.claims.push(is_silent.then_some(self.bases.turn()));
        }
        Ok(())
    }

    /// Beside the delete of a child its document at the owner of now.
    fn make_moved(&mut self, entities: &dyn Entities, (projection, key): &DocumentKey) -> Result<()> {
        let is_document = self.made.batch.writes().last().is_none_or(|write| write.body.is_some());
        if is_document || bug!(MovedChildLeft) {
            return Ok(());
        }
        let Some(child) = projection.child(key) else { return Ok(()) };
        let now = key_now(entities, &child)?.filter(|now| **now != **key);
        let (limits, position) = (self.limits, self.position);
        now.map_or(Ok(()), |now| {
            self.made
                .batch
                .push_moved(&now, |out| projection.materialise(entities, &now, limits, position, out))
        })
    }

    /// The documents made so far.
    pub(super) fn batch(&self) -> &DocumentBatch {
        &self.made
    }

    pub(super) fn into_batch(self) -> DocumentBatch {
        self.made
    }
}

/// True when no record of the document's entity was folded: it is known by references only.
fn is_silent(entities: &dyn Entities, (projection, id): &DocumentKey) -> Result<bool> {
    let mut liveness = Liveness::Unseen;
    let mut read = |entity: &Fields<'_>| {
        liveness = entity.liveness();
        Ok(())
    };
    let (of, id) = own_entity(*projection, id);
    entities.entity(of, id, &mut read)?;
    Ok(liveness == Liveness::Unseen)
}

/// How much to reserve for a request of about `bytes_expected`: growing step by step would copy everything once more.
pub(super) fn room(bytes_expected: usize) -> usize {
    let bytes_expected = bytes_expected.min(RESERVED_MAX);
    bytes_expected + bytes_expected / 8
}

/// Makes the documents, all of this projection, in their order, from one snapshot until `bytes_max` is reached; at least one
/// is made, however large. `bases` are those of foreign writes.
pub fn materialise(
    state: &State,
    projection: Projection,
    documents: Vec<DocumentKey>,
    limits: Limits,
    bytes_max: usize,
    bases: &Bases,
) -> Result<DocumentBatch> {
    let snapshot = state.snapshot()?;
    let expected = bytes_max.min(documents.len() * DOCUMENT_BYTES);
    let buffer = Vec::with_capacity(room(expected)).into();
    let moment = (snapshot.progress(), state.is_partial());
    let mut maker = Maker::new(moment, projection, limits, bases, buffer);
    let mut waiting = documents.into_iter();
    for document in waiting.by_ref() {
        maker.make(&snapshot, document)?;
        if maker.batch().batch.bytes().len() >= bytes_max {
            break;
        }
    }
    let mut made = maker.into_batch();
    made.left = waiting.collect();
    Ok(made)
}
