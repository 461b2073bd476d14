//! Adapters by the configuration.

use std::sync::Arc;

use crate::config::Config;
use crate::engine::{self, Examination};
use crate::error::Result;
use crate::search::SearchIndex;
use crate::search::service::Searcher;
use crate::sink::index::Index;

/// The configured index, for writing. Opens nothing yet.
pub(super) fn sink(config: &Config) -> Result<Arc<dyn Index>> {
    (engine::find(config)?.sink)(&config.index, &config.projections())
}

/// As [`sink`], with the faults of the mappings of projections.
pub(super) fn examine(config: &Config) -> Result<Examination> {
    (engine::find(config)?.examine)(&config.index, &config.projections())
}

/// The configured index, for searching. Opens nothing yet.
pub(super) fn search_index(config: &Config) -> Result<Arc<dyn SearchIndex>> {
    (engine::find(config)?.search_index)(&config.index)
}

/// A searcher over the configured index. Opens nothing yet.
pub(super) fn searcher(config: &Config) -> Result<Searcher> {
    Ok(Searcher::new(search_index(config)?, config.plan(), &config.index.projections))
}
