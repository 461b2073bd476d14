//! The headers of entities, remembered beyond one snapshot: a document may need the whole chain above it, and
//! many documents share one.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;

use super::EntityKey;
use super::fragments::{CachedFragment, Fragments};
use crate::entity::Header;
use crate::entity::fragment::Fragment;
use crate::plan::{EntityType, PlanRef};

const CACHE_BYTES: usize = 32 << 20;
/// The bytes of an entry beside its texts.
const ENTRY_BYTES: usize = 180;
/// How many changed entities are remembered one by one.
const CHANGED_MAX: usize = 100_000;

/// Headers and fragments, each with the step of the snapshot that it was read from. When headers are too many, all are
/// forgotten: a reader of that many passes over everything anyway.
pub struct Headers(RwLock<HeaderCache>);

/// A header, and the step of the snapshot that it was read from.
type ReadHeader = (Arc<Header>, u64);

struct HeaderCache {
    /// The headers of each entity type.
    headers: Vec<HashMap<Box<str>, ReadHeader, RandomState>>,
    /// The bytes of the headers.
    bytes: usize,
    fragments: Fragments,
    /// Every entity's last change that is not among `changed` was made at this step or before.
    floor: u64,
    /// For each entity type, the last change of each entity, from the moment on that it is about to be committed. Types
    /// without a referrer are left out.
    changed: Vec<HashMap<Arc<str>, u64, RandomState>>,
    /// How many these are.
    changed_count: usize,
    /// For each entity type, whether documents of others read its headers.
    is_read: Vec<bool>,
}

impl HeaderCache {
    fn last_change(&self, of: EntityType, id: &str) -> u64 {
        let changed = self.changed.get(usize::from(of.number()));
        changed.and_then(|changed| changed.get(id)).map_or(self.floor, |step| self.floor.max(*step))
    }
}

impl Headers {
    /// As if nothing had changed since the state of `step` was opened.
    pub fn since(plan: PlanRef, step: u64) -> Self {
        let types = plan.entity_types().len();
        Self(RwLock::new(HeaderCache {
            headers: (0..types).map(|_| HashMap::default()).collect(),
            bytes: 0,
            fragments: Fragments::of(plan.fragments()),
            floor: step,
            changed: (0..types).map(|_| HashMap::default()).collect(),
            changed_count: 0,
            is_read: plan.entity_types().map(|of| of.header.is_read).collect(),
        }))
    }

