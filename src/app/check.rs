//! `check`: all that a run would stop at or wait for when it starts, before anything is started. It changes nothing.

pub(super) mod findings;
mod log;
mod places;
pub(super) mod state;

use std::sync::Arc;

use toml::Table;

use self::findings::Findings;
use self::state::{FoundState, StateAtRest};
use super::adapters;
use super::instance_identity::{claimant, listen};
use crate::config::{Config, DeadLetterKind, toml_text};
use crate::dead_letter;
use crate::encoding::Registry;
use crate::error::{Error, ErrorKind, Result};
use crate::output;
use crate::pipeline::work::blocking;
use crate::plan::Projection;
use crate::shutdown::Shutdown;
use crate::sink::IndexSummary;
use crate::sink::generations::Aliases;
use crate::sink::index::Index;

/// The parts of a deployment that are looked at.
pub(super) const CONFIGURATION: &str = "configuration";
pub(super) const REGISTRY: &str = "schema registry";
pub(super) const DISK: &str = "disk";
pub(super) const STATE: &str = "state";
pub(super) const HTTP: &str = "http";
pub(super) const LETTERS: &str = "dead letters";
pub(super) const LOG: &str = "log";
pub(super) const BROKERS: &str = "brokers";
pub(super) const TOPICS: &str = "topics";
pub(super) const PRIVILEGES: &str = "privileges";
pub(super) const INDEX: &str = "index";

/// Prints the resolved configuration, asks the servers, and says all that is wrong, one finding a line.
pub(super) async fn run(examined: Result<(Config, Table), Vec<Error>>, offline: bool) -> Result<()> {
    let mut findings = Findings::default();
    match examined {
        Ok((config, table)) => {
            output::line(toml_text::text(&table).trim_end());
            look(&config, offline, &mut findings).await?;
        }
        Err(wrong) => wrong.iter().for_each(|error| findings.note_wrong(CONFIGURATION, error)),
    }
    findings.print();
    findings.outcome()
}

/// The state and the index that the check met, for commands that look further.
pub(super) struct Sight {
    /// The state as it lies, or as an instance has it.
    pub(super) state: FoundState,
    /// The index, where one can be made of the configuration.
    pub(super) sink: Option<Arc<dyn Index>>,
}

/// Looks at everything that a run needs, and changes nothing.
pub(super) async fn look(config: &Config, offline: bool, findings: &mut Findings) -> Result<Sight> {
    let (sink, unread) = match adapters::examine(config) {
        Ok((sink, wrong)) => {
            wrong.iter().for_each(|(_, error)| findings.note_wrong(CONFIGURATION, error));
            (Some(sink), wrong.into_iter().map(|(projection, _)| projection).collect())
        }
        Err(error) => {
            findings.note_wrong(CONFIGURATION, &error);
            (None, Vec::new())
        }
    };
    let registry = config.schema_registry.as_ref().map(Registry::new).transpose();
    let registry = registry.map_err(|error| findings.note_wrong(REGISTRY, &error)).ok().flatten();
    let is_good = findings.all().is_empty();
    match is_good {
        true => findings.sum_up(
            CONFIGURATION,
            "configuration and mappings: good",
            "every key is understood, and the mappings can be read",
        ),
        false => findings.note_good(CONFIGURATION, "good, and what it names is not"),
    }
    if offline {
        return Ok(Sight { state: FoundState::Nothing, sink });
    }
    let misplaced = places::find_conflicts(config);
    let is_misplaced = |key: &str| misplaced.iter().any(|error| error.to_string().starts_with(key));
    let (index_is_there, state_is_there) = (!is_misplaced("index.path: "), !is_misplaced("state: "));
    misplaced.iter().for_each(|error| findings.note_wrong(DISK, error));
    let state = if state_is_there { state::look(config, findings).await } else { FoundState::Wrong };
    address(config, &state).await.iter().for_each(|error| findings.note_wrong(HTTP, error));
    letters(config).await.iter().for_each(|error| findings.note_wrong(LETTERS, error));
    if let Some(registry) = registry {
        match blocking(move || registry.examine()).await {
            Ok(()) => findings.sum_up(REGISTRY, "schema registry: good", "it answers"),
            Err(error) => findings.note_wrong(REGISTRY, &error),
        }
    }
    let (identity, of_log) = log::look(config, &state).await?;
    if let Some(identity) = &identity {
        findings.note_good(LOG, identity);
    }
    of_log.iter().for_each(|error| findings.note_wrong(area(error, LOG), error));
    if let Some(sink) = sink.as_ref().filter(|_| index_is_there) {
        index(config, &**sink, &state, (identity.as_deref(), &unread), findings).await;
    }
    Ok(Sight { state, sink: sink.filter(|_| index_is_there) })
}

