//! The kinds of index: one line each. A new engine is a folder of `sink/`, one of `search/`, and a line here.

use std::sync::Arc;

use crate::config::{Config, IndexConfig, IndexKind};
use crate::error::{Error, Result};
use crate::search::SearchIndex;
use crate::search::elasticsearch::ElasticsearchIndex;
use crate::search::embedded::EmbeddedIndex;
use crate::sink::elasticsearch::ElasticsearchSink;
use crate::sink::embedded::EmbeddedSink;
use crate::sink::index::Index;

/// An index, and the faults of the mappings of projections, by the projections' numbers.
pub(super) type Examined = (Arc<dyn Index>, Vec<(usize, Error)>);

/// Makes a writing side for the projections of these names.
type Make<T> = fn(&IndexConfig, &[&str]) -> Result<T>;

/// An engine: how its index is written, and how it is searched.
pub(super) struct Driver {
    /// Makes the writing side.
    pub(super) sink: Make<Arc<dyn Index>>,
    /// As `sink`, with the faults of the mappings.
    pub(super) examine: Make<Examined>,
    /// Makes the searching side.
    pub(super) search_index: fn(&IndexConfig) -> Result<Arc<dyn SearchIndex>>,
}

/// The engine of each kind of index.
static ENGINES: [(IndexKind, &Driver); 3] = [
    (IndexKind::Elasticsearch, &CLUSTER),
    (IndexKind::OpenSearch, &CLUSTER),
    (IndexKind::Embedded, &EMBEDDED),
];

static CLUSTER: Driver = Driver {
    sink: |config, projections| Ok(Arc::new(ElasticsearchSink::new(config, projections)?)),
    examine: |config, projections| {
        let (sink, wrong) = ElasticsearchSink::examine(config, projections)?;
        Ok((Arc::new(sink), wrong))
    },
    search_index: |config| Ok(Arc::new(ElasticsearchIndex::new(config)?)),
};

static EMBEDDED: Driver = Driver {
    sink: |config, projections| Ok(Arc::new(EmbeddedSink::new(config, projections)?)),
    examine: |config, projections| {
        let (sink, wrong) = EmbeddedSink::examine(config, projections)?;
        Ok((Arc::new(sink), wrong))
    },
    search_index: |config| Ok(Arc::new(EmbeddedIndex::new(config))),
};

/// The driver of the configured engine.
pub(super) fn driver(config: &Config) -> Result<&'static Driver> {
    of_kind(config.index.kind)
}

fn of_kind(kind: IndexKind) -> Result<&'static Driver> {
    let found = ENGINES.iter().find(|(known, _)| *known == kind);
    found.map(|(_, driver)| *driver).ok_or_else(|| {
        Error::failed(format!("no engine is known for the index {kind:?}; this is a bug, report it"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_index_has_an_engine() {
        for (name, kind) in IndexKind::ALL {
            assert!(of_kind(kind).is_ok(), "{name}");
        }
        assert_eq!(ENGINES.len(), IndexKind::ALL.len());
    }
}
