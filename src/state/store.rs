//! The port to a durable, ordered key-value store.

use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};

use super::keys::Space;
use crate::error::Result;

/// Puts and removals that become visible and durable together.
#[derive(Debug, Clone, Default)]
pub struct Changes(pub(super) Vec<(Space, Vec<u8>, Option<Vec<u8>>)>);

impl Changes {
    /// Puts `value` under `key`.
    pub fn put(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>) {
        self.0.push((space, key, Some(value)));
    }

    /// Removes `key`.
    pub fn remove(&mut self, space: Space, key: Vec<u8>) {
        self.0.push((space, key, None));
    }

    /// True when nothing would change.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many puts and removals there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The visitor of [`Reader::scan`], with the key and the value of each entry.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;

/// Entries with their keys.
pub type Entries<'a> = dyn Iterator<Item = Result<(Vec<u8>, Vec<u8>)>> + 'a;

/// A place between the entries of a space, which moves on in the order of their keys.
pub trait EntryCursor {
    /// The entry that it stands at, its key and its value; `None` behind the last.
    fn entry(&self) -> Option<(&[u8], &[u8])>;

    /// Goes on to the next entry.
    fn advance(&mut self) -> Result<()>;
}

/// A view of the store at one moment; later commits don't show.
pub trait Reader: Send + Sync {
    /// The value under `key`.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Stands at the first entry of a space from `start` on.
    fn cursor(&self, space: Space, start: Bound<&[u8]>) -> Result<Box<dyn EntryCursor + '_>>;

    /// Visits the entries whose key begins with `prefix`, in key order, those above `after` only
    /// (an empty `after` begins at the first), until `visit` breaks.
    fn scan(&self, space: Space, prefix: &[u8], after: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let start = if after.is_empty() { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let mut cursor = self.cursor(space, start)?;
        while let Some((key, value)) = cursor.entry().filter(|(key, _)| key.starts_with(prefix)) {
            if visit(key, value)?.is_break() {
                break;
            }
            cursor.advance()?;
        }
        Ok(())
    }
}

/// A durable, ordered key-value store with atomic commits and snapshots.
///
/// After a crash the store holds a prefix of its commits, each whole or not at all.
pub trait StateStore: Send + Sync {
    /// A view of everything committed so far.
    fn view(&self) -> Box<dyn Reader>;

    /// Makes all of `changes` visible at once. They are durable after the next [`StateStore::sync`].
    fn commit(&self, changes: Changes) -> Result<()>;

    /// Fills an empty space with entries in the order of their keys; they become visible together, and are
    /// durable after the next [`StateStore::sync`]. Answers how many there were.
    fn fill(&self, space: Space, entries: &mut Entries<'_>) -> Result<u64>;

    /// Removes everything of a space.
    fn clear(&self, space: Space) -> Result<()>;

    /// A folder for temporary files, which need not exist yet. The rest in it is deleted when the store is opened the next
    /// time.
    fn scratch(&self) -> PathBuf;

    /// Makes the empty folder `into` a store of its own with all commits so far, which shares unchanging files with this one.
    /// False, and files are left in the folder, when that can't be.
    fn link(&self, into: &Path) -> Result<bool>;

    /// Waits until every commit so far lies on the disk. A failed sync poisons the store.
    fn sync(&self) -> Result<()>;

    /// About how many keys a space has; never fewer than it has.
    fn count_about(&self, space: Space) -> u64;

    /// The bytes that the store takes on the disk.
    fn disk_bytes(&self) -> u64;
}
