//! The explanation of a document: the records that made each part of it, its pending work, the index's copy, and the causes
//! of differences.
//!
//! The state keeps no offsets. So the log is read once from its beginning, and each record of an entity that takes
//! part is folded alone. Its write stands where it equals the register in the state. Who wins is decided by `entity`
//! only, when it folds.

mod computed_report;
mod index;
mod log;
mod part;
mod report;
mod state;
mod text;

pub use self::computed_report::ComputedReport;
pub use self::index::{FieldDifference, IndexSide};
pub use self::log::{LogSide, WaitingRecord};
pub use self::part::{ITSELF, Part};
pub use self::report::{Explanation, FieldReport, IdleRecord, OtherSides, PartReport, PartitionLag};
pub use self::state::StateSide;
pub use self::text::text;

/// At most `max` letters of `text`.
fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
