//! A folder of JSON lines: `<topic>.jsonl` or `<topic>-<partition>.jsonl`, one record a line.
//!
//! A record's offset is its line's number from 0; a last line without its newline is not there yet.
//! Partitions are read one after the other, in the order of their topics, each as far as it goes.

mod replacement;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;

use self::replacement::Looks;
use crate::base64;
use crate::error::{Error, REASON_BYTES_MAX, Result, shorten};
use crate::event::Record;
use crate::plan::EntityType;
use crate::position::{Positions, TopicPartition};
use crate::source::trouble::Trouble;
use crate::source::{EventSource, Fingerprint, LogOutage, SourceBatch};

/// The longest line that is read as a record; a longer one is malformed, and is cut.
const LINE_BYTES_MAX: usize = 64 << 20;
/// How often to look for more.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A folder of logs.
#[derive(Debug)]
pub struct FilesSource {
    folder: PathBuf,
    topics: Vec<(Arc<str>, EntityType)>,
    partitions: Vec<Partition>,
    /// Why a file cannot be read now.
    trouble: Trouble,
}

#[derive(Debug)]
struct Partition {
    at: TopicPartition,
    kind: EntityType,
    path: PathBuf,
    reader: BufReader<File>,
    /// The next line's number.
    next: i64,
    /// Where that line begins, in bytes.
    byte: u64,
    /// Where the line before it begins, and the fingerprint of its record.
    line_at: u64,
    last: Option<Fingerprint>,
    /// The file's identity, size and time when it was looked at.
    looks: Looks,
}

impl FilesSource {
    /// The logs of `topics` in `folder`, in this order.
    ///
    /// # Errors
    /// When the folder is not there.
    pub fn open(folder: &Path, topics: Vec<(String, EntityType)>) -> Result<Self> {
        if !folder.is_dir() {
            let folder = folder.display();
            return Err(Error::failure(format!(
                "source.path: {folder} is no folder; name the one that holds <topic>.jsonl"
            )));
        }
        let topics = topics.into_iter().map(|(topic, kind)| (topic.into(), kind)).collect();
        Ok(Self { folder: folder.to_owned(), topics, partitions: Vec::new(), trouble: Trouble::default() })
    }

    /// Looks whether every file is still the one that is read; one that is away is waited for.
    fn check(&mut self) -> Result<()> {
        let mut away = None;
        for partition in &mut self.partitions {
            match partition.check() {
                Err(error) if !partition.path.exists() => away = Some(error),
                checked => checked?,
            }
        }
        match away {
            Some(error) => self.trouble.note(&error),
            None => self.trouble.end(),
        }
        Ok(())
    }

    /// Opens files that were not there before, each at its first line; answers their partitions.
    fn find(&mut self) -> Result<Vec<TopicPartition>> {
        let mut added = Vec::new();
        let mut found: BTreeMap<(usize, i32), (TopicPartition, EntityType, PathBuf)> = BTreeMap::new();
        let entries =
            std::fs::read_dir(&self.folder).map_err(|error| file_error("read", &self.folder, error))?;
        for entry in entries {
            let path = entry.map_err(|error| file_error("read", &self.folder, error))?.path();
            let Some(stem) =
                path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".jsonl"))
            else {
                continue;
            };
            for (order, (topic, kind)) in self.topics.iter().enumerate() {
                if let Some(partition) = partition_of(stem, topic) {
                    let at = TopicPartition::new(Arc::clone(topic), partition);
                    if let Some((_, _, other)) = found.insert((order, partition), (at, *kind, path.clone())) {
                        let (path, other) = (path.display(), other.display());
                        return Err(Error::failure(format!(
                            "{path} and {other} are the same partition; remove one"
                        )));
                    }
                }
            }
        }
        for (at, kind, path) in found.into_values() {
            if self.partitions.iter().any(|partition| partition.at == at) {
                continue;
            }
            let file = File::open(&path).map_err(|error| file_error("open", &path, error))?;
            let looks = Looks::of(&file.metadata().map_err(|error| file_error("read", &path, error))?);
            let reader = BufReader::with_capacity(256 << 10, file);
            added.push(at.clone());
            let (next, byte, line_at, last) = (0, 0, 0, None);
            self.partitions.push(Partition { at, kind, path, reader, next, byte, line_at, last, looks });
        }
        let topics = &self.topics;
        let order =
            |at: &TopicPartition| (topics.iter().position(|(topic, _)| *topic == at.topic), at.partition);
        self.partitions.sort_by_key(|partition| order(&partition.at));
        Ok(added)
    }
}

