//! The journals of the store, looked through before it is opened.
//!
//! The store replays its journals up to the first thing that it can't read, and goes on behind it in the next file.
//! The number by which it orders a batch is under no checksum. So here everything is read first.
//!
//! - A batch that is not whole, with no whole batch behind it, is the end that a killed process had begun to write. It is cut
//!   off. The store then has an earlier content, and the rest is read again from the log. [`super::heads`] decides whether
//!   the rest of the store agrees with that.
//! - Damage with a whole batch behind it is no such end. It is refused, and no file is changed. A power cut may have
//!   written blocks of batches that were not synced in another order. It looks the same and is refused as well, because
//!   nothing in the file tells the two apart.
//! - A whole file of another layout was written by another version of the store. It is refused, and no file is changed.
//!
//! A batch begins with `1`, the count of entries (4 bytes) and the batch's number (8). An entry is `2`, the kind, the
//! compression, the space (8), and three lengths. They are those of the key (2), of the value (4) and of the written
//! value (4). Key and value follow. The batch ends with `3`, the xxh3 of the entries (8) and `FJL` `3`. All numbers
//! are little-endian. The rest is zeros.

use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::heads::Heads;
use super::manifest::{access_error, inner_damage_error, layout_error};
use crate::error::{Error, Result};
use crate::state::keys::HEADS_KEY;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
/// The length of the head before the entries.
const START_BYTES: u64 = 1 + 4 + 8;
const CLEAR: u8 = 4;
const TRAILER: &[u8] = b"FJL\x03";
/// The kinds of an entry's value: a value, two kinds of deletion, the place of a value.
const KINDS: [u8; 4] = [0, 1, 2, 4];
/// How a value may be written: as it is, or by LZ4.
const COMPRESSIONS: [u8; 2] = [0, 1];
/// Above it the store keeps numbers for itself.
const NUMBER_MAX: u64 = 1 << 62;

/// The end of the intact part of the journals.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) file: PathBuf,
    /// Everything before it is whole.
    pub(super) at: u64,
}

/// Cuts an end off that a killed process had begun to write. Answers where the last batch looks otherwise than a write that
/// was broken off.
///
/// # Errors
/// When a journal is damaged before an intact batch, or has the layout of another version. No file is changed then.
pub(super) fn repair(folder: &Path) -> Result<Option<Cut>> {
    let mut journals = journals(folder)?;
    let mut chain = Chain::default();
    for at in 0..journals.len() {
        let is_last = at + 1 == journals.len();
        let Some(path) = journals.get(at) else { break };
        let damage = JournalWalk::through(path, &mut chain).map_err(|error| access_error(path, error))?;
        let Some(damage) = damage else { continue };
        if damage.is_unknown {
            return Err(layout_error(folder, path, &format!("what is at byte {}", damage.at)));
        }
        let later = journals.get(at + 1..).unwrap_or_default();
        if is_amid(path, damage.at).map_err(|error| access_error(path, error))?
            || later.iter().try_fold(false, |found, later| {
                Ok(found || is_amid(later, 0).map_err(|error| access_error(later, error))?)
            })?
        {
            return Err(inner_damage_error(folder, path, damage.at));
        }
        cut(path, damage.at).map_err(|error| access_error(path, error))?;
        let cut = Cut { file: path.clone(), at: damage.at };
        for later in journals.drain(at + 1..) {
            std::fs::remove_file(&later).map_err(|error| access_error(&later, error))?;
        }
        return Ok((!is_last || !damage.is_unfinished).then_some(cut));
    }
    Ok(None)
}

pub(super) fn journals(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| access_error(folder, error))? {
        let path = entry.map_err(|error| access_error(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            let number = number.ok_or_else(|| {
                Error::failure(format!("{} is no file of the state; remove it", path.display()))
            })?;
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn cut(path: &Path, at: u64) -> std::io::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).open(path)?;
    file.set_len(at)?;
    file.sync_all()
}

/// How the batches follow one another.
#[derive(Default)]
struct Chain {
    /// The number of the last batch, and of our commit in it when it was one.
    number: Option<u64>,
    commit: Option<u64>,
}

impl Chain {
    /// Whether a batch with this number, and these numbers of ours, can come next.
    fn takes(&mut self, number: u64, heads: Option<(Heads, u64)>) -> bool {
        let grows = self.number.is_none_or(|last| number > last) && number < NUMBER_MAX;
        let follows = heads.as_ref().is_none_or(|(heads, counter)| {
            let in_order = self.number.is_none_or(|last| last < *counter) && number >= *counter;
            in_order && self.commit.is_none_or(|last| heads.count == last + 1)
        });
        self.number = Some(number);
        self.commit = heads.map_or(self.commit, |(heads, _)| Some(heads.count));
        grows && follows
    }
}

struct Damage {
    at: u64,
    /// The file ends, or was never written, before the batch's end.
    is_unfinished: bool,
    /// It is intact, and not of this layout.
    is_unknown: bool,
}

/// Why a batch can't be taken.
enum BatchFault {
    Unfinished,
    Wrong,
    /// It is not of this layout, intact or not.
    Unknown,
    Io(std::io::Error),
}

impl From<std::io::Error> for BatchFault {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == ErrorKind::UnexpectedEof { BatchFault::Unfinished } else { BatchFault::Io(error) }
    }
}

