//! `search`: the same search as over HTTP, from the command line.

pub(super) mod text;

use std::time::{Duration, Instant};

use serde_json::Value;

use super::adapters;
use crate::cli::{OutputFormat, SearchArguments};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::http::client::InstanceClient;
use crate::output;
use crate::plan::Collection;
use crate::position::{Positions, TopicPartition};
use crate::search::{Request, SearchIndex};
use crate::state::State;
use crate::state::fjall::FjallStore;

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Searches, and prints the hits.
pub(super) async fn run(config: Config, format: OutputFormat, options: SearchArguments) -> Result<()> {
    let searcher = adapters::searcher(&config)?;
    let request = request(&searcher.collections(), &options)?;
    check_filled(searcher.index(), &config.index.projections, &request).await?;
    if !request.consistent_with.is_empty() {
        wait(&config, &request).await?;
        searcher.index().refresh(request.collection).await?;
    }
    let page = searcher.search(&request).await?;
    match format {
        OutputFormat::Json => output::json(&page)?,
        OutputFormat::Text => text::print(&page, request.collection, text::wants_colours()),
    }
    Ok(())
}

fn request(collections: &[Collection], options: &SearchArguments) -> Result<Request> {
    let q = options.q.clone().or_else(|| (!options.words.is_empty()).then(|| options.words.join(" ")));
    let single = [
        ("q", &q),
        ("in", &options.collection),
        ("under", &options.under),
        ("sort", &options.sort),
        ("size", &options.size),
        ("after", &options.after),
        ("facets", &options.facets),
        ("consistent_with", &options.consistent_with),
        ("timeout", &options.timeout),
        ("allow_partial", &options.allow_partial.then(|| "true".to_owned())),
    ];
    let single = single.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let filters = options.filter.iter().map(|filter| ("filter", filter.as_str()));
    Request::parse(collections, single.chain(filters))
}

/// Refuses a search in an index that is not full, as the routes do. The index is searched when its aliases may not be
/// read, because the privilege to search does not contain that one.
async fn check_filled(index: &dyn SearchIndex, projections: &[String], request: &Request) -> Result<()> {
    let searched = request.collection.projections_to_search();
    let searched = projections.iter().filter(|name| searched.iter().any(|of| of.name() == *name));
    let unfilled = match index.find_unfilled(&searched.cloned().collect::<Vec<_>>()).await {
        Ok(unfilled) => unfilled,
        Err(error) if error.kind() == ErrorKind::Failed => {
            tracing::debug!(error = error.chain(), "whether the index is full is not known");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if unfilled.is_empty() || request.allow_partial {
        return Ok(());
    }
    let message = format!(
        "the index of {} is not there or is being filled and lacks documents still; try again later, or search what is \
         there with --allow-partial",
        unfilled.join(", ")
    );
    Err(Error::new(ErrorKind::Unavailable, message))
}

/// Waits until the index has come as far as asked. A running instance says how far it is; without
/// one, the state does.
async fn wait(config: &Config, request: &Request) -> Result<()> {
    let until = Instant::now() + Duration::from_millis(request.timeout_ms);
    loop {
        let reached = match InstanceClient::find(config).await {
            Some(instance) => low_watermark_of(&instance.status().await?),
            None => positions_at_rest(config)?,
        };
        if reached.covers(&request.consistent_with) {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Error::failure(request.not_reached(&reached)));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn low_watermark_of(status: &Value) -> Positions {
    let partitions = status.get("partitions").and_then(Value::as_array).into_iter().flatten();
    let partition = |at: &Value| {
        let number = i32::try_from(at.get("partition")?.as_i64()?).ok()?;
        Some((TopicPartition::new(at.get("topic")?.as_str()?, number), at.get("delivered")?.as_i64()?))
    };
    partitions.filter_map(partition).collect()
}

/// How far the index is when nothing runs: as far as the state, unless documents wait.
fn positions_at_rest(config: &Config) -> Result<Positions> {
    if !config.state.exists() {
        return Ok(Positions::default());
    }
    let state = State::open(
        std::sync::Arc::new(FjallStore::open(&config.state, config.plan())?),
        config.plan(),
        &config.fingerprint(),
    )?;
    Ok(if state.is_delivered()? { state.progress()?.positions() } else { state.low_watermark()?.positions() })
}
