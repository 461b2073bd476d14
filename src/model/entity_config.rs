//! How the records of an entity type are read: the source section of an entity.

use std::collections::BTreeMap;

/// The source section of an entity type: topics, envelope, encodings and names.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityConfig {
    /// The topics that carry this entity.
    pub topics: Vec<String>,
    /// The envelope of their records.
    pub format: Format,
    /// How the values are encoded.
    pub encoding: Encoding,
    /// How the keys are encoded. Without it, the frame of a key decides.
    pub key_encoding: Option<Encoding>,
    /// The version of an event in the format `debezium`: it orders the events of one entity.
    pub version: VersionRule,
    /// Names of fields as the producer has them, each with the name that it is read as.
    pub rename: BTreeMap<String, String>,
    /// How the producer writes the names of fields, where it is not as the model has them.
    pub naming: Option<Naming>,
    /// The meaning of numbers in fields.
    pub from: BTreeMap<String, FromRule>,
    /// The effect of a truncation in the format `debezium`; unless it is said, a delete where the topic has one partition.
    pub truncate: Option<TruncateRule>,
    /// The fields that make the id; when there are none, the key has one field, or is the id.
    pub key: Vec<String>,
}

/// The version of a change event: it orders the change events of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionRule {
    /// The record's offset.
    Offset,
    /// `source.lsn`.
    Lsn,
}

/// How names of several words are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// `first_name`.
    SnakeCase,
}

/// The meaning of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromRule {
    /// A text of its digits.
    Number,
    /// A date, in days since the Unix epoch.
    Days,
    /// A moment, in seconds since the Unix epoch.
    Seconds,
    /// The same in milliseconds.
    Millis,
    /// The same in microseconds.
    Micros,
    /// The same in nanoseconds.
    Nanos,
}

/// The effect of a table's truncation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TruncateRule {
    /// All entities that came from the topic before are deleted.
    Delete,
    /// The program stops.
    Stop,
    /// The record is passed over.
    Ignore,
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

/// How values are encoded, in any envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// JSON, as it is.
    Json,
    /// Avro by a schema registry.
    Avro,
    /// Protobuf by a schema registry.
    Protobuf,
    /// JSON in the frame of a schema registry.
    JsonSchema,
}

impl Format {
    /// Every envelope, the default first.
    pub const ALL: [Self; 4] = [Self::CloudEvents, Self::Debezium, Self::Outbox, Self::Plain];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Format::CloudEvents => "cloudevents",
            Format::Debezium => "debezium",
            Format::Outbox => "outbox",
            Format::Plain => "plain",
        }
    }
}

impl Encoding {
    /// Every encoding, the default first.
    pub const ALL: [Self; 4] = [Self::Json, Self::Avro, Self::Protobuf, Self::JsonSchema];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Avro => "avro",
            Self::Protobuf => "protobuf",
            Self::JsonSchema => "json-schema",
        }
    }
}

impl FromRule {
    /// Every rule.
    pub const ALL: [Self; 6] =
        [Self::Number, Self::Days, Self::Seconds, Self::Millis, Self::Micros, Self::Nanos];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Days => "days",
            Self::Seconds => "seconds",
            Self::Millis => "millis",
            Self::Micros => "micros",
            Self::Nanos => "nanos",
        }
    }
}

impl Naming {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        let Self::SnakeCase = self;
        "snake_case"
    }
}

impl EntityConfig {
    /// The defaults of an entity type of this name.
    pub fn of(name: &str) -> Self {
        Self {
            topics: vec![name.to_owned()],
            format: Format::CloudEvents,
            encoding: Encoding::Json,
            key_encoding: None,
            version: VersionRule::Offset,
            rename: BTreeMap::new(),
            naming: None,
            from: BTreeMap::new(),
            truncate: None,
            key: Vec::new(),
        }
    }

    /// The names and values that are read otherwise than they are written, as stable text.
    pub(crate) fn reading(&self) -> String {
        let naming = self.naming.map(|Naming::SnakeCase| "naming=snake_case".to_owned());
        let rename = self.rename.iter().map(|(written, name)| format!("{written}={name}"));
        let from = self.from.iter().map(|(name, rule)| format!("{name}<{}", rule.name()));
        let parts: Vec<String> = naming.into_iter().chain(rename).chain(from).collect();
        if parts.is_empty() { String::new() } else { format!("{{{}}}", parts.join(",")) }
    }
}

impl TruncateRule {
    /// Every rule.
    pub const ALL: [Self; 3] = [Self::Delete, Self::Stop, Self::Ignore];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Stop => "stop",
            Self::Ignore => "ignore",
        }
    }
}

impl VersionRule {
    /// Every rule, the default first.
    pub const ALL: [Self; 2] = [Self::Offset, Self::Lsn];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            VersionRule::Offset => "offset",
            VersionRule::Lsn => "lsn",
        }
    }
}
