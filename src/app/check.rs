//! `check`: the configuration, the mappings, the log and the index, before anything is started.

use toml::Table;

use crate::config::{Config, EntityConfig, SourceKind, shown};
use crate::error::{Error, ErrorKind, Result};
use crate::output;
use crate::pipeline::work::blocking;
use crate::sink::DocumentSink;
use crate::sink::generations::Aliases;

/// Prints the resolved configuration, asks the servers, and says all that is wrong, one finding a line.
pub(super) async fn run(examined: Result<(Config, Table), Vec<Error>>, offline: bool) -> Result<()> {
    let (config, table) = match examined {
        Ok(examined) => examined,
        Err(wrong) => return told(wrong),
    };
    output::line(shown::text(&table).trim_end());
    let sink = match super::parts::sink(&config) {
        Ok(sink) => sink,
        Err(error) => return told(vec![error]),
    };
    output::line("# configuration and mappings: good");
    if offline {
        return Ok(());
    }
    let (identity, mut wrong) = log(&config).await?;
    if let Some(identity) = &identity {
        output::line(format_args!("# log: {identity}"));
    }
    let found = sink.check(identity.as_deref()).await;
    if found.is_empty() {
        output::line("# index: good");
        indexes(&sink).await?;
    }
    wrong.extend(found);
    told(wrong)
}

/// The log's identity, and what is wrong with it.
async fn log(config: &Config) -> Result<(Option<String>, Vec<Error>)> {
    let whole = config.clone();
    let opened = blocking(move || Ok(super::look_at_log(&whole))).await?;
    let error = match opened {
        Ok((identity, _)) => return Ok((Some(identity), Vec::new())),
        Err(error) => error,
    };
    if config.source.kind == SourceKind::Files {
        return Ok((None, vec![error.about("source.path")]));
    }
    if error.kind() == ErrorKind::Unavailable {
        return Ok((None, vec![error.about("kafka.brokers")]));
    }
    let mut wrong = Vec::new();
    for (key, topic, alone) in topics(config) {
        if let Err(error) = blocking(move || Ok(super::look_at_log(&alone))).await? {
            tracing::debug!(topic, "the topic cannot be read");
            wrong.push(error.about(key));
        }
    }
    // Each topic alone can be read: the fault lies in reading them together.
    if wrong.is_empty() {
        wrong.push(error.about("kafka"));
    }
    Ok((None, wrong))
}

/// Each topic with its key, and the configuration that has it alone.
fn topics(config: &Config) -> Vec<(&'static str, String, Config)> {
    let alone = |topic: &String, is_organisations: bool| {
        let only = |entity: &EntityConfig, takes: bool| EntityConfig {
            topics: if takes { vec![topic.clone()] } else { Vec::new() },
            ..entity.clone()
        };
        let (organisations, contacts) =
            (only(&config.organisations, is_organisations), only(&config.contacts, !is_organisations));
        let key = if is_organisations { "organisations.topics" } else { "contacts.topics" };
        (key, topic.clone(), Config { organisations, contacts, ..config.clone() })
    };
    let organisations = config.organisations.topics.iter().map(|topic| alone(topic, true));
    organisations.chain(config.contacts.topics.iter().map(|topic| alone(topic, false))).collect()
}

/// Prints what the aliases stand for.
async fn indexes(sink: &super::parts::Sink) -> Result<()> {
    let records = sink.rebuilds().await?;
    for (summary, found) in sink.summaries().await?.into_iter().zip(records) {
        let index = if summary.index.is_empty() { "not there yet" } else { &summary.index };
        output::line(format_args!("#   {}: {index}, {} documents", summary.alias, summary.documents));
        if found.is_some_and(|(record, _)| record.is_rollback_to(index)) {
            output::line(format_args!(
                "#   {}: a rollback put back {index}; `tributary run` goes on with it",
                summary.alias
            ));
        }
    }
    Ok(())
}

/// Prints what is wrong, one finding a line; the gravest decides the exit code.
fn told(wrong: Vec<Error>) -> Result<()> {
    for error in &wrong {
        output::line(error.chain().replace(['\n', '\r'], " "));
    }
    let is = |kind: ErrorKind| wrong.iter().any(|error| error.kind() == kind);
    let kinds = [ErrorKind::Usage, ErrorKind::MappingChanged, ErrorKind::Failed, ErrorKind::Unavailable];
    let Some(kind) = kinds.into_iter().find(|kind| is(*kind)) else { return Ok(()) };
    let count = match wrong.len() {
        1 => "1 thing is".to_owned(),
        count => format!("{count} things are"),
    };
    Err(Error::new(kind, format!("{count} wrong, as told above")))
}
