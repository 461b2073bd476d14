//! `status`, and the progress that a terminal shows.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::parts;
use crate::cli::OutputFormat;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::client::Instance;
use crate::pipeline::status::{RebuildReport, Report, Status, partitions, rebuild_report};
use crate::position::{Positions, TopicPartition};
use crate::sink::generations::Aliases;
use crate::state::State;
use crate::state::fjall::FjallStore;

/// How long the index is waited for.
const INDEX_WAIT: Duration = Duration::from_secs(5);

/// Prints the report of the running instance, or of the state when none runs.
pub(super) async fn status(config: Config, format: OutputFormat) -> Result<()> {
    let report = match Instance::find(&config).await {
        Some(instance) => instance.status().await?,
        None => stopped(&config).await?,
    };
    match format {
        OutputFormat::Json => println!("{report}"),
        OutputFormat::Text => print_text(&report),
    }
    Ok(())
}

async fn stopped(config: &Config) -> Result<serde_json::Value> {
    if !config.state.is_dir() {
        return Err(Error::failed(format!(
            "no instance answers, and there is no state in {}; start one with `tributary run`",
            config.state.display()
        )));
    }
    let config_for_end = config.clone();
    let seen = tokio::task::spawn_blocking(move || super::look_at_log(&config_for_end));
    // The log may be away: then there is no lag to show, and everything else is.
    let (_, end) = seen.await.ok().and_then(Result::ok).unwrap_or_default();
    let state = State::open(Arc::new(FjallStore::open(&config.state)?), &config.fingerprint())?;
    let positions = state.progress()?.positions();
    let frontier = state.frontier()?;
    let delivered: Positions = frontier
        .partitions
        .iter()
        .map(|(topic, number, next)| (TopicPartition::new(topic.as_str(), *number), *next))
        .collect();
    let waiting = state.count_waiting()?;
    let oldest = if waiting == 0 { 0 } else { Status::now_ms().saturating_sub(frontier.time_ms) };
    let mut indexes = BTreeMap::new();
    for projection in &config.index.projections {
        indexes.insert(projection.clone(), state.built_for(projection)?);
    }
    let (reindex, rolled_back) = rebuilds(config).await;
    let report = Report {
        state: "stopped".to_owned(),
        partitions: partitions(&positions, &end, &delivered),
        documents_waiting: waiting,
        oldest_waiting_ms: oldest,
        indexes,
        reindex,
        rolled_back,
        counters: BTreeMap::new(),
    };
    serde_json::to_value(&report)
        .map_err(|error| Error::failed("the report cannot be written").because(error))
}

/// The rebuilds under way, and the indexes that a rollback put back; none when the index is away: everything else is
/// shown without it.
async fn rebuilds(config: &Config) -> (Vec<RebuildReport>, BTreeMap<String, String>) {
    let Ok(sink) = parts::sink(config) else { return (Vec::new(), BTreeMap::new()) };
    let asked = async { Ok::<_, Error>((sink.rebuilds().await?, sink.behind().await?)) };
    let asked = tokio::time::timeout(INDEX_WAIT, asked).await;
    let (records, behind) = asked.ok().and_then(Result::ok).unwrap_or_default();
    let (mut under_way, mut rolled_back) = (Vec::new(), BTreeMap::new());
    for ((projection, found), behind) in config.index.projections.iter().zip(records).zip(behind) {
        let Some((record, _)) = found else { continue };
        if let Some(index) = behind.filter(|index| record.is_rollback_to(index)) {
            rolled_back.insert(projection.clone(), index);
        }
        if record.is_under_way() {
            under_way.push(rebuild_report((projection.clone(), record)));
        }
    }
    (under_way, rolled_back)
}

fn print_text(report: &serde_json::Value) {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let get = |name: &str| report.get(name).map(text).unwrap_or_default();
    println!("state: {}", get("state"));
    println!(
        "documents waiting: {}, the oldest for {} ms",
        get("documents_waiting"),
        get("oldest_waiting_ms")
    );
    println!("{:<32} {:>12} {:>12} {:>10} {:>12}", "partition", "position", "end", "lag", "delivered");
    for partition in report.get("partitions").and_then(|list| list.as_array()).into_iter().flatten() {
        let get = |name: &str| partition.get(name).map(text).unwrap_or_default();
        let name = format!("{}/{}", get("topic"), get("partition"));
        println!(
            "{name:<32} {:>12} {:>12} {:>10} {:>12}",
            get("position"),
            get("end"),
            get("lag"),
            get("delivered")
        );
    }
    for rebuild in report.get("reindex").and_then(|list| list.as_array()).into_iter().flatten() {
        let get = |name: &str| rebuild.get(name).map(text).unwrap_or_default();
        println!(
            "reindex of {} into {}: {}, {} of {} events, {} of {} documents, {}/s",
            get("projection"),
            get("index"),
            get("phase"),
            get("events"),
            get("events_total"),
            get("documents"),
            get("total"),
            get("rate")
        );
    }
    for (projection, index) in report.get("rolled_back").and_then(|map| map.as_object()).into_iter().flatten()
    {
        println!(
            "{projection} was rolled back to {}; `tributary reindex {projection}` builds an index with the mapping's file",
            text(index)
        );
    }
    for (title, name) in [("index", "indexes"), ("count", "counters")] {
        for (key, value) in report.get(name).and_then(|map| map.as_object()).into_iter().flatten() {
            println!("{title} {key}: {}", text(value));
        }
    }
}

/// Shows on a terminal how far a long run is; silent where nobody looks.
pub(super) fn progress(status: Arc<Status>, until_end: bool) -> tokio::task::AbortHandle {
    let shown = until_end && std::io::stderr().is_terminal();
    let task = tokio::spawn(async move {
        if !shown {
            return;
        }
        let style =
            ProgressStyle::with_template("{bar:30} {pos}/{len} records, {msg}, {elapsed} gone, {eta} to go");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        loop {
            let report = status.report(None);
            let (done, all) =
                report.partitions.iter().fold((0, 0), |(done, all), at| (done + at.position, all + at.end));
            bar.set_length(u64::try_from(all).unwrap_or(0));
            bar.set_position(u64::try_from(done).unwrap_or(0));
            let delivered = report.counters.get("delivered").copied().unwrap_or(0);
            bar.set_message(format!("{delivered} documents delivered"));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    task.abort_handle()
}
