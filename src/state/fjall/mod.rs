//! The durable store: an LSM tree in a folder, by the `fjall` crate.
//!
//! This folder alone knows how that crate lays out its files. It reads them before the crate does, because the crate
//! takes some of them as they are. The layout is private to the crate, so its version is exact, and unknown layouts are
//! refused.

mod heads;
mod journal;
mod link;
mod manifest;
mod peek;

use std::io::ErrorKind;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fjall::config::{BlockSizePolicy, PinningPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};

use self::heads::{Heads, StoreCommits};
pub use self::peek::Peek;
use super::keys::{HEAD_KEY, HEADS_KEY, KEYSPACES_KEY, Space};
use super::store::{Changes, Entries, EntryCursor, Reader, StateStore};
use crate::error::{Error, Result};
use crate::plan::PlanRef;

const CACHE_BYTES: u64 = 16 << 20;
/// Larger blocks than the default: half the index to hold, for rows that are read in runs.
const BLOCK_BYTES: u32 = 8 << 10;
const MEMTABLE_BYTES: u64 = 4 << 20;
/// How many keys are removed together.
const CLEARED_AT_ONCE: usize = 10_000;
/// A process that was killed may hold its lock for a moment more, and so does a command that looks at the state. Commands
/// may follow each other: the lock is tried for five seconds.
const LOCK_TRIES: u32 = 250;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
const JOURNAL_BYTES: u64 = 64 << 20;

/// A store in a folder that one process at a time can open.
pub struct FjallStore {
    database: Database,
    spaces: Arc<Keyspaces>,
    scratch: PathBuf,
    folder: Arc<Path>,
    /// Held from the making of a commit's number until the commit is made.
    heads: Mutex<Heads>,
}

/// The keyspaces of a store, in the order of their numbers.
struct Keyspaces {
    named: Vec<(Space, String)>,
    opened: Vec<Keyspace>,
}

impl Keyspaces {
    fn place(&self, space: Space) -> Option<usize> {
        self.named.binary_search_by_key(&space, |(space, _)| *space).ok()
    }

    fn get(&self, space: Space) -> Result<&Keyspace> {
        let found = self.place(space).and_then(|place| self.opened.get(place));
        found.ok_or_else(|| Error::failure(format!("the state has no keyspace {}", space.number())))
    }
}

