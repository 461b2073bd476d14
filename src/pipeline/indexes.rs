//! The concrete indexes that this instance writes.

use std::collections::BTreeMap;

use super::hand_over::MovedIndex;
use crate::projection::Projection;
use crate::sink::{IndexState, indexes_of};

/// The concrete indexes that are written.
pub(super) struct Indexes {
    names: BTreeMap<Projection, String>,
    /// Indexes that an alias was put on and that cannot be written.
    refused: Vec<String>,
}

impl Indexes {
    /// The indexes that were opened.
    pub(super) fn of(states: &[IndexState]) -> Self {
        Self { names: indexes_of(states), refused: Vec::new() }
    }

    /// Goes on with other indexes.
    pub(super) fn replace(&mut self, states: &[IndexState]) {
        self.names = indexes_of(states);
    }

    /// The index of a projection.
    pub(super) fn get(&self, projection: Projection) -> Option<&String> {
        self.names.get(&projection)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Projection, &String)> {
        self.names.iter().map(|(projection, index)| (*projection, index))
    }

    /// Passes over indexes from now on, because they cannot be written.
    pub(super) fn refuse(&mut self, indexes: impl Iterator<Item = String>) {
        self.refused = indexes.collect();
    }

    /// Which projections' aliases stand for another index than the one written, those aside that cannot be
    /// written at all.
    pub(super) fn find_moved(&self, behind: &BTreeMap<Projection, String>) -> Vec<(Projection, String)> {
        let moved = self.iter().filter_map(|(projection, index)| {
            let behind = behind.get(&projection).filter(|at| *at != index && !self.refused.contains(at))?;
            Some((projection, behind.clone()))
        });
        moved.collect()
    }

    /// True when the index is the one that this instance found behind the alias when it began to write.
    pub(super) fn is_written(&self, moved: &MovedIndex) -> bool {
        self.names.get(&moved.projection) == Some(&moved.index)
    }

    /// The index of each projection, as it is published.
    pub(super) fn by_projection(&self) -> BTreeMap<String, String> {
        self.iter().map(|(projection, index)| (projection.name().to_owned(), index.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CONTACTS, ORGANISATIONS};

    #[test]
    fn an_alias_that_stands_for_another_index_is_found_unless_that_one_was_refused() {
        let state = |projection, index: &str| IndexState {
            projection,
            index: index.to_owned(),
            created: false,
            is_filling: false,
        };
        let mut indexes = Indexes::of(&[state(ORGANISATIONS, "a-1"), state(CONTACTS, "b-1")]);
        let behind = BTreeMap::from([(ORGANISATIONS, "a-1".to_owned()), (CONTACTS, "b-2".to_owned())]);
        assert_eq!(indexes.find_moved(&behind), [(CONTACTS, "b-2".to_owned())]);
        assert!(indexes.find_moved(&BTreeMap::new()).is_empty());
        indexes.refuse(["b-2".to_owned()].into_iter());
        assert!(indexes.find_moved(&behind).is_empty());
    }
}
