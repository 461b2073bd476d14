//! The aliases and rebuilds of others, looked up beside the run, so that a slow server delays nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::hand_over::LEASE;
use crate::sink::generations::{Aliases, Phase, Rebuild};
use crate::sink::tenure::Tenure;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The interval while a living rebuild is about to move an alias. No instance writes its index until the move is seen.
const LOOK_OFTEN: Duration = Duration::from_millis(100);

/// The result of the last look.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The concrete index behind each projection's alias.
    pub(super) behind: Vec<Option<String>>,
    /// The record of each projection's rebuild.
    pub(super) rebuilds: Vec<Option<Rebuild>>,
    /// The record of the group that writes.
    pub(super) tenure: Option<Tenure>,
}

/// Looks until the receiver is gone.
pub(super) fn spawn(sink: Arc<dyn Aliases>) -> watch::Receiver<Seen> {
    let (sender, receiver) = watch::channel(Seen::default());
    tokio::spawn(async move {
        let mut moving = Moving::default();
        loop {
            tokio::select! {
                biased;
                () = sender.closed() => return,
                () = look(&*sink, &sender) => {}
            }
            let wait = if moving.is_near(&sender.borrow().rebuilds) { LOOK_OFTEN } else { LOOK_EVERY };
            tokio::select! {
                biased;
                () = sender.closed() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    });
    receiver
}

/// The signs of life of rebuilds that are about to move an alias.
#[derive(Default)]
struct Moving {
    beats: Vec<u64>,
    since: Option<Instant>,
}

impl Moving {
    /// True while there is such a rebuild, and it has given a sign within its lease.
    fn is_near(&mut self, rebuilds: &[Option<Rebuild>]) -> bool {
        let near = rebuilds.iter().flatten();
        let near = near.filter(|record| (Phase::Settling..Phase::Done).contains(&record.phase));
        let beats: Vec<u64> = near.map(|record| record.beat).collect();
        if beats != self.beats {
            self.since = Some(Instant::now());
            self.beats = beats;
        }
        !self.beats.is_empty() && self.since.is_some_and(|since| since.elapsed() < LEASE)
    }
}

async fn look(sink: &dyn Aliases, sender: &watch::Sender<Seen>) {
    let others = match (sink.behind().await, sink.rebuilds().await, sink.tenure().await) {
        (Ok(behind), Ok(rebuilds), Ok(tenure)) => Seen {
            behind,
            rebuilds: rebuilds.into_iter().map(|found| found.map(|(record, _)| record)).collect(),
            tenure: tenure.map(|(record, _)| record),
        },
        // A server that is away moves no alias. Writes report every other error.
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
            tracing::debug!(error = error.chain(), "the aliases cannot be looked up");
            return;
        }
    };
    sender.send_replace(others);
}
