//! The output of `reindex`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::app::report::progress::{Bars, ProgressSample};
use crate::cli::OutputFormat;
use crate::output;
use crate::reindex::RebuildOutcome;
use crate::sink::generations::{Phase, RebuildProgress};

/// The progress: bars on a terminal, lines of JSON when asked for, else lines of the log.
pub(super) struct ProgressOutput {
    format: OutputFormat,
    projections: String,
    bars: Option<Mutex<Bars>>,
    last: Mutex<Option<Phase>>,
}

impl ProgressOutput {
    pub(super) fn new(format: OutputFormat, projections: &[String]) -> Self {
        let bars = std::io::stderr().is_terminal().then(|| Mutex::new(Bars::new()));
        Self { format, projections: projections.join(", "), bars, last: Mutex::default() }
    }

    pub(super) fn show(&self, phase: Phase, progress: &RebuildProgress) {
        if self.format == OutputFormat::Json {
            output::line(json!({"phase": phase, "projections": self.projections, "progress": progress}));
        }
        if let Some(bars) = &self.bars {
            bars.lock().unwrap_or_else(PoisonError::into_inner).show(sample(progress));
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *last != Some(phase);
        if is_new || phase == Phase::Loading && self.bars.is_none() {
            *last = Some(phase);
            tracing::info!(projections = self.projections, phase = phase.name(), "{}", message(progress));
        }
    }
}

fn sample(progress: &RebuildProgress) -> ProgressSample {
    let RebuildProgress { events, events_total, documents, documents_total, .. } = *progress;
    ProgressSample {
        records: events,
        records_all: events_total,
        documents,
        documents_all: (documents_total > 0).then_some(documents_total),
    }
}

fn message(progress: &RebuildProgress) -> String {
    let left = progress.seconds_left.map(|seconds| format!(", {seconds} s left")).unwrap_or_default();
    format!(
        "{} of {} records, {} documents, {}/s{left}",
        progress.events, progress.events_total, progress.documents, progress.rate
    )
}

/// The end of a rebuild, and the place of its state when it was kept.
pub(super) fn outcome(format: OutputFormat, outcome: &RebuildOutcome, state: Option<PathBuf>) {
    if format == OutputFormat::Json {
        output::line(json!({"phase": "done", "outcome": outcome, "state": state}));
        return;
    }
    for (projection, index) in &outcome.indexes {
        output::line(format_args!("{projection}: the alias stands for {index}"));
    }
    for evidence in &outcome.evidence {
        output::line(format_args!(
            "{}: {} documents of {}, {} compared",
            evidence.index,
            evidence.stored,
            evidence.expected + evidence.unexpected,
            evidence.compared
        ));
        if evidence.carried > 0 {
            output::line(format_args!(
                "{}: {} documents that the log has no record of were carried over",
                evidence.index, evidence.carried
            ));
        }
    }
    if outcome.rejected > 0 {
        output::line(format_args!(
            "{} documents were rejected; see `tributary dead-letters list`",
            outcome.rejected
        ));
    }
    if let Some(state) = state {
        output::line(format_args!(
            "the state that it was built from: {}; stop `run`, put it in the state's place, and start again",
            state.display()
        ));
    }
    output::line(
        "the previous indexes are kept: `tributary reindex --rollback` goes back, `--prune` deletes them",
    );
}

/// Indexes that were deleted.
pub(super) fn print_deleted(format: OutputFormat, indexes: &[String]) {
    match format {
        OutputFormat::Json => indexes.iter().for_each(|index| output::line(json!({ "deleted": index }))),
        OutputFormat::Text if indexes.is_empty() => output::line("there was nothing to delete"),
        OutputFormat::Text => indexes.iter().for_each(|index| output::line(format_args!("deleted {index}"))),
    }
}

/// A mapping's additions that were put in place.
pub(super) fn in_place(format: OutputFormat, projection: &str, index: &str, is_sent: bool) {
    if format == OutputFormat::Json {
        output::line(json!({"in_place": {"projection": projection, "index": index, "sent_again": is_sent}}));
        return;
    }
    let sent = if is_sent { ", and every document was sent again" } else { "" };
    output::line(format_args!(
        "{projection}: the mapping's additions are in place in {index}{sent}; no new index was called for, --rebuild makes one"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_of_zero_documents_is_one_that_is_not_known() {
        let mut progress = RebuildProgress { events: 3, events_total: 9, ..RebuildProgress::default() };
        assert_eq!(
            sample(&progress),
            ProgressSample { records: 3, records_all: 9, documents: 0, documents_all: None }
        );
        (progress.documents, progress.documents_total) = (4, 5);
        assert_eq!(sample(&progress).documents_all, Some(5));
    }
}
