//! Folders and files that only their owner may read: they hold names, addresses and telephone numbers of people.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Result, Write};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes a folder, with those above it that are missing; one that is there stays as it is.
///
/// # Errors
/// Those of the file system.
pub fn create_folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path)
}

/// The options to open a file, or to make it where it is missing; the caller adds how it is written.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    options.mode(0o600);
    options
}

/// Makes a file, or empties it.
///
/// # Errors
/// Those of the file system.
pub fn create_file(path: &Path) -> Result<File> {
    options().write(true).truncate(true).open(path)
}

/// Writes a file whole.
///
/// # Errors
/// Those of the file system.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    create_file(path)?.write_all(bytes)
}
