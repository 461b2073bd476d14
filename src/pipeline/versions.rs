//! Versions above foreign writes. The version of a document is its log position. After a foreign write with a higher
//! version it is a *base* plus the position. Bases are multiples of a stride that is larger than the position, so a stored
//! version alone shows whether we wrote it. Another instance, or this one after a restart, finds the base in the version.
//!
//! A state of a partial log knows some entities by references only. Its writes of them give way to every document that a
//! record made: it is tried at the version [`SILENT`] first, and then has bases of its own, so that a stored version also
//! tells which of the two made it.

use std::collections::HashMap;
use std::sync::Arc;

use super::fold::DocumentKey;
use super::planted::{self, Bug};

/// The version at which a document of an entity without a record in a partial log is made first. It is below that of every
/// document that a record of the entity made, and so makes one only where there is none.
pub const SILENT: u64 = 0;
/// The first base of such documents, an odd multiple of [`LONG`]. From here on they have the odd multiples, and documents
/// that records made have the even ones.
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
    if planted::is(Bug::BaseForgotten) {
        return None;
    }
    of(LONG, position).or_else(|| of(SHORT, position.min(SHORT_BELOW - 1)))
}

/// True of the version of a document that was made of references only, from a partial log.
pub fn is_of_silent(version: u64) -> bool {
    version == SILENT || version >= SILENT_BASE && (version / LONG) % 2 == 1
}

/// The version of a document that reflects `position`, above every first version of one that was made of references only.
pub fn above_silent(position: u64) -> u64 {
    VERSION_MAX.min((SILENT_BASE + LONG).saturating_add(position))
}

/// True of the version of a document that one of our instances made of a record of its entity.
pub fn is_of_record(stored: u64, position: u64) -> bool {
    !is_of_silent(stored) && (stored <= position || base_of(stored, position).is_some())
}

/// The lowest base above a version, for writes that reflect `position`, of the kind of document. Near the largest version
/// there is no room for one: the version itself serves there, and is not recognised later.
fn base_above(version: u64, position: u64, is_silent: bool) -> u64 {
    let first = if is_silent { version.max(SILENT_BASE - 1) } else { version };
    let stride = if position < SHORT_BELOW && first < SILENT_BASE - 1 { SHORT } else { LONG };
    let base = (first / stride + 1).saturating_mul(stride);
    let is_other = base >= SILENT_BASE && is_of_silent(base) != is_silent;
    let base = if is_other { base.saturating_add(LONG) } else { base };
    if base <= VERSION_MAX - stride { base } else { version }
}

/// The bases of versions above foreign writes.
#[derive(Debug, Clone, Default)]
pub struct Bases(Arc<HashMap<DocumentKey, Base>>);

#[derive(Debug, Clone, Copy)]
struct Base {
    base: u64,
    /// True once a write at this base has arrived.
    is_used: bool,
}

impl Bases {
    /// The version of a write of `document` that reflects `position`.
    pub fn version(&self, document: &DocumentKey, position: u64) -> u64 {
        if self.0.is_empty() {
            return position;
        }
        let base = match self.0.get(document) {
            // A record of its entity has come.
            Some(held) if held.base >= SILENT_BASE && is_of_silent(held.base) => held.base + LONG,
            // The log has grown beyond the range of short strides.
            Some(held) if position >= SHORT_BELOW && !held.base.is_multiple_of(LONG) => {
                base_above(held.base, position, false)
            }
            held => held.map_or(0, |held| held.base),
        };
        VERSION_MAX.min(base.saturating_add(position))
    }

    /// The same for a document of an entity without a record in a partial log.
    pub fn version_of_silent(&self, document: &DocumentKey, position: u64) -> u64 {
        let held = self.0.get(document).filter(|held| is_of_silent(held.base));
        held.map_or(SILENT, |held| VERSION_MAX.min(held.base.saturating_add(position)))
    }

    /// Takes note of such a document that was made just now, or deleted, and is the instance's to write from here on.
    pub(super) fn claim_silent(&mut self, document: DocumentKey) {
        self.set(document, SILENT_BASE);
    }

