//! The log lines about dead letters: each reason at its first sight, then a count a minute.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Bytes, DeadLetter, DeadLetters};
use crate::error::{Result, shorten};

/// How often a count is logged.
pub const TELL_EVERY: Duration = Duration::from_secs(60);
/// So many reasons are told apart; further ones are counted together for each topic.
const REASONS_MAX: usize = 64;
/// A kind of reason is known by so many bytes of its text.
const KIND_BYTES_MAX: usize = 160;
/// The mark in the place of a part that depends on the record.
const ANY: &str = "…";
const OTHER: &str = "another reason";

/// Counts dead letters by topic (or projection) and by kind of reason.
#[derive(Debug, Default)]
pub struct Tally(Mutex<TallyCounts>);

#[derive(Debug, Default)]
struct TallyCounts {
    counts: BTreeMap<TallyKind, LetterCount>,
}

/// Dead letters that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TallyKind {
    /// The topic of a record, or `documents of` a projection.
    pub of: String,
    /// The reason, without the parts that depend on the record.
    pub reason: String,
}

#[derive(Debug, Default, Clone, Copy)]
struct LetterCount {
    all: u64,
    untold: u64,
}

impl Tally {
    /// Takes note of dead letters that were kept, and logs each kind that was not seen before.
    fn note(&self, letters: &[DeadLetter]) {
        let first: Vec<(TallyKind, &DeadLetter)> = {
            let mut known = self.lock();
            letters.iter().filter_map(|letter| Some((known.count(letter)?, letter))).collect()
        };
        for (kind, letter) in first {
            tracing::warn!(
                of = kind.of,
                name = letter.name(),
                reason = letter.reason,
                "this went to the dead letters; further ones for the like reason are counted once a minute"
            );
        }
    }

    /// Logs the dead letters since the last time.
    pub fn tell(&self) {
        for (kind, count, all) in self.take_untold() {
            tracing::warn!(of = kind.of, reason = kind.reason, count, all, "more went to the dead letters");
        }
    }

    /// How many were counted.
    pub fn all(&self) -> u64 {
        self.lock().counts.values().map(|count| count.all).sum()
    }

    /// Each kind with how many there are.
    pub fn by_kind(&self) -> Vec<(TallyKind, u64)> {
        self.lock().counts.iter().map(|(kind, count)| (kind.clone(), count.all)).collect()
    }

