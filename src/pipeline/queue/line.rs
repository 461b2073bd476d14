//! The documents of a lane in the order in which they wait, those of each projection apart.

use std::collections::{BTreeMap, VecDeque};

use super::DocumentKey;
use crate::projection::Projection;

/// A line for each projection, and they take turns. A request goes to one index: it is answered as a whole, and the
/// small documents of one index would wait for the large ones of another.
#[derive(Debug, Default)]
pub(super) struct Line {
    of: BTreeMap<Projection, VecDeque<DocumentKey>>,
    /// Whose turn was last.
    turn: Option<Projection>,
}

impl Line {
    /// Behind all others of its projection.
    pub(super) fn push_back(&mut self, key: DocumentKey) {
        self.of.entry(key.0).or_default().push_back(key);
    }

    /// In front of all others of its projection.
    pub(super) fn push_front(&mut self, key: DocumentKey) {
        self.of.entry(key.0).or_default().push_front(key);
    }

    /// The first of this projection; without one the first of the projection whose turn it is among those that `may` go.
    pub(super) fn pop_front(
        &mut self,
        projection: Option<Projection>,
        may: &dyn Fn(Projection) -> bool,
    ) -> Option<DocumentKey> {
        let key = match projection {
            Some(projection) => self.of.get_mut(&projection)?.pop_front()?,
            None => {
                let last = self.turn;
                let waiting = || {
                    let filled = self.of.iter().filter(|(_, line)| !line.is_empty());
                    filled.map(|(of, _)| *of).filter(|of| may(*of))
                };
                let next = waiting().find(|of| Some(*of) > last).or_else(|| waiting().next())?;
                self.of.get_mut(&next)?.pop_front()?
            }
        };
        self.turn = Some(key.0);
        Some(key)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.of.values().map(VecDeque::len).sum()
    }

    /// True when there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.of.values().all(VecDeque::is_empty)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.of.clear();
    }
}
