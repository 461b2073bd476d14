//! The log's sources, one after the other, opened ahead, because connecting takes longer than the rest of a pass.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

use crate::error::Result;
use crate::pipeline::work::{blocking, drop_in_background};
use crate::source::EventSource;

/// Opens a source; waits for a log that is away.
pub type SourceOpener = Arc<dyn Fn() -> Result<Box<dyn EventSource>> + Send + Sync>;

/// At most one source that was not taken yet.
pub struct Sources {
    open: SourceOpener,
    ahead: Mutex<Option<PreparedSource>>,
}

enum PreparedSource {
    Open(Box<dyn EventSource>),
    Opening(JoinHandle<Result<Box<dyn EventSource>>>),
}

impl Sources {
    /// Of a log, of which `source` is open and not started, if there is one.
    pub fn new(open: SourceOpener, source: Option<Box<dyn EventSource>>) -> Self {
        Self { open, ahead: Mutex::new(source.map(PreparedSource::Open)) }
    }

    /// A source that was not started.
    ///
    /// # Errors
    /// Those of opening one.
    pub(super) async fn take(&self) -> Result<Box<dyn EventSource>> {
        let ahead = self.lock().take();
        match ahead {
            Some(PreparedSource::Open(source)) => Ok(source),
            // The log may have been away for a moment, so every error is asked about again.
            Some(PreparedSource::Opening(opening)) => match opening.await {
                Ok(Ok(source)) => Ok(source),
                Ok(Err(_)) | Err(_) => self.open().await,
            },
            None => self.open().await,
        }
    }

    /// Opens one meanwhile.
    pub(super) fn prepare(&self) {
        let opening = tokio::spawn(self.open());
        *self.lock() = Some(PreparedSource::Opening(opening));
    }

    /// Takes one back that was not started.
    pub(super) fn keep(&self, source: Box<dyn EventSource>) {
        *self.lock() = Some(PreparedSource::Open(source));
    }

    /// Closes the open source, without waiting for it.
    pub(super) fn close(&self) {
        drop_in_background(self.lock().take());
    }

    fn open(&self) -> impl Future<Output = Result<Box<dyn EventSource>>> + use<> {
        let open = Arc::clone(&self.open);
        blocking(move || open())
    }

    fn lock(&self) -> MutexGuard<'_, Option<PreparedSource>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::error::Error;
    use crate::position::{Positions, TopicPartition};
    use crate::source::{Fingerprint, SourceBatch};

    /// A log of which the number is the identity.
    struct NumberedLog(usize);

    impl EventSource for NumberedLog {
        fn identity(&self) -> String {
            self.0.to_string()
        }

        fn start(&mut self, _: &Positions, _: &[(TopicPartition, Fingerprint)]) -> Result<()> {
            Ok(())
        }

        fn end(&mut self) -> Result<Positions> {
            Ok(Positions::default())
        }

        fn poll(&mut self, _: Duration, _: usize) -> Result<SourceBatch> {
            Ok(SourceBatch::default())
        }
    }

    /// Sources by their numbers, from 1 on; opening the one of the number `away` fails.
    fn sources(away: usize, source: Option<Box<dyn EventSource>>) -> (Sources, Arc<AtomicUsize>) {
        let opened = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&opened);
        let open: SourceOpener = Arc::new(move || match count.fetch_add(1, Ordering::SeqCst) + 1 {
            number if number == away => Err(Error::failure("away")),
            number => Ok(Box::new(NumberedLog(number))),
        });
        (Sources::new(open, source), opened)
    }

    #[tokio::test]
    async fn what_is_kept_or_opened_ahead_is_taken_once() {
        let (sources, opened) = sources(0, Some(Box::new(NumberedLog(9))));
        assert_eq!(sources.take().await.unwrap().identity(), "9");
        assert_eq!(opened.load(Ordering::SeqCst), 0);
        sources.prepare();
        let ahead = sources.take().await.unwrap();
        assert_eq!((ahead.identity().as_str(), opened.load(Ordering::SeqCst)), ("1", 1));
        sources.keep(ahead);
        assert_eq!(sources.take().await.unwrap().identity(), "1");
        let next = sources.take().await.unwrap();
        assert_eq!(next.identity(), "2", "nothing was kept");
        sources.keep(next);
        sources.close();
        assert_eq!(sources.take().await.unwrap().identity(), "3", "what was kept is closed");
    }

    #[tokio::test]
    async fn a_log_that_was_away_for_a_moment_is_opened_again() {
        let (sources, opened) = sources(1, None);
        sources.prepare();
        assert_eq!(sources.take().await.unwrap().identity(), "2");
        assert_eq!(opened.load(Ordering::SeqCst), 2);
    }
}
