//! Dead letters on their way to a topic. They lie on the disk until the topic has them, so that the fold does not wait
//! for it.
//!
//! The dead letters are lines of a file, in their order. The file is emptied when the topic has all of them. A process that
//! died sends them again: a dead letter counts once, by its name.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::DeadLetter;
use crate::error::{Error, Result};

/// How much is sent at once.
const BATCH_BYTES: usize = 1 << 20;

/// Where dead letters wait, and how many may.
#[derive(Debug, Clone)]
pub struct SpillPlace {
    /// The file.
    pub path: PathBuf,
    /// Its largest size.
    pub bytes_max: u64,
    /// How many dead letters wait; told by `status`.
    pub waiting: Arc<AtomicU64>,
    /// True while the fold waits because the file has no room.
    pub is_full: Arc<AtomicBool>,
}

/// The file.
pub(super) struct Spill {
    place: SpillPlace,
    inner: Mutex<SpillState>,
}

#[derive(Debug, Default)]
struct SpillState {
    /// The file's length.
    bytes: u64,
    /// Everything before this place has arrived.
    sent: u64,
    /// Why no dead letter can arrive until the operator acts.
    failure: Option<String>,
}

/// Some dead letters that are to be sent.
#[derive(Debug, Default)]
pub(super) struct LetterBatch {
    pub(super) letters: Vec<DeadLetter>,
    /// How many bytes they take in the file.
    bytes: u64,
}

