//! A chunk of a backfill: its next documents, made in one pass over the rows.

use std::sync::Arc;

use crate::entity::Liveness;
use crate::error::{Error, Result};
use crate::pipeline::fold::DocumentKey;
use crate::pipeline::materialise::{DocumentBatch, Maker, room};
use crate::pipeline::versions::Bases;
use crate::projection::{Limits, Projection};
use crate::sink::Buffers;
use crate::state::State;
use crate::state::pass::Pass;

/// The documents of one request of a backfill.
pub struct Chunk {
    /// The documents. None is left for another request.
    pub made: DocumentBatch,
    /// How many entities the pass came to, with those that need no delete.
    pub passed: u64,
    /// Where the next chunk begins; `None` behind the last.
    pub next: Option<String>,
}

/// The parts that make chunks.
pub struct ChunkContext<'a> {
    state: &'a State,
    /// The projections that are written.
    projections: &'a [Projection],
    limits: Limits,
    /// The versions of foreign writes.
    bases: &'a Bases,
    /// Whether a document is taken; one that is not is passed over.
    takes: &'a dyn Fn(&DocumentKey) -> bool,
    /// True where the index holds nothing that would have to be deleted.
    is_untouched: bool,
    /// Where the memory of requests comes from.
    buffers: &'a Arc<Buffers>,
    /// How many ids one chunk looks at.
    ids_max: usize,
}

impl<'a> ChunkContext<'a> {
    /// The parts of chunks that take every document, with deletes. `limits` are those of documents, and one chunk looks at
    /// `ids_max` ids.
    pub fn new(
        state: &'a State,
        projections: &'a [Projection],
        limits: Limits,
        bases: &'a Bases,
        buffers: &'a Arc<Buffers>,
        ids_max: usize,
    ) -> Self {
        let takes = &take_every;
        Self { state, projections, limits, bases, takes, is_untouched: false, buffers, ids_max }
    }

    /// The same with those documents alone that `takes` says.
    #[must_use]
    pub fn with_takes(self, takes: &'a dyn Fn(&DocumentKey) -> bool) -> Self {
        Self { takes, ..self }
    }

    /// The same; `is_untouched` says whether the index holds nothing that would have to be deleted.
    #[must_use]
    pub fn with_untouched(self, is_untouched: bool) -> Self {
        Self { is_untouched, ..self }
    }
}

fn take_every(_: &DocumentKey) -> bool {
    true
}

/// Makes the documents of a projection behind the id `cursor`, from one snapshot, up to a number and to bytes.
///
/// # Errors
/// Those of the state.
pub fn make_chunk(
    context: &ChunkContext<'_>,
    projection: Projection,
    cursor: &str,
    (documents_max, bytes_max): (usize, usize),
) -> Result<Chunk> {
    let ChunkContext { state, projections, limits, bases, takes, is_untouched, buffers, ids_max } = *context;
    if !projections.contains(&projection) {
        let name = projection.name();
        return Err(Error::failure(format!("{name} has a backfill and is not written by this instance")));
    }
    let snapshot = state.snapshot()?;
    let moment = (snapshot.progress(), state.is_partial());
    let mut maker = Maker::new(moment, projection, limits, bases, buffers.take(room(bytes_max)));
    let mut pass = Pass::new(&snapshot, projection, cursor)?;
    let (mut count, mut passed) = (0, 0);
    while pass.advance()? {
        let liveness = pass.document()?;
        passed += u64::from(liveness != Liveness::Unseen);
        if liveness == Liveness::Alive || liveness == Liveness::Deleted && !is_untouched {
            let document = (projection, Arc::from(pass.id()?));
            if takes(&document) {
                maker.make(&pass, document)?;
            }
        }
        count += 1;
        let made = maker.batch();
        if count >= ids_max || made.documents.len() >= documents_max || made.batch.bytes().len() >= bytes_max
        {
            return Ok(Chunk { made: maker.into_batch(), passed, next: Some(pass.id()?.to_owned()) });
        }
    }
    Ok(Chunk { made: maker.into_batch(), passed, next: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Action, Event};

    use crate::pipeline::tuning::Tuning;
    use crate::plan::{CONTACT, CONTACTS, builtin};
    use crate::state::keys::Space;
    use crate::state::memory::MemoryStore;
    use crate::state::rows::{Row, encode};
    use crate::state::store::{Changes, StateStore};

    #[test]
    fn deletes_are_sent_except_to_an_untouched_index() {
        let (store, mut changes) = (MemoryStore::default(), Changes::default());
        for (id, action) in [("alive", Action::Replace), ("deleted", Action::Delete)] {
            let (mut row, kind, fields) = (Row::default(), CONTACT, Vec::new());
            row.registers.apply(&Event { kind, id: id.into(), version: 1, sequenced: true, action, fields });
            changes.put(Space::of_type(CONTACT), id.into(), encode(&row).unwrap());
        }
        store.commit(changes).unwrap();
        let state = State::open(Arc::new(store), builtin(), "f").unwrap();
        let made = |is_untouched| {
            let (limits, bases) = (Limits { max_embedded_contacts: 1 }, Bases::default());
            let (projections, buffers, ids_max) = ([CONTACTS], Arc::default(), Tuning::small().chunk_ids_max);
            let context = ChunkContext::new(&state, &projections, limits, &bases, &buffers, ids_max)
                .with_untouched(is_untouched);
            let part = make_chunk(&context, CONTACTS, "", (9, usize::MAX)).unwrap();
            assert_eq!((part.passed, part.next), (2, None));
            let writes = part.made.batch.writes().iter();
            writes.map(|write| (write.id.to_string(), write.body.is_some())).collect::<Vec<_>>()
        };
        let (alive, deleted) = (("alive".to_owned(), true), ("deleted".to_owned(), false));
        assert_eq!(made(false), [alive.clone(), deleted]);
        assert_eq!(made(true), [alive]);
    }
}
