//! The aliases and rebuilds of others, looked up beside the run, so that a slow server delays nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::hand_over::LEASE;
use super::status::Status;
use crate::error::Result;
use crate::projection::Projection;
use crate::sink::claimant::Claimant;
use crate::sink::generations::{Aliases, Phase, Rebuild};
use crate::sink::tenure::Tenure;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The interval while a living rebuild is about to move an alias. No instance writes its index until the move is seen.
const LOOK_OFTEN: Duration = Duration::from_millis(100);

/// The result of the last look.
#[derive(Debug, Clone, Default)]
pub(super) struct WatchReport {
    /// The concrete index behind each projection's alias.
    pub(super) behind: BTreeMap<Projection, String>,
    /// The record of each projection's rebuild.
    pub(super) rebuilds: BTreeMap<Projection, Rebuild>,
    /// The record of the group that writes.
    pub(super) tenure: Option<Tenure>,
}

impl WatchReport {
    /// True when a rebuild calls for every document to be sent again.
    pub(super) fn sends_again(&self) -> bool {
        self.rebuilds.values().any(|record| record.sends_again)
    }

    /// Has the status tell of the rebuilds, and of the indexes that a rollback put back.
    pub(super) fn report(&self, status: &Status) {
        let rolled_back = self.rebuilds.iter().filter_map(|(projection, record)| {
            let index = self.behind.get(projection).filter(|index| record.is_rollback_to(index))?;
            Some((projection.name().to_owned(), index.clone()))
        });
        status.set_rolled_back(rolled_back.collect());
        let under_way = self.rebuilds.iter().filter(|(_, record)| record.is_under_way());
        let under_way = under_way.map(|(projection, record)| (projection.name().to_owned(), record.clone()));
        status.set_rebuilds(under_way);
    }
}

/// The view that a run has of others.
pub(super) struct AliasWatch {
    view: watch::Receiver<WatchReport>,
    /// The group that writes, where another one may take the indexes over.
    claimant: Option<Claimant>,
}

impl AliasWatch {
    /// Begins to look, until this value is gone.
    pub(super) fn watch(sink: Arc<dyn Aliases>, claimant: Option<Claimant>) -> Self {
        Self { view: spawn(sink), claimant }
    }

    /// Looks whether this group still writes.
    ///
    /// # Errors
    /// When another group has taken the indexes over.
    pub(super) fn check(&self) -> Result<()> {
        match &self.claimant {
            Some(claimant) => claimant.check(self.view.borrow().tenure.as_ref()),
            None => Ok(()),
        }
    }

    /// The result of the last look, unless it was taken before.
    pub(super) fn take_change(&mut self) -> Option<WatchReport> {
        let has_changed = self.view.has_changed().unwrap_or(false);
        has_changed.then(|| self.view.borrow_and_update().clone())
    }
}

/// Looks until the receiver is gone.
fn spawn(sink: Arc<dyn Aliases>) -> watch::Receiver<WatchReport> {
    let (sender, receiver) = watch::channel(WatchReport::default());
    tokio::spawn(async move {
        let mut moving = AliasMoveSigns::default();
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

/// The heartbeats of rebuilds that are about to move an alias.
#[derive(Default)]
struct AliasMoveSigns {
    beats: Vec<u64>,
    since: Option<Instant>,
}

impl AliasMoveSigns {
    /// True while there is such a rebuild, and it has given a sign within its lease.
    fn is_near(&mut self, rebuilds: &BTreeMap<Projection, Rebuild>) -> bool {
        let near = rebuilds.values();
        let near = near.filter(|record| (Phase::Settling..Phase::Done).contains(&record.phase));
        let beats: Vec<u64> = near.map(|record| record.beat).collect();
        if beats != self.beats {
            self.since = Some(Instant::now());
            self.beats = beats;
        }
        !self.beats.is_empty() && self.since.is_some_and(|since| since.elapsed() < LEASE)
    }
}

async fn look(sink: &dyn Aliases, sender: &watch::Sender<WatchReport>) {
    let others = match (sink.indexes_behind().await, sink.rebuilds().await, sink.tenure().await) {
        (Ok(behind), Ok(rebuilds), Ok(tenure)) => WatchReport {
            behind,
            rebuilds: rebuilds.into_iter().map(|(of, (record, _))| (of, record)).collect(),
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
