//! Synthetic events: a plausible world of organisations and contacts, the same for the same seed.

pub mod demo_world;
mod events;
mod files;
mod kafka;
mod marker;
mod pace;
mod people;
mod rng;
#[cfg(test)]
mod tests;
mod world;

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use self::events::{Events, GeneratedRecord};
use self::pace::EventPace;
use crate::cli::Generate;
use crate::config::Config;
use crate::error::{Error, Result};

/// Where generated records go.
trait RecordTarget {
    /// Takes one record.
    fn put(&mut self, record: &GeneratedRecord) -> Result<()>;
    /// Hands on the records that are held back, before a pause.
    fn hand_on(&mut self) -> Result<()>;
    /// Waits until all of them are kept.
    fn finish(&mut self) -> Result<()>;
}

/// Writes the events of a seed into files or Kafka.
///
/// # Errors When there are fewer events than entities, no organisation, or a folder that is neither empty nor its own
/// (exit code 2). Also when the target can't be written.
pub fn run(options: &Generate, config: &Config) -> Result<()> {
    let entities = u64::from(options.organisations) + u64::from(options.contacts);
    if options.events < entities {
        return Err(Error::usage(format!(
            "--events {} is fewer than the {entities} entities that have to be created; ask for at least as many",
            options.events
        )));
    }
    if options.organisations == 0 {
        return Err(Error::usage("--organisations: 0 found, at least 1 was expected"));
    }
    let (organisations, contacts) = (topic(config, "organisations"), topic(config, "contacts"));
    let mut target: Box<dyn RecordTarget> = match &options.out {
        Some(folder) => Box::new(files::Files::create(folder, organisations, contacts, options.partitions)?),
        None => Box::new(kafka::Producing::start(
            &config.kafka,
            organisations,
            contacts,
            options.partitions.unwrap_or(6),
        )?),
    };
    let bar = progress(options.events);
    let mut pace = options.rate.map(EventPace::start);
    for record in Events::new(options.seed, options.organisations, options.contacts, options.events) {
        if let Some(pause) = pace.as_mut().and_then(EventPace::next) {
            target.hand_on()?;
            std::thread::sleep(pause);
        }
        target.put(&record)?;
        bar.inc(1);
    }
    target.finish()?;
    bar.finish_and_clear();
    tracing::info!(events = options.events, seed = options.seed, "generated");
    Ok(())
}

/// The first topic of an entity type of the built-in model; its name where another model does not have it.
fn topic<'a>(config: &'a Config, entity: &'a str) -> &'a str {
    let named = config.model.entity(entity).and_then(|entity| entity.source.topics.first());
    named.map_or(entity, String::as_str)
}

fn progress(events: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} events, {per_sec}, {eta} to go");
    ProgressBar::new(events).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
