//! The summary of a run to the end.

use crate::error::{Error, Result};
use crate::pipeline::status::Status;

/// Logs the counts of the run and its dead letters; an error for dead letters when `fails` is set.
pub(super) fn tell(status: &Status, fails: bool) -> Result<()> {
    let counters = status.counters();
    let count = |name: &str| counters.get(name).copied().unwrap_or(0);
    let dead_letters = status.dead_letters.all();
    tracing::info!(
        records = count("records"),
        documents = count("delivered"),
        dead_letters,
        "everything that was in the log is searchable"
    );
    for (kind, count) in status.dead_letters.by_kind() {
        tracing::warn!(of = kind.of, reason = kind.reason, count, "went to the dead letters");
    }
    if dead_letters == 0 {
        return Ok(());
    }
    let advice = "`tributary dead-letters list` names them, `retry` tries them again";
    if fails {
        return Err(Error::failure(format!("{dead_letters} went to the dead letters; {advice}")));
    }
    tracing::warn!("{dead_letters} went to the dead letters; {advice}");
    Ok(())
}
