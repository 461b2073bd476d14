//! What `reindex` prints.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::OutputFormat;
use crate::output;
use crate::reindex::Outcome;
use crate::sink::generations::{Phase, RebuildProgress};

/// The progress: a bar on a terminal, lines of JSON when asked for, else lines of the log.
pub(super) struct Progress {
    format: OutputFormat,
    projections: String,
    bar: Option<ProgressBar>,
    last: Mutex<Option<Phase>>,
}

impl Progress {
    pub(super) fn new(format: OutputFormat, projections: &[String]) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            let style = ProgressStyle::with_template("{prefix} {bar:30} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { format, projections: projections.join(", "), bar, last: Mutex::default() }
    }

    pub(super) fn show(&self, phase: Phase, progress: &RebuildProgress) {
        if self.format == OutputFormat::Json {
            output::line(json!({"phase": phase, "projections": self.projections, "progress": progress}));
        }
        let (done, total) = done_of(progress);
        if let Some(bar) = &self.bar {
            bar.set_prefix(phase.name());
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(message(progress));
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *last != Some(phase) || phase == Phase::Loading {
            *last = Some(phase);
            tracing::info!(projections = self.projections, phase = phase.name(), "{}", message(progress));
        }
    }
}

fn done_of(progress: &RebuildProgress) -> (u64, u64) {
    if progress.events < progress.events_total {
        (progress.events, progress.events_total)
    } else {
        (progress.documents, progress.documents_total)
    }
}

fn message(progress: &RebuildProgress) -> String {
    let left = progress.seconds_left.map(|seconds| format!(", {seconds} s left")).unwrap_or_default();
    format!(
        "{} of {} events, {} documents, {}/s{left}",
        progress.events, progress.events_total, progress.documents, progress.rate
    )
}

/// What a rebuild ended with, and where its state lies when it was kept.
pub(super) fn outcome(format: OutputFormat, outcome: &Outcome, state: Option<PathBuf>) {
    if format == OutputFormat::Json {
        output::line(json!({"phase": "done", "outcome": outcome, "state": state}));
        return;
    }
    for (projection, index) in &outcome.indexes {
        output::line(format_args!("{projection}: the alias stands for {index}"));
    }
    for seen in &outcome.evidence {
        output::line(format_args!(
            "{}: {} documents of {}, {} compared",
            seen.index, seen.held, seen.called_for, seen.compared
        ));
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
pub(super) fn deleted(format: OutputFormat, indexes: &[String]) {
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