    /// Takes note of entities that are about to change at `step`, before the commit shows it to anybody.
    pub fn change<'a>(&self, entities: impl Iterator<Item = &'a EntityKey>, step: u64) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let HeaderCache { changed, changed_count, is_read, .. } = &mut *known;
        for (of, id) in entities {
            let number = usize::from(of.number());
            if is_read.get(number) == Some(&true)
                && let Some(changed) = changed.get_mut(number)
                && changed.insert(Arc::clone(id), step).is_none()
            {
                *changed_count += 1;
            }
        }
        if known.changed_count > CHANGED_MAX {
            known.changed.iter_mut().for_each(HashMap::clear);
            known.changed_count = 0;
            known.floor = step;
        }
    }

    /// Takes note that any entity may be about to change at `step`.
    pub fn change_all(&self, step: u64) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).floor = step;
    }

    /// The header as a snapshot of `step` would read it; `None` when that is not known.
    pub fn header(&self, of: EntityType, id: &str, step: u64) -> Option<Arc<Header>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (header, read_at) = known.headers.get(usize::from(of.number()))?.get(id)?;
        (known.last_change(of, id) <= step.min(*read_at)).then(|| Arc::clone(header))
    }

    /// Remembers the headers that a snapshot of `step` read.
    pub fn put_header(&self, (of, id): (EntityType, &str), step: u64, header: Arc<Header>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.is_read.get(usize::from(of.number())) != Some(&true) {
            return;
        }
        known.bytes += id.len() + header.bytes() + ENTRY_BYTES;
        if known.bytes > CACHE_BYTES {
            known.headers.iter_mut().for_each(HashMap::clear);
            known.bytes = 0;
        }
        if let Some(headers) = known.headers.get_mut(usize::from(of.number())) {
            headers.insert(id.into(), (header, step));
        }
    }

    /// A fragment of an entity, as a snapshot of `step` would make it; `None` when that is not known.
    pub fn fragment(&self, kind: u16, id: &str, step: u64) -> Option<Fragment> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let CachedFragment { fragment, of, read_at } = known.fragments.get(kind, id)?;
        let until = step.min(*read_at);
        let is_unchanged = known.floor <= until
            && (known.changed_count == 0 || of.iter().all(|(of, id)| known.last_change(*of, id) <= until));
        is_unchanged.then(|| fragment.clone())
    }

    /// Remembers a fragment of a snapshot of `step`, and the entities that it was made of.
    pub fn put_fragment(&self, kind: u16, step: u64, fragment: Fragment, of: Vec<(EntityType, Arc<str>)>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.fragments.put(kind, CachedFragment { fragment, of: of.into(), read_at: step });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ORGANISATION, builtin};

    fn header(headers: &Headers, id: &str, step: u64) -> Option<Arc<Header>> {
        headers.header(ORGANISATION, id, step)
    }

    #[test]
    fn a_header_serves_snapshots_on_the_same_side_of_its_changes_only() {
        let headers = Headers::since(builtin(), 3);
        let (key, old, new) =
            ((ORGANISATION, Arc::from("o1")), Arc::new(Header::of_unseen()), Arc::new(Header::of_unseen()));
        let put =
            |step, header: &Arc<Header>| headers.put_header((ORGANISATION, "o1"), step, Arc::clone(header));
        assert_eq!(header(&headers, "o1", 5), None);
        put(5, &old);
        assert!(header(&headers, "o1", 4).is_some_and(|found| Arc::ptr_eq(&found, &old)));
        assert_eq!(header(&headers, "o1", 2), None, "before the state was opened");
        headers.change([&key].into_iter(), 7);
        assert_eq!(header(&headers, "o1", 6), None, "a change since is enough not to know");
        assert_eq!(header(&headers, "o1", 7), None);
        put(6, &old);
        assert_eq!(header(&headers, "o1", 7), None, "read before the commit, put in after it");
        put(7, &new);
        assert!(header(&headers, "o1", 8).is_some_and(|found| Arc::ptr_eq(&found, &new)));
        assert_eq!(header(&headers, "o1", 6), None);
    }

    #[test]
    fn when_changes_are_forgotten_nothing_read_before_serves() {
        let headers = Headers::since(builtin(), 0);
        headers.put_header((ORGANISATION, "o1"), 1, Arc::new(Header::of_unseen()));
        let many: Vec<EntityKey> =
            (0..=CHANGED_MAX).map(|number| (ORGANISATION, format!("x{number}").into())).collect();
        headers.change(many.iter(), 2);
        assert_eq!(header(&headers, "o1", 2), None);
    }

    #[test]
    fn a_fragment_serves_for_as_long_as_nothing_that_it_was_made_of_has_changed() {
        let headers = Headers::since(builtin(), 0);
        let [own, above, other] = ["o1", "o2", "o3"].map(|id| (ORGANISATION, Arc::<str>::from(id)));
        let made = Fragment::new("o1", b"{}", b"\"x\"");
        headers.put_fragment(0, 4, made.clone(), vec![own.clone(), above.clone()]);
        assert_eq!(headers.fragment(0, "o1", 9), Some(made.clone()));
        headers.change([&other].into_iter(), 5);
        assert_eq!(headers.fragment(0, "o1", 9), Some(made.clone()));
        for changed in [&own, &above] {
            let step = 6;
            headers.put_fragment(0, step, made.clone(), vec![own.clone(), above.clone()]);
            assert_eq!(headers.fragment(0, "o1", 9), Some(made.clone()));
            headers.change([changed].into_iter(), step + 1);
            assert_eq!(headers.fragment(0, "o1", 9), None);
            assert_eq!(headers.fragment(0, "o1", step), None, "a change since is enough not to know");
            headers.0.write().unwrap().changed.iter_mut().for_each(HashMap::clear);
        }
        headers.put_fragment(0, 8, made, vec![own, above]);
        headers.change_all(9);
        assert_eq!(headers.fragment(0, "o1", 9), None);
    }
}
