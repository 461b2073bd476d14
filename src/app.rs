//! From the configuration to a running program. The kinds of source stand in `source/drivers.rs`, and those of index in
//! `engine/mod.rs`.

use std::sync::Arc;

use crate::cli::{Cli, Command, GlobalOptions};
use crate::config::{Config, Kinds};
use crate::dead_letter::SpillPlace;
use crate::decoder::{Decoder, RecordLayout};
use crate::encoding::Registry;
use crate::engine;
use crate::error::{Error, Result};
use crate::pipeline::start::Patience;
use crate::pipeline::status::Status;
use crate::pipeline::work::drop_in_background;
use crate::position::Positions;
use crate::source::leadership::Leadership;
use crate::source::{EventSource, drivers};

mod adapters;
mod check;
mod dead_letters;
mod demo;
mod doctor;
mod explain;
mod instance_identity;
mod manual;
mod model;
mod rebuild;
mod reindex;
mod report;
mod run;
mod search;
mod summary;
mod verify;

/// Runs a subcommand.
///
/// # Errors
/// The error of the subcommand, with its exit code.
pub fn run(cli: Cli) -> Result<()> {
    let Cli { global, command } = cli;
    let config = || load(&global);
    match command {
        Command::Demo(options) => {
            demo::refuse_unused(&global.flags())?;
            let listen =
                global.listen().map(str::to_owned).or_else(|| std::env::var(demo::LISTEN_VARIABLE).ok());
            block_on(demo::run(&options, listen.as_deref()))?
        }
        Command::Run {
            until_end,
            reindex_on_mapping_change,
            fail_on_dead_letters,
            allow_partial_log,
            wait,
            take_over,
        } => {
            let options = run::FollowOptions {
                until_end,
                reindex_on_change: reindex_on_mapping_change,
                fail_on_dead_letters,
                allow_partial_log,
                take_over,
                patience: Patience::of(wait),
            };
            block_on(run::run(config()?, options))?
        }
        Command::Reindex(options) => block_on(reindex::run(config()?, global.format, options))?,
        Command::Search(options) => block_on(search::run(config()?, global.format, options))?,
        Command::Explain { projection, id } => {
            block_on(explain::run(config()?, global.format, &projection, &id))?
        }
        Command::Status => block_on(report::status(config()?, global.format, global.verbose))?,
        Command::Verify(options) => block_on(verify::run(config()?, global.format, options))?,
        Command::DeadLetters { command } => block_on(dead_letters::run(config()?, global.format, command))?,
        Command::Generate(options) => crate::generate::run(&options, &config()?),
        Command::Model { command } => model::run(&global, command),
        Command::Completions { shell } => {
            manual::completions(shell);
            Ok(())
        }
        Command::Man { subcommand, out } => manual::print(subcommand.as_deref(), out.as_deref()),
        Command::Doctor => block_on(doctor::run(examine(&global), global.format))?,
        Command::Check { offline } => block_on(check::run(examine(&global), offline))?,
    }
}

/// The kinds of source and of index that this program has.
pub fn kinds() -> Kinds {
    Kinds { sources: drivers::kinds(), indexes: engine::kinds() }
}

fn load(global: &GlobalOptions) -> Result<Config> {
    Config::load(&kinds(), global.config.as_deref(), environment(), &global.flags())
}

fn examine(global: &GlobalOptions) -> Result<(Config, toml::Table), Vec<Error>> {
    Config::examine(&kinds(), global.config.as_deref(), environment(), &global.flags())
}

/// The variables; one that is no text is none of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| {
        Error::failure("the runtime cannot be started; check the limit of threads").because(error)
    })?;
    let value = runtime.block_on(future);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    Ok(value)
}

/// How the records of each entity type are laid out.
fn layouts(config: &Config) -> Vec<RecordLayout> {
    config.entities().map(|(of, section)| RecordLayout::of(of, section)).collect()
}

fn source(config: &Config) -> Result<Box<dyn EventSource>> {
    (drivers::find(config)?.open)(config)
}

/// The log's identity, and where it ends now.
fn look_at_log(config: &Config) -> Result<(String, Positions)> {
    let mut source = source(config)?;
    let answer = (source.identity(), source.end()?);
    drop_in_background(source);
    Ok(answer)
}

fn leadership(config: &Config, status: &Status) -> Result<Arc<dyn Leadership>> {
    (drivers::find(config)?.leadership)(config, Arc::clone(status.signals.requests()))
}

/// Where dead letters wait for a topic that is away: beside the state, of which they are a part until they arrive.
fn spill_place(config: &Config, status: &Status) -> SpillPlace {
    let mut path = config.state.clone().into_os_string();
    path.push(".dead-letters.jsonl");
    SpillPlace {
        path: path.into(),
        bytes_max: config.dead_letters.spill_bytes,
        waiting: Arc::clone(&status.letters_waiting),
        is_full: Arc::clone(&status.letters_full),
    }
}

fn decoder(config: &Config) -> Result<Decoder> {
    let registry = config.schema_registry.as_ref().map(Registry::new).transpose()?;
    let decoder = Decoder::new(config.plan(), layouts(config), config.event_types.clone());
    Ok(decoder.with_registry(registry))
}
