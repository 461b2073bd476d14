//! The configuration: one file, each key also by environment, unknown keys refused with the nearest known one.

mod address;
mod conflicts;
mod kinds;
mod layers;
mod postgres;
mod settings;
#[cfg(test)]
mod tests;
pub mod toml_text;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value, json};

pub use self::address::{is_of_this_machine, without_secrets};
pub use self::kinds::{IndexKind, Kinds, SourceKind};
pub use self::layers::keys;
pub use self::postgres::{PostgresConfig, SslMode, StabilityRule};
pub use self::settings::Flags;
pub use crate::model::entity_config::{
    Encoding, EntityConfig, Format, FromRule, Naming, TruncateRule, VersionRule,
};
use crate::model::mapping::Shape;
use crate::model::toml_text::field_value;
use crate::model::{self, Model};
use crate::plan::{EntityType, PlanRef, Projection};

/// The resolved settings of one process (docs/configuration.md).
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The state's folder.
    pub state: PathBuf,
    /// The model in force: that of the file that `model` names, or the built-in one. The sections of its entity types
    /// and `index.max_embedded_contacts` are in their places.
    pub model: Arc<Model>,
    /// Where records come from.
    pub source: SourceConfig,
    /// The Kafka cluster, used by the source `kafka` and by dead letters of kind `kafka`.
    pub kafka: KafkaConfig,
    /// The message-db of the source `postgres`.
    pub postgres: PostgresConfig,
    /// `[schema_registry]`, when one is named.
    pub schema_registry: Option<RegistryConfig>,
    /// `[events.types]`: the effect of each full event type.
    pub event_types: BTreeMap<String, TypeRule>,
    /// The index.
    pub index: IndexConfig,
    /// Where poison records go.
    pub dead_letters: DeadLetterConfig,
    /// The HTTP server.
    pub http: HttpConfig,
    /// `[traces]`, when a collector is named.
    pub traces: Option<TracesConfig>,
}

/// Which source is read.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// One of the kinds that the sources offer.
    pub kind: &'static SourceKind,
    /// The folder of a `files` source.
    pub path: PathBuf,
}

/// `[kafka]`.
#[derive(Clone, PartialEq)]
pub struct KafkaConfig {
    /// `host:port`, several by commas.
    pub brokers: String,
    /// The consumer group: carries the low watermark, and elects the writer.
    pub group: String,
    /// Any librdkafka property. May hold secrets: never print the values.
    pub properties: BTreeMap<String, String>,
}

/// `[schema_registry]`.
#[derive(Clone, PartialEq)]
pub struct RegistryConfig {
    /// The registry's address, with the path under which Confluent's API answers.
    pub url: String,
    /// Basic authentication. Never print the password.
    pub username: Option<String>,
    /// Basic authentication.
    pub password: Option<String>,
    /// A PEM file of the certificate authority that signed the registry's certificate.
    pub ca_certificate: Option<PathBuf>,
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
    /// One of the kinds that the engines offer.
    pub kind: &'static IndexKind,
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
    /// A folder of `<projection>.json`; the mappings that follow from the model where a file does not exist.
    pub mappings: PathBuf,
    /// The mapping and the shape that the model gives to the index of each projection, by its name.
    pub derived: BTreeMap<String, DerivedMapping>,
    /// The plan of the model, which says how documents are searched.
    pub plan: PlanRef,
    /// The projections to keep, in the registry's order.
    pub projections: Vec<String>,
    /// How changes become searchable.
    pub refresh: Refresh,
    /// At most this many members are embedded where the built-in model leaves it to the configuration.
    pub max_embedded_contacts: usize,
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
    /// At most so many bytes of dead letters wait on the disk for a topic that is away.
    pub spill_bytes: u64,
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
#[derive(Clone, PartialEq)]
pub struct HttpConfig {
    /// The address to listen on; loopback unless told otherwise.
    pub listen: String,
    /// The bearer token that the administrative routes ask for; without one they are open on loopback, and closed elsewhere.
    pub token: Option<String>,
    /// The names by which it is asked, besides its addresses, `localhost` and the name in `listen`.
    pub hosts: Vec<String>,
    /// The origins whose scripts may read searches and documents (CORS); none unless told otherwise, `*` is every one.
    pub cors_origins: Vec<String>,
}

/// `[traces]`.
#[derive(Clone, PartialEq, Eq)]
pub struct TracesConfig {
    /// The collector of OpenTelemetry that spans go to. Its address may hold secrets: never print it.
    pub endpoint: String,
}

/// The mapping and the shape that the model gives to the index of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedMapping {
    /// The text of its mapping.
    pub mapping: String,
    /// The documents' shape; `None` for the built-in model, whose shape is the program's.
    pub shape: Option<Shape>,
}

impl Config {
    /// The plan of the model.
    pub fn plan(&self) -> PlanRef {
        self.index.plan
    }

    /// The configured projections, as the model has them.
    pub fn projections(&self) -> Vec<Projection> {
        let names = self.index.projections.iter();
        names.filter_map(|name| self.plan().projection(name)).collect()
    }

