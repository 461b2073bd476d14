//! What others do with the aliases, looked up beside the run: a server that is slow to answer holds up nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::sink::generations::{Aliases, Rebuild};

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the last look saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The concrete index behind each projection's alias.
    pub(super) behind: Vec<Option<String>>,
    /// The record of each projection's rebuild.
    pub(super) rebuilds: Vec<Option<Rebuild>>,
}

/// Looks until the receiver is gone.
pub(super) fn spawn<S: Aliases>(sink: Arc<S>) -> watch::Receiver<Seen> {
    let (sender, receiver) = watch::channel(Seen::default());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                biased;
                () = sender.closed() => return,
                () = look(&*sink, &sender) => {}
            }
            tokio::select! {
                biased;
                () = sender.closed() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    });
    receiver
}

async fn look<S: Aliases>(sink: &S, sender: &watch::Sender<Seen>) {
    let seen = match (sink.behind().await, sink.rebuilds().await) {
        (Ok(behind), Ok(rebuilds)) => Seen {
            behind,
            rebuilds: rebuilds.into_iter().map(|found| found.map(|(record, _)| record)).collect(),
        },
        // A server that is away moves no alias; what else is wrong, the writes say.
        (Err(error), _) | (_, Err(error)) => {
            tracing::debug!(error = error.chain(), "the aliases cannot be looked up");
            return;
        }
    };
    sender.send_replace(seen);
}
