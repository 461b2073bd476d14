//! What relatives show of organisations, remembered beyond one snapshot: a contact's document needs the whole
//! chain above it, and those are few organisations for many contacts.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;

use super::affiliations::{Affiliations, Kept};
use crate::entity::affiliation::Affiliation;
use crate::entity::organisation::Summary;

const CACHE_BYTES: usize = 32 << 20;
/// What one takes beside its texts.
const ENTRY_BYTES: usize = 180;
/// How many changed organisations are remembered one by one.
const CHANGED_MAX: usize = 100_000;

/// Summaries and affiliations, each with the step of the snapshot that it was read from. When summaries are too many, all are
/// forgotten: whoever reads that many passes over everything anyway.
#[derive(Default)]
pub struct Summaries(RwLock<Known>);

#[derive(Default)]
struct Known {
    summaries: HashMap<Box<str>, (Arc<Summary>, u64), RandomState>,
    /// What the summaries take.
    bytes: usize,
    affiliations: Affiliations,
    /// Every organisation's last change that is not among `changed` was made at this step or before.
    floor: u64,
    /// The last change of each organisation, from the moment on that it is about to be committed.
    changed: HashMap<Arc<str>, u64, RandomState>,
}

impl Known {
    fn last_change(&self, id: &str) -> u64 {
        self.changed.get(id).map_or(self.floor, |step| self.floor.max(*step))
    }
}

impl Summaries {
    /// As if nothing had changed since the state of `step` was opened.
    pub fn since(step: u64) -> Self {
        Self(RwLock::new(Known { floor: step, ..Known::default() }))
    }

    /// Takes note of organisations that are about to change at `step`, before the commit shows it to anybody.
    pub fn change<'a>(&self, ids: impl Iterator<Item = &'a Arc<str>>, step: u64) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            known.changed.insert(Arc::clone(id), step);
        }
        if known.changed.len() > CHANGED_MAX {
            known.changed.clear();
            known.floor = step;
        }
    }

    /// Takes note that any organisation may be about to change at `step`.
    pub fn change_all(&self, step: u64) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).floor = step;
    }

    /// The summary as a snapshot of `step` would read it; `None` when that is not known.
    pub fn summary(&self, id: &str, step: u64) -> Option<Arc<Summary>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (summary, read_at) = known.summaries.get(id)?;
        (known.last_change(id) <= step.min(*read_at)).then(|| Arc::clone(summary))
    }

    /// Remembers what a snapshot of `step` read.
    pub fn put_summary(&self, id: &str, step: u64, summary: Arc<Summary>) {
        let name = summary.name.as_ref().map_or(0, |name| name.len());
        let parent = summary.parent.as_ref().map_or(0, |parent| parent.len());
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.bytes += id.len() + 2 * name + parent + ENTRY_BYTES;
        if known.bytes > CACHE_BYTES {
            known.summaries.clear();
            known.bytes = 0;
        }
        known.summaries.insert(id.into(), (summary, step));
    }

    /// What contacts show of an organisation, as a snapshot of `step` would make it; `None` when that is not known.
    pub fn affiliation(&self, id: &str, step: u64) -> Option<Affiliation> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Kept { affiliation, of, read_at } = known.affiliations.get(id)?;
        let until = step.min(*read_at);
        let is_unchanged = known.floor <= until
            && (known.changed.is_empty() || of.iter().all(|id| known.last_change(id) <= until));
        is_unchanged.then(|| affiliation.clone())
    }

    /// Remembers what was made from a snapshot of `step`, and of which organisations.
    pub fn put_affiliation(&self, step: u64, affiliation: Affiliation, of: Vec<Arc<str>>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.affiliations.put(Kept { affiliation, of: of.into(), read_at: step });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_serves_snapshots_on_the_same_side_of_its_changes_only() {
        let summaries = Summaries::since(3);
        let (id, old, new) = (Arc::from("o1"), Arc::new(Summary::unseen()), Arc::new(Summary::unseen()));
        assert_eq!(summaries.summary("o1", 5), None);
        summaries.put_summary("o1", 5, Arc::clone(&old));
        assert!(summaries.summary("o1", 4).is_some_and(|found| Arc::ptr_eq(&found, &old)));
        assert_eq!(summaries.summary("o1", 2), None, "before the state was opened");
        summaries.change([&id].into_iter(), 7);
        assert_eq!(summaries.summary("o1", 6), None, "a change since is enough not to know");
        assert_eq!(summaries.summary("o1", 7), None);
        summaries.put_summary("o1", 6, old);
        assert_eq!(summaries.summary("o1", 7), None, "read before the commit, put in after it");
        summaries.put_summary("o1", 7, Arc::clone(&new));
        assert!(summaries.summary("o1", 8).is_some_and(|found| Arc::ptr_eq(&found, &new)));
        assert_eq!(summaries.summary("o1", 6), None);
    }

    #[test]
    fn when_changes_are_forgotten_nothing_read_before_serves() {
        let summaries = Summaries::since(0);
        summaries.put_summary("o1", 1, Arc::new(Summary::unseen()));
        let many: Vec<Arc<str>> = (0..=CHANGED_MAX).map(|number| format!("x{number}").into()).collect();
        summaries.change(many.iter(), 2);
        assert_eq!(summaries.summary("o1", 2), None);
    }

    #[test]
    fn an_affiliation_serves_for_as_long_as_nothing_that_it_was_made_of_has_changed() {
        let summaries = Summaries::since(0);
        let [own, above, other] = ["o1", "o2", "o3"].map(Arc::<str>::from);
        let made = Affiliation::new("o1", b"{}", b"\"x\"");
        summaries.put_affiliation(4, made.clone(), vec![Arc::clone(&own), Arc::clone(&above)]);
        assert_eq!(summaries.affiliation("o1", 9), Some(made.clone()));
        summaries.change([&other].into_iter(), 5);
        assert_eq!(summaries.affiliation("o1", 9), Some(made.clone()));
        for changed in [&own, &above] {
            let step = 6;
            summaries.put_affiliation(step, made.clone(), vec![Arc::clone(&own), Arc::clone(&above)]);
            assert_eq!(summaries.affiliation("o1", 9), Some(made.clone()));
            summaries.change([changed].into_iter(), step + 1);
            assert_eq!(summaries.affiliation("o1", 9), None);
            assert_eq!(summaries.affiliation("o1", step), None, "a change since is enough not to know");
            summaries.0.write().unwrap().changed.clear();
        }
        summaries.put_affiliation(8, made, vec![own, above]);
        summaries.change_all(9);
        assert_eq!(summaries.affiliation("o1", 9), None);
    }
}
