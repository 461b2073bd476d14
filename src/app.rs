//! The one place that names adapters: from the configuration to a running program.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use crate::cli::{Cli, Command, Global};
use crate::config::{Config, SourceKind};
use crate::dead_letter;
use crate::decode::Decoder;
use crate::error::{Error, Result};
use crate::event::EntityKind;
use crate::http::{Admin, Search, Site, serve};
use crate::pipeline::run::{Parts, run as run_pipeline};
use crate::pipeline::status::Status;
use crate::projection::{Limits, Projection};
use crate::search::service::Searcher;
use crate::shutdown::Shutdown;
use crate::source::EventSource;
use crate::source::files::FilesSource;
use crate::source::kafka::{Elector, KafkaSource};
use crate::source::leadership::{Alone, Leadership};
use crate::state::State;
use crate::state::fjall::FjallStore;

mod check;
mod letters;
mod parts;
mod report;
mod search;

/// Runs a subcommand.
///
/// # Errors
/// Whatever went wrong, with its exit code.
pub fn run(cli: Cli) -> Result<()> {
    let Cli { global, command } = cli;
    let config = load(&global)?;
    match command {
        Command::Run { until_end } => block_on(follow(config, until_end))?,
        Command::Search(wanted) => block_on(search::run(config, global.format, wanted))?,
        Command::Status => block_on(report::status(config, global.format))?,
        Command::DeadLetters { command } => block_on(letters::run(config, global.format, command))?,
        Command::Generate(wanted) => crate::generate::run(&wanted, &config),
        Command::Check { offline } => block_on(check::run(config, offline))?,
    }
}

fn load(global: &Global) -> Result<Config> {
    // A variable that is no text is none of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Config::load(global.config.as_deref(), environment, &global.flags())
}

fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Error::failed("the runtime cannot be started").because(error))?;
    let value = runtime.block_on(future);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    Ok(value)
}

/// Every topic with what it carries, organisations first.
pub(crate) fn topics(config: &Config) -> Vec<(String, EntityKind)> {
    let organisations =
        config.organisations.topics.iter().map(|topic| (topic.clone(), EntityKind::Organisation));
    let contacts = config.contacts.topics.iter().map(|topic| (topic.clone(), EntityKind::Contact));
    organisations.chain(contacts).collect()
}

fn source(config: &Config) -> Result<Box<dyn EventSource>> {
    Ok(match config.source.kind {
        SourceKind::Files => Box::new(FilesSource::open(&config.source.path, topics(config))?),
        SourceKind::Kafka => Box::new(KafkaSource::open(&config.kafka, topics(config))?),
    })
}

fn leadership(config: &Config, status: &Status) -> Result<Arc<dyn Leadership>> {
    Ok(match config.source.kind {
        SourceKind::Files => Arc::new(Alone::default()),
        SourceKind::Kafka => {
            let topics = topics(config).into_iter().map(|(topic, _)| topic).collect();
            Arc::new(Elector::start(&config.kafka, topics, Arc::clone(&status.in_flight))?)
        }
    })
}

fn decoder(config: &Config) -> Decoder {
    Decoder::new(config.organisations.format, config.contacts.format, config.event_types.clone())
}

/// `run`: follows the log until told to stop, or to its end.
async fn follow(config: Config, until_end: bool) -> Result<()> {
    let stop = Shutdown::default();
    stop.on_signals().map_err(|error| Error::failed("signals cannot be listened to").because(error))?;
    let sink = Arc::new(parts::sink(&config)?);
    let searcher = Searcher::new(parts::search_index(&config)?, &config.index.projections);
    let store = Arc::new(FjallStore::open(&config.state)?);
    let state = Arc::new(State::open(store, &config.fingerprint())?);
    let status = Arc::new(Status::default());
    let commands = channel();
    let listener = listen(&config.http.listen, until_end).await?;
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    announce(&config.state, address)?;
    let admin = Admin {
        status: Arc::clone(&status),
        state: Arc::clone(&state),
        commands: commands.0.clone(),
        token: config.http.token.clone(),
    };
    let site = Site { admin, search: Search::new(searcher, Arc::clone(&status)) };
    let server = listener.map(|listener| tokio::spawn(serve(listener, site, stop.clone())));
    let opened = {
        let (config, status) = (config.clone(), Arc::clone(&status));
        let open = move || {
            Ok((
                source(&config)?,
                leadership(&config, &status)?,
                dead_letter::open(&config.dead_letters, &config.kafka)?,
            ))
        };
        tokio::task::spawn_blocking(open)
            .await
            .map_err(|error| Error::failed("the source broke off").because(error))?
    };
    let (source, leadership, dead_letters) = opened?;
    tracing::info!(source = source.identity(), state = %config.state.display(), ?address, "started");
    let parts = Parts {
        state,
        source,
        sink,
        dead_letters,
        leadership,
        projections: config.index.projections.iter().filter_map(|name| Projection::of_name(name)).collect(),
        decoder: Arc::new(decoder(&config)),
        kinds: topics(&config),
        limits: Limits { max_embedded_contacts: config.index.max_embedded_contacts },
        refresh: config.index.refresh,
        status: Arc::clone(&status),
        commands,
    };
    let progress = report::progress(status, until_end);
    let outcome = run_pipeline(parts, until_end, &stop).await;
    progress.abort();
    stop.request();
    if let Some(server) = server {
        // The server ends with the stop; its answers are bounded in time.
        let _ = server.await;
    }
    announce(&config.state, None)?;
    outcome
}

/// Takes the configured address. A run to the end is a batch job: it goes on without a server when
/// another instance has the address.
async fn listen(address: &str, may_do_without: bool) -> Result<Option<tokio::net::TcpListener>> {
    match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if may_do_without => {
            tracing::info!(address, %error, "running without an HTTP server");
            Ok(None)
        }
        Err(error) => Err(Error::usage(format!(
            "http.listen: {address} cannot be listened on; free it, or set another"
        ))
        .because(error)),
    }
}

/// Writes down where this instance answers, for those who find the state in use.
fn announce(state: &Path, address: Option<SocketAddr>) -> Result<()> {
    let path = state.join(crate::http::client::INSTANCE);
    let done = match address {
        Some(address) => std::fs::write(&path, address.to_string()),
        None if path.exists() => std::fs::remove_file(&path),
        None => Ok(()),
    };
    done.map_err(|error| {
        Error::failed(format!("cannot write {}; check the disk", path.display())).because(error)
    })
}
