//! Fields that no declaration knows, counted by their names and told of once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use super::excerpt;
use crate::plan::{EntityType, PlanRef};

/// So many names are counted, so that names made up by the million fill neither memory nor the log.
const COUNTED_MAX: usize = 100;

/// The counts of each entity type.
#[derive(Debug)]
pub(super) struct UnknownFields {
    plan: PlanRef,
    counted: Vec<FieldCounts>,
}

/// The counts of one entity type.
#[derive(Debug, Default)]
struct FieldCounts {
    by_name: RwLock<HashMap<Box<str>, AtomicU64>>,
    /// Of all names beyond the bound.
    others: AtomicU64,
}

impl UnknownFields {
    /// No field was counted yet.
    pub(super) fn of_plan(plan: PlanRef) -> Self {
        Self { plan, counted: plan.entity_types().map(|_| FieldCounts::default()).collect() }
    }

    fn of(&self, kind: EntityType) -> Option<&FieldCounts> {
        self.counted.get(usize::from(kind.number()))
    }

    /// Counts a field, and tells of it when it is the first of its name.
    pub(super) fn count(&self, kind: EntityType, name: &str) {
        let Some(of_type) = self.of(kind) else { return };
        {
            let counted = of_type.by_name.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = counted.get(name) {
                count.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if counted.len() >= COUNTED_MAX {
                if of_type.others.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::info!(
                        "more than {COUNTED_MAX} fields of {} are not declared: further ones are counted together",
                        kind.name
                    );
                }
                return;
            }
        }
        let mut counted = of_type.by_name.write().unwrap_or_else(PoisonError::into_inner);
        counted.insert(name.into(), AtomicU64::new(1));
        let entity = &kind.name;
        tracing::info!(
            "the field {} of {entity} is not declared. The state keeps it, and searches do not find it. The settings \
             rename and naming of {entity} read other names",
            excerpt(name)
        );
    }

    /// A sentence for each name.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for kind in self.plan.entity_types() {
            let Some(counted) = self.of(kind) else { continue };
            let others = counted.others.load(Ordering::Relaxed);
            let counted = counted.by_name.read().unwrap_or_else(PoisonError::into_inner);
            let mut counts: Vec<(&str, u64)> =
                counted.iter().map(|(name, count)| (&**name, count.load(Ordering::Relaxed))).collect();
            counts.sort_unstable();
            let entity = &kind.name;
            notes.extend(counts.into_iter().map(|(name, count)| {
                format!("the field {} of {entity} came {count} times and is not declared", excerpt(name))
            }));
            if others > 0 {
                notes.push(format!(
                    "fields of {entity} with other names came {others} times and are not declared"
                ));
            }
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CONTACT, ORGANISATION};

    #[test]
    fn fields_are_counted_by_their_names_and_not_without_end() {
        let unknown = UnknownFields::of_plan(crate::plan::builtin());
        for number in 0..1_000 {
            unknown.count(CONTACT, "surname");
            unknown.count(ORGANISATION, &format!("column{number}"));
        }
        let notes = unknown.notes();
        assert_eq!(notes.len(), COUNTED_MAX + 2);
        let others = "fields of organisations with other names came 900 times and are not declared";
        assert!(notes.iter().any(|note| note == others), "{notes:?}");
        assert_eq!(
            notes.last().map(String::as_str),
            Some("the field \"surname\" of contacts came 1000 times and is not declared")
        );
    }
}
