//! The log, by itself and beside the state.

use std::sync::Arc;

use super::state::{FoundState, StateAtRest};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::work::{blocking, drop_in_background};
use crate::source::driver::SourceDriver;
use crate::source::{check_topic_ids, drivers, partial_log};

/// The log's identity, and the faults of the log.
pub(super) async fn look(config: &Config, state: &FoundState) -> Result<(Option<String>, Vec<Error>)> {
    let driver = drivers::find(config)?;
    let whole = config.clone();
    let opened = blocking(move || Ok(super::super::look_at_log(&whole))).await?;
    match opened {
        Ok((identity, _)) => Ok((Some(identity), check_against_state(config, state, driver.address).await)),
        Err(error) => Ok((None, explain_failure(config, driver, error).await?)),
    }
}

/// The findings of a log that cannot be read.
async fn explain_failure(config: &Config, driver: &SourceDriver, error: Error) -> Result<Vec<Error>> {
    let address = driver.address;
    let Some(settings) = driver.settings else { return Ok(vec![error.about(address)]) };
    match error.kind() {
        ErrorKind::Unavailable => return Ok(vec![error.about(address)]),
        // The client's settings, which are the same for every topic.
        ErrorKind::Usage => return Ok(vec![error.about(settings)]),
        _ => {}
    }
    let mut wrong = Vec::new();
    for (key, topic, alone) in topics(config, address) {
        if let Err(error) = blocking(move || Ok(super::super::look_at_log(&alone))).await? {
            tracing::debug!(topic, "the topic cannot be read");
            wrong.push((key, error));
        }
    }
    let said = error.chain();
    let is_common = wrong.len() > 1 && wrong.iter().all(|(_, error)| error.chain() == said);
    if is_common {
        return Ok(vec![error.about(settings)]);
    }
    // Each topic alone can be read: the fault lies in reading them together.
    if wrong.is_empty() {
        return Ok(vec![error.about(address)]);
    }
    Ok(wrong.into_iter().map(|(key, error)| error.about(&key)).collect())
}

/// Each topic with its key, and the configuration that has it alone.
fn topics(config: &Config, address: &str) -> Vec<(String, String, Config)> {
    let mut topics = Vec::new();
    for (number, entity) in config.model.entities.iter().enumerate() {
        for topic in &entity.source.topics {
            let mut model = (*config.model).clone();
            for (at, other) in model.entities.iter_mut().enumerate() {
                other.source.topics = if at == number { vec![topic.clone()] } else { Vec::new() };
            }
            let alone = Config { model: Arc::new(model), ..config.clone() };
            topics.push((key_of(config, topic, address), topic.clone(), alone));
        }
    }
    topics
}

/// The key that names a topic, or that of the log's address.
fn key_of(config: &Config, topic: &str, address: &str) -> String {
    let mut entities = config.model.entities.iter();
    let entity = entities.find(|entity| entity.source.topics.iter().any(|named| named == topic));
    entity.map_or_else(|| address.to_owned(), |entity| format!("{}.topics", entity.name))
}

/// The findings of the log for this state: it is another log, or it has lost its beginning. Nothing is read but the
/// records that the state read last.
async fn check_against_state(config: &Config, state: &FoundState, address: &str) -> Vec<Error> {
    let (progress, ids, is_partial) = match state {
        FoundState::Nothing => Default::default(),
        FoundState::Resting(StateAtRest { progress, topic_ids, is_partial, .. }) => {
            (progress.clone(), topic_ids.clone(), *is_partial)
        }
        // The instance compares them by itself, and a state that cannot be used is no measure.
        FoundState::Running(_) | FoundState::Wrong => return Vec::new(),
    };
    let whole = config.clone();
    let started = blocking(move || {
        let mut source = super::super::source(&whole)?;
        let started = source.start(&progress.positions(), &progress.fingerprints());
        let cut = started
            .and_then(|()| check_topic_ids(&ids, &source.topic_ids()))
            .and_then(|()| source.find_cut_partitions());
        drop_in_background(source);
        cut
    });
    let cut = match started.await {
        Ok(cut) => cut,
        Err(error) if error.kind() == ErrorKind::Unavailable => return vec![error.about(address)],
        Err(error) => return vec![error.about("state")],
    };
    let cut = cut.into_iter().filter(|_| !is_partial);
    let errors = cut.map(|(at, first)| {
        let error = partial_log(&at, first, "Restore the topic, or keep the state. ");
        error.about(&key_of(config, &at.topic, address))
    });
    errors.collect()
}
