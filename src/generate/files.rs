//! Generated records as the folder of a files source.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::RecordTarget;
use super::events::GeneratedRecord;
use super::marker::{Marker, folder_error};
use crate::error::{Error, Result};
use crate::plan::ORGANISATION;

/// Held back before a write, over all files: many partitions must not take much memory.
const BUFFERS_BYTES: usize = 16 << 20;
/// Held back at most for one file; more makes nothing faster.
const BUFFER_BYTES_MAX: usize = 256 << 10;

/// One file for each partition of each topic.
pub(super) struct Files {
    folder: PathBuf,
    marker: Marker,
    organisations: Vec<PartFile>,
    contacts: Vec<PartFile>,
}

/// One file.
struct PartFile {
    name: String,
    file: BufWriter<HashedFile>,
}

/// A file with the hash of the bytes that were written to it.
struct HashedFile {
    file: File,
    hash: Xxh3,
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Files {
    /// Makes the files anew; without `partitions` one for each topic, without a number in its name.
    ///
    /// A folder that is neither empty nor written by `generate` is refused, and so is a file that was changed since.
    /// Files of these topics that would stay beside the new ones are refused as well, because a files source would read
    /// two worlds as one.
    pub(super) fn create(
        folder: &Path,
        organisations: &str,
        contacts: &str,
        partitions: Option<u32>,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| folder_error(folder, error))?;
        let own_names = [organisations, contacts].map(|topic| names(topic, partitions));
        let mut marker = Marker::of(folder)?;
        for entry in std::fs::read_dir(folder).map_err(|error| folder_error(folder, error))? {
            let name = entry.map_err(|error| folder_error(folder, error))?.file_name();
            let Some(name) = name.to_str() else { continue };
            if !is_of(name, organisations) && !is_of(name, contacts) {
                continue;
            }
            marker.check(folder, name)?;
            if !own_names.iter().flatten().any(|own| own == name) {
                return Err(Error::usage(format!(
                    "{} is of another run and would be read with this one; remove it, or name another folder",
                    folder.join(name).display()
                )));
            }
        }
        let files = own_names.iter().flatten().count().max(1);
        let buffer_bytes = (BUFFERS_BYTES / files).min(BUFFER_BYTES_MAX);
        // A run that is broken off leaves files that it may write over.
        own_names.iter().flatten().for_each(|name| marker.set(name, None));
        marker.write(folder)?;
        let part = |name: String| -> std::io::Result<PartFile> {
            let hashed = HashedFile { file: File::create(folder.join(&name))?, hash: Xxh3::new() };
            Ok(PartFile { name, file: BufWriter::with_capacity(buffer_bytes, hashed) })
        };
        let open = |names: Vec<String>| -> Result<Vec<PartFile>> {
            let parts = names.into_iter().map(part);
            parts.collect::<std::io::Result<_>>().map_err(|error| folder_error(folder, error))
        };
        let [organisations, contacts] = own_names;
        let (organisations, contacts) = (open(organisations)?, open(contacts)?);
        Ok(Self { folder: folder.to_owned(), marker, organisations, contacts })
    }
}

fn names(topic: &str, partitions: Option<u32>) -> Vec<String> {
    match partitions {
        None => vec![format!("{topic}.jsonl")],
        Some(count) => (0..count.max(1)).map(|partition| format!("{topic}-{partition}.jsonl")).collect(),
    }
}

/// True when a files source takes this file for one of the topic.
fn is_of(name: &str, topic: &str) -> bool {
    let rest = name.strip_suffix(".jsonl").and_then(|stem| stem.strip_prefix(topic));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(is_number))
}

impl RecordTarget for Files {
    fn put(&mut self, record: &GeneratedRecord) -> Result<()> {
        let files = match record.kind == ORGANISATION {
            true => &mut self.organisations,
            false => &mut self.contacts,
        };
        let hash = xxhash_rust::xxh3::xxh3_64(record.key.as_bytes());
        let at = usize::try_from(hash % files.len().max(1) as u64).unwrap_or(0);
        let Some(PartFile { file, .. }) = files.get_mut(at) else { return Ok(()) };
        let (key, time) = (&record.key, record.timestamp_ms);
        let written = match &record.value {
            Some(value) => writeln!(file, "{{\"key\":\"{key}\",\"value\":{value},\"timestamp\":{time}}}"),
            None => writeln!(
                file,
                "{{\"key\":\"{key}\",\"value\":null,\"headers\":{{\"ce_sequence\":\"{}\"}},\"timestamp\":{time}}}",
                record.sequence
            ),
        };
        written.map_err(|error| folder_error(&self.folder, error))
    }

    fn hand_on(&mut self) -> Result<()> {
        let mut files = self.organisations.iter_mut().chain(&mut self.contacts);
        let flushed = files.try_for_each(|part| part.file.flush());
        flushed.map_err(|error| folder_error(&self.folder, error))
    }

    fn finish(&mut self) -> Result<()> {
        self.hand_on()?;
        for part in self.organisations.iter().chain(&self.contacts) {
            self.marker.set(&part.name, Some(part.file.get_ref().hash.digest()));
        }
        self.marker.write(&self.folder)
    }
}
