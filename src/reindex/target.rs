//! The index that is filled, as the pipeline sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::claim::Claim;
use crate::error::Result;
use crate::projection::Projection;
use crate::sink::documents::{Documents, StoredDocument, VersionPage};
use crate::sink::generations::{Aliases, Generations, Rebuild, Revision};
use crate::sink::{Batch, DocumentSink, IdPage, IndexState, IndexSummary, Outcome};

/// Writes go to fixed indexes, regardless of the aliases, and only while the lease holds.
pub struct Target {
    /// The sink, whose targets are open.
    pub sink: Arc<dyn Generations>,
    /// The concrete indexes.
    pub indexes: BTreeMap<Projection, String>,
    /// The claim on them.
    pub claim: Arc<Claim>,
    /// See [`DocumentSink::is_untouched`].
    pub is_untouched: bool,
}

impl Target {
    fn states(&self) -> Vec<IndexState> {
        let state = |(projection, index): (&Projection, &String)| IndexState {
            projection: *projection,
            index: index.clone(),
            created: false,
            is_filling: false,
        };
        self.indexes.iter().map(state).collect()
    }
}

#[async_trait]
impl DocumentSink for Target {
    async fn open(&self, _: &str) -> Result<Vec<IndexState>> {
        Ok(self.states())
    }

    fn is_untouched(&self) -> bool {
        self.is_untouched
    }

    async fn write(&self, batch: Batch) -> Vec<Outcome> {
        if !self.claim.holds() {
            let reason = "the rebuild's record has not been confirmed for too long".to_owned();
            return vec![Outcome::Retry(reason); batch.writes().len()];
        }
        self.sink.write(batch).await
    }

    async fn refresh(&self) -> Result<()> {
        self.sink.refresh().await
    }

    async fn ping(&self) -> Result<()> {
        self.sink.ping().await
    }

    async fn summaries(&self) -> Result<Vec<IndexSummary>> {
        self.sink.summaries().await
    }

    async fn ids(&self, projection: Projection, cursor: Option<String>) -> Result<IdPage> {
        self.sink.ids(projection, cursor).await
    }
}

#[async_trait]
impl Documents for Target {
    async fn get(&self, projection: Projection, ids: &[String]) -> Result<Vec<Option<StoredDocument>>> {
        self.sink.get(projection, ids).await
    }

    async fn get_of(&self, index: &str, ids: &[String]) -> Result<Vec<Option<StoredDocument>>> {
        self.sink.get_of(index, ids).await
    }

    async fn versions(&self, index: &str, cursor: Option<String>) -> Result<VersionPage> {
        self.sink.versions(index, cursor).await
    }
}

#[async_trait]
impl Aliases for Target {
    async fn indexes_behind(&self) -> Result<BTreeMap<Projection, String>> {
        Ok(self.indexes.clone())
    }

    async fn adopt(&self, _: &str) -> Result<Vec<IndexState>> {
        Ok(self.states())
    }

    async fn find_changed(&self, _: &str) -> Result<Vec<Projection>> {
        Ok(Vec::new())
    }

    async fn serve(&self) -> Result<()> {
        // The rebuild settles its indexes itself, once they are full.
        Ok(())
    }

    async fn rebuilds(&self) -> Result<BTreeMap<Projection, (Rebuild, Revision)>> {
        // A rebuild hands over to others, and is handed nothing.
        Ok(BTreeMap::new())
    }

    async fn note_rebuild(&self, _: Projection, _: Option<&Rebuild>, _: Option<&Revision>) -> Result<bool> {
        Ok(false)
    }
}
