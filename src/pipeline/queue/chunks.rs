//! Documents of the chunks in flight: a sorted list for each chunk, because most of them arrive without a second look. A
//! document that changes meanwhile is promoted, and tracked by itself from then on.

use std::sync::Arc;

use crate::pipeline::fold::DocumentKey;
use crate::projection::Projection;

/// The chunks in flight.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    chunks: Vec<QueueChunk>,
    last_number: u64,
}

#[derive(Debug)]
struct QueueChunk {
    number: u64,
    projection: Projection,
    /// The step that began the backfill.
    step: u64,
    /// The ids in their order.
    ids: Vec<Arc<str>>,
    promoted: Vec<DocumentKey>,
}

impl QueueChunk {
    fn contains(&self, (projection, id): &DocumentKey) -> bool {
        // Ids are added in their order.
        self.projection == *projection
            && self.ids.last().is_some_and(|last| **id <= **last)
            && self.ids.binary_search_by(|other| (**other).cmp(id)).is_ok()
    }
}

impl Chunks {
    /// Begins a chunk of the backfill of `step`; answers its number.
    pub(super) fn begin(&mut self, projection: Projection, step: u64) -> u64 {
        self.last_number += 1;
        let (number, ids, promoted) = (self.last_number, Vec::new(), Vec::new());
        self.chunks.push(QueueChunk { number, projection, step, ids, promoted });
        number
    }

    /// Adds a document at the end of a chunk.
    pub(super) fn push(&mut self, number: u64, id: Arc<str>) {
        if let Some(chunk) = self.chunks.iter_mut().rev().find(|chunk| chunk.number == number) {
            debug_assert!(chunk.ids.last().is_none_or(|last| **last < *id), "{id} is out of order");
            chunk.ids.push(id);
        }
    }

    /// True when a chunk holds the document.
    pub(super) fn contains(&self, key: &DocumentKey) -> bool {
        self.chunks.iter().any(|chunk| chunk.contains(key))
    }

    /// Promotes a document; answers the step of its backfill, if a chunk holds it.
    pub(super) fn promote(&mut self, key: &DocumentKey) -> Option<u64> {
        let chunk = self.chunks.iter_mut().find(|chunk| chunk.contains(key))?;
        chunk.promoted.push(key.clone());
        Some(chunk.step)
    }

    /// Ends a chunk; answers the documents that were promoted.
    pub(super) fn end(&mut self, number: u64) -> Vec<DocumentKey> {
        let at = self.chunks.iter().position(|chunk| chunk.number == number);
        at.map(|at| self.chunks.swap_remove(at).promoted).unwrap_or_default()
    }

    /// How many documents are in flight and not promoted.
    pub(super) fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.ids.len() - chunk.promoted.len()).sum()
    }

    /// The step of the oldest backfill with documents in flight, of one projection or of all.
    pub(super) fn oldest(&self, of: Option<Projection>) -> Option<u64> {
        let chunks = self.chunks.iter().filter(|chunk| of.is_none_or(|of| of == chunk.projection));
        chunks.filter(|chunk| !chunk.ids.is_empty()).map(|chunk| chunk.step).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CONTACTS, HIERARCHY, ORGANISATIONS};

    fn key(id: &str) -> DocumentKey {
        (CONTACTS, id.into())
    }

    #[test]
    fn a_document_is_in_flight_until_its_chunk_ends() {
        let mut chunks = Chunks::default();
        let [first, second] = [3, 2].map(|step| chunks.begin(CONTACTS, step));
        assert_eq!(chunks.oldest(None), None, "nothing is in flight");
        for (chunk, id) in [(first, "a"), (first, "c"), (second, "d")] {
            chunks.push(chunk, id.into());
        }
        let contained = ["a", "b", "c", "d", "e"].map(|id| chunks.contains(&key(id)));
        assert_eq!(contained, [true, false, true, true, false]);
        assert!(!chunks.contains(&(ORGANISATIONS, "a".into())));
        assert_eq!((chunks.oldest(None), chunks.len()), (Some(2), 3));
        assert_eq!(chunks.oldest(Some(HIERARCHY)), None);
        assert_eq!([chunks.promote(&key("c")), chunks.promote(&key("b"))], [Some(3), None]);
        assert_eq!(chunks.len(), 2);
        assert_eq!(chunks.end(second), []);
        assert_eq!((chunks.oldest(None), chunks.len()), (Some(3), 1));
        assert_eq!(chunks.end(first), [key("c")]);
        assert!(chunks.len() == 0 && !chunks.contains(&key("a")) && chunks.end(first).is_empty());
    }
}
