//! The engine of a cluster, of Elasticsearch or OpenSearch.

mod index;
mod search;

use std::sync::Arc;

pub use self::index::ElasticsearchSink;
use self::search::ElasticsearchIndex;
use super::driver::Driver;

/// A cluster. The server says which product answers.
pub(super) static CLUSTER: Driver = Driver {
    sink: |config, projections| Ok(Arc::new(ElasticsearchSink::new(config, projections)?)),
    examine: |config, projections| {
        let (sink, wrong) = ElasticsearchSink::examine(config, projections)?;
        Ok((Arc::new(sink), wrong))
    },
    search_index: |config| Ok(Arc::new(ElasticsearchIndex::new(config)?)),
};
