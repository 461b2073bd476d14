//! Metrics in Prometheus' text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>), named by
//! its conventions (<https://prometheus.io/docs/practices/naming/>): base units, `_total` for figures that only
//! grow.

use std::fmt::{Display, Write};
use std::sync::atomic::Ordering;

use super::process;
use super::requests::{IndexRequests, Requests};
use crate::pipeline::durations::Durations;
use crate::pipeline::status::{PartitionReport, RebuildReport, Report, Status};
use crate::state::State;

/// The metrics as they are now.
pub(super) fn text(status: &Status, state: &State, requests: &Requests, index: &IndexRequests) -> String {
    let report = status.report(None);
    let mut page = MetricsPage(String::new());
    counters(&mut page, &report);
    page.histogram(
        "tributary_bulk_request_duration_seconds",
        "From sending a bulk request to its answer.",
        [(String::new(), &status.bulk_requests)],
    );
    gauges(&mut page, status, &report);
    of_state(&mut page, state);
    lags(&mut page, &report);
    rebuilds(&mut page, &report);
    of_requests(&mut page, requests);
    of_index(&mut page, index);
    for (name, kind, help, value) in process::figures() {
        page.metric(name, kind, help, [(String::new(), value)]);
    }
    page.0
}

fn counters(page: &mut MetricsPage, report: &Report) {
    let count = |name: &str| report.counters.get(name).copied().unwrap_or(0);
    page.metric(
        "tributary_records_folded_total",
        "counter",
        "Records folded into the state.",
        [(String::new(), count("records"))],
    );
    let help = "Records that could not be decoded and went to the dead letters.";
    page.metric(
        "tributary_records_dead_lettered_total",
        "counter",
        help,
        [(String::new(), count("poisoned"))],
    );
    page.metric(
        "tributary_records_superseded_total",
        "counter",
        "Records with lower versions than their entities had already.",
        [(String::new(), count("superseded"))],
    );
    let outcomes = ["delivered", "rejected", "retried", "conflicts", "foreign", "kept"];
    let help = "Writes of documents by outcome. Retried ones and conflicts are sent again, rejected ones went to the \
                dead letters, and foreign ones were written over. Kept documents are those that a partial log \
                has no record of.";
    let items = outcomes.map(|outcome| (labels(&[("outcome", outcome)]), count(outcome)));
    page.metric("tributary_items_total", "counter", help, items);
    let help = "Bytes of the requests that documents were sent to the index by.";
    page.metric("tributary_sent_bytes_total", "counter", help, [(String::new(), count("bytes"))]);
}

fn gauges(page: &mut MetricsPage, status: &Status, report: &Report) {
    let flag = |flag: bool| f64::from(u8::from(flag));
    let seconds = |millis: u64| std::time::Duration::from_millis(millis).as_secs_f64();
    let version = labels(&[("version", env!("CARGO_PKG_VERSION"))]);
    page.metric("tributary_build_info", "gauge", "The version that runs.", [(version, 1)]);
    let gauges = [
        (
            "tributary_documents_waiting",
            "Documents that wait for the index.",
            report.documents_waiting as f64,
        ),
        (
            "tributary_oldest_waiting_seconds",
            "Age of the oldest change that is not in the index; 0 when none waits.",
            seconds(report.oldest_waiting_ms),
        ),
        (
            "tributary_lag_seconds",
            "Age of the log's end that searches show; 0 while they show all of the log.",
            seconds(status.behind_ms()),
        ),
        (
            "tributary_bulk_requests_in_flight",
            "Bulk requests in flight.",
            status.signals.requests().load(Ordering::Relaxed) as f64,
        ),
        (
            "tributary_writer",
            "1 while this instance writes the index, 0 while it stands by.",
            flag(status.signals.is_writer()),
        ),
        (
            "tributary_gate_passed",
            "1 once everything is folded that was in the log when writing began; nothing is written before.",
            flag(status.signals.is_past_gate()),
        ),
        (
            "tributary_ready",
            "1 while this instance is ready, as /readyz says.",
            f64::from(u8::from(report.readiness.ready)),
        ),
        (
            "tributary_searches_waiting",
            "Searches that wait for a position.",
            status.index_progress.waiting_searches() as f64,
        ),
    ];
    for (name, help, value) in gauges {
        page.metric(name, "gauge", help, [(String::new(), value)]);
    }
}

fn of_state(page: &mut MetricsPage, state: &State) {
    let computed = state
        .plan()
        .compute_errors()
        .map(|(projection, field, errors)| (labels(&[("projection", projection), ("field", field)]), errors));
    page.metric(
        "tributary_compute_errors_total",
        "counter",
        "Evaluations of a model's programs for computed members that failed: the member is left out.",
        computed,
    );
    let defaults = state
        .plan()
        .default_errors()
        .map(|(entity, field, errors)| (labels(&[("entity", entity), ("field", field)]), errors));
    page.metric(
        "tributary_default_errors_total",
        "counter",
        "Evaluations of a model's programs for defaults that failed: the field is left out.",
        defaults,
    );
    page.metric(
        "tributary_state_bytes",
        "gauge",
        "What the state takes on the disk.",
        [(String::new(), state.disk_bytes())],
    );
    let (hits, misses) = state.cache_lookups();
    let results = [(labels(&[("result", "hit")]), hits), (labels(&[("result", "miss")]), misses)];
    let help = "Entities looked up in the cache before the state.";
    page.metric("tributary_cache_lookups_total", "counter", help, results);
}

