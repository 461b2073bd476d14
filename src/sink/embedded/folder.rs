//! The folder of an embedded index: one folder for each concrete index, and one file for the aliases.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};

const ALIASES: &str = "aliases.json";
const META: &str = "tributary.json";

/// The folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
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
    pub fn behind(&self, alias: &str) -> Result<Option<String>> {
        Ok(self.aliases()?.remove(alias))
    }

    /// Puts `alias` on `index`, in one step.
    pub(super) fn point(&self, alias: &str, index: &str) -> Result<()> {
        let mut aliases = self.aliases()?;
        aliases.insert(alias.to_owned(), index.to_owned());
        let text = serde_json::to_vec(&aliases).unwrap_or_default();
        replace(&self.0.join(ALIASES), &text).map_err(|error| self.broken(ALIASES, error))
    }

    /// What the index was built from; `None` when it is not one of ours.
    pub(super) fn meta(&self, index: &str) -> Result<Option<Value>> {
        match fs::read(self.index(index).join(META)) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.broken(index, error)),
        }
    }

    /// Makes the folder of a new index and notes what it is built from.
    pub(super) fn create(&self, index: &str, meta: &Value) -> Result<()> {
        let made = fs::create_dir_all(self.index(index));
        let noted = made.and_then(|()| replace(&self.index(index).join(META), meta.to_string().as_bytes()));
        noted.map_err(|error| self.broken(index, error))
    }

    fn aliases(&self) -> Result<BTreeMap<String, String>> {
        match fs::read(self.0.join(ALIASES)) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| self.broken(ALIASES, error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(self.broken(ALIASES, error)),
        }
    }

    fn broken(&self, what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let message = format!(
            "the embedded index: {} cannot be used; check the disk, or delete {} and run again",
            self.0.join(what).display(),
            self.0.display()
        );
        Error::failed(message).because(error)
    }
}

/// Writes a file so that it is there whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
