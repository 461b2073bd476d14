//! The engine of a folder, without a server.

mod index;
mod search;

use std::sync::Arc;

pub use self::index::EmbeddedSink;
pub use self::search::EmbeddedIndex;
use super::driver::EngineDriver;
use crate::config::IndexKind;

/// A folder.
pub(super) static EMBEDDED: EngineDriver = EngineDriver {
    kind: IndexKind { name: "embedded", is_server: false, has_api_keys: false },
    sink: |config, projections| Ok(Arc::new(EmbeddedSink::new(config, projections)?)),
    examine: |config, projections| {
        let (sink, wrong) = EmbeddedSink::examine(config, projections)?;
        Ok((Arc::new(sink), wrong))
    },
    search_index: |config| Ok(Arc::new(EmbeddedIndex::new(config))),
};
