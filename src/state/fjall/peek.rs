//! A store that is looked at without being changed: opened as a copy elsewhere.
//!
//! Opening a store changes it, because journals are cut off and memory is written to tables. The copy has the small files
//! and the journals of its own, and shares the tables by symbolic links, since no table ever changes.

use std::path::Path;

use tempfile::TempDir;

use super::link::link_by;
use super::{FjallStore, manifest, open_failure};
use crate::error::{Error, Result};
use crate::plan::PlanRef;

/// A copy that goes when this goes.
pub struct Peek {
    /// The copy. Writes to it never reach the store itself.
    pub store: FjallStore,
    /// Where it lies.
    pub folder: TempDir,
}

impl Peek {
    /// Looks at the store in `folder`; `None` when there is none. The store is kept from others while it is copied.
    ///
    /// # Errors
    /// Those of [`FjallStore::open`].
    pub fn open(folder: &Path, plan: PlanRef) -> Result<Option<Self>> {
        let failed = |error: std::io::Error| {
            Error::failure(format!(
                "the state in {} cannot be looked at; check the disk and its permissions",
                folder.display()
            ))
            .because(error)
        };
        if !folder.try_exists().map_err(failed)? {
            return Ok(None);
        }
        let whole = std::fs::canonicalize(folder).map_err(failed)?;
        let lock = match std::fs::File::open(whole.join("lock")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            lock => lock.ok(),
        };
        if let Some(Err(error)) = lock.as_ref().map(std::fs::File::try_lock_shared) {
            return Err(match error {
                std::fs::TryLockError::WouldBlock => open_failure(folder, fjall::Error::Locked),
                std::fs::TryLockError::Error(error) => failed(error),
            });
        }
        manifest::check(folder)?;
        if !whole.join("keyspaces").is_dir() {
            return Ok(None);
        }
        let copy = tempfile::tempdir().map_err(failed)?;
        let renamed = |error: Error| {
            let (copied, real) = (copy.path().display().to_string(), folder.display().to_string());
            Error::new(error.kind(), error.chain().replace(&copied, &real))
        };
        link_by(&whole, copy.path(), |table, link| std::os::unix::fs::symlink(table, link))
            .map_err(renamed)?;
        drop(lock);
        let store = FjallStore::open(copy.path(), plan).map_err(renamed)?;
        Ok(Some(Self { store, folder: copy }))
    }
}
