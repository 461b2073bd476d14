//! The log's sources, one after the other, opened ahead: to connect takes longer than what a round has left to do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::pipeline::work::{blocking, let_go};
use crate::source::EventSource;

/// Opens a source; waits for a log that is away.
pub type Open = Arc<dyn Fn() -> Result<Box<dyn EventSource>> + Send + Sync>;

/// At most one source that nobody has taken yet.
pub struct Sources {
    open: Open,
    ahead: Mutex<Option<Ahead>>,
}

enum Ahead {
    Open(Box<dyn EventSource>),
    Opening(JoinHandle<Result<Box<dyn EventSource>>>),
}

impl Sources {
    /// Of a log, of which `kept` is open and not started, if there is one.
    pub fn new(open: Open, kept: Option<Box<dyn EventSource>>) -> Self {
        Self { open, ahead: Mutex::new(kept.map(Ahead::Open)) }
    }

    /// A source that was not started.
    ///
    /// # Errors
    /// Those of opening one.
    pub(super) async fn take(&self) -> Result<Box<dyn EventSource>> {
        let ahead = self.ahead().take();
        match ahead {
            Some(Ahead::Open(source)) => Ok(source),
            Some(Ahead::Opening(opening)) => opening
                .await
                .unwrap_or_else(|error| Err(Error::failed("opening the log broke off").because(error))),
            None => self.open().await,
        }
    }

    /// Opens one meanwhile.
    pub(super) fn prepare(&self) {
        let opening = tokio::spawn(self.open());
        *self.ahead() = Some(Ahead::Opening(opening));
    }

    /// Takes one back that was not started.
    pub(super) fn keep(&self, source: Box<dyn EventSource>) {
        *self.ahead() = Some(Ahead::Open(source));
    }

    /// Closes what is open, without waiting for it.
    pub(super) fn close(&self) {
        let_go(self.ahead().take());
    }

    fn open(&self) -> impl Future<Output = Result<Box<dyn EventSource>>> + use<> {
        let open = Arc::clone(&self.open);
        blocking(move || open())
    }

    fn ahead(&self) -> MutexGuard<'_, Option<Ahead>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
