//! Truncations of a first fold: they delete once the runs are merged, because no entity is whole before.

use crate::event::{Event, Record, Truncation};
use crate::pipeline::fold::partition_hash;
use crate::plan::EntityType;
use crate::state::rows::{Origin, Row};

/// A truncation, with the entities that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScopedTruncation {
    kind: EntityType,
    home: u64,
    offset: i64,
    truncation: Truncation,
}

impl ScopedTruncation {
    pub(super) fn of(record: &Record, truncation: &Truncation) -> Self {
        let home = partition_hash(&record.partition);
        Self { kind: record.kind, home, offset: record.offset, truncation: *truncation }
    }

    /// Deletes an entity of this kind that came from the truncation's partition; true when its row changed.
    pub(super) fn apply(&self, kind: EntityType, row: &mut Row) -> bool {
        if self.kind != kind || row.home != Some(self.home) {
            return false;
        }
        let Truncation { version, sequenced, .. } = self.truncation;
        row.note(version, Origin { offset: self.offset, elsewhere: None });
        row.registers.apply(&Event::deletion(kind, String::new(), version, sequenced));
        true
    }
}