impl FjallStore {
    /// Opens the store in `folder` with the keyspaces of `plan`, made when absent.
    ///
    /// # Errors
    /// When another process has it open, or when its files are damaged: then it says to delete the
    /// folder and replay.
    pub fn open(folder: &Path, plan: PlanRef) -> Result<Self> {
        crate::private_files::create_folder(folder).map_err(|error| {
            Error::failure(format!(
                "cannot make the state's folder {}; check its path and permissions",
                folder.display()
            ))
            .because(error)
        })?;
        look_through(folder)?;
        let database = open_database(folder)?;
        let options = || {
            // Nothing is pinned: indexes and filters live in the cache, whose size is bounded.
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .manual_journal_persist(true)
                .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
                .index_block_pinning_policy(PinningPolicy::all(false))
                .filter_block_pinning_policy(PinningPolicy::all(false))
        };
        let named = Space::all(plan);
        let missing = named.iter().position(|(_, name)| !database.keyspace_exists(name));
        let opened = named.iter().map(|(_, name)| database.keyspace(name, options));
        let opened =
            opened.collect::<Result<Vec<_>, _>>().map_err(|error| self::open_failure(folder, error))?;
        let spaces = Arc::new(Keyspaces { named, opened });
        let scratch = folder.join("scratch");
        match std::fs::remove_dir_all(&scratch) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let what = format!("{} is left of a run that broke off; delete it", scratch.display());
                return Err(Error::failure(what).because(error));
            }
            _ => {}
        }
        let folder = Arc::from(folder);
        let mut store = Self { database, spaces, scratch, folder, heads: Mutex::default() };
        let found = store.check_whole(missing)?;
        store.heads = Mutex::new(found.heads);
        if found.is_renamed {
            store.note_names()?;
        }
        Ok(store)
    }

    /// Refuses a store of which a part is missing, or the keyspace in the place `missing` altogether.
    fn check_whole(&self, missing: Option<usize>) -> Result<StoreCommits> {
        let found = Heads::read(&*self.view(), &self.spaces.named)?;
        let is_filled = || self.spaces.opened.iter().any(|space| space.first_key_value().is_some());
        // Keyspaces that the store did not know yet are made on opening.
        let missing = missing.filter(|_| !found.is_renamed && is_filled());
        let Some(place) = found.behind.or(missing) else { return Ok(found) };
        Err(Error::failure(format!(
            "the state in {folder} has lost a part of {}. It is a cache of the log: delete the folder {folder} and \
             start again to replay",
            self.spaces.named.get(place).map_or("", |(_, name)| name),
            folder = self.folder.display()
        )))
    }

    /// Writes the names of the keyspaces down, with a commit that touches all of them.
    fn note_names(&self) -> Result<()> {
        let names: Vec<&str> = self.spaces.named.iter().map(|(_, name)| name.as_str()).collect();
        let mut batch = self.database.batch();
        batch.insert(self.spaces.get(Space::META)?, KEYSPACES_KEY, names.join("\n"));
        let all: Vec<Space> = self.spaces.named.iter().map(|(space, _)| *space).collect();
        self.finish(batch, &all)
    }

    /// Does work that writes a keyspace's memtable to its tables without regard to the journal. The memtable must not reach
    /// the disk before the journal, or a kill between the two leaves a store with a part missing.
    fn behind_journal<T>(&self, work: impl FnOnce() -> fjall::Result<T>) -> Result<T> {
        let _no_commit = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        self.database.persist(PersistMode::SyncAll).map_err(|error| self.store_error(error))?;
        work().map_err(|error| self.store_error(error))
    }

    /// Commits the changes in `batch`, of the keyspaces in `touched`, as the commit after the last one.
    fn finish(&self, mut batch: fjall::OwnedWriteBatch, touched: &[Space]) -> Result<()> {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut touched: Vec<Space> = touched.iter().copied().chain([Space::META]).collect();
        touched.sort_unstable();
        touched.dedup();
        let next = heads.next(touched.iter().filter_map(|space| self.spaces.place(*space)));
        for space in touched {
            batch.insert(self.keyspace(space)?, HEAD_KEY, next.count.to_be_bytes());
        }
        batch.insert(self.keyspace(Space::META)?, HEADS_KEY, next.encode(self.database.seqno()));
        batch.commit().map_err(|error| open_error(&self.folder, error))?;
        *heads = next;
        Ok(())
    }

    fn keyspace(&self, space: Space) -> Result<&Keyspace> {
        self.spaces.get(space)
    }

    fn store_error(&self, error: fjall::Error) -> Error {
        open_error(&self.folder, error)
    }
}

/// Opens the database, once another process that took its lock meanwhile lets go of it.
fn open_database(folder: &Path) -> Result<Database> {
    let open = || {
        Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .manual_journal_persist(true)
            .worker_threads(2)
            .open()
    };
    let mut tries = 0;
    loop {
        match open() {
            Err(fjall::Error::Locked) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            opened => return opened.map_err(|error| open_failure(folder, error)),
        }
    }
}

fn open_failure(folder: &Path, error: fjall::Error) -> Error {
    let folder = folder.display();
    match error {
        fjall::Error::Locked => {
            Error::failure(format!("the state in {folder} is open in another process; stop it, or ask it over HTTP"))
        }
        error if is_of_machine(&error) => Error::failure(format!(
            "the state in {folder} cannot be opened; check the disk, its permissions and the limit of open files, then start again"
        ))
        .because(error),
        error => Error::failure(format!(
            "the state in {folder} cannot be read; it is a cache of the log: delete the folder and start again to replay"
        ))
        .because(error),
    }
}

