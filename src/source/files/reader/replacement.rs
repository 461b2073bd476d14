//! Files that are truncated or replaced while they are read.

use std::fs::{File, Metadata};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use super::{Partition, file_error};
use crate::error::{Error, Result};
use crate::source::Fingerprint;

/// The identity, size and time of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looks {
    /// Which file it is: the device's number and the file's.
    file: (u64, u64),
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Looks {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let file = (metadata.dev(), metadata.ino());
        Self { file, bytes: metadata.len(), modified: metadata.modified().ok() }
    }
}

impl Partition {
    /// Looks whether the file is still the one that is read. One that was written anew is read from its beginning, and
    /// goes on only when the last record that was read lies where it lay.
    ///
    /// # Errors
    /// When it is another log, and while there is no file.
    pub(super) fn check(&mut self) -> Result<()> {
        let metadata =
            std::fs::metadata(&self.path).map_err(|error| file_error("read", &self.path, error))?;
        let looks = Looks::of(&metadata);
        if looks == self.looks {
            return Ok(());
        }
        if looks.file != self.looks.file || looks.bytes < self.byte || !self.holds_last()? {
            self.read_anew()?;
        }
        self.looks = looks;
        Ok(())
    }

    /// True when the last line that was read lies where it lay.
    fn holds_last(&self) -> Result<bool> {
        let Some(last) = &self.last else { return Ok(true) };
        let Some(length) = self.byte.checked_sub(self.line_at).filter(|length| *length > 0) else {
            return Ok(true);
        };
        let mut line = Vec::new();
        let mut read = || {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.line_at))?;
            file.take(length).read_to_end(&mut line)
        };
        read().map_err(|error| file_error("read", &self.path, error))?;
        if line.pop() != Some(b'\n') {
            return Ok(false);
        }
        Ok(last.is_of(&self.record(&line)))
    }

    fn read_anew(&mut self) -> Result<()> {
        let file = File::open(&self.path).map_err(|error| file_error("open", &self.path, error))?;
        let next = self.next;
        self.reader = BufReader::with_capacity(256 << 10, file);
        (self.next, self.byte, self.line_at) = (0, 0, 0);
        let last: Option<Fingerprint> = self.last.clone();
        self.skip_to(next, last.as_ref()).map_err(|error| {
            Error::failure(format!("{}: the file was truncated or replaced while it was read", self.at))
                .because(error)
        })
    }
}
