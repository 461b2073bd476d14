//! The start: it waits for servers that are away.

use std::time::Duration;

use tokio::time::Instant;

use super::readiness::Cause;
use super::status::Status;
use super::work::blocking;
use crate::backoff::BackOff;
use crate::error::{Error, ErrorKind, Result};
use crate::position::{Positions, TopicPartition};
use crate::shutdown::Shutdown;
use crate::sink::claimant::Claimant;
use crate::sink::generations::{Aliases, Orphan};
use crate::source::{EventSource, check_topic_ids, partial_log};
use crate::state::State;
use crate::state::rows::FoldProgress;

const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long the instances of another group have to see that their indexes were taken over: they look once a second.
const TAKE_OVER_WAIT: Duration = Duration::from_secs(5);

/// How long servers that are away are waited for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    until: Option<Instant>,
}

impl Patience {
    /// From now on for so long; for ever when nothing is given.
    pub fn of(wait: Option<Duration>) -> Self {
        Self { until: wait.and_then(|wait| Instant::now().checked_add(wait)) }
    }

    /// The pause before the next question; `None` when there is no time left for one.
    fn pause(self, wait: Duration) -> Option<Duration> {
        let Some(until) = self.until else { return Some(wait) };
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| wait.min(left))
    }
}

/// Asks a server until it answers, with growing pauses while it is away; `None` when told to stop meanwhile. `server` is
/// its name in the log.
///
/// # Errors
/// Every error but the server's absence, and the absence itself once the patience is at its end.
pub async fn retry_outage<T>(
    stop: &Shutdown,
    server: &str,
    patience: Patience,
    ask: impl AsyncFnMut() -> Result<T>,
) -> Result<Option<T>> {
    ask_while_away(stop, server, patience, ask, |_| ()).await
}

/// As [`retry_outage`] for the log. Meanwhile the status says that it is away.
///
/// # Errors
/// Those of [`retry_outage`].
pub async fn retry_log_outage<T>(
    stop: &Shutdown,
    status: &Status,
    patience: Patience,
    ask: impl AsyncFnMut() -> Result<T>,
) -> Result<Option<T>> {
    let tell = |error: &Error| {
        status.raise(Cause::LogAway, format!("the log is away: {}", error.chain()));
    };
    let answered = ask_while_away(stop, "the log", patience, ask, tell).await;
    status.clear(Cause::LogAway);
    answered
}

async fn ask_while_away<T>(
    stop: &Shutdown,
    server: &str,
    patience: Patience,
    mut ask: impl AsyncFnMut() -> Result<T>,
    tell: impl Fn(&Error),
) -> Result<Option<T>> {
    let mut back_off = BackOff::new(PAUSE_MIN, PAUSE_MAX);
    loop {
        let pause = match ask().await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                let Some(pause) = patience.pause(back_off.pause()) else { return Err(error) };
                tracing::warn!(error = error.chain(), "the program is waiting for {server}");
                tell(&error);
                pause
            }
            answered => return answered.map(Some),
        };
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause) => back_off.double(),
            () = stop.wait() => return Ok(None),
        }
    }
}

/// Notes that the group writes; false when told to stop meanwhile. Where another group wrote until now, its instances get
/// the time to see that it does not any more.
///
/// # Errors
/// Those of the index, and a group that another one keeps from writing.
pub async fn claim(
    claimant: Option<&Claimant>,
    sink: &dyn Aliases,
    patience: Patience,
    stop: &Shutdown,
) -> Result<bool> {
    let Some(claimant) = claimant else { return Ok(true) };
    match retry_outage(stop, "the index", patience, async || claimant.claim(sink).await).await? {
        None => Ok(false),
        Some(false) => Ok(true),
        Some(true) => {
            tokio::select! {
                biased;
                () = stop.wait() => Ok(false),
                () = tokio::time::sleep(TAKE_OVER_WAIT) => Ok(true),
            }
        }
    }
}

/// Names the indexes of projections that the model does not have, because no instance writes them any more.
///
/// # Errors
/// Those of the index.
pub async fn warn_of_gone(sink: &dyn Aliases) -> Result<()> {
    for Orphan { projection, index, .. } in sink.find_orphans().await? {
        tracing::warn!(
            projection,
            index,
            "the model has no such projection, and the index is left as it is; `tributary reindex --prune` deletes it"
        );
    }
    Ok(())
}

