//! A message-db in PostgreSQL (<https://github.com/message-db/message-db>): each topic is a category, a category is one
//! partition, and the offset of a message is its `global_position`.
//!
//! Offsets have gaps, because a transaction that is rolled back takes its number with it. Nothing appears behind the
//! reader within a category: `write_message` holds a lock on the category until its transaction ends. For writers
//! without that lock `stable` holds messages back.

mod connection;
mod elector;
mod horizon;
mod hosts;
mod message;
mod positions;
mod reader;
mod remarks;
mod survey;
mod tls;

use std::sync::Arc;

pub use self::elector::LockElector;
pub use self::reader::PostgresSource;
use super::driver::{SourceDriver, Subject, Survey};
use crate::config::{Config, SourceKind};

/// A message-db, whose locks elect the writer.
pub(super) static POSTGRES: SourceDriver = SourceDriver {
    kind: SourceKind {
        name: "postgres",
        is_kafka: false,
        is_folder: false,
        is_coordinated: true,
        has_categories: true,
        has_one_form: true,
    },
    open: |config| Ok(Box::new(PostgresSource::open(&config.postgres, config.topics())?)),
    leadership: |config, in_flight| {
        let categories = config.topics().into_iter().map(|(topic, _)| topic).collect();
        Ok(Arc::new(LockElector::start(&config.postgres, &config.kafka.group, categories, in_flight)?))
    },
    address: "postgres.url",
    settings: Some("postgres.url"),
    exposure,
    survey: Some(Survey { unless_wrong: &[Subject::Log, Subject::Topics], look: remarks::look }),
};

fn exposure(config: &Config) -> Option<String> {
    config.postgres.may_be_in_clear().then(|| {
        format!(
            "postgres.sslmode: with \"{}\" the password may go over the network without TLS; use \"verify-full\", or at \
             least \"require\"",
            config.postgres.sslmode.name()
        )
    })
}
