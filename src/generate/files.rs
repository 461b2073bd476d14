//! Generated records as the folder of a files source.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Target;
use super::events::Generated;
use crate::error::{Error, Result};
use crate::event::EntityKind;

/// One file for each partition of each topic.
pub(super) struct Files {
    folder: PathBuf,
    organisations: Vec<BufWriter<File>>,
    contacts: Vec<BufWriter<File>>,
}

impl Files {
    /// Makes the files anew; without `partitions` one for each topic, without a number in its name.
    pub(super) fn create(
        folder: &Path,
        organisations: &str,
        contacts: &str,
        partitions: Option<u32>,
    ) -> Result<Self> {
        let failed = |error| {
            Error::failed(format!("cannot write into {}; check the disk", folder.display())).because(error)
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let open = |topic: &str| -> Result<Vec<BufWriter<File>>> {
            let names: Vec<String> = match partitions {
                None => vec![format!("{topic}.jsonl")],
                Some(count) => {
                    (0..count.max(1)).map(|partition| format!("{topic}-{partition}.jsonl")).collect()
                }
            };
            let files = names.iter().map(|name| File::create(folder.join(name)).map(BufWriter::new));
            files.collect::<std::io::Result<_>>().map_err(failed)
        };
        Ok(Self { folder: folder.to_owned(), organisations: open(organisations)?, contacts: open(contacts)? })
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::failed(format!("cannot write into {}; check the disk", self.folder.display())).because(error)
    }
}

impl Target for Files {
    fn put(&mut self, record: &Generated) -> Result<()> {
        let files = match record.kind {
            EntityKind::Organisation => &mut self.organisations,
            EntityKind::Contact => &mut self.contacts,
        };
        let hash = xxhash_rust::xxh3::xxh3_64(record.key.as_bytes());
        let at = usize::try_from(hash % files.len().max(1) as u64).unwrap_or(0);
        let Some(file) = files.get_mut(at) else { return Ok(()) };
        let (key, time) = (&record.key, record.timestamp_ms);
        let written = match &record.value {
            Some(value) => writeln!(file, "{{\"key\":\"{key}\",\"value\":{value},\"timestamp\":{time}}}"),
            None => writeln!(
                file,
                "{{\"key\":\"{key}\",\"value\":null,\"headers\":{{\"ce_sequence\":\"{}\"}},\"timestamp\":{time}}}",
                record.sequence
            ),
        };
        written.map_err(|error| self.failed(error))
    }

    fn finish(&mut self) -> Result<()> {
        let mut files = self.organisations.iter_mut().chain(&mut self.contacts);
        let flushed = files.try_for_each(Write::flush);
        flushed.map_err(|error| self.failed(error))
    }
}
