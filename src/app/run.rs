//! A running instance: the pipeline, and the HTTP server beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::instance_identity::{announce, claimant, is_closed, listen, note_fingerprint};
use super::rebuild::instance_rebuild::{rebuild_changed, rebuild_reshaped};
use super::report::progress::ProgressBars;
use super::{adapters, decoder, leadership, source, spill_place, summary};
use crate::config::Config;
use crate::dead_letter::{self, CountedDeadLetters, DeadLetters, TELL_EVERY, Tally};
use crate::error::{Error, Result};
use crate::http::client::reachable;
use crate::http::{
    Admin, Descriptions, Hosts, Origins, Requests, SearchSite, Site, VerifySite, serve, watch_index,
};
use crate::pipeline::command::FoldCommand;
use crate::pipeline::run::{IndexParts, LogParts, Parts, RunEnd, run as run_pipeline};
use crate::pipeline::start::{Patience, claim, retry_log_outage};
use crate::pipeline::status::Status;
use crate::pipeline::work::blocking;
use crate::projection::{Limits, Projection};
use crate::reindex::session::Folder;
use crate::shutdown::Shutdown;
use crate::sink::index::Index;
use crate::source::EventSource;
use crate::source::leadership::Leadership;
use crate::state::State;
use crate::state::fjall::FjallStore;
use crate::trace;
use crate::verify::{LiveInstance, Verifier};

/// How often it is looked whether this instance is ready.
const READY_EVERY: Duration = Duration::from_millis(250);
/// How long a stop waits for requests in flight.
const SERVER_STOP_WAIT: Duration = Duration::from_secs(10);

/// `run`: follows the log until told to stop, or to its end.
pub(super) async fn run(config: Config, options: FollowOptions) -> Result<()> {
    let until_end = options.until_end;
    let stop = Shutdown::default();
    stop.on_signals().map_err(|error| Error::failure("signals cannot be listened to").because(error))?;
    let listener = listen(&config.http.listen, until_end).await?;
    let status = Arc::new(Status::default());
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let progress = ProgressBars::start(Arc::clone(&status), until_end);
    let welcome = tokio::spawn(tell_when_ready(address, Arc::clone(&status)));
    let traces = config.traces.as_ref().map(|traces| trace::start(&traces.endpoint)).transpose()?;
    let outcome = follow(config, options, listener, status, stop).await;
    if let Some(traces) = traces {
        blocking(move || traces.end()).await?;
    }
    welcome.abort();
    drop(progress);
    outcome
}

/// Tells where the page is, once this instance is ready.
async fn tell_when_ready(address: Option<SocketAddr>, status: Arc<Status>) {
    let Some(address) = address else { return };
    while !status.readiness().ready {
        tokio::time::sleep(READY_EVERY).await;
    }
    tracing::info!("ready; the search page is http://{}/", reachable(&address.to_string()));
}

/// A log, the election of its writer, and its dead letters.
type OpenLog = (Box<dyn EventSource>, Arc<dyn Leadership>, Box<dyn DeadLetters>);

/// How a log is followed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FollowOptions {
    /// Only until everything that was in the log at the start is in the index.
    pub(super) until_end: bool,
    /// Rebuild an index whose mapping changed, and go on with the old one meanwhile.
    pub(super) reindex_on_change: bool,
    /// Take the indexes over from the group that writes them.
    pub(super) take_over: bool,
    /// Fold a log that no longer begins at its beginning.
    pub(super) allow_partial_log: bool,
    /// How long servers that are away are waited for at the start.
    pub(super) patience: Patience,
    /// End a run to the end with 1 when something went to the dead letters.
    pub(super) fail_on_dead_letters: bool,
}

