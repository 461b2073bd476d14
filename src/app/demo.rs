//! `demo`: the main job on embedded defaults, from a fresh folder, in one command.

mod model_demo;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::report::progress::ProgressBars;
use super::run::{FollowOptions, follow};
use super::{adapters, kinds, search};
use crate::cli::Demo;
use crate::config::{Config, Flags};
use crate::error::{Error, Result};
use crate::generate::demo_world::{DemoWorld, LiveWorld};
use crate::output;
use crate::pipeline::status::{Report, Status};
use crate::search::Request;
use crate::search::service::Searcher;
use crate::shutdown::Shutdown;

const LISTEN: &str = "127.0.0.1:8080";
/// The query of the demonstration over a generated world.
const Q: &str = "acme jane";
/// The variable that names another address.
pub(super) const LISTEN_VARIABLE: &str = "TRIBUTARY_HTTP__LISTEN";
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A demonstration: its configuration, and the records that go on.
struct Scene {
    config: Config,
    /// The changes that begin when everything is indexed.
    live: Option<LiveWorld>,
    /// The sentence that tells which records arrive while the page is open.
    arrives: String,
}

/// Indexes a generated world, or the records of a model, searches once, and goes on until told to stop.
pub(super) async fn run(options: &Demo, listen: Option<&str>) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("tributary-demo-").tempdir();
    let folder = folder.map_err(|error| Error::failure("no temporary folder can be made").because(error))?;
    let stop = Shutdown::default();
    stop.on_signals().map_err(|error| Error::failure("signals cannot be listened to").because(error))?;
    let listener = if options.once { None } else { Some(listener(listen).await?) };
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let Scene { config, live, arrives } = match &options.model {
        Some(model) => model_demo::scene(model, folder.path())?,
        None => generate_scene(options, folder.path())?,
    };
    let searcher = adapters::searcher(&config)?;
    let status = Arc::new(Status::default());
    let began = Instant::now();
    let running = follow(config, FollowOptions::default(), listener, Arc::clone(&status), stop.clone());
    let running = async {
        let ended = running.await;
        stop.request();
        ended
    };
    let telling = async {
        tokio::select! {
            () = wait_for_index(&status) => {}
            // An instance that ended before it had indexed everything leaves nothing to tell.
            () = stop.wait() => return Ok(()),
        }
        let outcome = tell(options, &searcher, &status, began).await;
        match address.filter(|_| outcome.is_ok()) {
            None => stop.request(),
            Some(address) => {
                output::line(format_args!("\nThe search page:  http://{address}/"));
                output::line(format_args!("{arrives}; end with Ctrl-C."));
                live.iter().for_each(LiveWorld::go);
            }
        }
        outcome
    };
    let (ended, outcome) = tokio::join!(running, telling);
    ended.and(outcome)
}

/// A generated world, which goes on changing.
fn generate_scene(options: &Demo, folder: &Path) -> Result<Scene> {
    let world = DemoWorld::of(options, folder.join("events"));
    output::line(format_args!("Making {} ...", world.size()));
    let live = tokio::task::block_in_place(|| LiveWorld::start(world))?;
    let config = Config::defaults(&kinds(), &settings(folder, &folder.join("events")))?;
    let arrives = format!("{} changes a second arrive while it is open", options.rate);
    Ok(Scene { config, live: Some(live), arrives })
}

/// Refuses flags without an effect, because the demonstration has a state, a log and an index of its own.
pub(super) fn refuse_unused(flags: &Flags) -> Result<()> {
    match flags.iter().find(|(key, _)| *key != "http.listen") {
        None => Ok(()),
        Some((key, _)) => Err(Error::usage(format!(
            "demo has a log, a state and an index of its own, so that {key} cannot be set for it"
        ))),
    }
}

/// Tells how many documents were indexed, and shows the hits of a search.
async fn tell(options: &Demo, searcher: &Searcher, status: &Status, began: Instant) -> Result<()> {
    let documents = status.report(None).counters.get("delivered").copied().unwrap_or(0);
    output::line(format_args!("{documents} documents indexed in {:.1} s", began.elapsed().as_secs_f64()));
    if options.model.is_some() {
        return model_demo::tell(searcher, options.q.as_deref()).await;
    }
    show(searcher, &[("q", options.q.as_deref().unwrap_or(Q))]).await
}

/// Searches, and shows the first hits. `parameters` begins with the query.
async fn show(searcher: &Searcher, parameters: &[(&str, &str)]) -> Result<()> {
    let q = parameters.first().map_or("", |(_, q)| q);
    output::line(format_args!("\nA search for {q:?}:\n"));
    let pairs = parameters.iter().copied().chain([("size", "3")]);
    let request = Request::parse(&searcher.collections(), pairs)?;
    let page = searcher.search(&request).await?;
    search::text::print(&page, request.collection, search::text::wants_colours());
    Ok(())
}

/// The address asked for, which must be free; else the usual one, or any when that is taken.
async fn listener(address: Option<&str>) -> Result<TcpListener> {
    let bind = async |address: &str| {
        let failed =
            format!("http.listen: {address} cannot be listened on; free it, or name another with --listen");
        TcpListener::bind(address).await.map_err(|error| Error::usage(failed).because(error))
    };
    match address {
        Some(address) => bind(address).await,
        None => match bind(LISTEN).await {
            Ok(listener) => Ok(listener),
            Err(_) => bind("127.0.0.1:0").await,
        },
    }
}

/// The keys of a demonstration that reads `events` and writes below `folder` alone.
fn settings(folder: &Path, events: &Path) -> Flags {
    let at = |name: &str| folder.join(name).display().to_string();
    vec![
        ("state", at("state")),
        ("source.kind", "files".to_owned()),
        ("source.path", events.display().to_string()),
        ("index.kind", "embedded".to_owned()),
        ("index.path", at("index")),
        ("dead_letters.path", at("dead-letters.jsonl")),
    ]
}

/// Waits until the log's records are in the index, with bars on a terminal.
async fn wait_for_index(status: &Arc<Status>) {
    let _bars = ProgressBars::start(Arc::clone(status), true);
    while !is_done(&status.report(None)) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn is_done(report: &Report) -> bool {
    let lag: i64 = report.partitions.iter().map(|at| at.lag).sum();
    let delivered = report.partitions.iter().all(|at| at.delivered >= at.end);
    report.state == "writing" && !report.partitions.is_empty() && lag == 0 && delivered
}
