//! `check`: the configuration, the mappings, the log and the index, before anything is started.

use crate::config::Config;
use crate::error::Result;
use crate::pipeline::work::blocking;
use crate::sink::DocumentSink;

/// Prints the resolved configuration and asks the servers.
pub(super) async fn run(config: Config, offline: bool) -> Result<()> {
    let sink = super::parts::sink(&config)?;
    println!("{config:#?}");
    println!("configuration and mappings: good");
    if offline {
        return Ok(());
    }
    let identity = {
        let config = config.clone();
        blocking(move || super::source(&config).map(|source| source.identity())).await?
    };
    println!("log: {identity}");
    sink.ping().await?;
    println!("index: answers");
    for summary in sink.summaries().await? {
        let index = if summary.index.is_empty() { "not there yet" } else { &summary.index };
        println!("  {}: {index}, {} documents", summary.alias, summary.documents);
    }
    Ok(())
}
