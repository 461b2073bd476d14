//! Adapters by the configuration.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, IndexKind};
use crate::error::{Error, Result};
use crate::search::SearchIndex;
use crate::search::elasticsearch::ElasticsearchIndex;
use crate::search::embedded::EmbeddedIndex;
use crate::search::service::Searcher;
use crate::sink::documents::{Documents, Stored, VersionPage};
use crate::sink::elasticsearch::ElasticsearchSink;
use crate::sink::embedded::EmbeddedSink;
use crate::sink::generations::{
    Aliases, Description, GenerationSummary, Generations, Gone, Move, Rebuild, Revision,
};
use crate::sink::held::Held;
use crate::sink::tenure::Tenure;
use crate::sink::{Batch, DocumentSink, IdPage, IndexState, IndexSummary, Outcome};

/// The configured index, for writing.
pub(super) enum Sink {
    Elasticsearch(Box<ElasticsearchSink>),
    Embedded(EmbeddedSink),
}

/// Opens nothing yet.
pub(super) fn sink(config: &Config) -> Result<Sink> {
    let names: Vec<&str> = config.index.projections.iter().map(String::as_str).collect();
    Ok(match config.index.kind {
        IndexKind::Elasticsearch | IndexKind::OpenSearch => {
            Sink::Elasticsearch(Box::new(ElasticsearchSink::new(&config.index, &names)?))
        }
        IndexKind::Embedded => Sink::Embedded(EmbeddedSink::new(&config.index, &names)?),
    })
}

/// As [`sink`], with the faults of the mappings of projections, by the projections' numbers.
pub(super) fn examined(config: &Config) -> Result<(Sink, Vec<(usize, Error)>)> {
    let names: Vec<&str> = config.index.projections.iter().map(String::as_str).collect();
    Ok(match config.index.kind {
        IndexKind::Elasticsearch | IndexKind::OpenSearch => {
            let (sink, wrong) = ElasticsearchSink::examine(&config.index, &names)?;
            (Sink::Elasticsearch(Box::new(sink)), wrong)
        }
        IndexKind::Embedded => {
            let (sink, wrong) = EmbeddedSink::examine(&config.index, &names)?;
            (Sink::Embedded(sink), wrong)
        }
    })
}

/// The configured index, for searching. Opens nothing yet.
pub(super) fn search_index(config: &Config) -> Result<Arc<dyn SearchIndex>> {
    Ok(match config.index.kind {
        IndexKind::Elasticsearch | IndexKind::OpenSearch => Arc::new(ElasticsearchIndex::new(&config.index)?),
        IndexKind::Embedded => Arc::new(EmbeddedIndex::new(&config.index)),
    })
}

/// A searcher over the configured index. Opens nothing yet.
pub(super) fn searcher(config: &Config) -> Result<Searcher> {
    Ok(Searcher::new(search_index(config)?, config.plan(), &config.index.projections))
}

/// Calls the same method of either kind of sink.
macro_rules! either {
    ($sink:expr, $inner:ident => $call:expr) => {
        match $sink {
            Sink::Elasticsearch($inner) => $call.await,
            Sink::Embedded($inner) => $call.await,
        }
    };
}

impl Sink {
    /// All that is wrong with the index for a run, each with the key of the configuration. The mappings of the projections
    /// with the numbers in `unread` are not looked at.
    pub(super) async fn check(&self, log_identity: Option<&str>, unread: &[usize]) -> Vec<Error> {
        match self {
            Sink::Elasticsearch(sink) => sink.check(log_identity, unread).await,
            Sink::Embedded(sink) => sink.check_all(log_identity, unread),
        }
    }

    /// The product and the version of the server that holds the index; none of an index without a server.
    pub(super) async fn server(&self) -> Result<Option<String>> {
        match self {
            Sink::Elasticsearch(sink) => sink.server().await.map(Some),
            Sink::Embedded(_) => Ok(None),
        }
    }

    /// How the index of a projection holds a document.
    pub(super) async fn find(&self, projection: usize, id: &str, log_identity: Option<&str>) -> Result<Held> {
        either!(self, sink => sink.find(projection, id, log_identity))
    }
}

impl DocumentSink for Sink {
    async fn open(&self, log_identity: &str) -> Result<Vec<IndexState>> {
        either!(self, sink => sink.open(log_identity))
    }

    async fn write(&self, batch: Batch) -> Vec<Outcome> {
        either!(self, sink => sink.write(batch))
    }