/// Looks at the files before the store does, which takes some of them as they are. Not while another process
/// changes them.
fn look_through(folder: &Path) -> Result<()> {
    let lock = std::fs::OpenOptions::new().read(true).write(true).open(folder.join("lock"));
    if let Ok(lock) = &lock {
        let mut tries = 0;
        while let Err(std::fs::TryLockError::WouldBlock) = lock.try_lock() {
            tries += 1;
            if tries > LOCK_TRIES {
                return Err(open_failure(folder, fjall::Error::Locked));
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }
    manifest::check(folder)?;
    if let Some(cut) = journal::repair(folder)? {
        tracing::warn!(
            file = %cut.file.display(),
            at = cut.at,
            "the file is damaged; what it held behind that place is read again from the log"
        );
    }
    Ok(())
}

/// True when the machine did not let a file be read or written, which says nothing of the file's content.
fn is_of_machine(error: &fjall::Error) -> bool {
    match error {
        fjall::Error::Storage(fjall::LsmError::Io(error)) | fjall::Error::Io(error) => {
            // Among them are errors of a missing folder and of files that were to be made anew.
            let of_file = [
                ErrorKind::NotFound,
                ErrorKind::UnexpectedEof,
                ErrorKind::InvalidData,
                ErrorKind::InvalidInput,
                ErrorKind::AlreadyExists,
            ];
            !of_file.contains(&error.kind())
        }
        _ => false,
    }
}

fn open_error(folder: &Path, error: fjall::Error) -> Error {
    let what = match &error {
        fjall::Error::Poisoned => {
            "the state could not be written earlier and takes no more; start again to recover"
        }
        error if is_of_machine(error) => {
            "the state could not be read or written; check the disk, then start again to recover"
        }
        _ => {
            let table = manifest::find_damaged_table(folder);
            return manifest::damage_error(folder, table.as_deref().unwrap_or(folder)).because(error);
        }
    };
    Error::failure(what).because(error)
}

impl StateStore for FjallStore {
    fn view(&self) -> Box<dyn Reader> {
        Box::new(FjallView {
            snapshot: self.database.snapshot(),
            spaces: Arc::clone(&self.spaces),
            folder: Arc::clone(&self.folder),
        })
    }

    fn commit(&self, changes: Changes) -> Result<()> {
        let mut batch = self.database.batch();
        let mut touched = Vec::new();
        for (space, key, value) in changes.0 {
            let keyspace = self.keyspace(space)?;
            if !touched.contains(&space) {
                touched.push(space);
            }
            match value {
                Some(value) => batch.insert(keyspace, key, value),
                None => batch.remove(keyspace, key),
            }
        }
        if touched.is_empty() { Ok(()) } else { self.finish(batch, &touched) }
    }

    fn fill(&self, space: Space, entries: &mut Entries<'_>) -> Result<u64> {
        let keyspace = self.keyspace(space)?;
        let mut ingestion = self.behind_journal(|| keyspace.start_ingestion())?;
        let mut count = 0;
        for entry in entries {
            let (key, value) = entry?;
            ingestion.write(key, value).map_err(|error| self.store_error(error))?;
            count += 1;
        }
        self.behind_journal(|| ingestion.finish())?;
        Ok(count)
    }

    fn clear(&self, space: Space) -> Result<()> {
        // Not by `Keyspace::clear`. At the next opening its entry in the journal would also remove the rows that the
        // keyspace was filled with since. Those are in no journal.
        let keyspace = self.keyspace(space)?;
        loop {
            let mut batch = self.database.batch();
            for entry in keyspace.range(..HEAD_KEY).take(CLEARED_AT_ONCE) {
                batch.remove(keyspace, entry.key().map_err(|error| self.store_error(error))?);
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.finish(batch, &[space])?;
        }
    }

    fn scratch(&self) -> PathBuf {
        self.scratch.clone()
    }

    fn link(&self, into: &Path) -> Result<bool> {
        let _no_commit = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        self.database.persist(PersistMode::SyncAll).map_err(|error| self.store_error(error))?;
        link::link(&self.folder, into)
    }

    fn sync(&self) -> Result<()> {
        self.database.persist(PersistMode::SyncAll).map_err(|error| self.store_error(error))
    }

    fn count_about(&self, space: Space) -> u64 {
        self.keyspace(space).map_or(0, |keyspace| keyspace.approximate_len() as u64)
    }

    fn disk_bytes(&self) -> u64 {
        self.database.disk_space().unwrap_or(0)
    }
}

struct FjallView {
    snapshot: Snapshot,
    spaces: Arc<Keyspaces>,
    folder: Arc<Path>,
}

impl FjallView {
    fn store_error(&self, error: fjall::Error) -> Error {
        open_error(&self.folder, error)
    }
}

impl Reader for FjallView {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found =
            self.snapshot.get(self.spaces.get(space)?, key).map_err(|error| self.store_error(error))?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn cursor(&self, space: Space, start: Bound<&[u8]>) -> Result<Box<dyn EntryCursor + '_>> {
        let space = self.spaces.get(space)?;
        let entries = self.snapshot.range::<&[u8], _>(space, (start, Bound::Unbounded));
        let mut cursor = FjallCursor { view: self, entries, entry: None };
        cursor.advance()?;
        Ok(Box::new(cursor))
    }
}

/// A cursor: an entry, and those behind it.
struct FjallCursor<'a> {
    view: &'a FjallView,
    entries: fjall::Iter,
    entry: Option<fjall::KvPair>,
}

impl EntryCursor for FjallCursor<'_> {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.entry.as_ref().map(|(key, value)| (&**key, &**value))
    }

    fn advance(&mut self) -> Result<()> {
        let next = self.entries.next().map(fjall::Guard::into_inner).transpose();
        // The head is behind all entries.
        self.entry =
            next.map_err(|error| self.view.store_error(error))?.filter(|(key, _)| **key != *HEAD_KEY);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::CONTACT;
    use crate::plan::builtin;
    use std::ops::ControlFlow;

    use super::*;

    fn contacts(store: &FjallStore) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            found.push((key.to_vec(), value.to_vec()));
            Ok(ControlFlow::Continue(()))
        };
        store.view().scan(Space::of_type(CONTACT), &[], &[], &mut visit).unwrap();
        found
    }

    #[test]
    fn the_crates_whose_files_are_read_have_the_versions_whose_layout_is_known() {
        let lock: toml::Table = toml::from_str(include_str!("../../../Cargo.lock")).unwrap();
        let packages = lock["package"].as_array().unwrap();
        for (name, version) in [("fjall", "3.1.13"), ("lsm-tree", "3.1.10"), ("sfa", "1.0.0")] {
            let found = packages.iter().filter(|package| package["name"].as_str() == Some(name));
            let found: Vec<_> = found.filter_map(|package| package["version"].as_str()).collect();
            let why = "compare the crate's files with src/state/fjall before another version is taken";
            assert_eq!(found, [version], "{name}: {why}");
        }
    }

    #[test]
    fn what_a_space_was_filled_with_after_it_was_cleared_is_there_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let pair = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
        {
            let store = FjallStore::open(folder.path(), builtin()).unwrap();
            let mut changes = Changes::default();
            for key in ["a", "b"] {
                changes.put(Space::of_type(CONTACT), key.into(), b"old".to_vec());
            }
            store.commit(changes).unwrap();
            store.clear(Space::of_type(CONTACT)).unwrap();
            assert_eq!(contacts(&store), []);
            let mut filled = [Ok(pair("b", "new")), Ok(pair("c", "new"))].into_iter();
            assert_eq!(store.fill(Space::of_type(CONTACT), &mut filled).unwrap(), 2);
            let mut changes = Changes::default();
            changes.put(Space::of_type(CONTACT), b"d".to_vec(), b"later".to_vec());
            store.commit(changes).unwrap();
            store.sync().unwrap();
        }
        let store = FjallStore::open(folder.path(), builtin()).unwrap();
        assert_eq!(contacts(&store), [pair("b", "new"), pair("c", "new"), pair("d", "later")]);
    }
}
