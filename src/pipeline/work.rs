//! The port to the clock and to threads. Work that may block has threads of its own. In a simulation all work takes turns on one
//! thread. Its order then depends only on the runtime's clock and on the thread's random numbers, because a simulation has to
//! repeat a run exactly.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// Work that goes on in turns.
pub(super) trait Turns: Send + 'static {
    /// One turn; with `waits` it may wait a moment for something to do.
    fn turn(&mut self, waits: bool) -> Result<Turn>;
}

/// The result of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Something was done.
    Busy,
    /// There was nothing to do.
    Idle,
    /// Nothing will ever be done again.
    Ended,
}

/// Starts work on a thread of its own; its end can be awaited.
///
/// # Errors
/// When the thread cannot be started.
pub(super) fn start(name: &str, work: impl Turns) -> Result<oneshot::Receiver<Result<()>>> {
    #[cfg(test)]
    if simulated::is_begun() {
        return Ok(simulated::start(work));
    }
    let (ended, end) = oneshot::channel();
    let body = move || {
        // The receiver is gone only when the run ends anyway.
        let _ = ended.send(run(work));
    };
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    started.map_err(|error| {
        Error::failure(format!("the {name}'s thread cannot be started; check the limit of threads"))
            .because(error)
    })?;
    Ok(end)
}

/// Goes on, on this thread, to the end.
///
/// # Errors
/// Those of the work.
pub(super) fn run(mut work: impl Turns) -> Result<()> {
    while work.turn(true)? != Turn::Ended {}
    Ok(())
}

/// Runs `work` where it may block.
///
/// # Errors
/// Those of `work`.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    #[cfg(test)]
    if simulated::is_begun() {
        return simulated::take_turn(work).await;
    }
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| Error::failure("a part of the work broke off").because(error))?
}

/// Lets go of something whose end blocks for a while, such as a connection, without waiting for it.
pub fn drop_in_background<T: Send + 'static>(it: T) {
    #[cfg(test)]
    if simulated::is_begun() {
        drop(it);
        return;
    }
    tokio::task::spawn_blocking(move || drop(it));
}

/// Leaves work to its end without waiting for it; the runtime does, a moment, before the process ends.
pub(super) fn leave(end: oneshot::Receiver<Result<()>>) {
    #[cfg(test)]
    if simulated::is_begun() {
        return;
    }
    // A caller that leaves has its outcome, or has no use for it.
    tokio::task::spawn_blocking(move || drop(end.blocking_recv()));
}

/// Runs `work`, which may block, without leaving the task.
pub fn in_place<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(test)]
    if simulated::is_begun() {
        return work();
    }
    tokio::task::block_in_place(work)
}

/// The time now in milliseconds since the Unix epoch.
pub fn wall_ms() -> u64 {
    #[cfg(test)]
    if let Some(simulated) = simulated::wall_ms() {
        return simulated;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The wall clock of a simulation, and its one thread.
#[cfg(test)]
pub(crate) mod simulated {
    use std::cell::Cell;
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::{Instant, sleep};

    use super::{Turn, Turns};
    use crate::error::Result;

    const BEGINNING_MS: u64 = 1_700_000_000_000;
    /// How long a turn at most takes, in microseconds.
    const BUSY_MAX: u64 = 3_000;
    /// The same for one that found nothing to do.
    const IDLE_MAX: u64 = 50_000;

    thread_local! {
        static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
    }

    /// The time of this thread goes on with its runtime's from here, and all work takes turns on it.
    pub(crate) fn begin() {
        BEGAN.set(Some(Instant::now()));
    }

    pub(super) fn is_begun() -> bool {
        BEGAN.get().is_some()
    }

    pub(super) fn wall_ms() -> Option<u64> {
        let elapsed = BEGAN.get()?.elapsed();
        Some(BEGINNING_MS + u64::try_from(elapsed.as_millis()).unwrap_or(0))
    }

    /// Starts work between the other tasks.
    pub(super) fn start(work: impl Turns) -> oneshot::Receiver<Result<()>> {
        let (ended, end) = oneshot::channel();
        tokio::spawn(async move {
            let _ = ended.send(take_turns(work).await);
        });
        end
    }

    async fn take_turns(mut work: impl Turns) -> Result<()> {
        loop {
            match work.turn(false)? {
                Turn::Busy => pause(BUSY_MAX).await,
                Turn::Idle => pause(IDLE_MAX).await,
                Turn::Ended => return Ok(()),
            }
        }
    }

    /// Does `work` at once, some time after it is asked for, and answers some time later.
    pub(super) async fn take_turn<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
        pause(BUSY_MAX).await;
        let done = work();
        pause(BUSY_MAX).await;
        done
    }

    async fn pause(most: u64) {
        sleep(Duration::from_micros(fastrand::u64(0..most))).await;
    }
}
