//! Avro (<https://avro.apache.org/docs/1.12.0/specification/>): schemas are read once, records become JSON.

mod reader;
mod schema;

pub(super) use self::reader::json;
pub(super) use self::schema::AvroSchema;
