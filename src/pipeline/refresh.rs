//! The refreshes of our own: at low rates a change is searchable sooner than by the index's interval.

use std::time::Duration;

use tokio::time::Instant;

use super::deliver::Delivery;
use super::status::Status;
use crate::config::Refresh;
use crate::sink::DocumentSink;

/// Writes that are acknowledged and not searchable yet.
#[derive(Default)]
pub(super) struct Unrefreshed {
    since: Option<Instant>,
    not_before: Option<Instant>,
    /// How many refreshes searches had asked for when the last of them was acknowledged.
    asked: u64,
}

/// A change waits this long for others before a refresh of our own.
const LINGER: Duration = Duration::from_millis(5);
/// And this long when a search waits: that has the index refreshed itself, once it sees its change acknowledged.
const LINGER_FOR_SEARCH: Duration = Duration::from_millis(25);

impl Unrefreshed {
    /// Takes note that a request was answered.
    pub(super) fn note(&mut self, status: &Status) {
        self.since.get_or_insert_with(Instant::now);
        self.asked = status.refreshes();
    }

    /// Refreshes when nothing is under way (at a high rate the index's own interval serves), and so
    /// seldom that at most a fifth of the time is spent on it. What changes meanwhile waits for it, and then goes
    /// together: a request for each change would cost the index more.
    pub(super) async fn refresh_if_due<S: DocumentSink>(&mut self, delivery: &Delivery<S>, idle: bool) {
        let now = Instant::now();
        if delivery.status.refreshes() != self.asked {
            // A search began one after the last write: that shows all of them.
            self.since = None;
        }
        let linger = if delivery.status.watchers() > 0 { LINGER_FOR_SEARCH } else { LINGER };
        let due = self.since.is_some_and(|since| now >= since + linger)
            && self.not_before.is_none_or(|at| now >= at);
        if delivery.refresh != Refresh::Adaptive || !idle || !due {
            return;
        }
        self.since = None;
        if let Err(error) = delivery.sink.refresh().await {
            tracing::warn!(error = error.chain(), "refresh failed, the index's own interval serves");
        }
        self.not_before = Some(Instant::now() + now.elapsed() * 4);
    }

    /// How long until it may be worth looking again.
    pub(super) fn wait(&self) -> Duration {
        if self.since.is_some() { LINGER } else { Duration::from_millis(500) }
    }
}
