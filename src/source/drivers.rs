//! The table of sources. A new source is a folder beside this file, and a line in the table `SOURCES`.

use super::driver::SourceDriver;
use super::{files, kafka, postgres};
use crate::config::{Config, SourceKind};
use crate::error::{Error, Result};

/// The source of each kind, the default first.
static SOURCES: &[&SourceDriver] = &[&kafka::KAFKA, &files::FILES, &postgres::POSTGRES];

/// The kinds of source that a configuration can name, the default first.
pub(crate) fn kinds() -> Vec<&'static SourceKind> {
    SOURCES.iter().map(|driver| &driver.kind).collect()
}

/// Finds the configured source.
pub(crate) fn find(config: &Config) -> Result<&'static SourceDriver> {
    let kind = config.source.kind;
    let found = SOURCES.iter().find(|driver| driver.kind == *kind);
    found.copied().ok_or_else(|| {
        Error::failure(format!("no source is known of the kind {:?}; this is a bug, report it", kind.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Kinds;

    #[test]
    fn every_kind_of_source_is_configured_by_its_name_and_has_its_driver() {
        let kinds = Kinds { sources: kinds(), ..Kinds::examples() };
        assert_eq!(kinds.sources.len(), SOURCES.len());
        for kind in &kinds.sources {
            let config = Config::defaults(&kinds, &vec![("source.kind", kind.name.to_owned())]).unwrap();
            assert_eq!(find(&config).unwrap().kind, **kind);
        }
        let unset = Config::defaults(&kinds, &Vec::new()).unwrap();
        assert_eq!(unset.source.kind.name, "kafka");
    }

    #[test]
    fn the_kinds_that_tests_use_are_those_of_the_drivers() {
        assert_eq!(kinds(), Kinds::examples().sources);
    }
}