/// A walk through one journal.
struct JournalWalk<R> {
    input: R,
    passed: u64,
    hash: Xxh3,
}

impl JournalWalk<BufReader<std::fs::File>> {
    /// `None` when everything up to the zeros at the end is whole.
    fn through(path: &Path, chain: &mut Chain) -> std::io::Result<Option<Damage>> {
        let file = std::fs::File::open(path)?;
        let mut walk = Self { input: BufReader::with_capacity(1 << 16, file), passed: 0, hash: Xxh3::new() };
        loop {
            let at = walk.passed;
            match walk.batch(chain) {
                Ok(true) => {}
                // Zeros are the end, unless something comes behind them.
                Ok(false) if !walk.has_more()? => return Ok(None),
                Ok(false) => return Ok(Some(Damage { at, is_unfinished: true, is_unknown: false })),
                Err(BatchFault::Io(error)) => return Err(error),
                Err(BatchFault::Unfinished) => {
                    return Ok(Some(Damage { at, is_unfinished: true, is_unknown: false }));
                }
                Err(BatchFault::Wrong) => {
                    return Ok(Some(Damage { at, is_unfinished: false, is_unknown: false }));
                }
                Err(BatchFault::Unknown) => {
                    let is_unknown = walk.passed == at + 1 || is_whole(path, at)?;
                    return Ok(Some(Damage { at, is_unfinished: false, is_unknown }));
                }
            }
        }
    }
}

impl JournalWalk<BufReader<std::fs::File>> {
    /// Whether anything but zeros is left.
    fn has_more(&mut self) -> std::io::Result<bool> {
        loop {
            let part = self.input.fill_buf()?;
            let length = part.len();
            if length == 0 || part.iter().any(|byte| *byte != 0) {
                return Ok(length > 0);
            }
            self.input.consume(length);
            pass_hole(self.input.get_ref())?;
        }
    }
}

/// How much of a journal is looked through for the end of a batch whose entries cannot be read.
const BATCH_BYTES_MAX: u64 = 256 << 20;

/// True when the bytes from `at` on are a batch that a checksum confirms, with any entries: its end is looked for
/// instead of read.
fn is_whole(path: &Path, at: u64) -> std::io::Result<bool> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(at + START_BYTES))?;
    let (mut entries, mut hash, mut hashed) = (Vec::new(), Xxh3::new(), 0);
    file.take(BATCH_BYTES_MAX).read_to_end(&mut entries)?;
    let ends = entries.windows(TRAILER.len()).enumerate().filter(|(_, bytes)| *bytes == TRAILER);
    for end in ends.map(|(end, _)| end) {
        let (Some(entries_end), Some(sum_at)) = (end.checked_sub(9), end.checked_sub(8)) else { continue };
        let Some(passed) = entries.get(hashed..entries_end) else { continue };
        hash.update(passed);
        hashed = entries_end;
        let is_end = entries.get(entries_end) == Some(&END);
        if is_end && entries.get(sum_at..end) == Some(&hash.digest().to_le_bytes()[..]) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a whole batch lies in a journal at the byte `from` or behind it, wherever it begins.
fn is_amid(path: &Path, from: u64) -> std::io::Result<bool> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(BATCH_BYTES_MAX).read_to_end(&mut bytes)?;
    let mut starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == START);
    Ok(starts.any(|(at, _)| bytes.get(at..).and_then(whole_batch).is_some()))
}

