//! The targets, beside the figures that were reached.

use std::time::Duration;

use crate::client::percentile;
use crate::live::Measurements;
use crate::report::{Row, median, pairs};
use crate::stages::{FOLD, HASH_MAP, MATERIALISE, Stage};

/// The most memory that any phase may take.
const MEMORY_MB: f64 = 300.0;

struct Target {
    what: &'static str,
    seen: Option<f64>,
    most: f64,
    unit: &'static str,
}

/// Medians of all rounds.
pub fn print(stages: &[Stage], rows: &[Row], live: Option<&Measurements>) {
    let stage =
        |name: &str| median(stages.iter().filter(|stage| stage.what == name).map(|at| at.took.as_secs_f64()));
    let run =
        |name: &str| median(rows.iter().filter(|row| row.what == name).map(|row| row.took.as_secs_f64()));
    let raw = median(rows.iter().filter(|row| row.is_raw).map(|row| row.took.as_secs_f64()));
    let by = |above: Option<f64>, below: Option<f64>| Some(above? / below?);
    let both = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
    let whole = stages.iter().map(|stage| stage.peak_kilobytes.filter(|_| stage.what != HASH_MAP));
    let peaks = whole.chain(rows.iter().map(|row| row.peak_kilobytes));
    let live_peaks = live.map(Measurements::peak_kilobytes).unwrap_or_default();
    let peak = peaks.chain([live_peaks]).flatten().max().map(|peak| peak as f64 / 1_024.0);
    let writes = rows
        .iter()
        .filter_map(Row::writes_each)
        .fold(None, |most: Option<f64>, each| Some(most.map_or(each, |most| most.max(each))));
    let from_state = pairs(rows).filter(|pair| pair.rebuild.what == "reindex --from state");
    let mut targets = vec![
        Target {
            what: "reindex --from state by raw",
            seen: by(run("reindex --from state"), raw),
            most: 1.1,
            unit: "",
        },
        Target {
            what: "the same at equal server time",
            seen: median(from_state.map(|pair| pair.at_equal_server_time())),
            most: f64::MAX,
            unit: "",
        },
        Target {
            what: "reindex --from log by raw",
            seen: by(run("reindex --from log"), raw),
            most: f64::MAX,
            unit: "",
        },
        Target {
            what: "run --until-end by raw and fold",
            seen: by(run("run --until-end"), both(raw, stage(FOLD))),
            most: 1.1,
            unit: "",
        },
        Target { what: "fold by the hash map", seen: by(stage(FOLD), stage(HASH_MAP)), most: 1.5, unit: "" },
        Target {
            what: "raw by materialise (0.25 is four times as fast)",
            seen: by(stage(MATERIALISE), raw),
            most: 0.25,
            unit: "",
        },
        Target { what: "writes for each document of a rebuild, at most", seen: writes, most: 1.05, unit: "" },
        Target { what: "peak memory", seen: peak, most: MEMORY_MB, unit: " MB" },
    ];
    targets.extend(live.into_iter().flat_map(freshness));
    println!("| target | seen | to reach | |\n|---|---|---|---|");
    for Target { what, seen, most, unit } in targets {
        let Some(seen) = seen else { continue };
        let (most, reached) = if most == f64::MAX {
            ("–".to_owned(), "")
        } else {
            (format!("{most}{unit}"), if seen <= most { "reached" } else { "missed" })
        };
        println!("| {what} | {seen:.2}{unit} | {most} | {reached} |");
    }
}

/// The 99th of a hundred times until a change is there, medians of all rounds.
fn freshness(live: &Measurements) -> Vec<Target> {
    let ms = |times: &[Duration]| percentile(times, 0.99);
    let beyond = |[ours, floor]: &[Vec<Duration>; 2]| ms(ours) - ms(floor);
    let of = |is_loaded: bool| live.freshness.iter().filter(move |at| at.load.is_some() == is_loaded);
    let acknowledged = |is_loaded| median(of(is_loaded).map(|at| beyond(&at.acknowledged)));
    vec![
        Target {
            what: "freshness, idle: acknowledged, p99 beyond the floor",
            seen: acknowledged(false),
            most: 20.0,
            unit: " ms",
        },
        Target {
            what: "freshness, idle: searchable, p99",
            seen: median(of(false).map(|at| ms(&at.searchable[0]))),
            most: 100.0,
            unit: " ms",
        },
        Target {
            what: "freshness, idle: found by polling the index, p99",
            seen: median(of(false).map(|at| ms(&at.polled))),
            most: 150.0,
            unit: " ms",
        },
        Target {
            what: "freshness, half load: acknowledged, p99 beyond the floor",
            seen: acknowledged(true),
            most: 250.0,
            unit: " ms",
        },
    ]
}
