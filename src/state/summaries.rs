//! What relatives show of organisations, remembered beyond one snapshot: a contact's document needs the whole
//! chain above it, and those are few organisations for many contacts.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use moka::sync::Cache;

use crate::entity::organisation::Summary;

const CACHE_BYTES: u64 = 24 << 20;
/// How many changed organisations are remembered one by one.
const CHANGED_MAX: usize = 100_000;

/// Summaries, each with the step of the snapshot that it was read from.
pub struct Summaries {
    read: Cache<Arc<str>, (Arc<Summary>, u64)>,
    changed: RwLock<Changed>,
}

#[derive(Default)]
struct Changed {
    /// Every organisation's last change that is not among `steps` was made at this step or before.
    floor: u64,
    /// The last change of each organisation, from the moment on that it is about to be committed.
    steps: HashMap<Arc<str>, u64>,
}

impl Default for Summaries {
    fn default() -> Self {
        let weigh = |id: &Arc<str>, (summary, _): &(Arc<Summary>, u64)| {
            let name = summary.name.as_ref().map_or(0, |name| name.len());
            let parent = summary.parent.as_ref().map_or(0, String::len);
            u32::try_from(id.len() + name + parent + 240).unwrap_or(u32::MAX)
        };
        Self {
            read: Cache::builder().max_capacity(CACHE_BYTES).weigher(weigh).build(),
            changed: RwLock::default(),
        }
    }
}

impl Summaries {
    /// As if nothing had changed since the state of `step` was opened.
    pub fn since(step: u64) -> Self {
        let summaries = Self::default();
        summaries.changed.write().unwrap_or_else(PoisonError::into_inner).floor = step;
        summaries
    }

    /// Takes note of organisations that are about to change at `step`, before the commit shows it to anybody.
    pub fn change<'a>(&self, ids: impl Iterator<Item = &'a Arc<str>>, step: u64) {
        let mut changed = self.changed.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            changed.steps.insert(Arc::clone(id), step);
        }
        if changed.steps.len() > CHANGED_MAX {
            changed.steps.clear();
            changed.floor = step;
        }
    }

    /// The summary as a snapshot of `step` would read it; `None` when that is not known.
    pub fn get(&self, id: &str, step: u64) -> Option<Arc<Summary>> {
        let (summary, read_at) = self.read.get(id)?;
        let changed = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        let last = changed.steps.get(id).copied().unwrap_or(changed.floor).max(changed.floor);
        (last <= read_at.min(step)).then_some(summary)
    }

    /// Remembers what a snapshot of `step` read.
    pub fn put(&self, id: &str, step: u64, summary: Arc<Summary>) {
        self.read.insert(id.into(), (summary, step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_serves_snapshots_on_the_same_side_of_its_changes_only() {
        let summaries = Summaries::since(3);
        let (id, old, new) = (Arc::from("o1"), Arc::new(Summary::UNSEEN), Arc::new(Summary::UNSEEN));
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
        summaries.put("o1", 1, Arc::new(Summary::UNSEEN));
        let many: Vec<Arc<str>> = (0..=CHANGED_MAX).map(|number| format!("x{number}").into()).collect();
        summaries.change(many.iter(), 2);
        assert_eq!(summaries.get("o1", 2), None);
    }
}
