//! Dead letters by way of the disk: a topic that is away does not stop the fold while the file has room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::spill::{self, LOOK_EVERY, Spill, SpillPlace};
use super::{DeadLetter, DeadLetters, each_once};
use crate::error::{Error, ErrorKind, Result};
use crate::shutdown::Shutdown;

/// How long dead letters are waited for that nothing else waits before. A topic that answers has them by then.
const ARRIVE_WAIT: Duration = Duration::from_secs(2);

/// Dead letters that are written to the disk and sent to their topic by a thread of their own.
pub struct SpilledDeadLetters {
    spill: Arc<Spill>,
    /// Reads the topic, and takes dead letters out of it.
    topic: Box<dyn DeadLetters>,
    stop: Shutdown,
    /// Stops the thread.
    closing: Shutdown,
}

impl SpilledDeadLetters {
    /// Dead letters that wait at `place` for a topic: `topic` reads it, and `sender` sends to it until `closing` is asked for.
    ///
    /// # Errors
    /// When the file cannot be read, or the thread cannot be started.
    pub fn start(
        place: SpillPlace,
        topic: Box<dyn DeadLetters>,
        sender: Box<dyn DeadLetters>,
        stop: Shutdown,
        closing: Shutdown,
    ) -> Result<Self> {
        let spill = Arc::new(Spill::open(place)?);
        let sending = Sender { spill: Arc::clone(&spill), topic: sender, closing: closing.clone() };
        let thread = std::thread::Builder::new().name("dead letters".to_owned());
        thread.spawn(move || sending.run()).map_err(|error| {
            Error::failure("the dead letters' thread cannot be started; check the limit of threads")
                .because(error)
        })?;
        Ok(Self { spill, topic, stop, closing })
    }

    fn check(&self) -> Result<()> {
        self.spill.failure().map_or(Ok(()), |reason| Err(Error::failure(reason)))
    }

    /// Writes dead letters down that have room together.
    fn write(&self, letters: &[DeadLetter]) -> Result<()> {
        self.check()?;
        let is_first = self.spill.is_empty();
        let mark = self.wait_for(|spill| spill.append(letters))?;
        self.spill.set_full(false);
        let until = Instant::now() + ARRIVE_WAIT;
        while is_first && !self.spill.has_arrived(mark) {
            self.check()?;
            if Instant::now() >= until || self.stop.is_requested() {
                tracing::warn!(file = %self.spill.path(), "dead letters wait on the disk for their topic");
                break;
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
        Ok(())
    }

    /// Sends a dead letter that is larger than the whole room, behind those that wait.
    fn send(&mut self, letter: &DeadLetter) -> Result<()> {
        self.check()?;
        self.wait_for(|spill| Ok(spill.is_empty().then_some(())))?;
        self.spill.set_full(true);
        let sent = self.topic.append(std::slice::from_ref(letter));
        self.spill.set_full(false);
        sent
    }

    /// Waits until the file answers. The fold waits meanwhile, and with it the log, so memory stays bounded.
    fn wait_for<T>(&self, ask: impl Fn(&Spill) -> Result<Option<T>>) -> Result<T> {
        let mut is_told = false;
        loop {
            match ask(&self.spill)? {
                Some(answer) => return Ok(answer),
                None if !std::mem::replace(&mut is_told, true) => {
                    self.spill.set_full(true);
                    let file = self.spill.path();
                    tracing::warn!(%file, "this file has no more room, so the fold waits for the topic");
                }
                None => {}
            }
            self.pause()?;
            self.check()?;
        }
    }

    /// Waits a moment.
    ///
    /// # Errors
    /// When a stop was asked for.
    fn pause(&self) -> Result<()> {
        if self.stop.is_requested() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the run was stopped before the dead letters were written; the next run makes them again",
            ));
        }
        std::thread::park_timeout(LOOK_EVERY);
        Ok(())
    }
}

impl Drop for SpilledDeadLetters {
    fn drop(&mut self) {
        self.closing.request();
        if !self.spill.is_empty() {
            tracing::warn!(file = %self.spill.path(), "dead letters wait on the disk, the next run sends them");
        }
    }
}

