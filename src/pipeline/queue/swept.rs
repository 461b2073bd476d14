//! Documents on their way by a sweep: a list for each of its parts, since most of them arrive without anybody asking
//! for one. One that is asked for is called up, and looked after by itself from there on.

use std::sync::Arc;

use crate::pipeline::fold::DocumentKey;
use crate::projection::Projection;

/// The parts on their way.
#[derive(Debug, Default)]
pub(super) struct Swept {
    parts: Vec<Part>,
    begun: u64,
}

#[derive(Debug)]
struct Part {
    number: u64,
    projection: Projection,
    /// The step that called for it.
    step: u64,
    /// In their order, as a sweep comes to them.
    ids: Vec<Arc<str>>,
    called: Vec<DocumentKey>,
}

impl Part {
    fn holds(&self, (projection, id): &DocumentKey) -> bool {
        // A sweep adds what comes after all that it has.
        self.projection == *projection
            && self.ids.last().is_some_and(|last| **id <= **last)
            && self.ids.binary_search_by(|held| (**held).cmp(id)).is_ok()
    }
}

impl Swept {
    /// Begins a part of the sweep that `step` called for; answers its number.
    pub(super) fn begin(&mut self, projection: Projection, step: u64) -> u64 {
        self.begun += 1;
        let (number, ids, called) = (self.begun, Vec::new(), Vec::new());
        self.parts.push(Part { number, projection, step, ids, called });
        number
    }

    /// Adds a document to a part, behind those that it has.
    pub(super) fn push(&mut self, number: u64, id: Arc<str>) {
        if let Some(part) = self.parts.iter_mut().rev().find(|part| part.number == number) {
            debug_assert!(part.ids.last().is_none_or(|last| **last < *id), "{id} is out of order");
            part.ids.push(id);
        }
    }

    /// Whether a document is on its way.
    pub(super) fn holds(&self, key: &DocumentKey) -> bool {
        self.parts.iter().any(|part| part.holds(key))
    }

    /// Calls a document up; the step of its sweep, when it is on its way.
    pub(super) fn call(&mut self, key: &DocumentKey) -> Option<u64> {
        let part = self.parts.iter_mut().find(|part| part.holds(key))?;
        part.called.push(key.clone());
        Some(part.step)
    }

    /// Ends a part; answers the documents that were called up.
    pub(super) fn end(&mut self, number: u64) -> Vec<DocumentKey> {
        let place = self.parts.iter().position(|part| part.number == number);
        place.map(|place| self.parts.swap_remove(place).called).unwrap_or_default()
    }

    /// How many documents are on their way, those called up aside.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.ids.len() - part.called.len()).sum()
    }

    /// The step of the oldest sweep that has documents on their way; of one projection, or of all.
    pub(super) fn oldest(&self, of: Option<Projection>) -> Option<u64> {
        let parts = self.parts.iter().filter(|part| of.is_none_or(|of| of == part.projection));
        parts.filter(|part| !part.ids.is_empty()).map(|part| part.step).min()
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
    fn a_document_is_on_its_way_until_its_part_ends() {
        let mut swept = Swept::default();
        let [first, second] = [3, 2].map(|step| swept.begin(CONTACTS, step));
        assert_eq!(swept.oldest(None), None, "nothing is on its way");
        for (part, id) in [(first, "a"), (first, "c"), (second, "d")] {
            swept.push(part, id.into());
        }
        let held = ["a", "b", "c", "d", "e"].map(|id| swept.holds(&key(id)));
        assert_eq!(held, [true, false, true, true, false]);
        assert!(!swept.holds(&(ORGANISATIONS, "a".into())));
        assert_eq!((swept.oldest(None), swept.len()), (Some(2), 3));
        assert_eq!(swept.oldest(Some(HIERARCHY)), None);
        assert_eq!([swept.call(&key("c")), swept.call(&key("b"))], [Some(3), None]);
        assert_eq!(swept.len(), 2);
        assert_eq!(swept.end(second), []);
        assert_eq!((swept.oldest(None), swept.len()), (Some(3), 1));
        assert_eq!(swept.end(first), [key("c")]);
        assert!(swept.len() == 0 && !swept.holds(&key("a")) && swept.end(first).is_empty());
    }
}
