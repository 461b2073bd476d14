//! Versions above foreign writes. The version of a document is its log position. After a foreign write with a higher
//! version it is a *base* plus the position. Bases are multiples of a stride that is larger than the position, so a stored
//! version alone shows whether we wrote it. Another instance, or this one after a restart, finds the base in the version.
//!
//! A state of a partial log knows some entities by references only. Its writes of them give way to every document that a
//! record made. The first write has the version [`SILENT`]. If the index accepts it, or holds nothing that a record made, the
//! document is *claimed*: its versions are positions from then on. A late request therefore loses against every record that
//! was folded after it, whichever instance writes that. Such a document says so in `_log` ([`is_made_of_references`]).

use std::collections::HashMap;
use std::sync::Arc;

use super::fold::DocumentKey;
use crate::sink::documents::{StoredDocument, log_of};

/// The version at which a document of an entity without a record in a partial log is made first. It is below that of every
/// document that a record of the entity made, and so makes one only where there is none.
pub const SILENT: u64 = 0;
/// From here on the odd multiples of [`LONG`] are bases of such documents that former versions of the program wrote. The even
/// ones are bases of documents that records made.
const SILENT_BASE: u64 = LONG * 7_654_321;
/// The largest version that an index takes.
const VERSION_MAX: u64 = i64::MAX as u64;
/// Positions below it have bases that are multiples of [`SHORT`], so that versions rise no more than they must.
const SHORT_BELOW: u64 = 1 << 24;
/// A prime, and no neighbour of a power of two or ten: foreign versions are such numbers more often than others.
const SHORT: u64 = 1_641_992_543;
/// As [`SHORT`], for the positions of longer logs.
const LONG: u64 = 1_099_511_627_791;
/// Bases that are in use are forgotten when so many are known; they are found again in the stored versions.
const KNOWN_MAX: usize = 100_000;

/// The base of a version that one of our instances made: no position of ours lies above `position`.
pub fn base_of(stored: u64, position: u64) -> Option<u64> {
    let of = |stride: u64, position: u64| {
        let above = stored % stride;
        (stored >= stride && above <= position).then_some(stored - above)
    };
    if bug!(BaseForgotten) {
        return None;
    }
    of(LONG, position).or_else(|| of(SHORT, position.min(SHORT_BELOW - 1)))
}

/// True of a version that only documents have that were made of references only, from a partial log.
fn is_of_silent(version: u64) -> bool {
    version == SILENT || version >= SILENT_BASE && (version / LONG) % 2 == 1
}

/// True of a document that tells that it was made of references only, from a partial log.
fn is_of_references(document: &[u8]) -> bool {
    log_of(document).is_some_and(|log| log.partial)
}

/// True of a document that was made of references only, from a partial log, by its version or by its own word.
pub fn is_made_of_references(document: &StoredDocument) -> bool {
    is_of_silent(document.version) || is_of_references(&document.body)
}

/// The version of a document that reflects `position`, above every position and the first bases of references.
pub fn above_silent(position: u64) -> u64 {
    VERSION_MAX.min((SILENT_BASE + LONG).saturating_add(position))
}

/// True of a version at which one of our instances may have made a document of a record of its entity. Documents of references
/// have such versions too, and tell it.
pub(super) fn is_of_record(stored: u64, position: u64) -> bool {
    !is_of_silent(stored) && (stored <= position || base_of(stored, position).is_some())
}

/// True of a document that one of our instances made of a record of its entity, by its version and by its own word.
pub fn is_made_of_record(document: &StoredDocument, position: u64) -> bool {
    is_of_record(document.version, position) && !is_of_references(&document.body)
}

/// The lowest base above a version, for writes that reflect `position`. Near the largest version there is no room for one: the
/// version itself serves there, and is not recognised later.
fn base_above(version: u64, position: u64) -> u64 {
    let stride = if position < SHORT_BELOW && version < SILENT_BASE - 1 { SHORT } else { LONG };
    let base = (version / stride + 1).saturating_mul(stride);
    let base = if is_of_silent(base) { base.saturating_add(LONG) } else { base };
    if base <= VERSION_MAX - stride { base } else { version }
}

/// The bases of versions above foreign writes, and the claimed documents.
#[derive(Debug, Clone, Default)]
pub struct Bases {
    by_document: Arc<HashMap<DocumentKey, Base>>,
    /// How often claims were forgotten.
    turn: u64,
}

#[derive(Debug, Clone, Copy)]
struct Base {
    base: u64,
    /// True once a write at this base has arrived.
    is_used: bool,
    /// True of a document without a record: none that a record made is there to be written over.
    is_claimed: bool,
}

impl Base {
    /// The base for writes that reflect `position`. The log may have grown beyond the reach of short strides: the base then lies above
    /// everything that was written at the shorter one.
    fn base_at(&self, position: u64) -> u64 {
        let is_outgrown = position >= SHORT_BELOW && !self.base.is_multiple_of(LONG);
        if is_outgrown { base_above(self.base + SHORT_BELOW, position) } else { self.base }
    }
}

