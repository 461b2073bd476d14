//! Fragments that are remembered, each with the entities that it was made of.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::entity::fragment::Fragment;
use crate::plan::EntityType;

const CACHE_BYTES: usize = 32 << 20;
/// The bytes of an entry beside its texts.
const ENTRY_BYTES: usize = 120;

/// One that is remembered, found by the id of its entity.
#[derive(Debug)]
pub(super) struct CachedFragment {
    pub(super) fragment: Fragment,
    /// The entities that it was made of, itself among them.
    pub(super) of: Box<[(EntityType, Arc<str>)]>,
    /// The step of the snapshot that it was made from.
    pub(super) read_at: u64,
}

impl Borrow<[u8]> for CachedFragment {
    fn borrow(&self) -> &[u8] {
        self.fragment.id()
    }
}

impl Hash for CachedFragment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fragment.id().hash(state);
    }
}

impl PartialEq for CachedFragment {
    fn eq(&self, other: &Self) -> bool {
        self.fragment.id() == other.fragment.id()
    }
}

impl Eq for CachedFragment {}

/// When they are too many, all are forgotten: a reader of that many passes over everything anyway.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// By the kind of fragment.
    sets: Vec<HashSet<CachedFragment, RandomState>>,
    bytes: usize,
}

impl Fragments {
    /// Room for so many kinds.
    pub(super) fn of(kinds: usize) -> Self {
        Self { sets: (0..kinds).map(|_| HashSet::default()).collect(), bytes: 0 }
    }

    pub(super) fn get(&self, kind: u16, id: &str) -> Option<&CachedFragment> {
        self.sets.get(usize::from(kind))?.get(id.as_bytes())
    }

    /// Remembers one, in the place of another of the same entity.
    pub(super) fn put(&mut self, kind: u16, entry: CachedFragment) {
        let bytes =
            entry.fragment.bytes() + entry.of.len() * size_of::<(EntityType, Arc<str>)>() + ENTRY_BYTES;
        if bytes > CACHE_BYTES {
            return;
        }
        self.bytes += bytes;
        if self.bytes > CACHE_BYTES {
            self.sets.iter_mut().for_each(HashSet::clear);
            self.bytes = bytes;
        }
        if let Some(of_kind) = self.sets.get_mut(usize::from(kind)) {
            of_kind.replace(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, length: usize, read_at: u64) -> CachedFragment {
        let fragment = Fragment::new(id, &vec![b' '; length], b"\"\"");
        CachedFragment { fragment, of: Box::default(), read_at }
    }

    #[test]
    fn a_fragment_is_found_by_kind_and_id_and_the_last_one_counts() {
        let mut fragments = Fragments::of(2);
        for (id, read_at) in [("a", 1), ("b", 2), ("a", 3)] {
            fragments.put(0, entry(id, 2, read_at));
        }
        fragments.put(1, entry("a", 2, 9));
        let read_at = |id| fragments.get(0, id).map(|entry| entry.read_at);
        assert_eq!(["a", "b", "c"].map(read_at), [Some(3), Some(2), None]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut fragments = Fragments::of(1);
        fragments.put(0, entry("a", CACHE_BYTES, 1));
        assert!(fragments.get(0, "a").is_none(), "it alone is too large");
        for id in ["a", "b", "c"] {
            fragments.put(0, entry(id, CACHE_BYTES / 2 - 1_000, 1));
        }
        assert_eq!(["a", "b", "c"].map(|id| fragments.get(0, id).is_some()), [false, false, true]);
    }
}
