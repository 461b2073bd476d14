//! `model init`: sample records from files.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::starting_model::{self, Sample};
use crate::output;

/// The endings of the files that are read in a folder: JSON lines, or one JSON list.
const EXTENSIONS: [&str; 3] = ["jsonl", "ndjson", "json"];
/// The most records of a file that are read.
const RECORDS_MAX: usize = 100_000;
/// The longest file of one JSON list.
const LIST_BYTES_MAX: u64 = 256 << 20;

/// Prints a starting model of the records in these files and folders.
pub(super) fn init(from: &[PathBuf]) -> Result<()> {
    let mut samples: Vec<(String, Sample)> = Vec::new();
    for file in files(from)? {
        let topic = topic(&file);
        let place = match samples.iter().position(|(known, _)| *known == topic) {
            Some(place) => place,
            None => {
                samples.push((topic.clone(), Sample::new(&topic)));
                samples.len() - 1
            }
        };
        if let Some((_, sample)) = samples.get_mut(place) {
            read(&file, sample)?;
        }
    }
    if let Some((topic, _)) = samples.iter().find(|(_, sample)| sample.is_empty()) {
        return Err(Error::usage(format!(
            "--from: no record of {topic} is a JSON object; JSON lines or a JSON list of objects were expected"
        )));
    }
    let samples: Vec<Sample> = samples.into_iter().map(|(_, sample)| sample).collect();
    output::line(starting_model::text(&samples).trim_end());
    Ok(())
}

/// The files, those with JSON in a folder in the order of their names.
fn files(from: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in from {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unread = |error: std::io::Error| read_error(path, error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unread)? {
            let file = entry.map_err(unread)?.path();
            found.extend(Some(file).filter(|file| is_sample(file)));
        }
        if found.is_empty() {
            return Err(Error::usage(format!(
                "--from: the folder {} has no file *.jsonl, *.ndjson or *.json",
                path.display()
            )));
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

fn is_sample(file: &Path) -> bool {
    let extension = file.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

fn read_error(path: &Path, error: std::io::Error) -> Error {
    Error::usage(format!("--from: {} cannot be read", path.display())).because(error)
}

/// `<topic>.jsonl` or `<topic>-<partition>.jsonl`.
fn topic(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    match stem.rsplit_once('-') {
        Some((topic, partition))
            if !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            topic.to_owned()
        }
        _ => stem,
    }
}

fn read(file: &Path, sample: &mut Sample) -> Result<()> {
    let unread = |error: std::io::Error| read_error(file, error);
    let mut reader = BufReader::new(File::open(file).map_err(unread)?);
    let is_list =
        reader.fill_buf().map_err(unread)?.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if is_list {
        let mut text = String::new();
        reader.take(LIST_BYTES_MAX).read_to_string(&mut text).map_err(unread)?;
        let list: Vec<Value> = serde_json::from_str(&text).map_err(|error| {
            Error::usage(format!("--from: {} is no JSON list", file.display())).because(error)
        })?;
        list.iter().take(RECORDS_MAX).for_each(|record| sample.add(record));
        return Ok(());
    }
    for line in reader.lines().take(RECORDS_MAX) {
        // A line that is no JSON is poison, and says nothing of the model.
        if let Ok(record) = serde_json::from_str(&line.map_err(unread)?) {
            sample.add(&record);
        }
    }
    Ok(())
}
