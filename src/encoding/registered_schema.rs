//! Schemas as registries hold them, with those that they refer to.

/// A schema as the registry has it.
#[derive(Debug, Clone, Default)]
pub(super) struct RegisteredSchema {
    /// `AVRO`, `PROTOBUF` or `JSON`.
    pub(super) kind: String,
    pub(super) text: String,
    /// The schemas that it refers to, by the names that it has for them; those that refer to others come behind these.
    pub(super) references: Vec<(String, String)>,
}
