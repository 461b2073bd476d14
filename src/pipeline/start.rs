//! What a run waits for at its start: an index that is away.

use std::time::Duration;

use crate::error::{ErrorKind, Result};
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
            biased;
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(PAUSE_MAX),
            () = stop.requested() => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

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
