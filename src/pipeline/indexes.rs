//! The concrete indexes that this instance writes.

use std::collections::BTreeMap;

use super::hand_over::MovedIndex;
use crate::projection::Projection;
use crate::sink::IndexState;

/// The concrete indexes that are written, in the projections' order.
pub(super) struct Indexes {
    names: Vec<String>,
    /// Indexes that an alias was put on and that cannot be written.
    refused: Vec<String>,
}

impl Indexes {
    /// The indexes that were opened.
    pub(super) fn of(states: &[IndexState]) -> Self {
        Self { names: names(states), refused: Vec::new() }
    }

    /// Goes on with other indexes.
    pub(super) fn replace(&mut self, states: &[IndexState]) {
        self.names = names(states);
    }

    /// The index of a projection, by its number.
    pub(super) fn get(&self, number: usize) -> Option<&String> {
        self.names.get(number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &String> {
        self.names.iter()
    }

    /// Passes over indexes from now on, because they cannot be written.
    pub(super) fn refuse(&mut self, indexes: impl Iterator<Item = String>) {
        self.refused = indexes.collect();
    }

    /// Which projections' aliases stand for another index than the one written, those aside that cannot be
    /// written at all.
    pub(super) fn find_moved(&self, behind: &[Option<String>]) -> Vec<(usize, String)> {
        let pairs = behind.iter().zip(&self.names).enumerate();
        let moved = pairs.filter_map(|(number, (behind, index))| {
            let behind = behind.as_ref().filter(|at| *at != index && !self.refused.contains(at))?;
            Some((number, behind.clone()))
        });
        moved.collect()
    }

    /// True when the index is the one that this instance found behind the alias when it began to write.
    pub(super) fn is_written(&self, moved: &MovedIndex) -> bool {
        self.names.get(moved.projection) == Some(&moved.index)
    }

    /// The index of each projection, as it is published.
    pub(super) fn by_projection(&self, projections: &[Projection]) -> BTreeMap<String, String> {
        let names = projections.iter().map(|projection| projection.name().to_owned());
        names.zip(self.names.iter().cloned()).collect()
    }
}

fn names(states: &[IndexState]) -> Vec<String> {
    states.iter().map(|state| state.index.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_that_stands_for_another_index_is_found_unless_that_one_was_refused() {
        let state = |index: &str| IndexState { index: index.to_owned(), created: false, is_filling: false };
        let mut indexes = Indexes::of(&[state("a-1"), state("b-1")]);
        let behind = [Some("a-1".to_owned()), Some("b-2".to_owned())];
        assert_eq!(indexes.find_moved(&behind), [(1, "b-2".to_owned())]);
        assert!(indexes.find_moved(&[None, None]).is_empty());
        indexes.refuse(["b-2".to_owned()].into_iter());
        assert!(indexes.find_moved(&behind).is_empty());
    }
}