    fn take_untold(&self) -> Vec<(TallyKind, u64, u64)> {
        let mut known = self.lock();
        let untold = known.counts.iter_mut().filter(|(_, count)| count.untold > 0);
        untold.map(|(kind, count)| (kind.clone(), std::mem::take(&mut count.untold), count.all)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, TallyCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TallyCounts {
    /// Counts a dead letter; its kind when that was not seen before.
    fn count(&mut self, letter: &DeadLetter) -> Option<TallyKind> {
        let mut kind = TallyKind::of(letter);
        if !self.counts.contains_key(&kind) && self.counts.len() >= REASONS_MAX {
            kind.reason = OTHER.to_owned();
        }
        let is_first = !self.counts.contains_key(&kind);
        let count = self.counts.entry(kind.clone()).or_default();
        count.all += 1;
        if is_first {
            return Some(kind);
        }
        count.untold += 1;
        None
    }
}

impl TallyKind {
    /// The key under which a dead letter is counted.
    fn of(letter: &DeadLetter) -> Self {
        let key = match &letter.key {
            Some(Bytes::Text(key)) => key.as_str(),
            _ => "",
        };
        match letter.document() {
            Some((projection, id)) => {
                let before = format!("{projection}/{id}: ");
                let reason = letter.reason.strip_prefix(&before).unwrap_or(&letter.reason);
                Self { of: format!("documents of {projection}"), reason: general(reason, key) }
            }
            None => {
                Self { of: letter.topic.clone().unwrap_or_default(), reason: general(&letter.reason, key) }
            }
        }
    }
}

/// A reason without the parts that depend on the record: found and quoted texts, numbers and the key.
fn general(reason: &str, key: &str) -> String {
    let reason = match (reason.split_once(": "), reason.find(" found, ")) {
        (Some((place, _)), Some(at)) if place.len() < at => {
            format!("{place}: {ANY}{}", reason.get(at..).unwrap_or_default())
        }
        _ => reason.to_owned(),
    };
    let reason = reason.split(" was expected, in ").next().unwrap_or_default();
    let words = reason.split(' ').map(|word| if !key.is_empty() && word == key { ANY } else { word });
    let reason = words.collect::<Vec<_>>().join(" ");
    let mut text = String::new();
    let (mut quote, mut in_number) = (None, false);
    for letter in reason.chars() {
        match quote {
            Some(end) if letter == end => quote = None,
            Some(_) => {}
            None if matches!(letter, '"' | '\'' | '`') && !text.ends_with(char::is_alphanumeric) => {
                quote = Some(letter);
                text.push_str(ANY);
            }
            None if letter.is_ascii_digit() => {
                if !in_number {
                    text.push_str(ANY);
                }
            }
            None => text.push(letter),
        }
        in_number = quote.is_none() && letter.is_ascii_digit();
        if text.len() > 2 * KIND_BYTES_MAX {
            break;
        }
    }
    shorten(text, KIND_BYTES_MAX)
}

/// Dead letters that are counted when they are kept.
pub struct CountedDeadLetters {
    letters: Box<dyn DeadLetters>,
    tally: Arc<Tally>,
}

impl CountedDeadLetters {
    /// Counts in `tally` the dead letters that `letters` keeps.
    pub fn new(letters: Box<dyn DeadLetters>, tally: Arc<Tally>) -> Self {
        Self { letters, tally }
    }
}

impl DeadLetters for CountedDeadLetters {
    fn append(&mut self, letters: &[DeadLetter]) -> Result<()> {
        self.letters.append(letters)?;
        self.tally.note(letters);
        Ok(())
    }

    fn list(&mut self) -> Result<Vec<DeadLetter>> {
        self.letters.list()
    }

    fn resolve(&mut self, names: &[String]) -> Result<()> {
        self.letters.resolve(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(topic: &str, key: &str, reason: &str) -> DeadLetter {
        let mut letter = DeadLetter::from_document("contacts", key, "");
        letter.projection = None;
        letter.topic = Some(topic.to_owned());
        letter.reason = reason.to_owned();
        letter
    }

    #[test]
    fn reasons_of_one_kind_are_one_whatever_the_record_holds() {
        for alike in [
            ["name: 5 found, a string was expected", "name: {\"a\": [1, 2 found, a string was expected"],
            ["data: expected value at line 1 column 7", "data: expected value at line 3 column 912"],
            ["400 parsing [1:23]: failed to parse 'c1'", "400 parsing [1:4]: failed to parse 'c2 x'"],
            ["name.a: a string was expected, in [1]", "name.a: a string was expected, in [\"b\"]"],
        ] {
            let kinds = alike.map(|reason| TallyKind::of(&letter("contacts", "c1", reason)));
            assert_eq!(kinds[0], kinds[1]);
        }
        let met =
            |id: &str| letter("contacts", id, &format!("sequence: missing, and {id} was met in contacts/0"));
        assert_eq!(TallyKind::of(&met("c1")), TallyKind::of(&met("anna")));
        assert_ne!(
            TallyKind::of(&letter("a", "", "id: missing")),
            TallyKind::of(&letter("b", "", "id: missing"))
        );
        let document = DeadLetter::from_document("contacts", "c9", "400 rejected");
        assert_eq!(TallyKind::of(&document).of, "documents of contacts");
    }

    #[test]
    fn a_kind_is_logged_once_and_then_counted() {
        let tally = Tally::default();
        let reasons: Vec<DeadLetter> = (0..5).map(|n| letter("t", "k", &format!("line: {n}"))).collect();
        let first: Vec<_> = reasons.iter().filter_map(|letter| tally.lock().count(letter)).collect();
        assert_eq!(first.len(), 1);
        let untold = tally.take_untold();
        assert_eq!(untold.iter().map(|(_, count, all)| (*count, *all)).collect::<Vec<_>>(), [(4, 5)]);
        assert_eq!(tally.take_untold(), [], "it is told once");
        assert_eq!(tally.all(), 5);
    }

    #[test]
    fn reasons_without_end_take_no_memory_without_end() {
        let tally = Tally::default();
        let words = |n: u32| char::from_u32(0x4e00 + n).map(String::from).unwrap_or_default();
        for n in 0..10_000 {
            tally.note(&[letter("t", "k", &format!("{}: {}", words(n), "x".repeat(5_000)))]);
        }
        let kinds = tally.by_kind();
        assert_eq!((kinds.len(), tally.all()), (REASONS_MAX + 1, 10_000));
        assert!(kinds.iter().all(|(kind, _)| kind.reason.len() <= KIND_BYTES_MAX + ANY.len()));
    }
}