impl Spill {
    /// The dead letters that an earlier process left are the first. A line that a crash left torn is cut off: its dead letter is made
    /// again.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn open(place: SpillPlace) -> Result<Self> {
        let spill = Self { place, inner: Mutex::default() };
        let whole = spill.whole().map_err(|error| spill.spill_error("read", error))?;
        spill.lock().bytes = whole;
        spill.count().map_err(|error| spill.spill_error("read", error))?;
        Ok(spill)
    }

    /// Cuts off the rest after the last whole line; answers the length that is left.
    fn whole(&self) -> std::io::Result<u64> {
        let file = match OpenOptions::new().read(true).write(true).open(&self.place.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let (mut whole, mut line) = (0, Vec::new());
        let mut reader = BufReader::new(&file);
        while reader.read_until(b'\n', &mut line)? > 0 {
            if line.last() == Some(&b'\n') {
                whole += line.len() as u64;
            }
            line.clear();
        }
        file.set_len(whole)?;
        Ok(whole)
    }

    fn lock(&self) -> MutexGuard<'_, SpillState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spill_error(&self, what: &str, error: std::io::Error) -> Error {
        let path = self.place.path.display();
        Error::failure(format!("cannot {what} the dead letters that wait in {path}; check the disk"))
            .because(error)
    }

    /// The place of the file, as text.
    pub(super) fn path(&self) -> std::path::Display<'_> {
        self.place.path.display()
    }

    /// True when nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        let inner = self.lock();
        inner.sent == inner.bytes
    }

    /// True when everything appended up to `mark` has arrived.
    pub(super) fn has_arrived(&self, mark: u64) -> bool {
        let inner = self.lock();
        inner.bytes == 0 || inner.sent >= mark
    }

    /// Why no dead letter can arrive until the operator acts.
    pub(super) fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Notes that no dead letter can arrive until the operator acts.
    pub(super) fn fail(&self, reason: String) {
        self.lock().failure = Some(reason);
    }

    /// Notes whether the fold waits for room.
    pub(super) fn set_full(&self, is_full: bool) {
        self.place.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Appends dead letters durably; `None` when there is no room for them. Answers the place behind them.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub(super) fn append(&self, letters: &[DeadLetter]) -> Result<Option<u64>> {
        let mut lines = Vec::new();
        for letter in letters {
            self.write_line(&mut lines, letter)?;
        }
        let mut inner = self.lock();
        if inner.bytes + lines.len() as u64 > self.place.bytes_max {
            return Ok(None);
        }
        let write = |at: u64| -> std::io::Result<()> {
            let mut file =
                crate::private_files::options().truncate(false).write(true).open(&self.place.path)?;
            // The rest of a failed write is written over.
            file.set_len(at)?;
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&lines)?;
            file.sync_data()
        };
        write(inner.bytes).map_err(|error| self.spill_error("write", error))?;
        inner.bytes += lines.len() as u64;
        self.place.waiting.fetch_add(letters.len() as u64, Ordering::Relaxed);
        Ok(Some(inner.bytes))
    }

    /// How many of these dead letters, from the first on, have room together when nothing else waits.
    ///
    /// # Errors
    /// When a dead letter cannot be written.
    pub(super) fn fitting(&self, letters: &[DeadLetter]) -> Result<usize> {
        let (mut bytes, mut line) = (0, Vec::new());
        for (count, letter) in letters.iter().enumerate() {
            line.clear();
            self.write_line(&mut line, letter)?;
            bytes += line.len() as u64;
            if bytes > self.place.bytes_max {
                return Ok(count);
            }
        }
        Ok(letters.len())
    }

    fn write_line(&self, lines: &mut Vec<u8>, letter: &DeadLetter) -> Result<()> {
        serde_json::to_writer(&mut *lines, letter)
            .map_err(|error| self.spill_error("write", error.into()))?;
        lines.push(b'\n');
        Ok(())
    }

    /// The next dead letters to send; none when nothing waits.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn next(&self) -> Result<LetterBatch> {
        self.read_waiting(BATCH_BYTES)
    }

    /// Every dead letter that waits.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn list(&self) -> Result<Vec<DeadLetter>> {
        Ok(self.read_waiting(usize::MAX)?.letters)
    }

    /// The first dead letters that wait, up to a size.
    fn read_waiting(&self, bytes_max: usize) -> Result<LetterBatch> {
        let (from, to) = {
            let inner = self.lock();
            (inner.sent, inner.bytes)
        };
        self.read(from, to, bytes_max).map_err(|error| self.spill_error("read", error))
    }

    fn read(&self, from: u64, to: u64, bytes_max: usize) -> std::io::Result<LetterBatch> {
        let mut sending = LetterBatch::default();
        if from == to {
            return Ok(sending);
        }
        let mut file = File::open(&self.place.path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut reader = BufReader::new(file.take(to - from));
        let mut line = Vec::new();
        while (sending.bytes as usize) < bytes_max && reader.read_until(b'\n', &mut line)? > 0 {
            match serde_json::from_slice(&line) {
                Ok(letter) => sending.letters.push(letter),
                Err(error) => {
                    tracing::warn!(file = %self.path(), %error, "a line is no dead letter and is passed over")
                }
            }
            sending.bytes += line.len() as u64;
            line.clear();
        }
        Ok(sending)
    }

    /// Notes that these have arrived. The file is emptied when nothing is left.
    ///
    /// # Errors
    /// When the file cannot be emptied.
    pub(super) fn note_arrival(&self, sending: &LetterBatch) -> Result<()> {
        let mut inner = self.lock();
        inner.sent += sending.bytes;
        if inner.sent >= inner.bytes {
            let file = OpenOptions::new().write(true).open(&self.place.path);
            file.and_then(|file| file.set_len(0)).map_err(|error| self.spill_error("empty", error))?;
            (inner.sent, inner.bytes) = (0, 0);
            self.place.waiting.store(0, Ordering::Relaxed);
            return Ok(());
        }
        let count = sending.letters.len() as u64;
        // More than waits cannot have arrived; the count is only shown.
        let _ = self.place.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
            Some(waiting.saturating_sub(count))
        });
        Ok(())
    }

    /// Counts the dead letters that wait.
    fn count(&self) -> std::io::Result<()> {
        let to = self.lock().bytes;
        let waiting = self.read(0, to, usize::MAX)?.letters.len();
        self.place.waiting.store(waiting as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// The dead letters that wait in a file of another process; none when there is none.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn peek(place: &SpillPlace) -> Result<Vec<DeadLetter>> {
    let spill = Spill { place: place.clone(), inner: Mutex::default() };
    let length = match std::fs::metadata(&place.path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(spill.spill_error("read", error)),
    };
    spill.lock().bytes = length;
    spill.list()
}

/// How long is waited before the file is looked at again.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(id: &str) -> DeadLetter {
        DeadLetter::from_document("contacts", id, "why")
    }

    fn ids(letters: &[DeadLetter]) -> Vec<String> {
        letters.iter().map(DeadLetter::name).collect()
    }

    #[test]
    fn letters_keep_their_order_over_a_crash_and_have_bounded_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spill.jsonl");
        let place = || SpillPlace {
            path: path.clone(),
            bytes_max: 1_000,
            waiting: Arc::default(),
            is_full: Arc::default(),
        };
        let spill = Spill::open(place()).unwrap();
        assert!(spill.is_empty() && spill.next().unwrap().letters.is_empty());
        let first = spill.append(&[letter("a"), letter("b")]).unwrap().unwrap();
        spill.append(&[letter("c")]).unwrap().unwrap();
        assert!(!spill.has_arrived(first));
        while spill.append(&[letter("more")]).unwrap().is_some() {}
        assert!(std::fs::metadata(&path).unwrap().len() <= 1_000);
        // A crash in the middle of a write.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"topic\":\"con").unwrap();
        let place = place();
        let spill = Spill::open(place.clone()).unwrap();
        let waiting = spill.list().unwrap();
        assert_eq!(place.waiting.load(Ordering::Relaxed), waiting.len() as u64);
        assert_eq!(ids(&waiting)[..4], ["contacts/a", "contacts/b", "contacts/c", "contacts/more"]);
        assert_eq!(peek(&place).unwrap().len(), waiting.len());
        let sending = spill.next().unwrap();
        spill.note_arrival(&sending).unwrap();
        assert!(spill.is_empty() && spill.has_arrived(first));
        assert_eq!(place.waiting.load(Ordering::Relaxed), 0);
        spill.append(&[letter("z")]).unwrap().unwrap();
        assert_eq!(ids(&spill.next().unwrap().letters), ["contacts/z"]);
    }

    #[test]
    fn the_file_is_never_larger_than_its_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spill.jsonl");
        let line = serde_json::to_vec(&letter("a")).unwrap().len() as u64 + 1;
        let open = |bytes_max: u64| {
            let (path, waiting, is_full) = (path.clone(), Arc::default(), Arc::default());
            Spill::open(SpillPlace { path, bytes_max, waiting, is_full }).unwrap()
        };
        let spill = open(line);
        assert!(spill.append(&[letter("a"), letter("b")]).unwrap().is_none(), "together they are too large");
        assert!(spill.append(&[letter("a")]).unwrap().is_some());
        assert!(spill.append(&[letter("b")]).unwrap().is_none());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), line);
        let spill = open(line - 1);
        spill.note_arrival(&spill.next().unwrap()).unwrap();
        assert!(spill.append(&[letter("a")]).unwrap().is_none());
        assert_eq!(spill.fitting(&[letter("a")]).unwrap(), 0);
    }
}
