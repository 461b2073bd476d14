//! Files and folders that a run writes.

use std::io::{ErrorKind, Result as IoResult};
use std::path::Path;

use super::super::spill_place;
use crate::config::{Config, DeadLetterKind};
use crate::error::{Error, Result};
use crate::pipeline::status::Status;

/// Where a run could not write, each with its key. A file without a name tells whether a folder can be written, so that
/// nothing is left.
pub(super) fn find_conflicts(config: &Config) -> Vec<Error> {
    let mut checked = vec![folder("state", &config.state)];
    match config.dead_letters.kind {
        DeadLetterKind::File => checked.push(file("dead_letters.path", &config.dead_letters.path)),
        DeadLetterKind::Kafka => {
            checked.push(file("state", &spill_place(config, &Status::default()).path));
        }
    }
    if !config.index.kind.is_server {
        checked.push(folder("index.path", &config.index.path));
    }
    checked.into_iter().filter_map(Result::err).collect()
}

/// That there is a folder which can be written, or that one can be made.
fn folder(key: &str, path: &Path) -> Result<()> {
    room(path).map_err(|error| {
        let path = path.display();
        Error::failure(format!(
            "{key}: the folder {path} cannot be written; name another, or correct what is in its place"
        ))
        .because(error)
    })
}

/// That there is a file which can be written, or that one can be made.
fn file(key: &str, path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let checked = match path.metadata() {
        Ok(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(_) => std::fs::OpenOptions::new().append(true).open(path).map(drop),
        Err(error) if error.kind() == ErrorKind::NotFound => room(parent),
        Err(error) => Err(error),
    };
    checked.map_err(|error| {
        let path = path.display();
        Error::failure(format!(
            "{key}: the file {path} cannot be written; name another, or correct what is in its place"
        ))
        .because(error)
    })
}

/// Writes to the folder, or to the nearest one above it that is there.
fn room(path: &Path) -> IoResult<()> {
    for above in path.ancestors() {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        match above.metadata() {
            Ok(found) if found.is_dir() => return tempfile::tempfile_in(above).map(drop),
            Ok(_) => return Err(ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::NotFound.into())
}
