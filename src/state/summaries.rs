//! What relatives show of organisations, remembered beyond one snapshot: a contact's document needs the whole
//! chain above it, and those are few organisations for many contacts.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;

use crate::entity::organisation::Summary;

const CACHE_BYTES: usize = 32 << 20;
/// What one takes beside its texts.
const ENTRY_BYTES: usize = 180;
/// How many changed organisations are remembered one by one.
const CHANGED_MAX: usize = 100_000;

/// Summaries, each with the step of the snapshot that it was read from. When they are too many, all are
/// forgotten: whoever reads that many passes over everything anyway.
#[derive(Default)]
pub struct Summaries(RwLock<Known>);

#[derive(Default)]
struct Known {
    read: HashMap<Box<str>, (Arc<Summary>, u64), RandomState>,
    read_bytes: usize,
    /// Every organisation's last change that is not among `changed` was made at this step or before.
    floor: u64,
    /// The last change of each organisation, from the moment on that it is about to be committed.
    changed: HashMap<Arc<str>, u64, RandomState>,
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
    pub fn get(&self, id: &str, step: u64) -> Option<Arc<Summary>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (summary, read_at) = known.read.get(id)?;
        let last = known.changed.get(id).copied().unwrap_or(known.floor).max(known.floor);
        (last <= step.min(*read_at)).then(|| Arc::clone(summary))
    }

    /// Remembers what a snapshot of `step` read.
    pub fn put(&self, id: &str, step: u64, summary: Arc<Summary>) {
        let name = summary.name.as_ref().map_or(0, |name| name.len());
        let parent = summary.parent.as_ref().map_or(0, |parent| parent.len());
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.read_bytes += id.len() + 2 * name + parent + ENTRY_BYTES;
        if known.read_bytes > CACHE_BYTES {
            known.read.clear();
            known.read_bytes = 0;
        }
        known.read.insert(id.into(), (summary, step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_serves_snapshots_on_the_same_side_of_its_changes_only() {
        let summaries = Summaries::since(3);
        let (id, old, new) = (Arc::from("o1"), Arc::new(Summary::unseen()), Arc::new(Summary::unseen()));
        assert_eq!(summaries.get("o1", 5), None);
        summaries.put("o1", 5, Arc::clone(&old));
        assert!(summaries.get("o1", 4).is_some_and(|found| Arc::ptr_eq(&found, &old)));
        assert_eq!(summaries.get("o1", 2), None, "before the state was opened");
        summaries.change([&id].into_iter(), 7);
        assert_eq!(summaries.get("o1", 6), None, "a change since is enough not to know");
        assert_eq!(summaries.get("o1", 7), None);
        summaries.put("o1", 6, old);
        assert_eq!(summaries.get("o1", 7), None, "read before the commit, put in after it");
        summaries.put("o1", 7, Arc::clone(&new));
        assert!(summaries.get("o1", 8).is_some_and(|found| Arc::ptr_eq(&found, &new)));
        assert_eq!(summaries.get("o1", 6), None);
    }

    #[test]
    fn when_changes_are_forgotten_nothing_read_before_serves() {
        let summaries = Summaries::since(0);
        summaries.put("o1", 1, Arc::new(Summary::unseen()));
        let many: Vec<Arc<str>> = (0..=CHANGED_MAX).map(|number| format!("x{number}").into()).collect();
        summaries.change(many.iter(), 2);
        assert_eq!(summaries.get("o1", 2), None);
    }
}
