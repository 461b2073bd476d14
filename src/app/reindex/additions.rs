//! Additions of a changed mapping that the live indexes take without a rebuild.

use std::sync::Arc;
use std::time::Duration;

use super::{Patience, dry_run, rebuild_output, retry_outage, stop_error};
use crate::app::run::{FollowOptions, follow};
use crate::cli::OutputFormat;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::client::InstanceClient;
use crate::pipeline::status::Status;
use crate::plan::Projection;
use crate::shutdown::Shutdown;
use crate::sink::difference::Call;
use crate::sink::generations::Generations;

/// How often it is looked whether every document was sent again.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Puts the additions of mappings in place, where a projection's mapping has no other change; answers those
/// projections. A document shows some additions only once it is written again. The running instance writes it, or
/// one that is started for as long as it takes.
pub(super) async fn put(
    config: &Config,
    format: OutputFormat,
    sink: &dyn Generations,
    (patience, stop): (Patience, &Shutdown),
) -> Result<Vec<String>> {
    let answer = retry_outage(stop, "the index", patience, async || sink.rebuilds().await);
    let records = answer.await?.ok_or_else(stop_error)?;
    let (mut done, mut sending) = (Vec::new(), Vec::new());
    for projection in config.projections() {
        let record = records.get(&projection).map(|(record, _)| record);
        let Some(found) = sink.describe(projection).await? else { continue };
        let index = found.index.clone();
        let report = dry_run::report(projection.name(), found, None);
        let is_addition = report.hash_differs && report.calls_for == Call::Addition;
        if !is_addition || record.is_some_and(|record| record.is_under_way()) {
            continue;
        }
        if sink.put_in_place(projection).await? {
            sending.push(projection);
        }
        done.push((projection, index, sending.contains(&projection)));
    }
    if !sending.is_empty() {
        send(config, sink, &sending, stop).await?;
    }
    for (projection, index, is_sent) in &done {
        rebuild_output::in_place(format, projection.name(), index, *is_sent);
    }
    Ok(done.into_iter().map(|(projection, ..)| projection.name().to_owned()).collect())
}

/// Waits until every document of these projections was sent again.
async fn send(
    config: &Config,
    sink: &dyn Generations,
    projections: &[Projection],
    stop: &Shutdown,
) -> Result<()> {
    if InstanceClient::find(config).await.is_none() {
        let options = FollowOptions { until_end: true, ..FollowOptions::default() };
        follow(config.clone(), options, None, Arc::<Status>::default(), stop.clone()).await?;
    }
    while !are_sent(sink, projections).await? {
        if stop.is_requested() || InstanceClient::find(config).await.is_none() {
            return Err(Error::failure(
                "the additions are in place, and not every document was sent again; `tributary run` goes on with it",
            ));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn are_sent(sink: &dyn Generations, projections: &[Projection]) -> Result<bool> {
    for projection in projections {
        if sink.describe(*projection).await?.is_some_and(|found| found.mapping_hash() != Some(&found.hash)) {
            return Ok(false);
        }
    }
    Ok(true)
}