fn lags(page: &mut MetricsPage, report: &Report) {
    type Measure = fn(&PartitionReport) -> i64;
    let gauges: [(&str, &str, Measure); 2] = [
        ("tributary_lag_records", "Records in the log that are not folded yet.", |at| at.unread),
        ("tributary_undelivered_records", "Records in the log that the index does not show yet.", |at| {
            at.lag
        }),
    ];
    for (name, help, read) in gauges {
        let values = report.partitions.iter().map(|at| {
            let partition = at.partition.to_string();
            (labels(&[("topic", &at.topic), ("partition", &partition)]), u64::try_from(read(at)).unwrap_or(0))
        });
        page.metric(name, "gauge", help, values);
    }
}

/// The progress of each rebuild under way, in any process.
fn rebuilds(page: &mut MetricsPage, report: &Report) {
    type Measure = fn(&RebuildReport) -> u64;
    let gauges: [(&str, &str, Measure); 6] = [
        ("tributary_reindex_events", "Records folded by a rebuild.", |rebuild| rebuild.progress.events),
        ("tributary_reindex_events_expected", "Records to fold.", |rebuild| rebuild.progress.events_total),
        ("tributary_reindex_documents", "Documents written by a rebuild.", |rebuild| {
            rebuild.progress.documents
        }),
        ("tributary_reindex_documents_expected", "Documents to write.", |rebuild| rebuild.total),
        ("tributary_reindex_rate", "Documents a second.", |rebuild| rebuild.progress.rate),
        ("tributary_reindex_rejected", "Documents that the index rejected.", |rebuild| {
            rebuild.progress.rejected
        }),
    ];
    for (name, help, read) in gauges.into_iter().filter(|_| !report.reindex.is_empty()) {
        let values = report.reindex.iter().map(|rebuild| {
            (labels(&[("projection", &rebuild.projection), ("phase", rebuild.phase.name())]), read(rebuild))
        });
        page.metric(name, "gauge", help, values);
    }
}

/// The requests of each route, and the status codes of their answers.
fn of_requests(page: &mut MetricsPage, requests: &Requests) {
    let routes = requests.routes();
    let counts = routes.iter().flat_map(|(name, route)| {
        let of_code =
            |(code, count): (u16, u64)| (labels(&[("route", name), ("code", &code.to_string())]), count);
        route.codes().into_iter().map(of_code).collect::<Vec<_>>()
    });
    let help = "HTTP requests by route and status code; 499 is a client that went away before the answer.";
    page.metric("tributary_http_requests_total", "counter", help, counts);
    let durations = routes.iter().map(|(name, route)| (labels(&[("route", name)]), &route.durations));
    page.histogram(
        "tributary_http_request_duration_seconds",
        "From an HTTP request's head to the beginning of its answer, waits for consistent_with among it.",
        durations,
    );
    let help = "HTTP requests that are being answered.";
    page.metric("tributary_http_requests_in_flight", "gauge", help, [(String::new(), requests.in_flight())]);
}

/// How long the index took for each kind of request.
fn of_index(page: &mut MetricsPage, index: &IndexRequests) {
    let kinds = [("search", &index.search), ("document", &index.document), ("refresh", &index.refresh)];
    page.histogram(
        "tributary_index_request_duration_seconds",
        "From asking the index to its answer, without waits for consistent_with.",
        kinds.map(|(kind, durations)| (labels(&[("kind", kind)]), durations)),
    );
}

/// Labels with their braces.
fn labels(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The page of metrics. Writing to a string can't fail.
struct MetricsPage(String);

impl MetricsPage {
    fn metric<T: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = (String, T)>,
    ) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    fn histogram<'a>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (String, &'a Durations)>,
    ) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} histogram");
        for (labels, durations) in values {
            // A further label goes before the closing brace.
            let others = labels.trim_matches(['{', '}']);
            let comma = if others.is_empty() { "" } else { "," };
            // A duration that is noted between the two reads must not make the count less than a bucket.
            let buckets: Vec<_> = durations.at_most().collect();
            let count = durations.count().max(buckets.last().map_or(0, |(_, at_most)| *at_most));
            for (bound, at_most) in buckets {
                let bound = std::time::Duration::from_millis(bound).as_secs_f64();
                let _ = writeln!(self.0, "{name}_bucket{{{others}{comma}le=\"{bound}\"}} {at_most}");
            }
            let _ = writeln!(self.0, "{name}_bucket{{{others}{comma}le=\"+Inf\"}} {count}");
            let _ =
                writeln!(self.0, "{name}_sum{labels} {}\n{name}_count{labels} {count}", durations.seconds());
        }
    }
}
