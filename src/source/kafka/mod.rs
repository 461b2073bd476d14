//! Kafka: partitions are assigned by us and read from our own positions; the group's offsets are only
//! told, never asked.

mod elector;
mod ids;
mod members;
mod notices;
mod reader;
mod remarks;
mod retention;
mod rights;
mod survey;

use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

pub use self::elector::Elector;
pub use self::reader::KafkaSource;
pub use self::rights::is_denied;

use super::driver::{SourceDriver, Subject, Survey};
use crate::config::{KafkaConfig, SourceKind};
use crate::error::Error;

/// A cluster, whose coordinator elects the writer.
pub(super) static KAFKA: SourceDriver = SourceDriver {
    kind: SourceKind {
        name: "kafka",
        is_kafka: true,
        is_folder: false,
        is_coordinated: true,
        has_categories: false,
        has_one_form: false,
    },
    open: |config| Ok(Box::new(KafkaSource::open(&config.kafka, config.topics())?)),
    leadership: |config, in_flight| {
        let topics = config.topics().into_iter().map(|(topic, _)| topic).collect();
        Ok(Arc::new(Elector::start(&config.kafka, topics, in_flight)?))
    },
    address: "kafka.brokers",
    settings: Some("kafka.properties"),
    exposure: |_| None,
    survey: Some(Survey { unless_wrong: &[Subject::Brokers], look: remarks::look }),
};

/// A client with the configured properties
/// (<https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md>).
pub fn client_config(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", "tributary")
        .set("socket.keepalive.enable", "true");
    for (name, value) in &config.properties {
        client.set(name, value);
    }
    client.set_log_level(RDKafkaLogLevel::Warning);
    client
}

/// Why no client can be made of these properties. The library's own error is not attached: it shows the value, which may
/// be a secret, also under a name that is none.
pub fn no_client(what: &str, error: &KafkaError) -> Error {
    let reason = match error {
        KafkaError::ClientConfig(_, reason, name, value) => {
            let reason = KafkaConfig::without_secret(name, value, reason.trim_end_matches('.'));
            format!("{name}: {reason}")
        }
        other => other.to_string(),
    };
    Error::usage(format!("kafka.properties: no {what} can be made: {reason}"))
}
