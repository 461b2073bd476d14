//! The note by which `generate` knows a folder and the files in it as its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};

/// The note's name; no source reads it.
const NAME: &str = ".tributary-generated.json";

/// The files that `generate` wrote into a folder.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Marker {
    /// Each file with the hash of its content; without one while it is being written.
    files: BTreeMap<String, Option<u64>>,
}

impl Marker {
    /// The note in a folder; an empty one for an empty folder, and an error for any other.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        match std::fs::read(folder.join(NAME)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::usage(format!("{} is damaged; name another folder", folder.join(NAME).display()))
                    .because(error)
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut entries = std::fs::read_dir(folder).map_err(|error| folder_error(folder, error))?;
                if entries.next().is_none() { Ok(Self::default()) } else { Err(marker_error(folder)) }
            }
            Err(error) => Err(folder_error(folder, error)),
        }
    }

    /// Refuses a file that `generate` did not write, or that was changed since.
    pub(super) fn check(&self, folder: &Path, name: &str) -> Result<()> {
        let path = folder.join(name);
        match self.files.get(name) {
            None => Err(marker_error(&path)),
            Some(None) => Ok(()),
            Some(Some(hash)) if hash_of(&path).map_err(|error| folder_error(folder, error))? == *hash => {
                Ok(())
            }
            Some(Some(_)) => Err(Error::usage(format!(
                "{} was changed since `generate` wrote it; remove it, or name another folder",
                path.display()
            ))),
        }
    }

    /// Takes note of a file, with its hash once it is whole.
    pub(super) fn set(&mut self, name: &str, hash: Option<u64>) {
        self.files.insert(name.to_owned(), hash);
    }

    /// Writes the note down.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|error| folder_error(folder, error.into()))?;
        std::fs::write(folder.join(NAME), bytes).map_err(|error| folder_error(folder, error))
    }
}

/// The error of a folder whose files cannot be written or read.
pub(super) fn folder_error(folder: &Path, error: std::io::Error) -> Error {
    Error::failure(format!("cannot write into {}; check the disk", folder.display())).because(error)
}

fn marker_error(path: &Path) -> Error {
    Error::usage(format!(
        "{} was not written by `generate` and is left as it is; name an empty or a new folder",
        path.display()
    ))
}

fn hash_of(path: &Path) -> std::io::Result<u64> {
    let (mut file, mut hash) = (File::open(path)?, Xxh3::new());
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.digest()),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}
