//! How a run begins: indexes that are waited for, and threads whose end can be awaited.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};
use crate::shutdown::Shutdown;
use crate::sink::{DocumentSink, IndexState};

/// Opens the indexes, waiting for a server that is not there yet; `None` when told to stop meanwhile.
pub(super) async fn open_indexes<S: DocumentSink>(
    sink: &S,
    identity: &str,
    stop: &Shutdown,
) -> Result<Option<Vec<IndexState>>> {
    let mut wait = Duration::from_millis(200);
    loop {
        match sink.open(identity).await {
            Ok(indexes) => return Ok(Some(indexes)),
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!(error = error.chain(), "waiting for the index");
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(5)),
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
