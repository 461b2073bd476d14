//! The documents of one priority in their order, with a list for each projection.

use std::collections::{BTreeMap, VecDeque};

use super::DocumentKey;
use crate::projection::Projection;

/// A list for each projection. The projections take turns, because a request goes to one index and is answered as a whole.
/// Small documents of one index would otherwise wait for large ones of another.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    lists: BTreeMap<Projection, VecDeque<DocumentKey>>,
    /// The projection whose turn was last.
    last: Option<Projection>,
}

impl RoundRobin {
    /// Adds a document after all others of its projection.
    pub(super) fn push_back(&mut self, key: DocumentKey) {
        self.lists.entry(key.0).or_default().push_back(key);
    }

    /// Adds a document before all others of its projection.
    pub(super) fn push_front(&mut self, key: DocumentKey) {
        self.lists.entry(key.0).or_default().push_front(key);
    }

    /// Takes the first document of this projection. Without a projection it is the next in turn of those that `may` go.
    pub(super) fn pop_front(
        &mut self,
        projection: Option<Projection>,
        may: &dyn Fn(Projection) -> bool,
    ) -> Option<DocumentKey> {
        let key = match projection {
            Some(projection) => self.lists.get_mut(&projection)?.pop_front()?,
            None => {
                let last = self.last;
                let waiting = || {
                    let filled = self.lists.iter().filter(|(_, list)| !list.is_empty());
                    filled.map(|(of, _)| *of).filter(|of| may(*of))
                };
                let next = waiting().find(|of| Some(*of) > last).or_else(|| waiting().next())?;
                self.lists.get_mut(&next)?.pop_front()?
            }
        };
        self.last = Some(key.0);
        Some(key)
    }

    /// The number of documents.
    pub(super) fn len(&self) -> usize {
        self.lists.values().map(VecDeque::len).sum()
    }

    /// True when there is no document.
    pub(super) fn is_empty(&self) -> bool {
        self.lists.values().all(VecDeque::is_empty)
    }

    /// Removes all documents.
    pub(super) fn clear(&mut self) {
        self.lists.clear();
    }
}
