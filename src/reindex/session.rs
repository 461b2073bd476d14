//! The session of a rebuild, kept in its own folder.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::private_files;
use crate::projection::Projection;

const FILE: &str = "session.json";
const STATE: &str = "state";
const LOCK: &str = "lock";
const LINKING: &str = "linking-";

/// Where the documents come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RebuildFrom {
    /// The whole log, replayed.
    Log,
    /// A copy of the state of the running instance, or of its folder.
    State,
}

/// A rebuild, as its folder remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its name, drawn at its beginning.
    pub id: String,
    /// The projections that it rebuilds.
    pub projections: Vec<String>,
    /// The concrete index of each.
    pub indexes: Vec<String>,
    /// The index behind each projection's alias at the beginning.
    pub previous: Vec<Option<String>>,
    /// Where the documents come from.
    pub from: RebuildFrom,
    /// True once the copy of the state is whole.
    pub copied: bool,
    /// True when the indexes were there before: the alias goes back to them.
    pub is_rollback: bool,
    /// Of a rollback: the hash of each mapping's file at its beginning; none where that is the index's own.
    #[serde(default)]
    pub rolled_back_from: Vec<Option<String>>,
    /// Where it ended; it writes nothing any more.
    pub ended_at: Option<Vec<(String, i32, i64)>>,
    /// True in the process that began it with new indexes, to which nothing was written before.
    #[serde(skip)]
    pub is_new: bool,
}

impl Session {
    /// The concrete index of a projection.
    ///
    /// # Errors
    /// When the session is not of the projection.
    pub fn index(&self, projection: Projection) -> Result<&str> {
        self.find(&self.indexes, projection).map(String::as_str).ok_or_else(|| {
            Error::failure(format!("the rebuild {} has no projection {}", self.id, projection.name()))
        })
    }

    /// True when `index` is the one that is made for the projection.
    pub fn is_index_of(&self, projection: Projection, index: &str) -> bool {
        self.find(&self.indexes, projection).is_some_and(|own| own == index)
    }

    /// The concrete indexes of these projections.
    ///
    /// # Errors
    /// When the session is not of one of them.
    pub fn indexes_of(&self, projections: &[Projection]) -> Result<BTreeMap<Projection, String>> {
        let index = |projection: &Projection| Ok((*projection, self.index(*projection)?.to_owned()));
        projections.iter().map(index).collect()
    }

    /// The index behind a projection's alias at the beginning; none when there was none.
    pub fn previous_of(&self, projection: Projection) -> Option<&str> {
        self.find(&self.previous, projection).and_then(Option::as_deref)
    }

    /// Of a rollback: the hash of the mapping's file of a projection at its beginning.
    pub fn hash_of(&self, projection: Projection) -> Option<&str> {
        self.find(&self.rolled_back_from, projection).and_then(Option::as_deref)
    }

    /// The part of a list that is of a projection. Each list is in the projections' order.
    fn find<'a, T>(&self, list: &'a [T], projection: Projection) -> Option<&'a T> {
        let place = self.projections.iter().position(|name| name == projection.name())?;
        list.get(place)
    }
}

