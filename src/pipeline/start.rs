//! What a run waits for: an index that is away, and the end of a thread.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};
use crate::shutdown::Shutdown;

const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Asks the index until it answers, with growing pauses while it is away; `None` when told to stop
/// meanwhile.
///
/// # Errors
/// Whatever is no absence.
pub async fn while_away<T>(stop: &Shutdown, mut ask: impl AsyncFnMut() -> Result<T>) -> Result<Option<T>> {
    let mut wait = PAUSE_MIN;
    loop {
        match ask().await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!(error = error.chain(), "waiting for the index");
            }
            answered => return answered.map(Some),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(PAUSE_MAX),
            () = stop.requested() => return Ok(None),
        }
    }
}

/// A thread whose result can be awaited.
pub(super) fn thread(
    name: &str,
    work: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<oneshot::Receiver<Result<()>>> {
    let (ended, end) = oneshot::channel();
    let body = move || {
        // Nobody listens any more only when the process ends anyway.
        let _ = ended.send(work());
    };
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    started
        .map_err(|error| Error::failed(format!("the {name}'s thread cannot be started")).because(error))?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_absent_index_is_asked_again_until_it_answers_or_a_stop() {
        let stop = Shutdown::default();
        let away = || Error::new(ErrorKind::Unavailable, "away");
        let mut asked = 0;
        let answered = while_away(&stop, async || {
            asked += 1;
            if asked < 4 { Err(away()) } else { Ok(asked) }
        });
        assert_eq!(answered.await.unwrap(), Some(4));
        let broken = while_away(&stop, async || Err::<(), _>(Error::failed("broken")));
        assert!(broken.await.is_err());
        stop.request();
        assert_eq!(while_away(&stop, async || Err::<(), _>(away())).await.unwrap(), None);
    }
}
