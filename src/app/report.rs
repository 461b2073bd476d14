//! `status`, and the progress that a terminal shows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::adapters;
use crate::cli::OutputFormat;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::client::InstanceClient;
use crate::output;
use crate::pipeline::status::{RebuildReport, Report, Status, partitions, rebuild_report};
use crate::sink::IndexSummary;
use crate::state::State;
use crate::state::fjall::FjallStore;

pub(super) mod progress;
mod text;

/// How long the index is waited for.
const INDEX_WAIT: Duration = Duration::from_secs(5);

/// Prints the report of the running instance, or of the state when none runs.
pub(super) async fn status(config: Config, format: OutputFormat, verbose: bool) -> Result<()> {
    let (mut report, address) = match InstanceClient::find(&config).await {
        Some(instance) => (instance.status().await?, Some(instance.address().to_owned())),
        None => (report_at_rest(&config).await?, None),
    };
    if let Some(fields) = report.as_object_mut() {
        fields.insert("instance".to_owned(), address.as_deref().map_or(Value::Null, Value::from));
    }
    match format {
        OutputFormat::Json => output::json(&report)?,
        OutputFormat::Text => {
            let indexes = summaries(&config).await;
            let shown =
                text::ReportText { report: &report, indexes: indexes.as_deref(), state: &config.state };
            shown.lines(verbose).iter().for_each(output::line);
        }
    }
    Ok(())
}

async fn report_at_rest(config: &Config) -> Result<Value> {
    if !config.state.is_dir() {
        return Err(Error::failure(format!(
            "no instance answers, and there is no state in {}; start one with `tributary run`",
            config.state.display()
        )));
    }
    let config_for_end = config.clone();
    let answer = tokio::task::spawn_blocking(move || super::look_at_log(&config_for_end));
    // The log may be away: then there is no lag to show, and everything else is.
    let (_, end) = answer.await.ok().and_then(Result::ok).unwrap_or_default();
    let state = State::open(
        Arc::new(FjallStore::open(&config.state, config.plan())?),
        config.plan(),
        &config.fingerprint(),
    )?;
    let positions = state.progress()?.positions();
    let low_watermark = state.low_watermark()?;
    let delivered = low_watermark.positions();
    let waiting = state.count_waiting()?;
    let oldest = if waiting == 0 { 0 } else { Status::now_ms().saturating_sub(low_watermark.time_ms) };
    let mut indexes = BTreeMap::new();
    for projection in &config.index.projections {
        indexes.insert(projection.clone(), state.index_built_for(projection)?);
    }
    // The index may take its time to answer, and a run that starts meanwhile needs the state.
    drop(state);
    let (reindex, rolled_back) = rebuilds(config).await;
    let index_server = index_server(config).await;
    let report = Report {
        partitions: partitions(&positions, &end, &delivered, &delivered),
        documents_waiting: waiting,
        oldest_waiting_ms: oldest,
        index_server,
        indexes,
        reindex,
        rolled_back,
        ..Report::new("stopped")
    };
    serde_json::to_value(&report)
        .map_err(|error| Error::failure("the report cannot be written").because(error))
}

/// The rebuilds under way, and the indexes that a rollback put back; none when the index is away: everything else is
/// shown without it.
async fn rebuilds(config: &Config) -> (Vec<RebuildReport>, BTreeMap<String, String>) {
    let Ok(sink) = adapters::sink(config) else { return (Vec::new(), BTreeMap::new()) };
    let answers = async { Ok::<_, Error>((sink.rebuilds().await?, sink.indexes_behind().await?)) };
    let answers = tokio::time::timeout(INDEX_WAIT, answers).await;
    let (records, behind) = answers.ok().and_then(Result::ok).unwrap_or_default();
    let (mut requests, mut rolled_back) = (Vec::new(), BTreeMap::new());
    for (projection, (record, _)) in records {
        let name = projection.name().to_owned();
        if let Some(index) = behind.get(&projection).filter(|index| record.is_rollback_to(index)) {
            rolled_back.insert(name.clone(), index.clone());
        }
        if record.is_under_way() {
            requests.push(rebuild_report((name, record)));
        }
    }
    (requests, rolled_back)
}

/// The product and the version of the server; `None` when it does not answer, and of an embedded index.
async fn index_server(config: &Config) -> Option<String> {
    let sink = adapters::sink(config).ok()?;
    tokio::time::timeout(INDEX_WAIT, sink.server()).await.ok()?.ok()?
}

/// The number of documents and the size of each index; `None` when the index does not answer.
async fn summaries(config: &Config) -> Option<Vec<IndexSummary>> {
    let sink = adapters::sink(config).ok()?;
    tokio::time::timeout(INDEX_WAIT, sink.summaries()).await.ok()?.ok()
}
