//! The progress of a rebuild, as people see it.

use tokio::time::Instant;

use crate::pipeline::status::{PartitionReport, Report};
use crate::sink::generations::RebuildProgress;

/// The progress that is shown, from the counters.
#[derive(Default)]
pub(super) struct Meter {
    last: Option<(Instant, u64)>,
    rate: f64,
}

impl Meter {
    /// The progress since the last reading.
    pub(super) fn read(&mut self, report: &Report) -> RebuildProgress {
        let sum = |part: fn(&PartitionReport) -> i64| {
            let sum: i64 = report.partitions.iter().map(part).sum();
            u64::try_from(sum).unwrap_or(0)
        };
        let counter = |name: &str| report.counters.get(name).copied().unwrap_or(0);
        let (events, events_total) = (sum(|at| at.position), sum(|at| at.end));
        let documents = counter("delivered");
        let (done, left) = if events < events_total {
            (events, events_total - events)
        } else {
            (events + documents, report.documents_waiting)
        };
        let now = Instant::now();
        if let Some((at, before)) = self.last {
            let seconds = now.duration_since(at).as_secs_f64().max(0.001);
            #[expect(clippy::cast_precision_loss, reason = "a rate that is shown")]
            let fresh = done.saturating_sub(before) as f64 / seconds;
            self.rate = if self.rate == 0.0 { fresh } else { 0.5 * self.rate + 0.5 * fresh };
        }
        self.last = Some((now, done));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is never negative"
        )]
        let rate = self.rate as u64;
        RebuildProgress {
            events,
            events_total,
            documents,
            documents_total: if events < events_total { 0 } else { documents + report.documents_waiting },
            rate,
            seconds_left: left.checked_div(rate),
            rejected: counter("rejected"),
            load_rate: 0,
        }
    }
}
