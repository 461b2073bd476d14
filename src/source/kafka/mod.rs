//! Kafka: partitions are assigned by us and read from our own positions; the group's offsets are only
//! told, never asked.

mod elector;
mod reader;
mod retention;
mod told;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

pub use self::elector::Elector;
pub use self::reader::KafkaSource;

use crate::config::KafkaConfig;

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
