//! The engine of a cluster, of Elasticsearch or OpenSearch.

mod index;
mod kinds;
mod search;

use std::sync::Arc;

pub use self::index::ElasticsearchSink;
use self::search::ElasticsearchIndex;
use super::driver::EngineDriver;
use crate::config::IndexKind;

/// A cluster of Elasticsearch or OpenSearch.
pub(super) static ELASTICSEARCH: EngineDriver = of_kind(kinds::ELASTICSEARCH);
/// A cluster of OpenSearch and of nothing else.
pub(super) static OPENSEARCH: EngineDriver = of_kind(kinds::OPENSEARCH);

/// One driver serves both products, because the server says which one answers.
const fn of_kind(kind: IndexKind) -> EngineDriver {
    EngineDriver {
        kind,
        sink: |config, projections| Ok(Arc::new(ElasticsearchSink::new(config, projections)?)),
        examine: |config, projections| {
            let (sink, wrong) = ElasticsearchSink::examine(config, projections)?;
            Ok((Arc::new(sink), wrong))
        },
        search_index: |config| Ok(Arc::new(ElasticsearchIndex::new(config)?)),
    }
}
