//! `reindex --dry-run`: the work that a changed mapping calls for.

use crate::app::check::state::peek;
use crate::app::instance_identity::FINGERPRINT;
use crate::cli::OutputFormat;
use crate::config::Config;
use crate::error::{ErrorKind, Result};
use crate::http::client::InstanceClient;
use crate::output;
use crate::pipeline::start::warn_of_gone;
use crate::sink::difference::{MappingReport, estimate};
use crate::sink::generations::{Description, Generations};
use crate::state::check_in_use;

/// Documents a second where no rebuild has measured the rate: about the rate of one node with large documents.
const RATE_ASSUMED: f64 = 5_000.0;

/// Prints a report of each projection.
pub(super) async fn run(config: &Config, format: OutputFormat, sink: &dyn Generations) -> Result<()> {
    let records = sink.rebuilds().await?;
    for projection in config.projections() {
        let (name, record) = (projection.name(), records.get(&projection).map(|(record, _)| record));
        let measured = record.map(|record| record.progress.load_rate);
        match sink.describe(projection).await? {
            Some(found) => {
                let is_kept = record.is_some_and(|record| record.keeps(&found.index, &found.hash));
                let report = report(name, found, measured);
                show(format, &if is_kept { report.after_rollback() } else { report })?;
            }
            None => tracing::info!(projection = name, "there is no index yet; `tributary run` makes it"),
        }
    }
    warn_of_gone(sink).await?;
    check_state(config).await
}

/// Ends as a run would where the state refuses the model, because the work that the reports advise needs the state.
async fn check_state(config: &Config) -> Result<()> {
    if InstanceClient::find(config).await.is_some() {
        // Of an instance of an earlier version nothing is known.
        let fingerprint = std::fs::read_to_string(config.state.join(FINGERPRINT));
        return fingerprint.map_or(Ok(()), |fingerprint| check_in_use(&fingerprint, &config.fingerprint()));
    }
    match peek(config).await {
        Err(error) if error.kind() == ErrorKind::Usage => Err(error),
        Err(error) => {
            tracing::warn!(error = error.chain(), "the state cannot be looked at");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

pub(super) fn report(projection: &str, found: Description, measured: Option<u64>) -> MappingReport {
    let measured = measured.and_then(|rate| u32::try_from(rate).ok()).filter(|rate| *rate > 0);
    let cost = Some(estimate(found.documents, found.bytes, Some(measured.map_or(RATE_ASSUMED, f64::from))));
    let Description { index, live, file, hash, shape, .. } = &found;
    if found.is_embedded {
        MappingReport::of_embedded(projection, index, live, file, hash, shape, cost)
    } else {
        MappingReport::new(projection, index, live, file, hash, shape, cost)
    }
}

fn show(format: OutputFormat, report: &MappingReport) -> Result<()> {
    match format {
        OutputFormat::Text => output::line(report.text()),
        OutputFormat::Json => output::json(report)?,
    }
    Ok(())
}
