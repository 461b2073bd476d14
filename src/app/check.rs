//! `check`: all that a run would stop at or wait for when it starts, before anything is started. It changes nothing.

mod log;
mod places;
pub(super) mod state;

use toml::Table;

use self::state::{Resting, Seen};
use super::{follow, parts};
use crate::config::{Config, DeadLetterKind, shown};
use crate::dead_letter;
use crate::encoding::Registry;
use crate::error::{Error, ErrorKind, Result};
use crate::output;
use crate::pipeline::work::blocking;
use crate::shutdown::Shutdown;
use crate::sink::DocumentSink;
use crate::sink::generations::Aliases;

/// Prints the resolved configuration, asks the servers, and says all that is wrong, one finding a line.
pub(super) async fn run(examined: Result<(Config, Table), Vec<Error>>, offline: bool) -> Result<()> {
    let (config, table) = match examined {
        Ok(examined) => examined,
        Err(wrong) => return told(wrong),
    };
    output::line(shown::text(&table).trim_end());
    let (sink, mut wrong, unread) = match parts::examined(&config) {
        Ok((sink, wrong)) => {
            let (unread, wrong): (Vec<usize>, Vec<Error>) = wrong.into_iter().unzip();
            (Some(sink), wrong, unread)
        }
        Err(error) => (None, vec![error], Vec::new()),
    };
    let registry = config.schema_registry.as_ref().map(Registry::new).transpose();
    let registry = registry.map_err(|error| wrong.push(error)).ok().flatten();
    output::line(if wrong.is_empty() {
        "# configuration and mappings: good"
    } else {
        "# configuration: good, and what it names is not"
    });
    if offline {
        return told(wrong);
    }
    let misplaced = places::wrong(&config);
    let is_misplaced = |key: &str| misplaced.iter().any(|error| error.to_string().starts_with(key));
    let (index_is_there, state_is_there) = (!is_misplaced("index.path: "), !is_misplaced("state: "));
    wrong.extend(misplaced);
    let (state, of_state) =
        if state_is_there { state::look(&config).await } else { (Seen::Wrong, Vec::new()) };
    wrong.extend(of_state);
    wrong.extend(address(&config, &state).await);
    wrong.extend(letters(&config).await);
    if let Some(registry) = registry {
        match blocking(move || registry.examine()).await {
            Ok(()) => output::line("# schema registry: good"),
            Err(error) => wrong.push(error),
        }
    }
    let (identity, of_log) = log::look(&config, &state).await?;
    if let Some(identity) = &identity {
        output::line(format_args!("# log: {identity}"));
    }
    wrong.extend(of_log);
    if let Some(sink) = sink.filter(|_| index_is_there) {
        wrong.extend(index(&config, &sink, &state, identity.as_deref(), &unread).await);
    }
    told(wrong)
}

/// Finds faults of the index, and of the instance that writes it.
async fn index(
    config: &Config,
    sink: &parts::Sink,
    state: &Seen,
    identity: Option<&str>,
    unread: &[usize],
) -> Vec<Error> {
    let mut wrong = sink.check(identity, unread).await;
    if let Ok(Some(server)) = sink.server().await {
        output::line(format_args!("# index: {server} answers"));
    }
    if wrong.iter().any(|error| error.kind() == ErrorKind::Unavailable) {
        return wrong;
    }
    wrong.extend(owner(config, sink, state).await.err());
    if wrong.is_empty() {
        output::line("# index: good");
        wrong.extend(indexes(sink).await.err());
    }
    wrong
}

/// That no other group, and no other state, writes the indexes.
async fn owner(config: &Config, sink: &parts::Sink, state: &Seen) -> Result<()> {
    let name = match state {
        Seen::Resting(Resting { name, .. }) => name.clone(),
        _ => String::new(),
    };
    let claimant = follow::claimant(config, false, || Ok(name))?;
    let held = sink.tenure().await.map_err(|error| error.about("index.prefix"))?;
    match claimant.examine(held.as_ref().map(|(held, _)| held)) {
        // Which state it is, is not known of one that cannot be used.
        Err(("state", _)) if matches!(state, Seen::Wrong) => Ok(()),
        examined => examined.map_err(|(key, error)| error.about(key)),
    }
}

/// That the address can be listened on. A running instance has its own.
async fn address(config: &Config, state: &Seen) -> Option<Error> {
    let port = |address: &str| address.rsplit_once(':').map(|(_, port)| port.to_owned());
    match state {
        Seen::Running(instance) if port(instance.address()) == port(&config.http.listen) => None,
        _ => follow::listen(&config.http.listen, false).await.err(),
    }
}

/// That letters can be sent to their topic: whether a producer can be made. Nothing is sent.
async fn letters(config: &Config) -> Option<Error> {
    if config.dead_letters.kind != DeadLetterKind::Kafka {
        return None;
    }
    let (letters, kafka) = (config.dead_letters.clone(), config.kafka.clone());
    let opened = blocking(move || dead_letter::open(&letters, &kafka, Shutdown::default()).map(drop));
    opened.await.err().map(|error| error.about("dead_letters.topic"))
}

/// Prints what the aliases stand for.
async fn indexes(sink: &parts::Sink) -> Result<()> {
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
    let mut lines: Vec<String> = Vec::new();
    for error in &wrong {
        let line = error.chain().replace(['\n', '\r'], " ");
        // A fault of all indexes is found with each of them.
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.iter().for_each(output::line);
    let is = |kind: ErrorKind| wrong.iter().any(|error| error.kind() == kind);
    let kinds = [ErrorKind::Usage, ErrorKind::MappingChanged, ErrorKind::Failed, ErrorKind::Unavailable];
    let Some(kind) = kinds.into_iter().find(|kind| is(*kind)) else { return Ok(()) };
    let count = match lines.len() {
        1 => "1 thing is".to_owned(),
        count => format!("{count} things are"),
    };
    Err(Error::new(kind, format!("{count} wrong, as told above")))
}