/// The folder, which one process at a time can hold.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Where the rebuilds of the instance whose state is `state` keep theirs.
    pub fn path_of(state: &Path) -> PathBuf {
        let mut name = state.as_os_str().to_owned();
        name.push(".reindex");
        PathBuf::from(name)
    }

    /// Takes the folder, made when absent.
    ///
    /// # Errors
    /// When another process holds it, or the disk fails.
    pub fn hold(path: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::failure(format!("the rebuild's folder {} cannot be used; check the disk", path.display()))
                .because(error)
        };
        private_files::create_folder(path).map_err(failed)?;
        let lock = private_files::create_file(&path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "a reindex is under way here (it holds {}); wait for its end, or stop it first",
                    path.display()
                ),
            )),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The folder of the rebuild's own state.
    pub fn state(&self) -> PathBuf {
        self.path.join(STATE)
    }

    /// An empty folder for a copy by links, with its name. A process that sees it sees the same disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn linking(&self) -> Result<(String, PathBuf)> {
        let name = format!("{LINKING}{:016x}", fastrand::u64(..));
        let path = self.path.join(&name);
        private_files::create_folder(&path).map_err(|error| self.session_error(error))?;
        Ok((name, path))
    }

    /// The folder of [`Self::linking`] beside `state`, when it is there and empty.
    pub fn linking_of(state: &Path, name: &str) -> Option<PathBuf> {
        let number = name.strip_prefix(LINKING)?;
        let is_plain = number.bytes().all(|byte| byte.is_ascii_hexdigit());
        let path = Self::path_of(state).join(name);
        let is_empty = fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none());
        (is_plain && is_empty).then_some(path)
    }

    /// Makes the linked copy the rebuild's own state.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn take_linked(&self, path: &Path) -> Result<()> {
        fs::rename(path, self.state()).map_err(|error| self.session_error(error))
    }

    /// The session that was begun here; `None` when none was.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn session(&self) -> Result<Option<Session>> {
        let path = self.path.join(FILE);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| self.session_error(error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.session_error(error)),
        }
    }

    /// Writes the session down, whole or not at all.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep(&self, session: &Session) -> Result<()> {
        let text = serde_json::to_vec(session).map_err(|error| self.session_error(error))?;
        let beside = self.path.join("session.new");
        let outcome = private_files::write(&beside, &text)
            .and_then(|()| File::open(&beside)?.sync_all())
            .and_then(|()| fs::rename(&beside, self.path.join(FILE)))
            .and_then(|()| File::open(&self.path)?.sync_all());
        outcome.map_err(|error| self.session_error(error))
    }

    /// Forgets the session; the state stays only when it is to be kept.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn clear(&self, keep_state: bool) -> Result<()> {
        let removed = match fs::remove_file(self.path.join(FILE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ if keep_state || !self.state().exists() => Ok(()),
            _ => fs::remove_dir_all(self.state()),
        };
        removed.map_err(|error| self.session_error(error))
    }

    /// Removes the rebuild's own state: a copy that was broken off, or one kept by an earlier rebuild.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn clear_state(&self) -> Result<()> {
        for entry in fs::read_dir(&self.path).map_err(|error| self.session_error(error))? {
            let entry = entry.map_err(|error| self.session_error(error))?;
            let name = entry.file_name();
            if name == STATE || name.to_string_lossy().starts_with(LINKING) {
                fs::remove_dir_all(entry.path()).map_err(|error| self.session_error(error))?;
            }
        }
        Ok(())
    }

    fn session_error(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::failure(format!(
            "the rebuild's folder {} cannot be used; check the disk, or delete it and give the rebuild up with \
             `tributary reindex --abort`",
            self.path.display()
        ))
        .because(error)
    }
}

#[cfg(test)]
impl Session {
    /// A replay of the log that has just begun.
    pub(super) fn begin(projections: &[Projection], indexes: Vec<String>) -> Self {
        Self {
            id: "a".into(),
            projections: projections.iter().map(|projection| projection.name().to_owned()).collect(),
            previous: vec![None; indexes.len()],
            indexes,
            from: RebuildFrom::Log,
            copied: false,
            is_rollback: false,
            rolled_back_from: Vec::new(),
            ended_at: None,
            is_new: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_and_remembers_its_session() {
        let folder = tempfile::tempdir().unwrap();
        let path = Folder::path_of(&folder.path().join("state"));
        assert_eq!(path.file_name().unwrap(), "state.reindex");
        let holder = Folder::hold(&path).unwrap();
        assert!(Folder::hold(&path).unwrap_err().chain().contains("under way here"));
        assert_eq!(holder.session().unwrap(), None);
        let session = Session::begin(&[crate::plan::CONTACTS], vec!["contacts-1".into()]);
        holder.keep(&session).unwrap();
        fs::create_dir_all(holder.state()).unwrap();
        drop(holder);
        let holder = Folder::hold(&path).unwrap();
        assert_eq!(holder.session().unwrap(), Some(session));
        holder.clear(true).unwrap();
        assert!(holder.session().unwrap().is_none() && holder.state().exists());
        holder.clear(false).unwrap();
        assert!(!holder.state().exists());
    }
}