impl Bases {
    /// The version of a write of `document` that reflects `position`.
    pub fn version(&self, document: &DocumentKey, position: u64) -> u64 {
        if self.by_document.is_empty() {
            return position;
        }
        let base = match self.by_document.get(document) {
            // A record of its entity has come.
            Some(entry) if entry.base >= SILENT_BASE && is_of_silent(entry.base) => entry.base + LONG,
            entry => entry.map_or(0, |entry| entry.base_at(position)),
        };
        VERSION_MAX.min(base.saturating_add(position))
    }

    /// The same for a document of an entity without a record in a partial log.
    pub fn version_of_silent(&self, document: &DocumentKey, position: u64) -> u64 {
        let Some(entry) = self.by_document.get(document).filter(|entry| entry.is_claimed) else {
            return SILENT;
        };
        if bug!(StubAboveRecords) && entry.base == 0 {
            return SILENT_BASE + position;
        }
        VERSION_MAX.min(entry.base_at(position).saturating_add(position)).max(SILENT + 1)
    }

    /// Takes note of such a document that is the instance's to write from here on, because no record made the one in
    /// the index. `stored` is the version in the index. Nothing is noted when claims were forgotten since `turn`.
    pub(super) fn claim(&mut self, document: DocumentKey, stored: u64, position: u64, turn: u64) {
        let base = if stored <= position { 0 } else { base_of(stored, position).unwrap_or(0) };
        self.set(document, base, Some(turn));
    }

    /// How often claims were forgotten until now.
    pub(super) fn turn(&self) -> u64 {
        self.turn
    }

    /// Forgets the claims, because another writer may have made documents of records since, or another index is
    /// written.
    pub(super) fn forget_claims(&mut self) {
        self.turn += 1;
        if self.by_document.values().any(|entry| entry.is_claimed) {
            Arc::make_mut(&mut self.by_document).retain(|_, entry| !entry.is_claimed);
        }
    }

    /// Takes note of the base that an instance of ours has written a document at. With the turn of a claim it is one.
    pub(super) fn adopt(&mut self, document: DocumentKey, base: u64, claim: Option<u64>) {
        self.set(document, base, claim);
    }

    /// Has the next writes of a document, which reflect `position` or more, go above a foreign version.
    pub(super) fn rise_above(
        &mut self,
        document: DocumentKey,
        foreign: u64,
        position: u64,
        claim: Option<u64>,
    ) {
        self.set(document, base_above(foreign, position), claim);
    }

