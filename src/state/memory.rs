//! The store's substitute in memory: the same promises, nothing durable.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use super::keys::Space;
use super::store::{self, Changes, EntryCursor, Reader, StateStore};
use crate::error::Result;

type MemoryEntries = BTreeMap<(Space, Vec<u8>), Vec<u8>>;
type MemoryEntry<'a> = (&'a (Space, Vec<u8>), &'a Vec<u8>);

/// A store in memory. A snapshot costs a copy at the next commit, so it is for tests and small states.
#[derive(Debug, Default, Clone)]
pub struct MemoryStore(Arc<RwLock<Arc<MemoryEntries>>>);

struct MemoryView(Arc<MemoryEntries>);

impl StateStore for MemoryStore {
    fn view(&self) -> Box<dyn Reader> {
        Box::new(MemoryView(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))))
    }

    fn commit(&self, changes: Changes) -> Result<()> {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let entries = Arc::make_mut(&mut entries);
        for (space, key, value) in changes.0 {
            match value {
                Some(value) => entries.insert((space, key), value),
                None => entries.remove(&(space, key)),
            };
        }
        Ok(())
    }

    fn fill(&self, space: Space, entries: &mut store::Entries<'_>) -> Result<u64> {
        let mut changes = Changes::default();
        for entry in entries {
            let (key, value) = entry?;
            changes.put(space, key, value);
        }
        let count = changes.len() as u64;
        self.commit(changes).map(|()| count)
    }

    fn clear(&self, space: Space) -> Result<()> {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut entries).retain(|(at, _), _| *at != space);
        Ok(())
    }

    fn scratch(&self) -> PathBuf {
        std::env::temp_dir().join(format!("tributary-{:016x}", fastrand::u64(..)))
    }

    fn link(&self, _: &std::path::Path) -> Result<bool> {
        Ok(false)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn count_about(&self, space: Space) -> u64 {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entries.range((space, Vec::new())..).take_while(|((at, _), _)| *at == space).count() as u64
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}

impl Reader for MemoryView {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(&(space, key.to_vec())).cloned())
    }

    fn cursor(&self, space: Space, start: Bound<&[u8]>) -> Result<Box<dyn EntryCursor + '_>> {
        let start = match start {
            Bound::Included(key) => Bound::Included((space, key.to_vec())),
            Bound::Excluded(key) => Bound::Excluded((space, key.to_vec())),
            Bound::Unbounded => Bound::Included((space, Vec::new())),
        };
        let mut entries = self.0.range((start, Bound::Unbounded));
        let entry = entries.next();
        Ok(Box::new(MemoryCursor { space, entries, entry }))
    }
}

/// A cursor: an entry, which may be of the next space, and those behind it.
struct MemoryCursor<'a> {
    space: Space,
    entries: btree_map::Range<'a, (Space, Vec<u8>), Vec<u8>>,
    entry: Option<MemoryEntry<'a>>,
}

impl EntryCursor for MemoryCursor<'_> {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        let ((_, key), value) = self.entry.filter(|((space, _), _)| *space == self.space)?;
        Some((key, value))
    }

    fn advance(&mut self) -> Result<()> {
        self.entry = self.entries.next();
        Ok(())
    }
}