/// The length of the batch at the beginning of `bytes`, if it is whole by its checksum. The checksum is looked at where the
/// lengths lead to an end only.
fn whole_batch(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let (start, count) = (take::<1>(&mut rest)?, u32::from_le_bytes(take(&mut rest)?));
    take::<8>(&mut rest)?;
    let entries = rest;
    for _ in 0..count {
        match take(&mut rest)? {
            [CLEAR] => drop(take::<8>(&mut rest)?),
            [ITEM] => {
                take::<10>(&mut rest)?;
                let key = usize::from(u16::from_le_bytes(take(&mut rest)?));
                take::<4>(&mut rest)?;
                let value = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
                rest = rest.get(key.checked_add(value)?..)?;
            }
            _ => return None,
        }
    }
    let entries = entries.get(..entries.len() - rest.len())?;
    let is_end = take(&mut rest)? == [END];
    let checksum = take::<8>(&mut rest)?;
    let is_whole = start == [START]
        && is_end
        && take::<4>(&mut rest)? == *TRAILER
        && xxhash_rust::xxh3::xxh3_64(entries).to_le_bytes() == checksum;
    is_whole.then_some(bytes.len() - rest.len())
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// Moves a file over bytes that were never written, which are zeros. The store reserves more room than it writes.
fn pass_hole(mut file: &std::fs::File) -> std::io::Result<()> {
    let at = file.stream_position()?;
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(_) => Ok(()),
        Err(rustix::io::Errno::NXIO) => file.seek(SeekFrom::End(0)).map(drop),
        // Not every file system tells where it has no data: all of it is read there.
        Err(_) => file.seek(SeekFrom::Start(at)).map(drop),
    }
}

impl<R: Read> JournalWalk<R> {
    /// Passes the next batch; false at the end.
    fn batch(&mut self, chain: &mut Chain) -> Result<bool, BatchFault> {
        match self.array::<1>() {
            Ok([START]) => {}
            Ok([0]) | Err(BatchFault::Unfinished) => return Ok(false),
            Ok(_) => return Err(BatchFault::Unknown),
            Err(error) => return Err(error),
        }
        let count = u32::from_le_bytes(self.array()?);
        let number = u64::from_le_bytes(self.array()?);
        self.hash.reset();
        let (mut heads, mut is_known) = (None, true);
        for _ in 0..count {
            heads = self.item(&mut is_known)?.or(heads);
        }
        let expected = self.hash.digest();
        self.tag(&[END])?;
        let (checksum, trailer) = (u64::from_le_bytes(self.array()?), self.array::<4>()?);
        if trailer == [0; 4] {
            return Err(BatchFault::Unfinished);
        }
        let is_whole = checksum == expected && trailer == *TRAILER;
        if is_whole && !is_known {
            return Err(BatchFault::Unknown);
        }
        let is_whole = is_whole && chain.takes(number, heads);
        if is_whole { Ok(true) } else { Err(BatchFault::Wrong) }
    }

    /// Passes an entry; answers our numbers when it holds them. An unknown part clears `is_known`.
    fn item(&mut self, is_known: &mut bool) -> Result<Option<(Heads, u64)>, BatchFault> {
        if self.tag(&[ITEM, CLEAR])? == CLEAR {
            self.array::<8>()?;
            return Ok(None);
        }
        let [kind, compression] = self.array()?;
        *is_known &= KINDS.contains(&kind) && COMPRESSIONS.contains(&compression);
        // The space.
        self.array::<8>()?;
        let key = u64::from(u16::from_le_bytes(self.array()?));
        self.array::<4>()?;
        let value = u64::from(u32::from_le_bytes(self.array()?));
        let is_ours = key == HEADS_KEY.len() as u64 && value <= 256;
        let mut key_and_value = Vec::new();
        self.pass(key + value, is_ours.then_some(&mut key_and_value))?;
        Ok(key_and_value.strip_prefix(HEADS_KEY).and_then(Heads::decode))
    }

    fn tag(&mut self, tags: &[u8]) -> Result<u8, BatchFault> {
        match self.array::<1>()? {
            [tag] if tags.contains(&tag) => Ok(tag),
            [0] => Err(BatchFault::Unfinished),
            [_] => Err(BatchFault::Unknown),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BatchFault> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        self.hash.update(&bytes);
        self.passed += N as u64;
        Ok(bytes)
    }

    /// Passes `length` bytes in bounded memory.
    fn pass(&mut self, length: u64, mut keep: Option<&mut Vec<u8>>) -> Result<(), BatchFault> {
        let (mut remainder, mut part) = (length, [0; 4096]);
        while remainder > 0 {
            let count = usize::try_from(remainder).map_or(part.len(), |remainder| remainder.min(part.len()));
            let Some(part) = part.get_mut(..count) else { break };
            self.input.read_exact(part)?;
            self.hash.update(part);
            if let Some(copy) = &mut keep {
                copy.extend_from_slice(part);
            }
            remainder -= count as u64;
        }
        self.passed += length;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
