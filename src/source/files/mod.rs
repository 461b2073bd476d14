//! A folder of JSON lines.

mod reader;

use std::sync::Arc;

pub use self::reader::FilesSource;
use super::driver::SourceDriver;
use super::leadership::SingleInstance;
use crate::config::SourceKind;

/// A folder, which has no servers and no election.
pub(super) static FILES: SourceDriver = SourceDriver {
    kind: SourceKind {
        name: "files",
        is_kafka: false,
        is_folder: true,
        is_coordinated: false,
        has_categories: false,
        has_one_form: false,
    },
    open: |config| Ok(Box::new(FilesSource::open(&config.source.path, config.topics())?)),
    leadership: |_, _| Ok(Arc::new(SingleInstance::default())),
    address: "source.path",
    settings: None,
    exposure: |_| None,
    survey: None,
};
