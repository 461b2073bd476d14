//! The engines that hold an index. A new engine is a folder here, and a line in the table `ENGINES`.
//!
//! The folder of an engine has its index, its search and its driver. Everything that is equal for all engines lies
//! beside the ports, in `sink/` and `search/`.

mod driver;
pub mod elasticsearch;
pub mod embedded;

use self::driver::EngineDriver;
pub(crate) use self::driver::Examination;
use crate::config::{Config, IndexKind};
use crate::error::{Error, Result};

/// The engine of each kind of index, the default first.
static ENGINES: &[&EngineDriver] =
    &[&elasticsearch::ELASTICSEARCH, &elasticsearch::OPENSEARCH, &embedded::EMBEDDED];

/// The kinds of index that a configuration can name, the default first.
pub(crate) fn kinds() -> Vec<&'static IndexKind> {
    ENGINES.iter().map(|driver| &driver.kind).collect()
}

/// Finds the engine of the configured index.
pub(crate) fn find(config: &Config) -> Result<&'static EngineDriver> {
    let kind = config.index.kind;
    let found = ENGINES.iter().find(|driver| driver.kind == *kind);
    found.copied().ok_or_else(|| {
        Error::failure(format!("no engine is known for the index {:?}; this is a bug, report it", kind.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Kinds;

    #[test]
    fn every_kind_of_index_is_configured_by_its_name_and_has_its_engine() {
        let kinds = Kinds { indexes: kinds(), ..Kinds::examples() };
        assert_eq!(kinds.indexes.len(), ENGINES.len());
        for kind in &kinds.indexes {
            let config = Config::defaults(&kinds, &vec![("index.kind", kind.name.to_owned())]).unwrap();
            assert_eq!(find(&config).unwrap().kind, **kind);
        }
        let unset = Config::defaults(&kinds, &Vec::new()).unwrap();
        assert_eq!(unset.index.kind.name, "elasticsearch");
    }

    #[test]
    fn the_kinds_that_tests_use_are_those_of_the_drivers() {
        assert_eq!(kinds(), Kinds::examples().indexes);
    }
}
