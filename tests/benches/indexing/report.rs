//! The table.

use std::time::Duration;

use crate::harness::PROJECTIONS;
use crate::perf::PerfCounts;
use crate::{Counts, Result};

/// One run of either side.
pub struct Row {
    pub what: String,
    pub is_raw: bool,
    pub took: Duration,
    /// Its parts, and how long each took.
    pub parts: Vec<(String, Duration)>,
    pub counts: Counts,
    pub peak_kilobytes: Option<u64>,
    /// Processor time of the program (of the raw side: its client's) and of the server, in seconds.
    pub cpu: [f64; 2],
    /// The work of the two in it, when that is counted; that of the raw side's client is not.
    pub executed: [Option<PerfCounts>; 2],
    /// Writes that the index counted, and the size of the state.
    pub writes: Option<u64>,
    pub state_bytes: Option<u64>,
}

impl Row {
    /// Writes for each document that is there in the end.
    pub fn writes_each(&self) -> Option<f64> {
        Some(self.writes? as f64 / self.counts.iter().sum::<u64>() as f64)
    }
}

/// Raw runs do the same work: the spread between them, as a part of the shortest, is the machine's doing.
const SPREAD_MAX: f64 = 0.2;

/// Every run must have made the same documents: else the times say nothing.
pub fn check(rows: &[Row]) -> Result<()> {
    let Some(first) = rows.first() else { return Err("nothing was measured; raise BENCH_ROUNDS".to_owned()) };
    if first.counts.contains(&0) {
        return Err(format!(
            "{PROJECTIONS:?} hold {:?} documents; raise BENCH_ORGANISATIONS and BENCH_CONTACTS",
            first.counts
        ));
    }
    match rows.iter().find(|row| row.counts != first.counts) {
        None => Ok(()),
        Some(other) => Err(format!(
            "{PROJECTIONS:?} hold {:?} documents after `{}` and {:?} after `{}`: the times cannot be compared. Look for \
             another program that writes there, and begin again",
            first.counts, first.what, other.counts, other.what
        )),
    }
}

pub fn print(rows: &[Row], machine: &str, connections: usize) {
    let Some(counts) = rows.first().map(|row| row.counts) else { return };
    let documents: u64 = counts.iter().sum();
    let raw: Vec<f64> = rows.iter().filter(|row| row.is_raw).map(|row| row.took.as_secs_f64()).collect();
    let raw_mean = mean(&raw);
    let each = PROJECTIONS.iter().zip(counts).map(|(projection, count)| format!("{count} {projection}"));
    println!("{documents} documents ({}); {machine}", each.collect::<Vec<_>>().join(", "));
    println!(
        "raw: {connections} connections; the ratio is the row's time by the mean raw time, {} s\n",
        shown(raw_mean.map(|mean| format!("{mean:.1}")))
    );
    println!(
        "| run | seconds | documents/s | by raw | peak MB | state MB | writes for each document | CPU s, own | of the server | parts, seconds |\n\
         |---|---|---|---|---|---|---|---|---|---|"
    );
    for row in rows {
        let seconds = row.took.as_secs_f64();
        let peak = shown(row.peak_kilobytes.map(|peak| peak >> 10));
        let (state, writes) = (shown(row.state_bytes.map(|bytes| bytes >> 20)), row.writes_each());
        let writes = shown(writes.map(|writes| format!("{writes:.3}")));
        let parts = row.parts.iter().map(|(part, took)| format!("{part} {:.1}", took.as_secs_f64()));
        println!(
            "| {} | {seconds:.1} | {:.0} | {} | {peak} | {state} | {writes} | {:.1} | {:.1} | {} |",
            row.what,
            documents as f64 / seconds,
            shown(raw_mean.map(|mean| format!("{:.2}", seconds / mean))),
            row.cpu[0],
            row.cpu[1],
            parts.collect::<Vec<_>>().join(", ")
        );
    }
    let (least, most) =
        (raw.iter().copied().fold(f64::MAX, f64::min), raw.iter().copied().fold(0.0, f64::max));
    if most - least > SPREAD_MAX * least {
        println!(
            "\nThe raw runs took {least:.1} to {most:.1} s, and they all do the same: the machine was not quiet, and the \
             ratios are as inexact. Measure again when nothing else runs, or raise BENCH_ROUNDS."
        );
    }
}