impl DeadLetters for SpilledDeadLetters {
    fn append(&mut self, letters: &[DeadLetter]) -> Result<()> {
        let mut remainder = letters;
        while let Some(first) = remainder.first() {
            let (piece, rest) = remainder.split_at(self.spill.fitting(remainder)?);
            if piece.is_empty() {
                self.send(first)?;
                remainder = remainder.get(1..).unwrap_or_default();
            } else {
                self.write(piece)?;
                remainder = rest;
            }
        }
        Ok(())
    }

    fn list(&mut self) -> Result<Vec<DeadLetter>> {
        list(&mut *self.topic, self.spill.list()?)
    }

    fn resolve(&mut self, names: &[String]) -> Result<()> {
        if names.is_empty() || self.spill.is_empty() {
            return self.topic.resolve(names);
        }
        // A dead letter that arrives after it was taken out would be there again.
        Err(Error::failure(format!(
            "dead letters wait in {} for their topic; try again when it has them",
            self.spill.path()
        )))
    }
}

/// The dead letters of a topic and of the file of an instance, for a reader.
pub(super) struct DeadLetterReader {
    pub(super) place: SpillPlace,
    pub(super) topic: Box<dyn DeadLetters>,
}

impl DeadLetters for DeadLetterReader {
    fn append(&mut self, letters: &[DeadLetter]) -> Result<()> {
        self.topic.append(letters)
    }

    fn list(&mut self) -> Result<Vec<DeadLetter>> {
        let waiting = spill::peek(&self.place)?;
        list(&mut *self.topic, waiting)
    }

    fn resolve(&mut self, names: &[String]) -> Result<()> {
        self.topic.resolve(names)
    }
}

/// The dead letters of a topic and those that wait for it. A topic that is away hides none that wait.
fn list(topic: &mut dyn DeadLetters, waiting: Vec<DeadLetter>) -> Result<Vec<DeadLetter>> {
    let letters = match topic.list() {
        Err(error) if !waiting.is_empty() => {
            tracing::warn!(error = error.chain(), "only the dead letters that wait on the disk are listed");
            Vec::new()
        }
        letters => letters?,
    };
    Ok(each_once(letters.into_iter().chain(waiting)))
}

/// The thread that sends.
struct Sender {
    spill: Arc<Spill>,
    topic: Box<dyn DeadLetters>,
    closing: Shutdown,
}

impl Sender {
    /// Sends the waiting dead letters in their order, until it is told to stop or nothing can ever arrive.
    fn run(mut self) {
        while !self.closing.is_requested() {
            match self.send() {
                Ok(true) => {}
                Ok(false) => std::thread::park_timeout(LOOK_EVERY),
                Err(error) if error.kind() == ErrorKind::Unavailable => return,
                Err(error) => {
                    tracing::error!(error = error.chain(), "dead letters cannot be sent");
                    self.spill.fail(error.chain());
                    return;
                }
            }
        }
    }