    /// The entity types with the sections that say how their records are read.
    pub fn entities(&self) -> impl Iterator<Item = (EntityType, &EntityConfig)> {
        self.plan().entity_types().zip(self.model.entities.iter().map(|entity| &entity.source))
    }

    /// Every topic with its entity type.
    pub fn topics(&self) -> Vec<(String, EntityType)> {
        let named =
            self.entities().flat_map(|(of, section)| section.topics.iter().map(move |topic| (topic, of)));
        named.map(|(topic, of)| (topic.clone(), of)).collect()
    }

    /// The settings that the state depends on: topics, formats and event types, as stable text.
    pub fn fingerprint(&self) -> String {
        let entity = |name: &str, entity: &EntityConfig| {
            let format = match entity.format {
                Format::Debezium => format!("debezium/{}", entity.version.name()),
                format => format.name().to_owned(),
            };
            let key =
                if entity.key.is_empty() { String::new() } else { format!("({})", entity.key.join(",")) };
            let encoding = match (entity.encoding, entity.key_encoding) {
                (Encoding::Json, None) => String::new(),
                (value, key) => format!("[{},{}]", value.name(), key.map_or("", Encoding::name)),
            };
            let reading = entity.reading();
            format!("{name}={format}{encoding}{key}{reading}:{}", entity.topics.join(","))
        };
        let mut parts: Vec<String> = if self.model.is_built_in {
            self.model.entities.iter().map(|of| entity(&of.name, &of.source)).collect()
        } else {
            vec![format!("model={}", describe_entities(&self.model))]
        };
        parts.extend(self.event_types.iter().map(|(name, rule)| format!("{name}={}", rule.name())));
        parts.join(";")
    }
}

/// The entity types of a model as JSON: how their records are read, and the declaration of each field.
fn describe_entities(model: &Model) -> Value {
    let field = |field: &model::Field| (field.name.clone(), json!(field_value(field)));
    let entity = |(number, entity): (usize, &model::Entity)| {
        let reading = format!("{number} {:?} {:?}", entity.source, entity.transform);
        let reading = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(reading.as_bytes()));
        let fields: Map<String, Value> = entity.fields.iter().map(field).collect();
        (entity.name.clone(), json!({"reading": reading, "fields": fields}))
    };
    Value::Object(model.entities.iter().enumerate().map(entity).collect())
}

impl TypeRule {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            TypeRule::Replace => "replace",
            TypeRule::Merge => "merge",
            TypeRule::Delete => "delete",
            TypeRule::Ignore => "ignore",
        }
    }
}

/// Stands for a secret where something is shown.
const HIDDEN: &str = "(hidden)";

fn mask(secret: &Option<String>) -> &'static str {
    if secret.is_some() { HIDDEN } else { "none" }
}

/// Parts of the names of secrets, mistyped ones too.
const SECRET: [&str; 6] = ["pas", "secret", "key", "token", "jaas", "credential"];

/// The properties of TLS and authentication that hold no secret. Any other property with such a name may be a
/// mistyped secret.
const OPEN: [&str; 11] = [
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.username",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.endpoint.identification.algorithm",
];

/// True for the librdkafka properties whose values must not be shown.
fn is_secret(property: &str) -> bool {
    let is_of_security = property.starts_with("sasl") || property.starts_with("ssl");
    SECRET.iter().any(|word| property.contains(word)) || is_of_security && !OPEN.contains(&property)
}

impl KafkaConfig {
    /// A text of librdkafka's about one of its properties, without the value when that must not be shown.
    pub fn without_secret(property: &str, value: &str, text: &str) -> String {
        if is_secret(property) && !value.is_empty() { text.replace(value, HIDDEN) } else { text.to_owned() }
    }
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): (&String, &String)| {
            (name.clone(), if is_secret(name) { HIDDEN.to_owned() } else { value.clone() })
        };
        let properties: BTreeMap<String, String> = self.properties.iter().map(shown).collect();
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("group", &self.group)
            .field("properties", &properties)
            .finish()
    }
}

impl fmt::Debug for IndexConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexConfig")
            .field("kind", &self.kind.name)
            .field("urls", &self.urls.iter().map(|url| without_secrets(url)).collect::<Vec<_>>())
            .field("username", &self.username)
            .field("password", &mask(&self.password))
            .field("api_key", &mask(&self.api_key))
            .field("ca_certificate", &self.ca_certificate)
            .field("path", &self.path)
            .field("prefix", &self.prefix)
            .field("mappings", &self.mappings)
            .field("projections", &self.projections)
            .field("refresh", &self.refresh)
            .field("max_embedded_contacts", &self.max_embedded_contacts)
            .finish()
    }
}

impl fmt::Debug for RegistryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryConfig")
            .field("url", &without_secrets(&self.url))
            .field("username", &self.username)
            .field("password", &mask(&self.password))
            .field("ca_certificate", &self.ca_certificate)
            .finish()
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig")
            .field("listen", &self.listen)
            .field("token", &mask(&self.token))
            .field("hosts", &self.hosts)
            .field("cors_origins", &self.cors_origins)
            .finish()
    }
}

impl fmt::Debug for TracesConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracesConfig").field("endpoint", &without_secrets(&self.endpoint)).finish()
    }
}
