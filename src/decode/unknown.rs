//! Fields that no declaration knows, counted by their names and told of once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use super::shown;
use crate::event::EntityKind;

/// So many names are counted, so that names made up by the million fill neither memory nor the log.
const COUNTED_MAX: usize = 100;

/// The counts of organisations and those of contacts.
#[derive(Debug, Default)]
pub(super) struct Unknown([RwLock<HashMap<Box<str>, AtomicU64>>; 2]);

impl Unknown {
    fn of(&self, kind: EntityKind) -> &RwLock<HashMap<Box<str>, AtomicU64>> {
        let [organisations, contacts] = &self.0;
        if kind == EntityKind::Organisation { organisations } else { contacts }
    }

    /// Counts a field, and tells of it when it is the first of its name.
    pub(super) fn count(&self, kind: EntityKind, name: &str) {
        {
            let counted = self.of(kind).read().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = counted.get(name) {
                count.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if counted.len() >= COUNTED_MAX {
                return;
            }
        }
        let mut counted = self.of(kind).write().unwrap_or_else(PoisonError::into_inner);
        counted.insert(name.into(), AtomicU64::new(1));
        let entity = entity(kind);
        tracing::info!(
            "the field {} of {entity} is not declared: it is kept under attributes, and searches do not find it; \
             [{entity}.rename] and {entity}.naming read other names",
            shown(name)
        );
    }

    /// A sentence for each name.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for kind in [EntityKind::Organisation, EntityKind::Contact] {
            let counted = self.of(kind).read().unwrap_or_else(PoisonError::into_inner);
            let mut counts: Vec<(&str, u64)> =
                counted.iter().map(|(name, count)| (&**name, count.load(Ordering::Relaxed))).collect();
            counts.sort_unstable();
            let entity = entity(kind);
            notes.extend(counts.into_iter().map(|(name, count)| {
                format!("the field {} of {entity} came {count} times and is not declared", shown(name))
            }));
        }
        notes
    }
}

fn entity(kind: EntityKind) -> &'static str {
    if kind == EntityKind::Organisation { "organisations" } else { "contacts" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_by_their_names_and_not_without_end() {
        let unknown = Unknown::default();
        for number in 0..1_000 {
            unknown.count(EntityKind::Contact, "surname");
            unknown.count(EntityKind::Organisation, &format!("column{number}"));
        }
        let notes = unknown.notes();
        assert_eq!(notes.len(), COUNTED_MAX + 1);
        assert_eq!(
            notes.last().map(String::as_str),
            Some("the field \"surname\" of contacts came 1000 times and is not declared")
        );
    }
}
