//! The engines that hold an index. A new engine is a folder here, and a line in the table `ENGINES`.
//!
//! The folder of an engine has its index, its search and its driver. Everything that is equal for all engines lies
//! beside the ports, in `sink/` and `search/`.

mod driver;
pub mod elasticsearch;
pub mod embedded;

use self::driver::Driver;
pub(crate) use self::driver::Examined;
use crate::config::{Config, IndexKind};
use crate::error::{Error, Result};

/// The engine of each kind of index.
static ENGINES: [(IndexKind, &Driver); 3] = [
    (IndexKind::Elasticsearch, &elasticsearch::CLUSTER),
    (IndexKind::OpenSearch, &elasticsearch::CLUSTER),
    (IndexKind::Embedded, &embedded::EMBEDDED),
];

/// Finds the engine of the configured index.
pub(crate) fn find(config: &Config) -> Result<&'static Driver> {
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
