//! Schemas that were read, of any encoding, and the JSON of the values that were written by them.

use super::registered_schema::RegisteredSchema;
use super::types::Type;
use super::{avro, json_schema, protobuf};
use crate::config::Encoding;

/// A schema that was read.
#[derive(Debug)]
pub(crate) enum Schema {
    Avro(avro::AvroSchema),
    Protobuf(protobuf::ProtobufSchema),
    /// JSON as it is written, and the meanings that its schema gives to values.
    Json(Type),
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// The fault of the schema.
    pub(super) fn parse(schema: &RegisteredSchema) -> Result<Self, String> {
        match schema.kind.as_str() {
            "AVRO" => {
                let references: Vec<String> =
                    schema.references.iter().map(|(_, text)| text.clone()).collect();
                avro::AvroSchema::parse(&schema.text, &references).map(Self::Avro)
            }
            "PROTOBUF" => protobuf::ProtobufSchema::parse(schema).map(Self::Protobuf),
            "JSON" => Ok(Self::Json(json_schema::read(&schema.text, &schema.references))),
            other => Err(format!("{other} found, AVRO, PROTOBUF or JSON was expected")),
        }
    }

    /// The encoding of the values that are written by this schema.
    pub(super) fn encoding(&self) -> Encoding {
        match self {
            Self::Avro(_) => Encoding::Avro,
            Self::Protobuf(_) => Encoding::Protobuf,
            Self::Json(_) => Encoding::JsonSchema,
        }
    }

    /// The JSON of a payload.
    ///
    /// # Errors
    /// A value that does not fit the schema.
    pub(super) fn json(&self, payload: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Avro(schema) => avro::json(schema, payload),
            Self::Protobuf(schema) => schema.json(payload),
            Self::Json(of) => {
                let said = std::str::from_utf8(payload).ok().and_then(|value| of.meaning_of(value));
                Ok(said.map_or_else(|| payload.to_vec(), String::into_bytes))
            }
        }
    }
}
