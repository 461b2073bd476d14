//! A rebuild inside the running instance, because a mapping or the model changed.

use std::sync::Arc;
use std::time::Duration;

use super::sessions::{Standing, begin, keep, stand};
use super::{Log, RebuildTask};
use crate::app::adapters;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::readiness::Cause;
use crate::pipeline::start::{Patience, retry_outage};
use crate::pipeline::status::Status;
use crate::reindex::RebuildOptions;
use crate::reindex::session::{Folder, RebuildFrom};
use crate::shutdown::Shutdown;
use crate::sink::generations::Generations;
use crate::state::State;

/// How often it is looked whether this instance writes.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a rebuild that failed rests before it goes on.
const REST: Duration = Duration::from_secs(60);

/// Rebuilds the projections whose mapping changed, from the state that this process holds, until it is done
/// or told to stop. Indexing and searches go on with the old indexes meanwhile.
///
/// # Errors
/// The rebuild's own, in a run to the end only. An endless run tries the rebuild again.
pub(in crate::app) async fn rebuild_changed(
    config: Config,
    state: Arc<State>,
    status: Arc<Status>,
    log_identity: String,
    (until_end, stop): (bool, Shutdown),
) -> Result<()> {
    loop {
        while !status.signals.is_past_gate() {
            if rests(LOOK_EVERY, &stop).await {
                return Ok(());
            }
        }
        match rebuild(config.clone(), &state, &log_identity, &stop).await {
            Ok(Standing::IsOutdated) => continue,
            Ok(_) => return Ok(()),
            Err(_) if stop.is_requested() => return Ok(()),
            Err(error) if until_end && error.kind() != ErrorKind::Unavailable => {
                let what = "the rebuild for the changed mapping failed, and the old index goes on";
                return Err(Error::new(error.kind(), what).because(error));
            }
            // The same mapping is refused again.
            Err(error) if error.kind() == ErrorKind::Usage => {
                tracing::error!(
                    error = error.chain(),
                    "the rebuild for the changed mapping was given up; the old index goes on"
                );
                return Ok(());
            }
            Err(error) => {
                tracing::error!(
                    error = error.chain(),
                    "the rebuild for the changed mapping failed; it is tried again"
                );
            }
        }
        if rests(REST, &stop).await {
            return Ok(());
        }
    }
}

/// Rebuilds the projections whose documents have another shape in the model, before this instance writes. The former index
/// serves meanwhile, and an instance with the former model goes on with it.
///
/// # Errors
/// Those of a rebuild that is refused; in a run to the end the rebuild's own as well. An endless run tries it again.
pub(in crate::app) async fn rebuild_reshaped(
    config: &Config,
    state: &Arc<State>,
    status: &Status,
    log_identity: &str,
    (patience, until_end, stop): (Patience, bool, &Shutdown),
) -> Result<()> {
    loop {
        let sink = adapters::sink(config)?;
        let answer = retry_outage(stop, "the index", patience, async || find_reshaped(&*sink).await);
        let Some(reshaped) = answer.await? else { return Ok(()) };
        if reshaped.is_empty() {
            return Ok(());
        }
        let projections = reshaped.join(", ");
        tracing::info!(
            projections,
            "the model changed: the former indexes serve until new ones are made of the state"
        );
        status
            .raise(Cause::Starting, format!("the model changed, and new indexes are made for {projections}"));
        match rebuild(config.clone(), state, log_identity, stop).await {
            _ if stop.is_requested() => return Ok(()),
            Ok(_) => continue,
            Err(error)
                if error.kind() == ErrorKind::Usage
                    || (until_end && error.kind() != ErrorKind::Unavailable) =>
            {
                let what = "the rebuild for the changed model failed, and the former index goes on";
                return Err(Error::new(error.kind(), what).because(error));
            }
            Err(error) => tracing::error!(
                error = error.chain(),
                "the rebuild for the changed model failed; it is tried again"
            ),
        }
        if rests(REST, stop).await {
            return Ok(());
        }
    }
}

/// The projections behind whose aliases are indexes of documents of another shape.
async fn find_reshaped(sink: &dyn Generations) -> Result<Vec<&'static str>> {
    let mut reshaped = Vec::new();
    for (projection, index) in sink.indexes_behind().await? {
        if !sink.other_shape(projection, &index).await?.is_empty() {
            reshaped.push(projection.name());
        }
    }
    Ok(reshaped)
}

async fn rebuild(
    mut config: Config,
    state: &Arc<State>,
    log_identity: &str,
    stop: &Shutdown,
) -> Result<Standing> {
    let changed = adapters::sink(&config)?.find_changed(log_identity).await?;
    if changed.is_empty() {
        return Ok(Standing::GoesOn);
    }
    config.index.projections = changed.iter().map(|projection| projection.name().to_owned()).collect();
    tracing::info!(
        projections = config.index.projections.join(", "),
        "the mapping or the model changed: rebuilding beside the live index"
    );
    let folder = Folder::hold(&Folder::path_of(&config.state))?;
    let (mut former, mut standing) = (folder.session()?, Standing::GoesOn);
    if let Some(session) = &former {
        standing = stand(&config, &folder, session).await?;
        former = former.filter(|_| standing != Standing::GivenUp);
    }
    let is_kept = former.is_some();
    let check = former.as_ref().is_some_and(|session| session.from == RebuildFrom::Log);
    let log = Log::wait_for(&config, (check, is_kept), Patience::default(), stop).await?;
    let session = match former {
        Some(session) => session,
        None => {
            let session = begin(&config, &*adapters::sink(&config)?, RebuildFrom::State).await?;
            keep(&folder, &session)?;
            session
        }
    };
    config.index.projections.clone_from(&session.projections);
    let sink = adapters::sink(&config)?;
    let rebuild =
        RebuildTask { config: &config, sink, folder, session, is_kept, options: RebuildOptions::default() };
    // A claim that is lost stops the rebuild, and not the instance.
    let own = Shutdown::default();
    let conductor = rebuild.conductor(log, false, Some(Arc::clone(state)), &own).await?;
    let linked = async {
        stop.wait().await;
        own.request();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        outcome = conductor.run(&own, |_, _| ()) => outcome.map(|_| standing),
        () = linked => Ok(standing),
    }
}

/// Waits; true when told to stop meanwhile.
async fn rests(wait: Duration, stop: &Shutdown) -> bool {
    tokio::select! {
        () = tokio::time::sleep(wait) => false,
        () = stop.wait() => true,
    }
}