/// The part that a fault belongs to, by the key that it begins with.
fn area(error: &Error, other: &'static str) -> &'static str {
    match error.to_string().split(": ").next().unwrap_or_default() {
        "kafka.brokers" | "kafka.properties" => BROKERS,
        // A privilege that is lacking is not of one index.
        "index" => PRIVILEGES,
        key if key.ends_with(".topics") => TOPICS,
        _ => other,
    }
}

/// Finds faults of the index, and of the instance that writes it.
async fn index(
    config: &Config,
    sink: &dyn Index,
    state: &FoundState,
    (identity, unread): (Option<&str>, &[Projection]),
    findings: &mut Findings,
) {
    let mut wrong = sink.check(identity, unread).await;
    if let Ok(Some(server)) = sink.server().await {
        findings.note_good(INDEX, format_args!("{server} answers"));
    }
    if !wrong.iter().any(|error| error.kind() == ErrorKind::Unavailable) {
        wrong.extend(owner(config, sink, state).await.err());
    }
    if !wrong.is_empty() {
        return wrong.iter().for_each(|error| findings.note_wrong(area(error, INDEX), error));
    }
    findings.sum_up(INDEX, "index: good", "aliases and mappings are as a run needs them");
    if let Err(error) = indexes(sink, findings).await {
        findings.note_wrong(INDEX, &error);
    }
}

/// That no other group, and no other state, writes the indexes.
async fn owner(config: &Config, sink: &dyn Aliases, state: &FoundState) -> Result<()> {
    let name = match state {
        FoundState::Resting(StateAtRest { name, .. }) => name.clone(),
        _ => String::new(),
    };
    let claimant = claimant(config, false, || Ok(name))?;
    let tenure = sink.tenure().await.map_err(|error| error.about("index.prefix"))?;
    match claimant.examine(tenure.as_ref().map(|(tenure, _)| tenure)) {
        // Which state it is, is not known of one that cannot be used.
        Err(("state", _)) if matches!(state, FoundState::Wrong) => Ok(()),
        examined => examined.map_err(|(key, error)| error.about(key)),
    }
}

/// That the address can be listened on. A running instance has its own.
async fn address(config: &Config, state: &FoundState) -> Option<Error> {
    let port = |address: &str| address.rsplit_once(':').map(|(_, port)| port.to_owned());
    match state {
        FoundState::Running(instance) if port(instance.address()) == port(&config.http.listen) => None,
        _ => listen(&config.http.listen, false).await.err(),
    }
}

/// That dead letters can be sent to their topic: whether a producer can be made. Nothing is sent.
async fn letters(config: &Config) -> Option<Error> {
    if config.dead_letters.kind != DeadLetterKind::Kafka {
        return None;
    }
    let (letters, kafka) = (config.dead_letters.clone(), config.kafka.clone());
    let opened = blocking(move || dead_letter::open(&letters, &kafka, Shutdown::default()).map(drop));
    opened.await.err().map(|error| error.about("dead_letters.topic"))
}

/// Reports the index behind each alias.
async fn indexes(sink: &dyn Aliases, findings: &mut Findings) -> Result<()> {
    let records = sink.rebuilds().await?;
    for IndexSummary { projection, alias, index, documents } in sink.summaries().await? {
        let shown = if index.is_empty() { "not there yet" } else { &index };
        findings.note_good(INDEX, format_args!("{alias}: {shown}, {documents} documents"));
        if records.get(&projection).is_some_and(|(record, _)| record.is_rollback_to(&index)) {
            let text = format!("{alias}: a rollback put back {index}; `tributary run` goes on with it");
            findings.note_good(INDEX, text);
        }
    }
    Ok(())
}
