//! Affiliations that are remembered, each with what it was made of.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::entity::affiliation::Affiliation;

const CACHE_BYTES: usize = 32 << 20;
/// What one takes beside its texts.
const ENTRY_BYTES: usize = 120;

/// One that is remembered, found by the id of its organisation.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) affiliation: Affiliation,
    /// The organisations that it was made of, itself among them.
    pub(super) of: Box<[Arc<str>]>,
    /// The step of the snapshot that it was made from.
    pub(super) read_at: u64,
}

impl Borrow<[u8]> for Kept {
    fn borrow(&self) -> &[u8] {
        self.affiliation.id()
    }
}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.affiliation.id().hash(state);
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.affiliation.id() == other.affiliation.id()
    }
}

impl Eq for Kept {}

/// When they are too many, all are forgotten: whoever reads that many passes over everything anyway.
#[derive(Debug, Default)]
pub(super) struct Affiliations {
    kept: HashSet<Kept, RandomState>,
    bytes: usize,
}

impl Affiliations {
    pub(super) fn get(&self, id: &str) -> Option<&Kept> {
        self.kept.get(id.as_bytes())
    }

    /// Remembers one, in the place of another of the same organisation.
    pub(super) fn put(&mut self, kept: Kept) {
        let bytes = kept.affiliation.bytes() + kept.of.len() * size_of::<Arc<str>>() + ENTRY_BYTES;
        if bytes > CACHE_BYTES {
            return;
        }
        self.bytes += bytes;
        if self.bytes > CACHE_BYTES {
            self.kept.clear();
            self.bytes = bytes;
        }
        self.kept.replace(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(id: &str, length: usize, read_at: u64) -> Kept {
        let affiliation = Affiliation::new(id, &vec![b' '; length], b"\"\"");
        Kept { affiliation, of: Box::default(), read_at }
    }

    #[test]
    fn they_are_found_by_id_and_the_last_one_counts() {
        let mut affiliations = Affiliations::default();
        for (id, read_at) in [("a", 1), ("b", 2), ("a", 3)] {
            affiliations.put(kept(id, 2, read_at));
        }
        let read_at = |id| affiliations.get(id).map(|kept| kept.read_at);
        assert_eq!(["a", "b", "c"].map(read_at), [Some(3), Some(2), None]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut affiliations = Affiliations::default();
        affiliations.put(kept("a", CACHE_BYTES, 1));
        assert!(affiliations.get("a").is_none(), "it alone is too large");
        for id in ["a", "b", "c"] {
            affiliations.put(kept(id, CACHE_BYTES / 2 - 1_000, 1));
        }
        assert_eq!(["a", "b", "c"].map(|id| affiliations.get(id).is_some()), [false, false, true]);
    }
}
