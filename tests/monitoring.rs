//! The alerts, the dashboard and the runbook speak of metrics that there are, and of each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{GrowingLog, World};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(path)).unwrap()
}

/// The metrics that a text names, without the endings of a histogram.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let is_metric = |word: &&str| word.starts_with("tributary_") || word.starts_with("process_");
    let words = text.split(|letter| !is_part(letter)).filter(is_metric);
    words.map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}

/// Those that are there only while an index is rebuilt.
fn is_of_a_rebuild(metric: &str) -> bool {
    metric.starts_with("tributary_reindex_")
}

#[test]
fn alerts_and_dashboard_name_metrics_that_there_are() {
    let log = GrowingLog::new();
    log.append("contacts", "c1", &serde_json::json!({"name": "Jane"}));
    let world = World::embedded("monitoring", &log.settings());
    let _running = world.start(&["run"]);
    world.wait_until_delivered();
    let (_, shown) = world.get("/metrics");
    let told: BTreeSet<String> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned))
        .collect();
    for line in shown.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok(), "no number: {line}");
    }
    assert!(shown.contains("tributary_items_total{outcome=\"delivered\"} 1"), "{shown}");
    assert!(shown.contains("tributary_bulk_request_duration_seconds_bucket{le=\"+Inf\"} 1"), "{shown}");
    assert!(shown.contains("tributary_undelivered_records{topic=\"contacts\",partition=\"0\"} 0"), "{shown}");
    for file in ["monitoring/alerts.yml", "monitoring/dashboard.json", "operations.md"] {
        let named = metrics_in(&read(file));
        let missing: Vec<_> =
            named.iter().filter(|name| !told.contains(*name) && !is_of_a_rebuild(name)).collect();
        assert!(missing.is_empty(), "{file} names {missing:?}, /metrics has {told:?}");
        assert!(!named.is_empty(), "{file} names {named:?}");
    }
}

/// The value of the series of this name and these labels, 0 where there is none yet.
fn value(shown: &str, series: &str) -> f64 {
    let line = shown.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

#[test]
fn requests_are_counted_and_timed_by_route_and_errors_by_code() {
    let log = GrowingLog::new();
    log.append("contacts", "c1", &serde_json::json!({"name": "Jane"}));
    let world = World::embedded("requests", &log.settings());
    let _running = world.start(&["run"]);
    world.wait_until_delivered();
    for path in ["/search?q=jane&in=contacts", "/search?q=jane", "/contacts/c1", "/suggest?q=ja"] {
        assert_eq!(world.get(path).0, 200, "{path}");
    }
    assert_eq!(world.get("/search?wrong=1").0, 400);
    for path in ["/contacts/none", "/contacts/a%2Fb", "/nowhere", "/elsewhere/at/all"] {
        assert_eq!(world.get(path).0, 404, "{path}");
    }
    let late = "/search?q=jane&consistent_with=contacts/0:1000000&timeout=10ms";
    assert_eq!(world.get(late).0, 503);
    let (_, shown) = world.get("/metrics");
    for (route, code, count) in [
        ("/search", 200, 2.0),
        ("/search", 400, 1.0),
        ("/search", 503, 1.0),
        ("/suggest", 200, 1.0),
        ("/{projection}/{id}", 200, 1.0),
        ("/{projection}/{id}", 404, 2.0),
        ("none", 404, 2.0),
    ] {
        let series = format!("tributary_http_requests_total{{route=\"{route}\",code=\"{code}\"}}");
        assert_eq!(value(&shown, &series), count, "{series}\n{shown}");
    }
    let timed = |metric: &str, label: &str| {
        let name = format!("tributary_{metric}_duration_seconds");
        let all = value(&shown, &format!("{name}_bucket{{{label},le=\"+Inf\"}}"));
        assert_eq!(all, value(&shown, &format!("{name}_count{{{label}}}")), "{shown}");
        assert!(value(&shown, &format!("{name}_sum{{{label}}}")) > 0.0, "{label}\n{shown}");
        all
    };
    assert_eq!(timed("http_request", "route=\"/search\""), 4.0);
    assert_eq!(timed("http_request", "route=\"/{projection}/{id}\""), 3.0);
    // The late one never came to the index; a suggestion asks for organisations and for contacts.
    assert_eq!(timed("index_request", "kind=\"search\""), 4.0);
    assert_eq!(timed("index_request", "kind=\"document\""), 3.0);
    assert_eq!(value(&shown, "tributary_http_requests_in_flight"), 1.0, "the one that asks for the metrics");
}

#[test]
fn the_process_tells_what_it_uses() {
    let log = GrowingLog::new();
    log.append("contacts", "c1", &serde_json::json!({"name": "Jane"}));
    let world = World::embedded("process", &log.settings());
    let running = world.start(&["run"]);
    world.wait_until_delivered();
    let (_, shown) = world.get("/metrics");
    let has = |name: &str| value(&shown, name);
    assert!(has("process_cpu_seconds_total") > 0.0, "{shown}");
    assert!(has("process_resident_memory_bytes") > 1e6 && has("process_threads") >= 2.0, "{shown}");
    let files = std::fs::read_dir(format!("/proc/{}/fd", running.0.id())).unwrap().count();
    assert!(has("process_open_fds") > 3.0 && has("process_max_fds") > files as f64, "{shown}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - has("process_start_time_seconds");
    assert!((-2.0..3_600.0).contains(&age), "started {age} s ago");
}

#[test]
fn the_runbook_tells_of_every_alert_and_of_no_other() {
    let alerts: BTreeSet<String> = read("monitoring/alerts.yml")
        .lines()
        .filter_map(|line| Some(line.split_once("alert: ")?.1.to_owned()))
        .collect();
    let told: BTreeSet<String> = read("operations.md")
        .lines()
        .filter_map(|line| line.strip_prefix("### Tributary").map(|name| format!("Tributary{name}")))
        .collect();
    assert_eq!(alerts, told);
    assert!(!alerts.is_empty());
}

#[test]
fn every_panel_asks_something() {
    let dashboard: Value = serde_json::from_str(&read("monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(!panels.is_empty());
    for panel in panels {
        let asked = panel["targets"].as_array().unwrap();
        assert!(
            asked.iter().all(|target| target["expr"].as_str().is_some_and(|expr| !expr.is_empty())),
            "{panel}"
        );
    }
}