/// The partition that a file's stem names for `topic`.
fn partition_of(stem: &str, topic: &str) -> Option<i32> {
    let rest = stem.strip_prefix(topic)?;
    if rest.is_empty() {
        return Some(0);
    }
    let digits = rest.strip_prefix('-')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn file_error(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::failure(format!("cannot {what} {}", path.display())).because(error)
}

impl EventSource for FilesSource {
    fn identity(&self) -> String {
        let topics: Vec<&str> = self.topics.iter().map(|(topic, _)| &**topic).collect();
        format!("files:{}", topics.join(","))
    }

    fn start(&mut self, positions: &Positions, fingerprints: &[(TopicPartition, Fingerprint)]) -> Result<()> {
        self.find()?;
        for (at, next) in positions.iter() {
            let Some(partition) = self.partitions.iter_mut().find(|partition| partition.at == *at) else {
                if next == 0 {
                    continue;
                }
                return Err(Error::failure(format!(
                    "{at}: its file is no longer in {}, the state has read it up to offset {next}. Put it back, or \
                     delete the state's folder and start again to replay",
                    self.folder.display()
                )));
            };
            let last = fingerprints.iter().find(|(known, _)| known == at).map(|(_, fingerprint)| fingerprint);
            partition.last = last.cloned();
            partition.skip_to(next, last)?;
        }
        Ok(())
    }

    fn trouble(&self) -> Option<LogOutage<'_>> {
        self.trouble.outage()
    }

    fn end(&mut self) -> Result<Positions> {
        self.find()?;
        let ends = self.partitions.iter().map(|partition| Ok((partition.at.clone(), partition.end()?)));
        ends.collect::<Result<Positions>>().inspect_err(|error| self.trouble.note(error))
    }

    fn poll(&mut self, wait: Duration, bytes_max: usize) -> Result<SourceBatch> {
        let deadline = Instant::now() + wait;
        loop {
            let mut polled = SourceBatch { added: self.find()?, ..SourceBatch::default() };
            self.check()?;
            let mut bytes = 0;
            for partition in &mut self.partitions {
                let before = polled.records.len();
                while bytes < bytes_max {
                    let Some(line) = partition.line()? else { break };
                    bytes += line.len() + 64;
                    polled.records.push(partition.record(&line));
                }
                if let Some(record) = polled.records.get(before..).and_then(<[Record]>::last) {
                    partition.last = Some(Fingerprint::of(record));
                }
            }
            let now = Instant::now();
            if !polled.records.is_empty() || now >= deadline {
                return Ok(polled);
            }
            std::thread::park_timeout(LOOK_EVERY.min(deadline - now));
        }
    }
}