/// Follows the log of `config`, reporting to `status`, until `stop` is requested. If `options` say so, it ends once
/// everything that was in the log at the start is in the index.
pub(super) async fn follow(
    config: Config,
    options: FollowOptions,
    listener: Option<TcpListener>,
    status: Arc<Status>,
    stop: Shutdown,
) -> Result<()> {
    let commands = unbounded();
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let (instance, site) = Instance::open(config, options, (status, stop), address, &commands.0)?;
    let server = instance.serve(listener, site)?;
    let Some((source, leadership, dead_letters)) = instance.open_log().await? else {
        return announce(&instance.config.state, None);
    };
    let identity = source.identity();
    tracing::info!(source = identity, state = %instance.config.state.display(), ?address, "started");
    let index = instance.claim_indexes(&identity).await?;
    let log = LogParts::new(source, Arc::new(decoder(&instance.config)?), instance.config.topics())
        .with_partial(options.allow_partial_log);
    let (state, status) = (Arc::clone(&instance.state), Arc::clone(&instance.status));
    let parts = Parts::new(state, log, index, dead_letters, status)
        .with_leadership(leadership)
        .with_commands(commands)
        .with_patience(options.patience);
    let beside = instance.rebuild_beside(identity);
    let mut outcome = instance.run(parts).await;
    instance.stop.request();
    if let Some(beside) = beside {
        // It stops at the next thing that it waits for.
        let broken =
            |error| Err(Error::failure("the rebuild for the changed mapping broke off").because(error));
        outcome = outcome.and(beside.await.unwrap_or_else(broken));
    }
    if let Some(server) = server {
        // A request that still waits for a record has waited long enough.
        let _ = tokio::time::timeout(SERVER_STOP_WAIT, server).await;
    }
    announce(&instance.config.state, None)?;
    outcome
}

/// An instance that has its state open.
struct Instance {
    config: Config,
    options: FollowOptions,
    status: Arc<Status>,
    stop: Shutdown,
    state: Arc<State>,
    sink: Arc<dyn Index>,
    projections: Vec<Projection>,
    limits: Limits,
}

impl Instance {
    /// Opens the state, and makes the parts of the routes, whose commands go to `commands`.
    fn open(
        config: Config,
        options: FollowOptions,
        (status, stop): (Arc<Status>, Shutdown),
        address: Option<SocketAddr>,
        commands: &Sender<FoldCommand>,
    ) -> Result<(Self, Site)> {
        let sink = adapters::sink(&config)?;
        let searcher = adapters::searcher(&config)?;
        let store = Arc::new(FjallStore::open(&config.state, config.plan())?);
        let fingerprint = config.fingerprint();
        let state = Arc::new(State::open(store, config.plan(), &fingerprint)?);
        announce(&config.state, address)?;
        note_fingerprint(&config.state, &fingerprint)?;
        let projections = config.projections();
        let limits = Limits { max_embedded_contacts: config.index.max_embedded_contacts };
        let instance = Self { config, options, status, stop, state, sink, projections, limits };
        let config = &instance.config;
        let site = Site {
            admin: instance.admin(address, commands),
            descriptions: Descriptions::of(config.plan(), &searcher),
            search: SearchSite::new(searcher, Arc::clone(&instance.status), config.plan()),
            verify: VerifySite::new(Arc::new(instance.verifier(commands))),
            hosts: Hosts::new(&config.http.hosts, &config.http.listen),
            origins: Origins::new(&config.http.cors_origins),
            requests: Requests::default(),
        };
        Ok((instance, site))
    }

    fn admin(&self, address: Option<SocketAddr>, commands: &Sender<FoldCommand>) -> Admin {
        let folder = self.config.state.clone();
        Admin {
            status: Arc::clone(&self.status),
            state: Arc::clone(&self.state),
            commands: commands.clone(),
            token: self.config.http.token.clone(),
            is_closed: is_closed(&self.config, address),
            limits: self.limits,
            linking: Arc::new(move |name: &str| Folder::linking_of(&folder, name)),
        }
    }

    fn verifier(&self, commands: &Sender<FoldCommand>) -> Verifier {
        let (state, sink) = (Arc::clone(&self.state), self.sink.clone());
        let live = LiveInstance::new(commands.clone(), Arc::clone(&self.status));
        Verifier::new(state, sink, self.projections.clone(), self.limits, self.stop.clone())
            .with_instance(live)
    }

