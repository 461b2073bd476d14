//! The opening of a run: its log and its indexes, before anything is folded.

use std::time::Duration;

use super::deadline::in_time;
use super::parts::IndexParts;
use super::start::{LogStart, Patience, claim, retry_outage, warn_of_gone};
use super::status::Status;
use crate::error::{ErrorKind, Result};
use crate::position::Positions;
use crate::shutdown::Shutdown;
use crate::sink::IndexState;
use crate::source::EventSource;
use crate::source::leadership::Leadership;
use crate::state::State;
use crate::state::rows::FoldProgress;

/// A start waits this long for its refresh; a later one serves as well.
const REFRESH_TIME: Duration = Duration::from_secs(2);

/// The log and the indexes of a run, once they are open.
pub(super) struct Opening {
    /// The log, behind the records that are folded.
    pub(super) source: Box<dyn EventSource>,
    /// Where the log ended.
    pub(super) end: Positions,
    /// The log's identity.
    pub(super) identity: String,
    /// The indexes.
    pub(super) indexes: Vec<IndexState>,
    /// How far the fold was.
    pub(super) progress: FoldProgress,
}

/// The part of a run that opens its log and its indexes.
pub(super) struct Opener<'a> {
    pub(super) state: &'a State,
    pub(super) index: &'a IndexParts,
    pub(super) leadership: &'a dyn Leadership,
    pub(super) status: &'a Status,
    pub(super) patience: Patience,
    pub(super) stop: &'a Shutdown,
}

impl Opener<'_> {
    /// Opens both, and takes part in the election; `None` when told to stop meanwhile. `allow_partial` says whether the log
    /// may have lost its beginning.
    ///
    /// # Errors
    /// Errors that no retry repairs: another log, a damaged state, a changed mapping.
    pub(super) async fn open(
        &self,
        source: Box<dyn EventSource>,
        allow_partial: bool,
    ) -> Result<Option<Opening>> {
        let (sink, claimant) = (&*self.index.sink, self.index.claimant.as_ref());
        let progress = self.state.progress()?;
        // A log that is refused is refused before anything is made.
        let log_start = LogStart { stop: self.stop, status: self.status, patience: self.patience };
        let source = log_start.start(source, self.state, &progress, allow_partial).await?;
        let Some(source) = source else { return Ok(None) };
        if !claim(claimant, sink, self.patience, self.stop).await? {
            return Ok(None);
        }
        let identity = source.identity();
        let Some(indexes) = self.open_indexes(&identity).await? else { return Ok(None) };
        if claimant.is_some()
            && let Err(error) = in_time(warn_of_gone(sink)).await
        {
            tracing::debug!(error = error.chain(), "indexes of former projections cannot be looked up");
        }
        self.leadership.join();
        // Who waited for the index may have waited for long.
        let Some((source, end)) = log_start.end(source).await? else { return Ok(None) };
        self.note_beginning(&end, &progress).await?;
        Ok(Some(Opening { source, end, identity, indexes, progress }))
    }

    /// Opens the indexes, once they answer; `None` when told to stop meanwhile.
    async fn open_indexes(&self, identity: &str) -> Result<Option<Vec<IndexState>>> {
        let sink = &self.index.sink;
        let opened =
            retry_outage(self.stop, "the index", self.patience, async || match sink.open(identity).await {
                Err(error) if self.index.mapping_may_differ && error.kind() == ErrorKind::MappingChanged => {
                    sink.adopt(identity).await
                }
                opened => opened,
            });
        opened.await
    }

    /// Has the status tell of the beginning.
    async fn note_beginning(&self, end: &Positions, progress: &FoldProgress) -> Result<()> {
        let sink = &self.index.sink;
        self.status.index_progress.set_refresh_interval(sink.refresh_interval());
        // An earlier instance may have written documents that no search shows yet.
        let refreshed = tokio::time::timeout(REFRESH_TIME, sink.refresh()).await;
        if let Ok(Ok(())) = refreshed {
            self.status.index_progress.note_refreshed(&self.state.low_watermark()?.positions());
        }
        self.status.set_end(end);
        self.status.set_positions(&progress.positions());
        Ok(())
    }
}
