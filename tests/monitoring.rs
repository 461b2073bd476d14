//! The alerts, the dashboard and the runbook speak of metrics that there are, and of each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{GrowingLog, World};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(path)).unwrap()
}

/// The metrics that a text names, without what a histogram adds.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_part(letter)).filter(|word| word.starts_with("tributary_"));
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