    /// Serves the routes where there is a listener.
    fn serve(&self, listener: Option<TcpListener>, site: Site) -> Result<Option<JoinHandle<()>>> {
        let Some(listener) = listener else { return Ok(None) };
        let index = adapters::search_index(&self.config)?;
        let projections = self.config.index.projections.clone();
        tokio::spawn(watch_index(index, projections, Arc::clone(&self.status), self.stop.clone()));
        Ok(Some(tokio::spawn(serve(listener, site, self.stop.clone()))))
    }

    /// The log, the election of its writer, and the dead letters; none when a stop was asked for meanwhile.
    async fn open_log(&self) -> Result<Option<OpenLog>> {
        let (config, status) = (&self.config, &self.status);
        let source = retry_log_outage(&self.stop, status, self.options.patience, async || {
            let config = config.clone();
            blocking(move || source(&config)).await
        });
        let Some(source) = source.await? else { return Ok(None) };
        let (config, status, stop) = (config.clone(), Arc::clone(status), self.stop.clone());
        let open = move || {
            let place = spill_place(&config, &status);
            let letters = dead_letter::open_spilled(&config.dead_letters, &config.kafka, place, stop)?;
            let letters = CountedDeadLetters::new(letters, Arc::clone(&status.dead_letters));
            Ok((leadership(&config, &status)?, Box::new(letters)))
        };
        let (leadership, dead_letters) = blocking(open).await?;
        Ok(Some((source, leadership, dead_letters)))
    }

    /// The index with the group that writes it. An index of another shape is rebuilt first, where the options say so.
    async fn claim_indexes(&self, identity: &str) -> Result<IndexParts> {
        let Self { config, options, status, stop, state, sink, .. } = self;
        let claimant = claimant(config, options.take_over, || state.name())?;
        if options.reindex_on_change {
            let ends = (options.patience, options.until_end, stop);
            if claim(Some(&claimant), &**sink, options.patience, stop).await? {
                rebuild_reshaped(config, state, status, identity, ends).await?;
            }
        }
        let index =
            IndexParts::new(sink.clone(), self.projections.clone(), self.limits, config.index.refresh);
        Ok(index.with_claimant(claimant).with_other_mapping(options.reindex_on_change))
    }

    /// Rebuilds the indexes whose mappings changed, beside the run, where the options say so.
    fn rebuild_beside(&self, identity: String) -> Option<JoinHandle<Result<()>>> {
        self.status.signals.set_rebuild(self.options.reindex_on_change);
        if !self.options.reindex_on_change {
            return None;
        }
        let (config, state, status) =
            (self.config.clone(), Arc::clone(&self.state), Arc::clone(&self.status));
        let (ends, runtime) = ((self.options.until_end, self.stop.clone()), Handle::current());
        // A pipeline's future stays on one thread; this one has a thread of its own.
        Some(tokio::task::spawn_blocking(move || {
            let rebuilt =
                runtime.block_on(rebuild_changed(config, state, Arc::clone(&status), identity, ends));
            status.signals.set_rebuild(false);
            rebuilt
        }))
    }

    /// Runs the pipeline, and tells of the dead letters meanwhile and at the end.
    async fn run(&self, parts: Parts) -> Result<()> {
        let (status, options) = (&self.status, &self.options);
        let telling = tokio::spawn(tell_dead_letters(Arc::clone(&status.dead_letters)));
        let until = if options.until_end { RunEnd::Searchable } else { RunEnd::Stopped };
        let outcome = run_pipeline(parts, until, &self.stop).await;
        telling.abort();
        if options.until_end && outcome.is_ok() && !self.stop.is_requested() {
            return summary::tell(status, options.fail_on_dead_letters);
        }
        status.dead_letters.tell();
        outcome
    }
}

/// Logs the new dead letters, once a minute.
async fn tell_dead_letters(tally: Arc<Tally>) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        tally.tell();
    }
}
