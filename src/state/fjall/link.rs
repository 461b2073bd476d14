//! A copy of a store by links: its tables never change once they are written, so that two stores may share them.
//!
//! No commit may happen meanwhile, and every commit must lie on the disk. The store may go on writing its memory to tables
//! and merging tables. Journals are copied first, so entries that move from a journal into a table are in one of them. A
//! keyspace whose tables were replaced is looked at again.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::journal::journals;
use super::manifest;
use crate::error::{Error, Result};

/// How often a space is tried whose tables are replaced all the time.
const TRIES: u32 = 20;

/// Makes the empty folder `into` a store with the content of the one in `from`. False when the two folders can't share
/// files.
///
/// # Errors
/// When the disk fails, or the store's files are damaged.
pub(super) fn link(from: &Path, into: &Path) -> Result<bool> {
    link_by(from, into, |table, link| std::fs::hard_link(table, link))
}

/// As [`link`], by a way to make a link.
pub(super) fn link_by(from: &Path, into: &Path, by: impl Fn(&Path, &Path) -> io::Result<()>) -> Result<bool> {
    for journal in journals(from)? {
        let name = journal.file_name().unwrap_or_default();
        match std::fs::copy(&journal, into.join(name)) {
            // Its content is in tables now.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            copied => drop(copied.map_err(|error| link_error(into, error))?),
        }
    }
    let spaces = from.join("keyspaces");
    for entry in std::fs::read_dir(&spaces).map_err(|error| link_error(&spaces, error))? {
        let space = entry.map_err(|error| link_error(&spaces, error))?;
        let to = into.join("keyspaces").join(space.file_name());
        if !link_space(&space.path(), &to, &by)? {
            return Ok(false);
        }
    }
    // Each has a lock of its own.
    for (name, bytes) in [("lock", Vec::new()), ("version", manifest::VERSION.to_vec())] {
        std::fs::write(into.join(name), bytes).map_err(|error| link_error(into, error))?;
    }
    Ok(true)
}

fn link_space(from: &Path, to: &Path, by: &impl Fn(&Path, &Path) -> io::Result<()>) -> Result<bool> {
    for _ in 0..TRIES {
        match try_space(from, to, by) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::CrossesDevices => return Ok(false),
            // Replaced since the manifest was read.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(link_error(from, error)),
        }
        std::fs::remove_dir_all(to).map_err(|error| link_error(to, error))?;
    }
    Err(Error::failure(format!(
        "the tables in {} change all the time; run the command again",
        from.display()
    )))
}

fn try_space(from: &Path, to: &Path, by: &impl Fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    let tables = to.join("tables");
    crate::private_files::create_folder(&tables)?;
    let Some(manifest) = manifest::read(from)? else { return Ok(()) };
    for table in &manifest.tables {
        let name = table.to_string();
        by(&from.join("tables").join(&name), &tables.join(&name))?;
    }
    std::fs::write(to.join(&manifest.name), &manifest.bytes)?;
    std::fs::write(to.join("current"), &manifest.current)
}

fn link_error(path: &Path, error: io::Error) -> Error {
    Error::failure(format!("the state cannot be copied: {} fails; check the disk", path.display()))
        .because(error)
}
