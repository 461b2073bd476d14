//! Sorted runs of folded entities, put aside in files.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::merge_order::OrderedSource;
use crate::error::{Error, Result};
use crate::plan::EntityType;
use crate::state::rows::Row;

const BUFFER_BYTES: usize = 64 << 10;

/// The fold of an entity in a part of the log.
#[derive(Debug, Default)]
pub(super) struct EntityFold {
    pub(super) row: Row,
    /// An event counted that carries no version of its own.
    pub(super) has_unsequenced: bool,
}

/// An entity of a run.
#[derive(Debug)]
pub(super) struct RunEntry {
    pub(super) id: String,
    pub(super) fold: EntityFold,
    /// The row's bytes, when they are known.
    pub(super) bytes: Option<Vec<u8>>,
}

/// The entities of a run, by their ids.
pub(super) type EntityRun = OrderedSource<RunEntry>;

/// By their ids alone.
impl Ord for RunEntry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl PartialOrd for RunEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for RunEntry {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for RunEntry {}

/// The runs, oldest first; their files go when they are dropped.
pub(super) struct Runs {
    folder: PathBuf,
    types: Vec<EntityType>,
    count: usize,
    /// The thread that writes the last one.
    writing: Option<JoinHandle<Result<()>>>,
    /// The last one, which was not put aside.
    last_run: Vec<(EntityType, RunEntry)>,
}

/// An entity of the map that a run is made from.
pub(super) type FoldEntry = ((EntityType, Box<str>), EntityFold);

impl Runs {
    pub(super) fn in_folder(folder: PathBuf, types: Vec<EntityType>) -> Self {
        Self { folder, types, count: 0, writing: None, last_run: Vec::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Where other files of the load may lie.
    pub(super) fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// Writes a run, on a thread of its own, once the one before is written.
    pub(super) fn put_aside(&mut self, entities: Vec<FoldEntry>) -> Result<()> {
        self.finish_writing()?;
        let (folder, number, types) = (self.folder.clone(), self.count, self.types.clone());
        let writing = std::thread::Builder::new().name("put aside".to_owned());
        self.writing =
            Some(writing.spawn(move || write(&folder, number, (&types, entities))).map_err(run_error)?);
        self.count += 1;
        Ok(())
    }

    /// Waits for the run that is being written.
    fn finish_writing(&mut self) -> Result<()> {
        self.writing.take().map_or(Ok(()), |writing| writing.join().unwrap_or_else(panic_error))
    }

    /// Takes the last run as it is.
    pub(super) fn hold(&mut self, entities: impl IntoIterator<Item = ((EntityType, Box<str>), EntityFold)>) {
        let entries = entities
            .into_iter()
            .map(|((kind, id), fold)| (kind, RunEntry { id: id.into_string(), fold, bytes: None }));
        self.last_run = entries.collect();
        self.last_run.sort_unstable_by(|(_, left), (_, right)| left.id.cmp(&right.id));
    }

    /// The runs of a kind, oldest first.
    pub(super) fn of(&mut self, kind: EntityType) -> Result<Vec<EntityRun>> {
        self.finish_writing()?;
        let mut runs: Vec<EntityRun> = Vec::new();
        for number in 0..self.count {
            let file = File::open(path(&self.folder, kind, number)).map_err(run_error)?;
            let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
            runs.push(Box::new(std::iter::from_fn(move || entry(&mut file).transpose())));
        }
        let last_run: Vec<RunEntry> = {
            let (of_kind, others) =
                std::mem::take(&mut self.last_run).into_iter().partition(|(of, _)| *of == kind);
            self.last_run = others;
            let of_kind: Vec<(EntityType, RunEntry)> = of_kind;
            of_kind.into_iter().map(|(_, entry)| entry).collect()
        };
        runs.push(Box::new(last_run.into_iter().map(Ok)));
        Ok(runs)
    }
}

fn write(folder: &Path, number: usize, (types, mut entities): (&[EntityType], Vec<FoldEntry>)) -> Result<()> {
    entities.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    crate::private_files::create_folder(folder).map_err(run_error)?;
    for entity_type in types.iter().copied() {
        let file = File::create(path(folder, entity_type, number)).map_err(run_error)?;
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
        for ((_, id), fold) in entities.iter().filter(|((kind, _), _)| *kind == entity_type) {
            let row = fold.row.encode()?;
            let flag = [u8::from(fold.has_unsequenced)];
            write_frame(&mut file, &[&flag, id.as_bytes()].concat(), &row)?;
        }
        file.flush().map_err(run_error)?;
    }
    Ok(())
}

fn path(folder: &Path, kind: EntityType, number: usize) -> PathBuf {
    folder.join(format!("type-{}-{number}", kind.number()))
}

impl Drop for Runs {
    fn drop(&mut self) {
        // The receiver is gone, so the outcome has no reader.
        let _ = self.finish_writing();
        // The rest is deleted when the state is opened the next time.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn entry(file: &mut impl Read) -> Result<Option<RunEntry>> {
    let Some((key, bytes)) = read_frame(file)? else { return Ok(None) };
    let (flag, id) = key.split_first().ok_or_else(damage_error)?;
    let id = std::str::from_utf8(id).map_err(|_| damage_error())?.to_owned();
    let fold = EntityFold { row: Row::decode(&bytes)?, has_unsequenced: *flag == 1 };
    Ok(Some(RunEntry { id, fold, bytes: Some(bytes) }))
}

/// Writes the lengths of key and value, and both.
pub(super) fn write_frame(file: &mut impl Write, key: &[u8], value: &[u8]) -> Result<()> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map(u32::to_le_bytes).map_err(too_long);
    let head = [length(key)?, length(value)?].concat();
    file.write_all(&head)
        .and_then(|()| file.write_all(key))
        .and_then(|()| file.write_all(value))
        .map_err(run_error)
}

/// A frame of [`write_frame`]; `None` at the end.
pub(super) fn read_frame(file: &mut impl Read) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut head = [0; 8];
    match file.read_exact(&mut head) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read.map_err(run_error)?,
    }
    let [a, b, c, d, e, f, g, h] = head;
    let mut take = |length: [u8; 4]| {
        let mut bytes = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX)];
        file.read_exact(&mut bytes).map_err(run_error)?;
        Ok::<_, Error>(bytes)
    };
    Ok(Some((take([a, b, c, d])?, take([e, f, g, h])?)))
}

pub(super) fn run_error(error: std::io::Error) -> Error {
    Error::failure(
        "a file of the first fold, in the state's folder, cannot be written or read; check the disk, then start again",
    )
    .because(error)
}

/// The error of a thread that panicked.
pub(super) fn panic_error(_: Box<dyn std::any::Any + Send>) -> Result<()> {
    Err(Error::failure("a thread of the first fold broke off; start again"))
}

fn too_long(error: std::num::TryFromIntError) -> Error {
    Error::failure("a row is longer than a file of the first fold can hold").because(error)
}

fn damage_error() -> Error {
    Error::failure("a file of the first fold was changed by another program; start again")
}
