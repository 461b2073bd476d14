//! The bars of a run to the end, and of a rebuild.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::text::span;
use crate::pipeline::status::{Report, Status};

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A rate is taken over about this time.
const RATE_OVER: Duration = Duration::from_secs(10);

/// The bars of a run on a terminal; they are taken away when this is dropped.
pub(in crate::app) struct ProgressBars(Option<tokio::task::AbortHandle>);

impl ProgressBars {
    /// Shows the progress of a run to the end, if standard error is a terminal.
    pub(in crate::app) fn start(status: Arc<Status>, until_end: bool) -> Self {
        if !until_end || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let task = tokio::spawn(async move {
            let mut bars = Bars::new();
            loop {
                bars.show(ProgressSample::of(&status.report(None)));
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self(Some(task.abort_handle()))
    }
}

impl Drop for ProgressBars {
    fn drop(&mut self) {
        // The task takes its bars with it.
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// A bar for records and one for documents; they are taken away when this is dropped.
pub(in crate::app) struct Bars {
    bars: MultiProgress,
    records: ProgressBar,
    documents: ProgressBar,
    course: ProgressHistory,
}

impl Bars {
    /// Empty ones.
    pub(in crate::app) fn new() -> Self {
        let bars = MultiProgress::new();
        let (records, documents) = (bar(&bars, "records"), bar(&bars, "documents"));
        Self { bars, records, documents, course: ProgressHistory::default() }
    }

    /// Shows the progress that was seen now.
    pub(in crate::app) fn show(&mut self, sample: ProgressSample) {
        self.course.take(sample, Instant::now());
        self.course.records().show(&self.records);
        self.course.documents().show(&self.documents);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // A terminal that is gone needs no tidying.
        let _ = self.bars.clear();
    }
}

fn bar(bars: &MultiProgress, name: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:9} {bar:30} {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    bars.add(ProgressBar::new(1).with_style(style).with_prefix(name))
}

/// How much of the work is done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) struct ProgressSample {
    /// Records that are folded.
    pub(in crate::app) records: u64,
    /// Records in all.
    pub(in crate::app) records_all: u64,
    /// Documents that the index took.
    pub(in crate::app) documents: u64,
    /// Documents in all; `None` while it is not known.
    pub(in crate::app) documents_all: Option<u64>,
}

impl ProgressSample {
    fn of(report: &Report) -> Self {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let records = report.partitions.iter().map(|at| count(at.position)).sum();
        let records_all = report.partitions.iter().map(|at| count(at.end)).sum();
        let documents = report.counters.get("delivered").copied().unwrap_or(0);
        // How many documents there will be is known once every record is read.
        let is_known = records_all > 0 && records >= records_all;
        let documents_all = is_known.then_some(documents + report.documents_waiting);
        Self { records, records_all, documents, documents_all }
    }
}

/// The samples of the last seconds, oldest first.
#[derive(Debug, Default)]
struct ProgressHistory(Vec<(Instant, ProgressSample)>);

impl ProgressHistory {
    fn take(&mut self, sample: ProgressSample, now: Instant) {
        self.0.push((now, sample));
        // The newest that is old enough is kept, so that a rate has its whole time.
        while self.0.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= RATE_OVER) {
            self.0.remove(0);
        }
    }

    fn last(&self) -> ProgressSample {
        self.0.last().map(|(_, sample)| *sample).unwrap_or_default()
    }

    /// How much of something came a second, of late.
    fn rate(&self, of: impl Fn(&ProgressSample) -> u64) -> f64 {
        let (Some((began, first)), Some((ended, last))) = (self.0.first(), self.0.last()) else { return 0.0 };
        let seconds = ended.duration_since(*began).as_secs_f64();
        let came = of(last).saturating_sub(of(first)) as f64;
        if seconds > 0.0 { came / seconds } else { 0.0 }
    }

    fn records(&self) -> Bar {
        let ProgressSample { records, records_all, .. } = self.last();
        Bar {
            done: records,
            all: (records_all > 0).then_some(records_all),
            rate: self.rate(|sample| sample.records),
        }
    }

    fn documents(&self) -> Bar {
        let ProgressSample { documents, documents_all, .. } = self.last();
        Bar { done: documents, all: documents_all, rate: self.rate(|sample| sample.documents) }
    }
}

/// The figures of one bar.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bar {
    done: u64,
    /// `None` while it is not known.
    all: Option<u64>,
    rate: f64,
}

impl Bar {
    fn show(self, bar: &ProgressBar) {
        // A bar of length 0 would be drawn full.
        bar.set_length(self.all.unwrap_or(0).max(1));
        bar.set_position(if self.all.is_some() { self.done } else { 0 });
        bar.set_message(self.message());
    }

    fn message(self) -> String {
        let Self { done, all, rate } = self;
        let Some(all) = all else { return format!("{done} so far, the total is not known yet") };
        let left = all.saturating_sub(done);
        let to_go = match left {
            0 => String::new(),
            // Less than one in a minute says nothing of the end.
            _ if rate < 1.0 / 60.0 => ", nothing moves".to_owned(),
            _ => format!(", {} to go", span((left as f64 / rate * 1_000.0) as u64)),
        };
        format!("{done} of {all}, {rate:.0} a second{to_go}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(records: u64, documents: u64, documents_wait: u64) -> ProgressSample {
        let documents_all = (records == 1_000).then_some(documents + documents_wait);
        ProgressSample { records, records_all: 1_000, documents, documents_all }
    }

    #[test]
    fn the_remaining_time_is_that_of_the_rate_of_late_and_not_of_what_was_there_before() {
        let start = Instant::now();
        let mut course = ProgressHistory::default();
        // A state that had 900 of 1 000 records before.
        course.take(sample(900, 0, 0), start);
        assert_eq!(course.records().message(), "900 of 1000, 0 a second, nothing moves");
        course.take(sample(910, 0, 0), start + Duration::from_secs(1));
        assert_eq!(course.records().message(), "910 of 1000, 10 a second, 9.0 s to go");
        assert_eq!(course.documents().message(), "0 so far, the total is not known yet");
        for second in 2..60 {
            course.take(sample(1_000, second * 2, 120 - second * 2), start + Duration::from_secs(second));
        }
        assert_eq!(course.records().message(), "1000 of 1000, 0 a second");
        assert_eq!(course.documents().message(), "118 of 120, 2 a second, 1.0 s to go");
    }

    #[test]
    fn a_bar_of_nothing_is_empty_and_one_that_is_done_is_full() {
        let bar = ProgressBar::hidden();
        let shown = |course: &ProgressHistory| {
            course.documents().show(&bar);
            (bar.position(), bar.length())
        };
        let mut course = ProgressHistory::default();
        assert_eq!(shown(&course), (0, Some(1)));
        course.take(sample(1_000, 7, 0), Instant::now());
        assert_eq!(shown(&course), (7, Some(7)));
    }
}