    fn refresh_interval(&self) -> Option<Duration> {
        match self {
            Sink::Elasticsearch(sink) => sink.refresh_interval(),
            Sink::Embedded(sink) => sink.refresh_interval(),
        }
    }

    async fn refresh(&self) -> Result<()> {
        either!(self, sink => sink.refresh())
    }

    async fn ping(&self) -> Result<()> {
        either!(self, sink => sink.ping())
    }

    async fn summaries(&self) -> Result<Vec<IndexSummary>> {
        either!(self, sink => sink.summaries())
    }

    async fn ids(&self, projection: usize, cursor: Option<String>) -> Result<IdPage> {
        either!(self, sink => sink.ids(projection, cursor))
    }
}

impl Documents for Sink {
    async fn get(&self, projection: usize, ids: &[String]) -> Result<Vec<Option<Stored>>> {
        either!(self, sink => sink.get(projection, ids))
    }

    async fn get_of(&self, index: &str, ids: &[String]) -> Result<Vec<Option<Stored>>> {
        either!(self, sink => sink.get_of(index, ids))
    }

    async fn versions(&self, index: &str, cursor: Option<String>) -> Result<VersionPage> {
        either!(self, sink => sink.versions(index, cursor))
    }
}

impl Aliases for Sink {
    async fn behind(&self) -> Result<Vec<Option<String>>> {
        either!(self, sink => sink.behind())
    }

    async fn adopt(&self, log_identity: &str) -> Result<Vec<IndexState>> {
        either!(self, sink => sink.adopt(log_identity))
    }

    async fn changed(&self, log_identity: &str) -> Result<Vec<usize>> {
        either!(self, sink => sink.changed(log_identity))
    }

    async fn serve(&self) -> Result<()> {
        either!(self, sink => sink.serve())
    }

    async fn gone(&self) -> Result<Vec<Gone>> {
        either!(self, sink => sink.gone())
    }

    async fn put_additions(&self) -> Result<Vec<usize>> {
        either!(self, sink => sink.put_additions())
    }

    async fn note_additions(&self) -> Result<()> {
        either!(self, sink => sink.note_additions())
    }

    async fn tenure(&self) -> Result<Option<(Tenure, Revision)>> {
        either!(self, sink => sink.tenure())
    }

    async fn note_tenure(&self, record: &Tenure, was: Option<&Revision>) -> Result<bool> {
        either!(self, sink => sink.note_tenure(record, was))
    }

    async fn rebuilds(&self) -> Result<Vec<Option<(Rebuild, Revision)>>> {
        either!(self, sink => sink.rebuilds())
    }

    async fn note_rebuild(
        &self,
        projection: usize,
        record: Option<&Rebuild>,
        was: Option<&Revision>,
    ) -> Result<bool> {
        either!(self, sink => sink.note_rebuild(projection, record, was))
    }
}

impl Generations for Sink {
    fn new_name(&self, projection: usize) -> String {
        match self {
            Sink::Elasticsearch(sink) => sink.new_name(projection),
            Sink::Embedded(sink) => sink.new_name(projection),
        }
    }

    async fn create(&self, projection: usize, index: &str, log_identity: &str) -> Result<()> {
        either!(self, sink => sink.create(projection, index, log_identity))
    }

    async fn target(&self, indexes: Vec<String>) -> Result<()> {
        either!(self, sink => sink.target(indexes))
    }

    async fn release(&self) {
        either!(self, sink => sink.release());
    }

    async fn settle(&self, projection: usize, index: &str) -> Result<()> {
        either!(self, sink => sink.settle(projection, index))
    }

    async fn count(&self, index: &str) -> Result<u64> {
        either!(self, sink => sink.count(index))
    }

    async fn swap(&self, moves: &[Move]) -> Result<()> {
        either!(self, sink => sink.swap(moves))
    }

    async fn describe(&self, projection: usize) -> Result<Option<Description>> {
        either!(self, sink => sink.describe(projection))
    }

    async fn hash_of(&self, index: &str) -> Result<Option<String>> {
        either!(self, sink => sink.hash_of(index))
    }

    async fn other_shape(&self, projection: usize, index: &str) -> Result<Vec<String>> {
        either!(self, sink => sink.other_shape(projection, index))
    }

    async fn put_in_place(&self, projection: usize) -> Result<bool> {
        either!(self, sink => sink.put_in_place(projection))
    }

    async fn generations(&self, projection: usize) -> Result<Vec<GenerationSummary>> {
        either!(self, sink => sink.generations(projection))
    }

    async fn delete(&self, index: &str) -> Result<()> {
        either!(self, sink => sink.delete(index))
    }
}
