//! `check`: the configuration, the mappings, the log and the index, before anything is started.

use crate::config::Config;
use crate::error::Result;
use crate::output;
use crate::pipeline::work::blocking;
use crate::sink::DocumentSink;
use crate::sink::generations::Aliases;

/// Prints the resolved configuration and asks the servers.
pub(super) async fn run(config: Config, offline: bool) -> Result<()> {
    let sink = super::parts::sink(&config)?;
    output::line(format_args!("{config:#?}"));
    output::line("configuration and mappings: good");
    if offline {
        return Ok(());
    }
    let identity = {
        let config = config.clone();
        blocking(move || super::source(&config).map(|source| source.identity())).await?
    };
    output::line(format_args!("log: {identity}"));
    sink.ping().await?;
    output::line("index: answers");
    let records = sink.rebuilds().await?;
    for (summary, found) in sink.summaries().await?.into_iter().zip(records) {
        let index = if summary.index.is_empty() { "not there yet" } else { &summary.index };
        output::line(format_args!("  {}: {index}, {} documents", summary.alias, summary.documents));
        if found.is_some_and(|(record, _)| record.is_rollback_to(index)) {
            output::line(format_args!(
                "  {}: a rollback put back {index}; `tributary run` goes on with it",
                summary.alias
            ));
        }
    }
    Ok(())
}
