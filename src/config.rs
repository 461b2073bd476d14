//! The configuration: one file, each key also by environment, unknown keys refused with the nearest known one.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The resolved settings of one process (contract, section 6).
#[derive(Clone, PartialEq)]
pub struct Config {
    /// The state's folder.
    pub state: PathBuf,
    /// Where records come from.
    pub source: SourceConfig,
    /// The Kafka cluster, used by the source `kafka` and by dead letters of kind `kafka`.
    pub kafka: KafkaConfig,
    /// The topics of organisations.
    pub organisations: EntityConfig,
    /// The topics of contacts.
    pub contacts: EntityConfig,
    /// `[events.types]`: full event type to what it does.
    pub event_types: BTreeMap<String, TypeRule>,
    /// The index.
    pub index: IndexConfig,
    /// Where poison records go.
    pub dead_letters: DeadLetterConfig,
    /// The HTTP server.
    pub http: HttpConfig,
}

/// Which source is read.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// `kafka` or `files`.
    pub kind: SourceKind,
    /// The folder of a `files` source.
    pub path: PathBuf,
}

/// The kinds of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A Kafka cluster.
    Kafka,
    /// A folder of JSON lines.
    Files,
}

/// `[kafka]`.
#[derive(Clone, PartialEq)]
pub struct KafkaConfig {
    /// `host:port`, several by commas.
    pub brokers: String,
    /// The consumer group: carries the delivered frontier, and elects the writer.
    pub group: String,
    /// Any librdkafka property. May hold secrets: never print the values.
    pub properties: BTreeMap<String, String>,
}

/// `[organisations]` and `[contacts]`.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityConfig {
    /// The topics that carry this entity.
    pub topics: Vec<String>,
    /// The envelope of their records.
    pub format: Format,
}

/// The envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// CloudEvents 1.0 JSON, structured or binary.
    CloudEvents,
    /// Debezium change events.
    Debezium,
    /// Rows routed by Debezium's outbox event router.
    Outbox,
    /// The value is the entity's full state.
    Plain,
}

/// An entry of `[events.types]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeRule {
    /// The data is the whole state.
    Replace,
    /// The data is a merge patch.
    Merge,
    /// The entity is deleted.
    Delete,
    /// The record is passed over.
    Ignore,
}

/// `[index]`.
#[derive(Clone, PartialEq)]
pub struct IndexConfig {
    /// `elasticsearch` or `embedded`.
    pub kind: IndexKind,
    /// The servers' addresses.
    pub urls: Vec<String>,
    /// Basic authentication. Never print the password.
    pub username: Option<String>,
    /// Basic authentication.
    pub password: Option<String>,
    /// An Elasticsearch API key (the encoded form). Never print it.
    pub api_key: Option<String>,
    /// A PEM file of the certificate authority that signed the server's certificate.
    pub ca_certificate: Option<PathBuf>,
    /// The folder of an embedded index.
    pub path: PathBuf,
    /// Put before each alias.
    pub prefix: String,
    /// A folder of `<projection>.json`; the built-in mappings when it does not exist.
    pub mappings: PathBuf,
    /// The projections to keep, in the registry's order.
    pub projections: Vec<String>,
    /// How changes become searchable.
    pub refresh: Refresh,
    /// At most this many contacts are embedded in an organisation.
    pub max_embedded_contacts: usize,
}

/// The kinds of index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// An Elasticsearch cluster.
    Elasticsearch,
    /// A folder; no server needed.
    Embedded,
}

/// `index.refresh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Our own refresh at low rates, the index's interval at high ones.
    Adaptive,
    /// Leave it to the index's interval.
    Interval,
}

/// `[dead_letters]`.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetterConfig {
    /// `file` or `kafka`.
    pub kind: DeadLetterKind,
    /// The file of kind `file`.
    pub path: PathBuf,
    /// The topic of kind `kafka`.
    pub topic: String,
}

/// Where dead letters go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterKind {
    /// A file of JSON lines.
    File,
    /// A Kafka topic.
    Kafka,
}

/// `[http]`.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpConfig {
    /// The address to listen on; loopback unless told otherwise.
    pub listen: String,
}
