//! An engine as the application sees it: the kind of its index, how that is written, and how it is searched.

use std::sync::Arc;

use crate::config::{IndexConfig, IndexKind};
use crate::error::Result;
use crate::plan::Projection;
use crate::search::SearchIndex;
use crate::sink::index::Index;
use crate::sink::mapping::MappingFaults;

/// An index, and the faults of the mappings of projections.
pub(crate) type Examination = (Arc<dyn Index>, MappingFaults);

/// Makes a writing side for these projections.
type Make<T> = fn(&IndexConfig, &[Projection]) -> Result<T>;

/// The engine of one kind of index.
pub(crate) struct EngineDriver {
    /// The kind of index that it holds.
    pub(crate) kind: IndexKind,
    /// Makes the writing side.
    pub(crate) sink: Make<Arc<dyn Index>>,
    /// As `sink`, with the faults of the mappings.
    pub(crate) examine: Make<Examination>,
    /// Makes the searching side.
    pub(crate) search_index: fn(&IndexConfig) -> Result<Arc<dyn SearchIndex>>,
}
