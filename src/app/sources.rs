//! The kinds of source: one driver each. A new source is a folder of `source/` and a driver here.

use std::sync::Arc;

use super::topics;
use crate::config::{Config, SourceKind};
use crate::error::Result;
use crate::pipeline::status::Status;
use crate::source::EventSource;
use crate::source::files::FilesSource;
use crate::source::kafka::{Elector, KafkaSource};
use crate::source::leadership::{Alone, Leadership};
use crate::source::postgres::{LockElector, PostgresSource};

/// A kind of source: how its log is opened, how its writer is elected, and which keys describe it.
pub(super) struct Driver {
    /// Opens the log for reading.
    pub(super) open: fn(&Config) -> Result<Box<dyn EventSource>>,
    /// Takes part in the election of the writer.
    pub(super) leadership: fn(&Config, &Status) -> Result<Arc<dyn Leadership>>,
    /// True when the log's server elects one instance of a group.
    pub(super) is_coordinated: bool,
    /// The key of the log's address.
    pub(super) address: &'static str,
    /// The key of the client's settings; `None` when there is no client, and every fault is one of the address.
    pub(super) settings: Option<&'static str>,
}

static KAFKA: Driver = Driver {
    open: |config| Ok(Box::new(KafkaSource::open(&config.kafka, topics(config))?)),
    leadership: |config, status| {
        let topics = topics(config).into_iter().map(|(topic, _)| topic).collect();
        Ok(Arc::new(Elector::start(&config.kafka, topics, Arc::clone(&status.in_flight))?))
    },
    is_coordinated: true,
    address: "kafka.brokers",
    settings: Some("kafka.properties"),
};

static FILES: Driver = Driver {
    open: |config| Ok(Box::new(FilesSource::open(&config.source.path, topics(config))?)),
    leadership: |_, _| Ok(Arc::new(Alone::default())),
    is_coordinated: false,
    address: "source.path",
    settings: None,
};

static POSTGRES: Driver = Driver {
    open: |config| Ok(Box::new(PostgresSource::open(&config.postgres, topics(config))?)),
    leadership: |config, status| {
        let topics = topics(config).into_iter().map(|(topic, _)| topic).collect();
        let in_flight = Arc::clone(&status.in_flight);
        Ok(Arc::new(LockElector::start(&config.postgres, &config.kafka.group, topics, in_flight)?))
    },
    is_coordinated: true,
    address: "postgres.url",
    settings: Some("postgres.url"),
};

/// The driver of the configured source.
pub(super) fn driver(config: &Config) -> &'static Driver {
    match config.source.kind {
        SourceKind::Kafka => &KAFKA,
        SourceKind::Files => &FILES,
        SourceKind::Postgres => &POSTGRES,
    }
}
