//! The index: versioned writes of whole documents, each judged by itself.

mod batch;
mod buffers;
pub mod claimant;
pub mod difference;
pub mod documents;
pub mod generations;
pub mod holding;
pub mod index;
pub(crate) mod mapping;
pub(crate) mod mappings;
pub mod tenure;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

pub use self::batch::{Batch, Write};
pub use self::buffers::{Buffer, Buffers};
use crate::error::Result;
use crate::plan::Projection;

/// The outcome of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The index holds the document (or no longer holds it) at this version.
    Done,
    /// The index holds a version above ours: `stored` when it says which.
    Conflict {
        /// The version that the index holds.
        stored: Option<u64>,
    },
    /// It may work later: an overloaded or absent server.
    Retry(String),
    /// The index does not let us write it, and will not by itself: the run ends, and an operator has to give the
    /// privilege.
    Refused(String),
    /// It will never work: the document goes to the dead letters.
    Rejected(String),
    /// The index itself is no longer there, and nothing was made in its place: the run ends, because the acknowledged
    /// documents are gone too. Opening again makes and fills a new one.
    Gone(String),
}

impl Outcome {
    /// Which outcome counts where a write is several items: the one that calls for the most.
    pub(crate) fn worst(outcomes: impl Iterator<Item = Self>) -> Option<Self> {
        outcomes.max_by_key(|outcome| match outcome {
            Self::Done => 0,
            Self::Rejected(_) => 1,
            Self::Conflict { .. } => 2,
            Self::Retry(_) => 3,
            Self::Refused(_) => 4,
            Self::Gone(_) => 5,
        })
    }
}

/// The state of an index when it was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexState {
    /// The projection that it is of.
    pub projection: Projection,
    /// The concrete index behind the alias.
    pub index: String,
    /// True when it was created just now, and is empty.
    pub created: bool,
    /// True while it carries the mark of an index that was made to be filled and is not full yet, by any process.
    pub is_filling: bool,
}

/// The concrete index of each projection.
pub(crate) fn indexes_of(states: &[IndexState]) -> BTreeMap<Projection, String> {
    states.iter().map(|state| (state.projection, state.index.clone())).collect()
}

/// The line of `status` on an index.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct IndexSummary {
    /// The projection that it is of.
    #[serde(skip)]
    pub projection: Projection,
    /// The alias.
    pub alias: String,
    /// The concrete index behind it; empty when there is none.
    pub index: String,
    /// How many documents it holds, nested ones not counted.
    pub documents: u64,
}

/// An index that takes documents.
#[async_trait]
pub trait DocumentSink: Send + Sync + 'static {
    /// Looks up (or creates, with its alias) the index of each projection. Checks that its `_meta` has our mapping
    /// hash, document shape and log identity.
    ///
    /// # Errors
    /// Exit code 3 when a mapping hash differs, with the command that puts it right; 1 when the log or the shape does.
    async fn open(&self, log_identity: &str) -> Result<Vec<IndexState>>;

    /// True when no process had written to the indexes before this one, so that an entity deleted before then needs no
    /// delete there.
    fn is_untouched(&self) -> bool {
        false
    }

    /// Sends `batch` as one request to the concrete indexes; one outcome for each write, in order. A request
    /// that failed as a whole gives `Retry` for its writes. When the server calls a lone document too large,
    /// it gives `Rejected`. A too large request of several is split.
    async fn write(&self, batch: Batch) -> Vec<Outcome>;

    /// How often every index refreshes itself at least; `None` when one never does. Zero: writes are searchable when they
    /// are acknowledged.
    fn refresh_interval(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    /// Makes everything written so far searchable.
    async fn refresh(&self) -> Result<()>;

    /// Asks whether the index is there.
    async fn ping(&self) -> Result<()>;

    /// The indexes behind the aliases, as they are now.
    async fn summaries(&self) -> Result<Vec<IndexSummary>>;

    /// The ids in the index of `projection`, in pages: pass the `cursor` of the page before;
    /// `None` begins. An answer without a cursor is the last page.
    async fn ids(&self, projection: Projection, cursor: Option<String>) -> Result<IdPage>;
}

/// A page of ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdPage {
    /// The ids of this page.
    pub ids: Vec<String>,
    /// Where the next page begins; `None` after the last.
    pub cursor: Option<String>,
}