impl Partition {
    /// The next whole line; `None` when there is none yet.
    fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = self.read_line(&mut line).map_err(|error| file_error("read", &self.path, error))?;
        let Some(length) = read else {
            // The part of an unfinished line that was read is read again when the line is whole.
            self.reader
                .seek(SeekFrom::Start(self.byte))
                .map_err(|error| file_error("read", &self.path, error))?;
            return Ok(None);
        };
        self.line_at = self.byte;
        self.byte += length;
        self.next += 1;
        Ok(Some(line))
    }

    /// Reads up to and without the newline, and keeps at most [`LINE_BYTES_MAX`] and a bit. Answers the bytes
    /// that the line takes, or `None` without its newline.
    fn read_line(&mut self, line: &mut Vec<u8>) -> std::io::Result<Option<u64>> {
        let mut length = 0;
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let piece = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            if line.len() <= LINE_BYTES_MAX {
                line.extend_from_slice(piece);
            }
            let used = piece.len() + usize::from(end.is_some());
            length += used as u64;
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(length));
            }
        }
    }

    /// The number of whole lines.
    fn end(&self) -> Result<i64> {
        let mut file = File::open(&self.path).map_err(|error| file_error("open", &self.path, error))?;
        file.seek(SeekFrom::Start(self.byte)).map_err(|error| file_error("read", &self.path, error))?;
        let mut reader = BufReader::with_capacity(256 << 10, file);
        let mut lines = self.next;
        loop {
            let buffer = reader.fill_buf().map_err(|error| file_error("read", &self.path, error))?;
            if buffer.is_empty() {
                return Ok(lines);
            }
            lines += i64::try_from(buffer.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(0);
            let length = buffer.len();
            reader.consume(length);
        }
    }

    /// Passes over the lines before `next`, and checks that the last of them is the one that was read.
    fn skip_to(&mut self, next: i64, last: Option<&Fingerprint>) -> Result<()> {
        while self.next < next {
            let Some(line) = self.line()? else {
                return Err(Error::failure(format!(
                    "{}: the state has read it up to offset {next}, {} ends at offset {}. This is not the log of the \
                     state: put the log back, or delete the state's folder and start again to replay",
                    self.at,
                    self.path.display(),
                    self.next
                )));
            };
            let Some(last) = last.filter(|last| last.offset + 1 == self.next) else { continue };
            let record = self.record(&line);
            if !last.is_of(&record) {
                return Err(Error::failure(format!(
                    "{}: the record at offset {} of {} is not the one that the state read (up to offset {next}). This \
                     is not the log of the state: put the log back, or delete the state's folder and start again to replay",
                    self.at,
                    last.offset,
                    self.path.display()
                )));
            }
        }
        Ok(())
    }

    /// The record of the line that was just read.
    fn record(&self, line: &[u8]) -> Record {
        let mut record = Record::new(self.kind, self.at.clone(), self.next - 1);
        let parsed = if line.len() > LINE_BYTES_MAX {
            Err(format!("line: longer than {LINE_BYTES_MAX} bytes"))
        } else {
            parse(line, &mut record)
        };
        if let Err(reason) = parsed {
            record.value = Some(line.to_vec());
            record.malformed = Some(shorten(reason, REASON_BYTES_MAX));
        }
        record
    }
}

#[derive(Deserialize)]
struct FileLine<'a> {
    #[serde(borrow, default)]
    key: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    /// Bytes that are no text. They go before `key` and `value`.
    #[serde(borrow, default)]
    key_base64: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    value_base64: Option<&'a RawValue>,
    #[serde(default)]
    headers: Option<BTreeMap<String, Box<RawValue>>>,
    #[serde(default)]
    timestamp: Option<i64>,
}

/// A member that is there, also when it is null.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The reason for a line of other members, such as an entity without an envelope.
const NO_RECORD: &str = "line: neither key nor value; write {\"key\": …, \"value\": …}";

fn parse(line: &[u8], record: &mut Record) -> Result<(), String> {
    let parsed: FileLine<'_> =
        serde_json::from_slice(line).map_err(|error| format!("line: no record ({error})"))?;
    record.key = match parsed.key_base64 {
        Some(bytes) => decode_base64("key_base64", bytes)?,
        None => parsed.key.and_then(text_or_json),
    };
    record.value = match (parsed.value_base64, parsed.value) {
        (Some(bytes), _) => decode_base64("value_base64", bytes)?,
        (None, Some(value)) => (value.get() != "null").then(|| value.get().as_bytes().to_vec()),
        (None, None) if record.key.is_none() => return Err(NO_RECORD.to_owned()),
        (None, None) => return Err("line: no value; a tombstone says null".to_owned()),
    };
    let headers = parsed.headers.unwrap_or_default();
    record.headers = headers.iter().map(|(name, value)| (name.clone(), text_or_json(value))).collect();
    record.timestamp_ms = parsed.timestamp.unwrap_or_default();
    Ok(())
}

/// The bytes of a string in base64, nothing for null.
fn decode_base64(name: &str, value: &RawValue) -> Result<Option<Vec<u8>>, String> {
    if value.get() == "null" {
        return Ok(None);
    }
    let text = serde_json::from_str::<String>(value.get()).ok();
    let bytes = text.and_then(|text| base64::decode(&text));
    bytes.map(Some).ok_or_else(|| format!("{name}: base64 in a string was expected"))
}

/// The text of a string, nothing for null, and any other JSON as it is written.
fn text_or_json(value: &RawValue) -> Option<Vec<u8>> {
    match value.get() {
        "null" => None,
        json if json.starts_with('"') => serde_json::from_str::<String>(json).ok().map(String::into_bytes),
        json => Some(json.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests;