    /// Takes note of the base that an instance of ours has written a document at.
    pub(super) fn adopt(&mut self, document: DocumentKey, base: u64) {
        self.set(document, base);
    }

    /// Has the next writes of a document, which reflect `position` or more, go above a foreign version.
    pub(super) fn rise_above(&mut self, document: DocumentKey, foreign: u64, position: u64, is_silent: bool) {
        self.set(document, base_above(foreign, position, is_silent));
    }

    /// Takes note of documents that were written.
    pub(super) fn arrived<'a>(&mut self, documents: impl Iterator<Item = &'a DocumentKey>) {
        if self.0.is_empty() {
            return;
        }
        for document in documents {
            if self.0.get(document).is_some_and(|held| !held.is_used) {
                let held = Arc::make_mut(&mut self.0);
                if planted::is(Bug::BaseForgotten) {
                    held.remove(document);
                } else if let Some(held) = held.get_mut(document) {
                    held.is_used = true;
                }
            }
        }
    }

    fn set(&mut self, document: DocumentKey, base: u64) {
        let held = Arc::make_mut(&mut self.0);
        if held.len() >= KNOWN_MAX {
            held.retain(|_, held| !held.is_used);
        }
        held.insert(document, Base { base, is_used: false });
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
            (seen, one, other) in (positions(), positions(), positions()),
        ) {
            let (first, second) = (seen + one.min(other), seen + one.max(other));
            let mut bases = Bases::default();
            bases.rise_above(document("a"), foreign, seen, false);
            let [lower, higher] = [first, second].map(|position| bases.version(&document("a"), position));
            prop_assert!(lower > foreign);
            prop_assert_eq!(lower.cmp(&higher), first.cmp(&second));
            prop_assert_eq!(bases.version(&document("b"), second), second);
            prop_assert!(!is_of_silent(lower));
            // Another instance finds the same base, and goes on above the stored version.
            let mut others = Bases::default();
            others.adopt(document("a"), base_of(lower, first).unwrap());
            prop_assert_eq!(others.version(&document("a"), second), higher);
        }

        #[test]
        fn what_was_made_of_references_is_told_from_what_records_made(
            foreign in prop_oneof![0..VERSION_MAX - 9 * LONG, 0..100_000u64],
            (seen, later) in (positions(), 0..SHORT_BELOW),
        ) {
            let mut bases = Bases::default();
            prop_assert_eq!(bases.version_of_silent(&document("a"), seen), SILENT);
            bases.claim_silent(document("a"));
            for _ in 0..2 {
                let stub = bases.version_of_silent(&document("a"), seen);
                prop_assert!(is_of_silent(stub) && stub > SILENT);
                // Another instance finds the same base, and a record's document goes above it.
                let base = base_of(stub, seen).unwrap();
                let mut others = Bases::default();
                others.adopt(document("a"), base);
                prop_assert_eq!(others.version_of_silent(&document("a"), seen), stub);
                let made = others.version(&document("a"), seen + later);
                prop_assert!(!is_of_silent(made) && made > stub);
                prop_assert!(!is_of_silent(base_of(made, seen + later).unwrap()));
                bases.rise_above(document("a"), foreign, seen, true);
                prop_assert!(bases.version_of_silent(&document("a"), seen) > foreign);
            }
        }

        #[test]
        fn the_largest_versions_are_written_over_still(
            foreign in VERSION_MAX - 3 * LONG..=VERSION_MAX,
            position in positions(),
        ) {
            let mut bases = Bases::default();
            bases.rise_above(document("a"), foreign, position, false);
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
    fn no_more_bases_are_kept_than_are_needed() {
        let mut bases = Bases::default();
        for number in 0..KNOWN_MAX {
            bases.rise_above(document(&number.to_string()), 5, 1, false);
        }
        bases.arrived([document("1")].iter());
        bases.rise_above(document("one more"), 5, 1, false);
        assert_eq!(bases.version(&document("1"), 3), 3, "it is in use, and can be found again");
        assert!(bases.version(&document("2"), 3) > 5, "its write is still to come");
    }
}
