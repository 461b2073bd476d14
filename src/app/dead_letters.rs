//! `dead-letters`: list, show, retry and discard.

use std::sync::Arc;

use crossbeam_channel::{bounded, unbounded};

use crate::cli::{DeadLetterCommand, OutputFormat};
use crate::config::Config;
use crate::dead_letter::{self, DeadLetter};
use crate::error::{Error, Result};
use crate::escape::{self, value as plain};
use crate::http::client::InstanceClient;
use crate::output;
use crate::pipeline::command::FoldCommand;
use crate::pipeline::dead_letter_outcomes::{self, DiscardOutcome, RetryOutcome};
use crate::pipeline::fold::StateWriter;
use crate::pipeline::queue::Queue;
use crate::pipeline::status::Status;
use crate::pipeline::stream::Stream;
use crate::pipeline::tuning::Tuning;
use crate::pipeline::work::blocking;
use crate::shutdown::Shutdown;
use crate::state::State;
use crate::state::fjall::FjallStore;

pub(super) async fn run(config: Config, format: OutputFormat, command: DeadLetterCommand) -> Result<()> {
    match command {
        DeadLetterCommand::List => {
            let letters = list(&config).await?;
            if letters.is_empty() && format == OutputFormat::Text {
                output::line("none");
            }
            for letter in letters {
                match format {
                    OutputFormat::Json => output::json(&letter)?,
                    OutputFormat::Text => output::line(format_args!(
                        "{}  {}  {}",
                        plain(&letter.name()),
                        letter.time,
                        plain(&letter.reason)
                    )),
                }
            }
            Ok(())
        }
        DeadLetterCommand::Show { name } => {
            let found = list(&config).await?.into_iter().find(|letter| letter.name() == name);
            let letter = found.ok_or_else(|| {
                Error::usage(format!(
                    "no dead letter is named {name}; `tributary dead-letters list` names them"
                ))
            })?;
            match format {
                OutputFormat::Json => output::json(&letter),
                OutputFormat::Text => {
                    let text = serde_json::to_string_pretty(&letter);
                    let text = text.map_err(|error| {
                        Error::failure("the dead letter cannot be written").because(error)
                    })?;
                    output::line(escape::lines(&text));
                    Ok(())
                }
            }
        }
        DeadLetterCommand::Retry { names } => retry(&config, format, names).await,
        DeadLetterCommand::Discard { names, all } => discard(&config, format, names, all).await,
    }
}

pub(super) async fn list(config: &Config) -> Result<Vec<DeadLetter>> {
    let config = config.clone();
    let work = move || {
        let place = super::spill_place(&config, &Status::default());
        dead_letter::open_beside(&config.dead_letters, &config.kafka, place)?.list()
    };
    blocking(work).await
}

async fn retry(config: &Config, format: OutputFormat, names: Vec<String>) -> Result<()> {
    let names = (!names.is_empty()).then_some(names);
    let retried = match InstanceClient::find(config).await {
        Some(instance) => instance.retry(names).await?,
        None => {
            let config = config.clone();
            let work = move || retry_alone(&config, names);
            blocking(work).await?
        }
    };
    match format {
        OutputFormat::Json => output::json(&retried)?,
        OutputFormat::Text => {
            output::line(format_args!("{} done", retried.done));
            retried.failed.iter().for_each(|(name, reason)| {
                output::line(format_args!("{}  still poison: {}", plain(name), plain(reason)))
            });
            retried
                .unknown
                .iter()
                .for_each(|name| output::line(format_args!("{}  no dead letter has this name", plain(name))));
        }
    }
    if retried.failed.is_empty() && retried.unknown.is_empty() {
        return Ok(());
    }
    let (failed, unknown) = (retried.failed.len(), retried.unknown.len());
    Err(Error::failure(format!(
        "{failed} dead letters are still poison, {unknown} names are unknown; they are listed above"
    )))
}

async fn discard(config: &Config, format: OutputFormat, names: Vec<String>, all: bool) -> Result<()> {
    let names = (!all).then_some(names);
    let done = match InstanceClient::find(config).await {
        Some(instance) => instance.discard(names).await?,
        None => {
            let config = config.clone();
            blocking(move || discard_alone(&config, names.as_deref())).await?
        }
    };
    match format {
        OutputFormat::Json => output::json(&done)?,
        OutputFormat::Text => {
            output::line(format_args!("{} discarded", done.discarded));
            done.unknown
                .iter()
                .for_each(|name| output::line(format_args!("{name}  no dead letter has this name")));
        }
    }
    match done.unknown.len() {
        0 => Ok(()),
        unknown => Err(Error::failure(format!(
            "{unknown} names are unknown; they are listed above, `tributary dead-letters list` names the dead letters"
        ))),
    }
}

/// Takes dead letters out when no instance has the state. The state is held meanwhile, because an instance that
/// starts now could write a dead letter into a file that is replaced.
fn discard_alone(config: &Config, names: Option<&[String]>) -> Result<DiscardOutcome> {
    let _store =
        if config.state.is_dir() { Some(FjallStore::open(&config.state, config.plan())?) } else { None };
    let place = super::spill_place(config, &Status::default());
    let mut letters =
        dead_letter::open_spilled(&config.dead_letters, &config.kafka, place, Shutdown::default())?;
    dead_letter_outcomes::discard(&mut *letters, names)
}

/// Opens the state when no instance has it. The next run delivers the changes.
fn retry_alone(config: &Config, names: Option<Vec<String>>) -> Result<RetryOutcome> {
    let state = Arc::new(State::open(
        Arc::new(FjallStore::open(&config.state, config.plan())?),
        config.plan(),
        &config.fingerprint(),
    )?);
    let state_writer = StateWriter::new(
        Arc::clone(&state),
        config.projections(),
        dead_letter::open_spilled(
            &config.dead_letters,
            &config.kafka,
            super::spill_place(config, &Status::default()),
            Shutdown::default(),
        )?,
        Tuning::default(),
    )?;
    let progress = state.progress()?;
    let (commands, command_rx) = unbounded();
    let queue = Arc::new(Queue::starting_at(
        progress.step,
        state_writer.oldest_task(),
        progress.positions(),
        0,
        Tuning::default(),
    ));
    let stream = Stream::new(
        state_writer,
        queue,
        Arc::new(Status::default()),
        Arc::new(super::decoder(config)?),
        config.topics(),
        command_rx,
    );
    let (reply, answer) = bounded(1);
    let failure = |_| Error::failure("the fold is gone");
    commands.send(FoldCommand::Retry(names, reply)).map_err(failure)?;
    commands.send(FoldCommand::Stop).map_err(failure)?;
    stream.run()?;
    answer.recv().map_err(|error| Error::failure("the fold did not answer").because(error))?
}
