//! An engine as the application sees it: how its index is written, and how it is searched.

use std::sync::Arc;

use crate::config::IndexConfig;
use crate::error::{Error, Result};
use crate::search::SearchIndex;
use crate::sink::index::Index;

/// An index, and the faults of the mappings of projections, by the projections' numbers.
pub(crate) type Examined = (Arc<dyn Index>, Vec<(usize, Error)>);

/// Makes a writing side for the projections of these names.
type Make<T> = fn(&IndexConfig, &[&str]) -> Result<T>;

/// The engine of an index.
pub(crate) struct Driver {
    /// Makes the writing side.
    pub(crate) sink: Make<Arc<dyn Index>>,
    /// As `sink`, with the faults of the mappings.
    pub(crate) examine: Make<Examined>,
    /// Makes the searching side.
    pub(crate) search_index: fn(&IndexConfig) -> Result<Arc<dyn SearchIndex>>,
}