    /// Sends some; false when nothing waits.
    fn send(&mut self) -> Result<bool> {
        if self.spill.is_empty() {
            return Ok(false);
        }
        let sending = self.spill.next()?;
        self.topic.append(&sending.letters)?;
        self.spill.note_arrival(&sending)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    /// A topic that can be away.
    #[derive(Clone, Default)]
    struct Topic {
        is_there: Arc<AtomicBool>,
        letters: Arc<Mutex<Vec<DeadLetter>>>,
        closing: Shutdown,
    }

    impl DeadLetters for Topic {
        fn append(&mut self, letters: &[DeadLetter]) -> Result<()> {
            // A sender that is told to stop sends no more, also when the topic is back before it has seen that.
            while !self.closing.is_requested() && !self.is_there.load(Ordering::SeqCst) {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            if self.closing.is_requested() {
                return Err(Error::new(ErrorKind::Unavailable, "away"));
            }
            self.letters.lock().unwrap().extend_from_slice(letters);
            Ok(())
        }
        fn list(&mut self) -> Result<Vec<DeadLetter>> {
            Ok(self.letters.lock().unwrap().clone())
        }
        fn resolve(&mut self, _: &[String]) -> Result<()> {
            Ok(())
        }
    }

    /// The bytes that a dead letter takes in the file.
    fn line(letter: &DeadLetter) -> u64 {
        serde_json::to_vec(letter).unwrap().len() as u64 + 1
    }

    #[test]
    fn a_batch_larger_than_the_room_goes_in_pieces_and_a_letter_larger_than_it_straight_to_the_topic() {
        let folder = tempfile::tempdir().unwrap();
        let topic = Topic::default();
        topic.is_there.store(true, Ordering::SeqCst);
        let letter = |id: &str| DeadLetter::from_document("contacts", id, "why");
        let (path, bytes_max) = (folder.path().join("spill"), 2 * line(&letter("a")));
        let place =
            SpillPlace { path: path.clone(), bytes_max, waiting: Arc::default(), is_full: Arc::default() };
        let sender = Box::new(topic.clone());
        let letters = SpilledDeadLetters::start(
            place,
            Box::new(topic.clone()),
            sender,
            Shutdown::default(),
            topic.closing.clone(),
        );
        let largest = Arc::new(AtomicU64::new(0));
        let (maximum, ended) = (Arc::clone(&largest), Arc::new(AtomicBool::new(false)));
        let end = Arc::clone(&ended);
        let looking = std::thread::spawn(move || {
            while !end.load(Ordering::SeqCst) {
                let length = std::fs::metadata(&path).map_or(0, |found| found.len());
                maximum.fetch_max(length, Ordering::SeqCst);
            }
        });
        let large = DeadLetter::from_document("contacts", "large", &"why ".repeat(200));
        let mut letters = letters.unwrap();
        letters.append(&["a", "b", "c", "d", "e"].map(letter)).unwrap();
        letters.append(&[letter("f"), large, letter("g")]).unwrap();
        while topic.letters.lock().unwrap().len() < 8 {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        ended.store(true, Ordering::SeqCst);
        looking.join().unwrap();
        assert!((1..=bytes_max).contains(&largest.load(Ordering::SeqCst)), "{largest:?} of {bytes_max}");
        let names: Vec<_> = topic.letters.lock().unwrap().iter().map(DeadLetter::name).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e", "f", "large", "g"].map(|id| format!("contacts/{id}")));
    }

    #[test]
    fn letters_wait_for_their_topic_over_a_restart_and_come_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let place = SpillPlace {
            path: folder.path().join("spill"),
            // Two of them have room.
            bytes_max: 2 * line(&DeadLetter::from_document("contacts", "a", "why")),
            waiting: Arc::default(),
            is_full: Arc::default(),
        };
        let topic = Topic::default();
        let start = || {
            let closing = Shutdown::default();
            let sender = Topic { closing: closing.clone(), ..topic.clone() };
            let stop = Shutdown::default();
            let letters = SpilledDeadLetters::start(
                place.clone(),
                Box::new(topic.clone()),
                Box::new(sender),
                stop.clone(),
                closing,
            );
            (letters.unwrap(), stop)
        };
        let letter = |id: &str| DeadLetter::from_document("contacts", id, "why");
        let names = |letters: Vec<DeadLetter>| letters.iter().map(DeadLetter::name).collect::<Vec<_>>();
        let (mut letters, stop) = start();
        letters.append(&[letter("a")]).unwrap();
        letters.append(&[letter("b")]).unwrap();
        assert_eq!(place.waiting.load(Ordering::Relaxed), 2);
        assert_eq!(names(letters.list().unwrap()), ["contacts/a", "contacts/b"]);
        assert!(letters.resolve(&["contacts/a".to_owned()]).is_err(), "it would come again");
        stop.request();
        assert!(letters.append(&[letter("c")]).is_err(), "there is no room");
        drop(letters);
        let (mut letters, _) = start();
        topic.is_there.store(true, Ordering::SeqCst);
        letters.append(&[letter("d")]).unwrap();
        while place.waiting.load(Ordering::Relaxed) > 0 {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        assert_eq!(names(topic.letters.lock().unwrap().clone()), ["contacts/a", "contacts/b", "contacts/d"]);
        letters.resolve(&["contacts/a".to_owned()]).unwrap();
    }
}
