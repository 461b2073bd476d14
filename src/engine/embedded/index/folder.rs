//! The folder of an embedded index: one folder for each concrete index, and one file for the aliases.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::private_files;

const ALIASES: &str = "aliases.json";
const META: &str = "tributary.json";
const LOCK: &str = "lock";
/// The file that an index holds from its making until it is full.
const FILLING: &str = "filling";

/// The folder.
#[derive(Debug, Clone)]
pub struct EmbeddedFolder(PathBuf);

/// Who made the first index behind an alias.
pub(super) enum Creator<T> {
    /// This process, which opened it.
    Here(T),
    /// Another one, under this name.
    Elsewhere(String),
}

impl EmbeddedFolder {
    /// The folder at `path`; it need not be there yet.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The folder of a concrete index.
    pub fn index(&self, index: &str) -> PathBuf {
        self.0.join(index)
    }

    /// The concrete index behind `alias`.
    ///
    /// # Errors
    /// When the aliases can't be read.
    pub fn index_behind(&self, alias: &str) -> Result<Option<String>> {
        Ok(self.aliases()?.remove(alias))
    }

    /// Makes `index`, has it opened, and puts `alias` on it, unless another process was first.
    pub(super) fn create_behind<T>(
        &self,
        alias: &str,
        index: &str,
        meta: &Value,
        open: impl FnOnce() -> Result<T>,
    ) -> Result<Creator<T>> {
        let _lock = self.lock()?;
        let mut aliases = self.aliases()?;
        if let Some(index) = aliases.remove(alias) {
            return Ok(Creator::Elsewhere(index));
        }
        self.create(index, meta)?;
        self.begin_filling(index)?;
        let opened = open()?;
        aliases.insert(alias.to_owned(), index.to_owned());
        self.put_aliases(&aliases)?;
        Ok(Creator::Here(opened))
    }

    /// Changes the aliases in one step, with no other process between; an error changes nothing.
    pub(super) fn change_aliases(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<()>,
    ) -> Result<()> {
        let _lock = self.lock()?;
        let mut aliases = self.aliases()?;
        change(&mut aliases)?;
        self.put_aliases(&aliases)
    }

    fn put_aliases(&self, aliases: &BTreeMap<String, String>) -> Result<()> {
        let text = serde_json::to_vec(aliases).map_err(|error| self.folder_error(ALIASES, error))?;
        replace(&self.0.join(ALIASES), &text).map_err(|error| self.folder_error(ALIASES, error))
    }

    /// Keeps every other process from changing aliases and records for as long as the file lives.
    fn lock(&self) -> Result<File> {
        let locked = private_files::create_folder(&self.0)
            .and_then(|()| private_files::create_file(&self.0.join(LOCK)))
            .and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| self.folder_error(LOCK, error))
    }

    /// The concrete indexes of the folder.
    pub(super) fn indexes(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.folder_error("", error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| self.index(name).join(META).exists()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Deletes a concrete index with everything in its folder.
    pub(super) fn delete(&self, index: &str) -> Result<()> {
        let path = self.index(index);
        if !path.join(META).exists() {
            return Ok(());
        }
        fs::remove_dir_all(&path).map_err(|error| self.folder_error(index, error))
    }

    /// The text of the record `name`; `None` when there is none.
    pub(super) fn record(&self, name: &str) -> Result<Option<String>> {
        match fs::read_to_string(self.0.join(record_file(name))) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.folder_error(name, error)),
        }
    }

    /// Writes or removes the record `name` if it still reads `was`; false when it does not.
    pub(super) fn change_record(&self, name: &str, text: Option<&str>, was: Option<&str>) -> Result<bool> {
        let _lock = self.lock()?;
        if self.record(name)?.as_deref() != was {
            return Ok(false);
        }
        let path = self.0.join(record_file(name));
        let changed = match text {
            Some(text) => replace(&path, text.as_bytes()),
            None => fs::remove_file(&path),
        };
        changed.map(|()| true).map_err(|error| self.folder_error(name, error))
    }

    /// The aliases that stand for `index`.
    pub(super) fn aliases_of(&self, index: &str) -> Result<Vec<String>> {
        Ok(self
            .aliases()?
            .into_iter()
            .filter(|(_, behind)| behind == index)
            .map(|(alias, _)| alias)
            .collect())
    }

    /// The bytes that the files of an index take.
    pub(super) fn bytes(&self, index: &str) -> u64 {
        let entries = fs::read_dir(self.index(index)).into_iter().flatten();
        entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|meta| meta.len()).sum()
    }

    /// The index's note on its making; `None` when it is not one of ours.
    pub(super) fn meta(&self, index: &str) -> Result<Option<Value>> {
        match fs::read(self.index(index).join(META)) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.folder_error(index, error)),
        }
    }

    /// Makes the folder of a new index with the note on its making.
    pub(super) fn create(&self, index: &str, meta: &Value) -> Result<()> {
        let made = private_files::create_folder(&self.index(index));
        let noted = made.and_then(|()| replace(&self.index(index).join(META), meta.to_string().as_bytes()));
        noted.map_err(|error| self.folder_error(index, error))
    }

    /// Marks an index as one that is being filled.
    pub(super) fn begin_filling(&self, index: &str) -> Result<()> {
        replace(&self.index(index).join(FILLING), b"").map_err(|error| self.folder_error(index, error))
    }

    /// True while an index carries that mark.
    pub fn is_filling(&self, index: &str) -> bool {
        self.index(index).join(FILLING).exists()
    }

    /// Takes the mark from an index that is full.
    pub(super) fn end_filling(&self, index: &str) -> Result<()> {
        match fs::remove_file(self.index(index).join(FILLING)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(self.folder_error(index, error))
            }
            _ => Ok(()),
        }
    }

    fn aliases(&self) -> Result<BTreeMap<String, String>> {
        match fs::read(self.0.join(ALIASES)) {
            Ok(text) => {
                let mut aliases: BTreeMap<String, String> =
                    serde_json::from_slice(&text).map_err(|error| self.folder_error(ALIASES, error))?;
                // The alias of an index that was deleted stands for none, as in a cluster.
                aliases.retain(|_, index| self.index(index).is_dir());
                Ok(aliases)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(self.folder_error(ALIASES, error)),
        }
    }

    fn folder_error(&self, what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let message = format!(
            "the embedded index: {} cannot be used; check the disk, or delete {} and run again",
            self.0.join(what).display(),
            self.0.display()
        );
        Error::failure(message).because(error)
    }
}

fn record_file(name: &str) -> String {
    format!("rebuild-{name}.json")
}

/// Writes a file so that it is there whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = private_files::create_file(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
