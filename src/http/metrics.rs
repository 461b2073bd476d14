//! Metrics in Prometheus' text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write;
use std::sync::atomic::Ordering;

use crate::pipeline::status::{RebuildReport, Report, Status};

/// The metrics as they are now.
pub(super) fn text(status: &Status, state_bytes: u64) -> String {
    let report = status.report(None);
    let mut out = String::new();
    for (name, value) in &report.counters {
        metric(&mut out, &format!("tributary_{name}_total"), "counter", &[("", *value)]);
    }
    let gauges = [
        ("tributary_documents_waiting", report.documents_waiting),
        ("tributary_oldest_waiting_milliseconds", report.oldest_waiting_ms),
        ("tributary_bulk_requests_in_flight", status.in_flight.load(Ordering::Relaxed)),
        ("tributary_writer", u64::from(status.writer.load(Ordering::Relaxed))),
        ("tributary_state_bytes", state_bytes),
        ("tributary_searches_waiting", status.watchers()),
    ];
    for (name, value) in gauges {
        metric(&mut out, name, "gauge", &[("", value)]);
    }
    let label =
        |topic: &str, partition: i32| format!("{{topic=\"{}\",partition=\"{partition}\"}}", escaped(topic));
    let lags: Vec<(String, u64)> = report
        .partitions
        .iter()
        .map(|at| (label(&at.topic, at.partition), u64::try_from(at.lag).unwrap_or(0)))
        .collect();
    let lags: Vec<(&str, u64)> = lags.iter().map(|(label, lag)| (label.as_str(), *lag)).collect();
    metric(&mut out, "tributary_lag_records", "gauge", &lags);
    rebuilds(&mut out, &report);
    out
}

/// How far each rebuild under way is, by whatever process.
fn rebuilds(out: &mut String, report: &Report) {
    type Read = fn(&RebuildReport) -> u64;
    let gauges: [(&str, Read); 6] = [
        ("tributary_reindex_events", |rebuild| rebuild.progress.events),
        ("tributary_reindex_events_expected", |rebuild| rebuild.progress.events_total),
        ("tributary_reindex_documents", |rebuild| rebuild.progress.documents),
        ("tributary_reindex_documents_expected", |rebuild| rebuild.total),
        ("tributary_reindex_rate", |rebuild| rebuild.progress.rate),
        ("tributary_reindex_rejected", |rebuild| rebuild.progress.rejected),
    ];
    for (name, read) in gauges.into_iter().filter(|_| !report.reindex.is_empty()) {
        let values = report.reindex.iter().map(|rebuild| {
            let (projection, phase) = (escaped(&rebuild.projection), rebuild.phase.name());
            (format!("{{projection=\"{projection}\",phase=\"{phase}\"}}"), read(rebuild))
        });
        let values: Vec<(String, u64)> = values.collect();
        let values: Vec<(&str, u64)> = values.iter().map(|(label, value)| (label.as_str(), *value)).collect();
        metric(out, name, "gauge", &values);
    }
}

fn metric(out: &mut String, name: &str, kind: &str, values: &[(&str, u64)]) {
    // Writing to a string can't fail.
    let _ = writeln!(out, "# TYPE {name} {kind}");
    for (label, value) in values {
        let _ = writeln!(out, "{name}{label} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