/// The start of a log, which is asked again while it is away.
pub(super) struct LogStart<'a> {
    pub(super) stop: &'a Shutdown,
    pub(super) status: &'a Status,
    pub(super) patience: Patience,
}

impl LogStart<'_> {
    /// Starts a log where the state has stopped reading it; `None` when told to stop meanwhile.
    ///
    /// # Errors
    /// Those of [`EventSource::start`], and a log that has lost its beginning unless that is allowed.
    pub(super) async fn start(
        &self,
        source: Box<dyn EventSource>,
        state: &State,
        progress: &FoldProgress,
        is_partial_allowed: bool,
    ) -> Result<Option<Box<dyn EventSource>>> {
        let progress = progress.clone();
        let start = move |source: &mut dyn EventSource| {
            source.start(&progress.positions(), &progress.fingerprints())?;
            source.find_cut_partitions()
        };
        let Some((source, cut)) = self.ask(source, start).await? else { return Ok(None) };
        let ids = source.topic_ids();
        check_topic_ids(&state.topic_ids()?, &ids)?;
        state.note_topic_ids(&ids)?;
        accept(state, &cut, is_partial_allowed)?;
        Ok(Some(source))
    }

    /// Where the log ends now; `None` when told to stop meanwhile.
    ///
    /// # Errors
    /// Those of [`EventSource::end`].
    pub(super) async fn end(
        &self,
        source: Box<dyn EventSource>,
    ) -> Result<Option<(Box<dyn EventSource>, Positions)>> {
        self.ask(source, |source: &mut dyn EventSource| source.end()).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        source: Box<dyn EventSource>,
        ask: impl Fn(&mut dyn EventSource) -> Result<T> + Clone + Send + 'static,
    ) -> Result<Option<(Box<dyn EventSource>, T)>> {
        let mut slot = Some(source);
        let answered = retry_log_outage(self.stop, self.status, self.patience, async || {
            let (ask, source) = (ask.clone(), slot.take());
            let mut source =
                source.ok_or_else(|| Error::failure("the log is gone; this is a bug, report it"))?;
            let call = blocking(move || {
                let answer = ask(&mut *source);
                Ok((source, answer))
            });
            let (source, answer) = call.await?;
            slot = Some(source);
            answer
        });
        let answered = answered.await?;
        Ok(slot.zip(answered))
    }
}

/// Accepts a log of which `cut` has lost its beginning, or refuses it.
fn accept(state: &State, cut: &[(TopicPartition, i64)], is_allowed: bool) -> Result<()> {
    let Some((at, first)) = cut.first() else { return Ok(()) };
    if !is_allowed && !state.is_partial() {
        return Err(partial_log(at, *first, "Restore the topic, or keep the state. "));
    }
    tracing::warn!(
        partition = %at,
        first,
        "the log is partial. Documents of entities that it holds no record of are left in the index as they are. The \
         others show only what its records say, also of the entities that they embed"
    );
    state.set_partial()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage_error() -> Error {
        Error::new(ErrorKind::Unavailable, "away")
    }

    #[tokio::test]
    async fn an_absent_server_is_asked_again_until_it_answers_or_a_stop() {
        let (stop, patience) = (Shutdown::default(), Patience::default());
        let mut count = 0;
        let answered = retry_outage(&stop, "it", patience, async || {
            count += 1;
            if count < 4 { Err(outage_error()) } else { Ok(count) }
        });
        assert_eq!(answered.await.unwrap(), Some(4));
        let broken = retry_outage(&stop, "it", patience, async || Err::<(), _>(Error::failure("broken")));
        assert!(broken.await.is_err());
        stop.request();
        let stopped = retry_outage(&stop, "it", patience, async || Err::<(), _>(outage_error()));
        assert_eq!(stopped.await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let stop = Shutdown::default();
        for (wait, questions) in [(0, 1), (1, 4)] {
            let patience = Patience::of(Some(Duration::from_secs(wait)));
            let mut count = 0;
            let ended = retry_outage(&stop, "it", patience, async || {
                count += 1;
                Err::<(), _>(outage_error())
            });
            assert_eq!(ended.await.unwrap_err().kind(), ErrorKind::Unavailable);
            assert_eq!(count, questions, "after 0, 0.2, 0.6 and 1 s");
        }
    }
}