/// A rebuild and the raw run that followed it: a change of the machine's speed falls on both, as far as it can.
pub struct Pair<'a> {
    pub rebuild: &'a Row,
    raw: &'a Row,
}

impl Pair<'_> {
    fn by_raw(&self) -> f64 {
        self.rebuild.took.as_secs_f64() / self.raw.took.as_secs_f64()
    }

    /// The ratio that would hold if the server had taken as long for the rebuild as for the raw run, the processors as
    /// busy. It leaves the machine's speed in each minute out. It says nothing of the server's additional work.
    pub fn at_equal_server_time(&self) -> f64 {
        let ([own, server], [_, server_raw]) = (self.rebuild.cpu, self.raw.cpu);
        self.by_raw() * (own + server_raw) / (own + server)
    }
}

/// The pairs, in their order.
pub fn pairs(rows: &[Row]) -> impl Iterator<Item = Pair<'_>> {
    rows.windows(2).filter_map(|two| match two {
        [rebuild, raw] if !rebuild.is_raw && raw.is_raw => Some(Pair { rebuild, raw }),
        _ => None,
    })
}

/// Each rebuild beside the raw run that followed it.
pub fn print_pairs(rows: &[Row]) {
    println!(
        "\n| rebuild, by the raw run after it | seconds | raw | by it | at equal server time |\n|---|---|---|---|---|"
    );
    for pair in pairs(rows) {
        let [rebuild, raw] = [pair.rebuild, pair.raw].map(|row| row.took.as_secs_f64());
        let (what, by_raw, equal) = (&pair.rebuild.what, pair.by_raw(), pair.at_equal_server_time());
        println!("| {what} | {rebuild:.1} | {raw:.1} | {by_raw:.2} | {equal:.2} |");
    }
    println!();
}

/// The processor's work for each run, beside that for the mean raw run.
pub fn print_executed(rows: &[Row]) {
    let raw = rows.iter().filter(|row| row.is_raw).filter_map(|row| row.executed[1]);
    let raw: Vec<f64> = raw.map(|server| server.instructions).collect();
    let Some(raw) = mean(&raw) else { return };
    println!(
        "\n| run | 10⁹ instructions, of the server | by raw | own | by raw | instructions per cycle, of the server | own |\n\
         |---|---|---|---|---|---|---|"
    );
    for row in rows {
        let [own, server] = row.executed;
        let instructions =
            |of: Option<PerfCounts>| shown(of.map(|of| format!("{:.1}", of.instructions / 1e9)));
        let by_raw = |of: Option<PerfCounts>| shown(of.map(|of| format!("{:.3}", of.instructions / raw)));
        let per_cycle =
            |of: Option<PerfCounts>| shown(of.map(|of| format!("{:.2}", of.instructions / of.cycles)));
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.what,
            instructions(server),
            by_raw(server),
            instructions(own),
            by_raw(own),
            per_cycle(server),
            per_cycle(own)
        );
    }
    println!();
}

/// A figure, or a dash where there is none.
pub fn shown(figure: Option<impl std::fmt::Display>) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| figure.to_string())
}

fn mean(figures: &[f64]) -> Option<f64> {
    (!figures.is_empty()).then(|| figures.iter().sum::<f64>() / figures.len() as f64)
}

/// The middle one, or the mean of the two in the middle.
pub fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let half = figures.len() / 2;
    match figures.len() {
        0 => None,
        odd if odd % 2 == 1 => figures.get(half).copied(),
        _ => Some((figures[half - 1] + figures[half]) / 2.0),
    }
}
