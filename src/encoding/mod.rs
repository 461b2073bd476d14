//! How values are encoded, apart from their envelopes: JSON as it is, or Avro, Protobuf and JSON by the schemas of a
//! registry. Every encoding gives one JSON value, so that everything behind reads JSON alone.

mod avro;
mod client;
mod framing;
mod json_schema;
mod meaning;
mod members;
mod protobuf;
mod registered_schema;
mod registry;
mod schema;
mod types;
mod well_known_files;

pub(crate) use self::framing::unframe;
pub(crate) use self::meaning::Meaning;
pub(crate) use self::members::{Member, Members, Text, text};
pub(crate) use self::registry::Look;
pub use self::registry::Registry;
pub(crate) use self::types::Type;
use crate::config::Encoding;

/// The JSON of a framed value, by the schemas that `registry` holds. Without an expected encoding the schema's own is taken.
///
/// # Errors
/// Why the value cannot be read, without the name of the record's part.
pub(crate) fn json(
    bytes: &[u8],
    expected: Option<Encoding>,
    registry: Option<&Registry>,
) -> Result<Vec<u8>, String> {
    let framed = unframe(bytes).ok_or_else(|| {
        format!("no frame of a schema registry (a zero and the schema's id) in {} bytes", bytes.len())
    })?;
    let Some(registry) = registry else {
        if expected == Some(Encoding::JsonSchema) {
            // It can be read by itself. Only the schema says which of its numbers are dates.
            return Ok(framed.payload.to_vec());
        }
        return Err(format!(
            "schema {}: set schema_registry.url, because only a registry knows it",
            framed.id
        ));
    };
    let schema = registry.schema(framed.id)?;
    let found = schema.encoding();
    match expected {
        Some(expected) if expected != found => {
            Err(format!("schema {} is of {}, {} was expected", framed.id, found.name(), expected.name()))
        }
        _ => schema.json(framed.payload).map_err(|reason| format!("schema {}: {reason}", framed.id)),
    }
}

/// The id of the schema that must be known before [`json`] can read these bytes.
pub(crate) fn schema_of(bytes: &[u8]) -> Option<u32> {
    unframe(bytes).map(|framed| framed.id)
}
