//! The durable store: an LSM tree in a folder, by the `fjall` crate.

use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};

use fjall::config::{BlockSizePolicy, PinningPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};

use super::keys::Space;
use super::store::{Changes, Entries, Reader, StateStore, Visit};
use crate::error::{Error, Result};

const CACHE_BYTES: u64 = 16 << 20;
/// Larger blocks than the default: half the index to hold, for rows that are read in runs.
const BLOCK_BYTES: u32 = 8 << 10;
const MEMTABLE_BYTES: u64 = 4 << 20;
/// How many keys are removed together.
const CLEARED_AT_ONCE: usize = 10_000;
const JOURNAL_BYTES: u64 = 64 << 20;

/// A store in a folder that one process at a time can open.
pub struct FjallStore {
    database: Database,
    spaces: Vec<Keyspace>,
    scratch: PathBuf,
}

impl FjallStore {
    /// Opens the store in `folder`, made when absent.
    ///
    /// # Errors
    /// When another process has it open, or when its files are damaged: then it says to delete the
    /// folder and replay.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| {
            Error::failed(format!("cannot make the state's folder {}", folder.display())).because(error)
        })?;
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .manual_journal_persist(true)
            .worker_threads(2)
            .open()
            .map_err(|error| opening(folder, error))?;
        let options = || {
            // Nothing is pinned: indexes and filters live in the cache, whose size is bounded.
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .manual_journal_persist(true)
                .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
                .index_block_pinning_policy(PinningPolicy::all(false))
                .filter_block_pinning_policy(PinningPolicy::all(false))
        };
        let spaces = Space::ALL.iter().map(|space| database.keyspace(space.name(), options));
        let spaces = spaces.collect::<Result<Vec<_>, _>>().map_err(|error| opening(folder, error))?;
        let scratch = folder.join("scratch");
        match std::fs::remove_dir_all(&scratch) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let what = format!("{} is left of a run that broke off; delete it", scratch.display());
                return Err(Error::failed(what).because(error));
            }
            _ => {}
        }
        Ok(Self { database, spaces, scratch })
    }

    fn keyspace(&self, space: Space) -> Result<&Keyspace> {
        keyspace(&self.spaces, space)
    }
}

fn keyspace(spaces: &[Keyspace], space: Space) -> Result<&Keyspace> {
    spaces
        .get(space as usize)
        .ok_or_else(|| Error::failed(format!("the state has no space {}", space.name())))
}

fn opening(folder: &Path, error: fjall::Error) -> Error {
    let folder = folder.display();
    match error {
        fjall::Error::Locked => {
            Error::failed(format!("the state in {folder} is open in another process; stop it, or ask it over HTTP"))
        }
        error => Error::failed(format!(
            "the state in {folder} cannot be read; it is a cache of the log: delete the folder and start again to replay"
        ))
        .because(error),
    }
}

fn failed(error: fjall::Error) -> Error {
    let what = match error {
        fjall::Error::Poisoned => {
            "the state could not be written earlier and takes no more; start again to recover"
        }
        _ => "the state could not be read or written; check the disk, then start again to recover",
    };
    Error::failed(what).because(error)
}

impl StateStore for FjallStore {
    fn view(&self) -> Box<dyn Reader> {
        Box::new(View { snapshot: self.database.snapshot(), spaces: self.spaces.clone() })
    }

    fn commit(&self, changes: Changes) -> Result<()> {
        let mut batch = self.database.batch();
        for (space, key, value) in changes.0 {
            let keyspace = self.keyspace(space)?;
            match value {
                Some(value) => batch.insert(keyspace, key, value),
                None => batch.remove(keyspace, key),
            }
        }
        batch.commit().map_err(failed)
    }

    fn fill(&self, space: Space, entries: &mut Entries<'_>) -> Result<u64> {
        let mut ingestion = self.keyspace(space)?.start_ingestion().map_err(failed)?;
        let mut count = 0;
        for entry in entries {
            let (key, value) = entry?;
            ingestion.write(key, value).map_err(failed)?;
            count += 1;
        }
        ingestion.finish().map_err(failed)?;
        Ok(count)
    }

    fn clear(&self, space: Space) -> Result<()> {
        // Not by `Keyspace::clear`: its entry in the journal would, at the next opening, also remove what the
        // space was filled with since, which is in no journal.
        let keyspace = self.keyspace(space)?;
        loop {
            let mut batch = self.database.batch();
            for entry in keyspace.iter().take(CLEARED_AT_ONCE) {
                batch.remove(keyspace, entry.key().map_err(failed)?);
            }
            if batch.is_empty() {
                return Ok(());
            }
            batch.commit().map_err(failed)?;
        }
    }

    fn scratch(&self) -> PathBuf {
        self.scratch.clone()
    }

    fn sync(&self) -> Result<()> {
        self.database.persist(PersistMode::SyncAll).map_err(failed)
    }

    fn count_about(&self, space: Space) -> u64 {
        self.keyspace(space).map_or(0, |keyspace| keyspace.approximate_len() as u64)
    }

    fn disk_bytes(&self) -> u64 {
        self.database.disk_space().unwrap_or(0)
    }
}

struct View {
    snapshot: Snapshot,
    spaces: Vec<Keyspace>,
}

impl Reader for View {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found = self.snapshot.get(keyspace(&self.spaces, space)?, key).map_err(failed)?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn scan(&self, space: Space, prefix: &[u8], after: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let start = if after.is_empty() { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let keyspace = keyspace(&self.spaces, space)?;
        for entry in self.snapshot.range::<&[u8], _>(keyspace, (start, Bound::Unbounded)) {
            let (key, value) = entry.into_inner().map_err(failed)?;
            if !key.starts_with(prefix) {
                break;
            }
            if let ControlFlow::Break(()) = visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contacts(store: &FjallStore) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            found.push((key.to_vec(), value.to_vec()));
            Ok(ControlFlow::Continue(()))
        };
        store.view().scan(Space::Contacts, &[], &[], &mut visit).unwrap();
        found
    }

    #[test]
    fn what_a_space_was_filled_with_after_it_was_cleared_is_there_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let pair = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
        {
            let store = FjallStore::open(folder.path()).unwrap();
            let mut changes = Changes::default();
            for key in ["a", "b"] {
                changes.put(Space::Contacts, key.into(), b"old".to_vec());
            }
            store.commit(changes).unwrap();
            store.clear(Space::Contacts).unwrap();
            assert_eq!(contacts(&store), []);
            let mut filled = [Ok(pair("b", "new")), Ok(pair("c", "new"))].into_iter();
            assert_eq!(store.fill(Space::Contacts, &mut filled).unwrap(), 2);
            let mut changes = Changes::default();
            changes.put(Space::Contacts, b"d".to_vec(), b"later".to_vec());
            store.commit(changes).unwrap();
            store.sync().unwrap();
        }
        let store = FjallStore::open(folder.path()).unwrap();
        assert_eq!(contacts(&store), [pair("b", "new"), pair("c", "new"), pair("d", "later")]);
    }
}
