//! `reindex`: from a request to a rebuild that goes through its phases.

use std::time::Duration;

use super::adapters;
use super::rebuild::sessions::{self, Standing};
use super::rebuild::{Log, RebuildTask, copy, stop_error};
use crate::cli::{OutputFormat, Reindex};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::pipeline::start::{Patience, retry_outage};
use crate::reindex::session::{Folder, RebuildFrom};
use crate::reindex::{RebuildOptions, abort, prune, prune_gone};
use crate::shutdown::Shutdown;
use crate::sink::claimant::Claimant;
use crate::sink::generations::{Generations, Rebuild};

mod additions;
mod dry_run;
mod rebuild_output;

/// Runs the subcommand.
pub(super) async fn run(mut config: Config, format: OutputFormat, command: Reindex) -> Result<()> {
    config.index.projections = choose_projections(&config, &command.projections)?;
    let sink = adapters::sink(&config)?;
    let stop = Shutdown::default();
    let is_short = command.dry_run || command.prune || command.abort;
    let patience = Patience::of(if is_short { command.wait.or(Some(Duration::ZERO)) } else { command.wait });
    if !is_short {
        stop.on_signals().map_err(|error| Error::failure("signals cannot be listened to").because(error))?;
    }
    if command.dry_run {
        let answer = retry_outage(&stop, "the index", patience, async || sink.rebuilds().await);
        answer.await?.ok_or_else(stop_error)?;
        return dry_run::run(&config, format, &*sink).await;
    }
    let claimant = Claimant { group: config.kafka.group.clone(), state: None, takes_over: false };
    let claimed = retry_outage(&stop, "the index", patience, async || claimant.claim(&*sink).await);
    claimed.await?.ok_or_else(stop_error)?;
    if command.prune {
        let mut deleted = prune(&*sink, &config.projections()).await?;
        // Names mean indexes of these projections alone.
        if command.projections.is_empty() {
            deleted.extend(prune_gone(&*sink).await?);
        }
        rebuild_output::print_deleted(format, &deleted);
        return Ok(());
    }
    if command.abort {
        let folder = Folder::hold(&Folder::path_of(&config.state))?;
        return give_up(&config, format, &*sink, &folder).await;
    }
    // Another one follows when a mapping's file changed too late for the first.
    while rebuild(&mut config, format, &command, patience, &stop).await? == Standing::IsOutdated {}
    Ok(())
}

/// Goes on with the rebuild that was begun, or makes one.
async fn rebuild(
    config: &mut Config,
    format: OutputFormat,
    command: &Reindex,
    patience: Patience,
    stop: &Shutdown,
) -> Result<Standing> {
    let folder = Folder::hold(&Folder::path_of(&config.state))?;
    let (mut former, mut standing) = (sessions::find_session(config, &folder, command)?, Standing::GoesOn);
    if let Some(session) = &former {
        // A rebuild that goes on does so for its own projections.
        config.index.projections.clone_from(&session.projections);
        let answer = retry_outage(stop, "the index", patience, async || {
            sessions::stand(config, &folder, session).await
        });
        standing = answer.await?.ok_or_else(stop_error)?;
        former = former.filter(|_| standing != Standing::GivenUp);
    }
    if !command.rollback && !command.rebuild && former.is_none() {
        let sink = adapters::sink(config)?;
        let done = additions::put(config, format, &*sink, (patience, stop)).await?;
        config.index.projections.retain(|name| !done.contains(name));
        if config.index.projections.is_empty() {
            return Ok(standing);
        }
    }
    let is_kept = former.is_some();
    let from = former.as_ref().map_or_else(|| sessions::origin(command.from), |session| session.from);
    // The log and the state are checked before the session is kept and the claim is made, because a refusal leaves neither.
    if from == RebuildFrom::State && !is_kept {
        copy::check(config).await?;
    }
    let check = from == RebuildFrom::Log && !command.allow_partial_log;
    let log = Log::wait_for(config, (check, is_kept), patience, stop).await?;
    let session = match former {
        Some(session) => session,
        None => {
            let sink = adapters::sink(config)?;
            let answer = retry_outage(stop, "the index", patience, async || {
                sessions::session(config, &*sink, &folder, (command, from)).await
            });
            answer.await?.ok_or_else(stop_error)?
        }
    };
    config.index.projections.clone_from(&session.projections);
    let sink = adapters::sink(config)?;
    let options = RebuildOptions { allow_rejected: command.allow_rejected, keep_state: command.keep_state };
    let rebuild = RebuildTask { config, sink, folder, session, is_kept, options };
    let conductor = rebuild.conductor(log, command.allow_partial_log, None, stop).await?;
    let shown = rebuild_output::ProgressOutput::new(format, &config.index.projections);
    let outcome = conductor.run(stop, move |phase, progress| shown.show(phase, progress)).await?;
    rebuild_output::outcome(
        format,
        &outcome,
        command.keep_state.then(|| Folder::path_of(&config.state).join("state")),
    );
    Ok(standing)
}

/// The projections that are meant, in the configuration's order.
fn choose_projections(config: &Config, names: &[String]) -> Result<Vec<String>> {
    let known = &config.index.projections;
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(Error::usage(format!(
            "there is no projection {unknown:?} in index.projections; it has {}",
            known.join(", ")
        )));
    }
    Ok(known.iter().filter(|name| names.is_empty() || names.contains(name)).cloned().collect())
}

async fn give_up(
    config: &Config,
    format: OutputFormat,
    sink: &dyn Generations,
    folder: &Folder,
) -> Result<()> {
    let own = folder.session()?;
    // Without one of its projections, a part of the session would be given up, and the session would stay.
    if let Some(own) = &own {
        sessions::check_projections(config, own)?;
    }
    // This process holds the folder, so that the process that began the session there is dead.
    let is_own = |id: &str| own.as_ref().is_some_and(|own| own.id == id);
    let is_rollback = own.as_ref().is_some_and(|own| own.is_rollback);
    let is_dead = |record: &Rebuild| is_own(&record.session);
    let deleted = abort(sink, is_dead, |record| is_rollback && is_own(&record.session)).await?;
    let names = &config.index.projections;
    if own.as_ref().is_some_and(|own| own.projections.iter().all(|projection| names.contains(projection))) {
        folder.clear(false)?;
    }
    rebuild_output::print_deleted(format, &deleted);
    Ok(())
}