    /// Takes note of documents that were written.
    pub(super) fn note_arrivals<'a>(&mut self, documents: impl Iterator<Item = &'a DocumentKey>) {
        if self.by_document.is_empty() {
            return;
        }
        for document in documents {
            if self.by_document.get(document).is_some_and(|entry| !entry.is_used) {
                let bases = Arc::make_mut(&mut self.by_document);
                if bug!(BaseForgotten) {
                    bases.remove(document);
                } else if let Some(entry) = bases.get_mut(document) {
                    entry.is_used = true;
                }
            }
        }
    }

    fn set(&mut self, document: DocumentKey, base: u64, claim: Option<u64>) {
        if claim.is_some_and(|turn| turn != self.turn) {
            return;
        }
        let bases = Arc::make_mut(&mut self.by_document);
        if bases.len() >= KNOWN_MAX {
            bases.retain(|_, entry| !entry.is_used);
        }
        bases.insert(document, Base { base, is_used: false, is_claimed: claim.is_some() });
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::CONTACTS;
    use proptest::prelude::*;

    use super::*;

    fn document(id: &str) -> DocumentKey {
        (CONTACTS, id.into())
    }

    fn positions() -> impl Strategy<Value = u64> {
        prop_oneof![0..SHORT_BELOW, SHORT_BELOW - 2..SHORT_BELOW + 2, 0..LONG / 4]
    }

    proptest! {
        #[test]
        fn a_version_above_a_foreign_one_is_ours_and_keeps_the_order_of_positions(
            foreign in prop_oneof![0..VERSION_MAX - 3 * LONG, 0..100_000u64],
            (position, one, other) in (positions(), positions(), positions()),
        ) {
            let (first, second) = (position + one.min(other), position + one.max(other));
            let mut bases = Bases::default();
            bases.rise_above(document("a"), foreign, position, None);
            let [lower, higher] = [first, second].map(|position| bases.version(&document("a"), position));
            prop_assert!(lower > foreign);
            prop_assert_eq!(lower.cmp(&higher), first.cmp(&second));
            prop_assert_eq!(bases.version(&document("b"), second), second);
            prop_assert!(!is_of_silent(lower));
            // Another instance finds the same base, and goes on above the stored version.
            let mut others = Bases::default();
            others.adopt(document("a"), base_of(lower, first).unwrap(), None);
            prop_assert_eq!(others.version(&document("a"), second), higher);
        }

        #[test]
        fn what_was_made_of_references_is_told_from_what_records_made(
            foreign in prop_oneof![0..VERSION_MAX - 9 * LONG, 0..100_000u64],
            (position, later) in (positions(), 0..SHORT_BELOW),
        ) {
            let mut bases = Bases::default();
            prop_assert_eq!(bases.version_of_silent(&document("a"), position), SILENT);
            bases.claim(document("a"), SILENT, position, 0);
            for _ in 0..2 {
                let stub = bases.version_of_silent(&document("a"), position);
                prop_assert!(!is_of_silent(stub) && is_of_record(stub, position.max(1)));
                // Another instance goes on with it, and a record's document goes above it.
                let mut others = Bases::default();
                others.claim(document("a"), stub, position.max(1), 0);
                prop_assert_eq!(others.version_of_silent(&document("a"), position), stub);
                let made = others.version(&document("a"), position + 1 + later);
                prop_assert!(!is_of_silent(made) && made > stub);
                bases.rise_above(document("a"), foreign, position, Some(0));
                prop_assert!(bases.version_of_silent(&document("a"), position) > foreign);
            }
        }

        #[test]
        fn a_document_of_references_loses_against_every_record_that_was_folded_after_it(
            (position, later) in (1..LONG / 4, 1..LONG / 4),
        ) {
            let mut bases = Bases::default();
            bases.claim(document("a"), SILENT, position, 0);
            let late = bases.version_of_silent(&document("a"), position);
            // The instance that folds the record need not know that the other one wrote.
            prop_assert!(late < Bases::default().version(&document("a"), position + later));
        }

        #[test]
        fn what_former_versions_wrote_of_references_is_gone_on_with(
            (position, later) in (positions(), 0..SHORT_BELOW),
        ) {
            let stored = SILENT_BASE + position;
            prop_assert!(is_of_silent(stored) && !is_of_record(stored, position));
            let mut bases = Bases::default();
            bases.adopt(document("a"), base_of(stored, position).unwrap(), Some(0));
            let stub = bases.version_of_silent(&document("a"), position + later);
            prop_assert_eq!(stub, stored + later);
            let made = bases.version(&document("a"), position + later);
            prop_assert!(made > stub && is_of_record(made, position + later));
        }

        #[test]
        fn the_largest_versions_are_written_over_still(
            foreign in VERSION_MAX - 3 * LONG..=VERSION_MAX,
            position in positions(),
        ) {
            let mut bases = Bases::default();
            bases.rise_above(document("a"), foreign, position, None);
            let version = bases.version(&document("a"), position);
            prop_assert!(version >= foreign && version <= VERSION_MAX);
        }
    }

    #[test]
    fn versions_that_others_like_are_foreign() {
        let round = (1..19).map(|power| 10_u64.pow(power)).chain((1..63).map(|power| 1 << power));
        // Seconds, milliseconds, microseconds and nanoseconds.
        let times = [1_767_225_600, 1_767_225_600_000, 1_767_225_600_000_000, 1_767_225_600_000_000_000];
        for version in round.chain(times).chain([VERSION_MAX]) {
            for position in [SHORT_BELOW - 1, 100_000_000] {
                assert_eq!(base_of(version, position), None, "{version} at {position}");
            }
        }
    }

    #[test]
    fn claims_are_forgotten_with_what_was_asked_before() {
        let mut bases = Bases::default();
        let turn = bases.turn();
        bases.claim(document("a"), 3, 5, turn);
        bases.rise_above(document("b"), 1 << 40, 5, None);
        assert_eq!(bases.version_of_silent(&document("a"), 7), 7);
        bases.forget_claims();
        assert_eq!(bases.version_of_silent(&document("a"), 7), SILENT);
        assert!(bases.version(&document("b"), 7) > 1 << 40, "it is no claim");
        bases.claim(document("a"), 3, 5, turn);
        assert_eq!(bases.version_of_silent(&document("a"), 7), SILENT, "the answer came too late");
    }

    #[test]
    fn a_document_tells_that_it_was_made_of_references() {
        for (document, is_of) in [
            (r#"{"id":"a","_log":{"position":3,"partial":true}}"#, true),
            (r#"{"id":"a","stub":true,"_log":{"position":3}}"#, false),
            (r#"{"id":"a","_log":{"partial":7}}"#, false),
            (r#"{"id":"a"}"#, false),
            ("", false),
        ] {
            assert_eq!(is_of_references(document.as_bytes()), is_of, "{document}");
        }
    }

    #[test]
    fn no_more_bases_are_kept_than_are_needed() {
        let mut bases = Bases::default();
        for number in 0..KNOWN_MAX {
            bases.rise_above(document(&number.to_string()), 5, 1, None);
        }
        bases.note_arrivals([document("1")].iter());
        bases.rise_above(document("one more"), 5, 1, None);
        assert_eq!(bases.version(&document("1"), 3), 3, "it is in use, and can be found again");
        assert!(bases.version(&document("2"), 3) > 5, "its write is still to come");
    }
}
