//! Protobuf by the schemas of a registry, as text or as descriptors, and its own mapping to JSON
//! (<https://protobuf.dev/programming-guides/json/>).

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::framing::message_indexes;
use super::registered_schema::RegisteredSchema;
use super::well_known_files::{self, WellKnownFiles};
use crate::base64;

/// The name of a schema that came as text, which has none of its own.
const ROOT: &str = "the-schema.proto";

/// The messages of one schema.
#[derive(Debug)]
pub(crate) struct ProtobufSchema {
    pool: DescriptorPool,
    root: String,
    /// True when the schema came as text. A serializer that registers text does not count the entries of maps when it
    /// says which message it wrote, although they are messages.
    is_text: bool,
    /// True when messages may hold dates, times of day or decimals.
    has_types: bool,
}

impl ProtobufSchema {
    /// Reads a schema with those that it imports.
    ///
    /// # Errors
    /// The fault of the schema.
    pub(super) fn parse(schema: &RegisteredSchema) -> Result<Self, String> {
        let (root, is_text) = file(ROOT, &schema.text)?;
        let name = root.name().to_owned();
        let mut files = HashMap::from([(name.clone(), root)]);
        for (name, text) in &schema.references {
            // Another file may stand under the same name: the one that the schema itself names goes before it.
            let found = file(name, text)?.0;
            files.entry(name.clone()).or_insert(found);
        }
        let mut resolver = ChainFileResolver::new();
        resolver.add(GoogleFileResolver::new());
        resolver.add(SchemaFiles(files));
        resolver.add(WellKnownFiles);
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.open_file(&name).map_err(|error| error.to_string())?;
        let pool = compiler.descriptor_pool();
        let has_types = well_known_files::has_types(&pool);
        Ok(Self { pool, root: name, is_text, has_types })
    }

    /// The JSON of a message behind the indexes that name it.
    ///
    /// # Errors
    /// A value that does not fit the schema.
    pub(crate) fn json(&self, payload: &[u8]) -> Result<Vec<u8>, String> {
        let (indexes, payload) = message_indexes(payload).ok_or("the message's indexes do not end")?;
        let message =
            self.message(&indexes).ok_or_else(|| format!("no message has the indexes {indexes:?}"))?;
        let of = message.clone();
        let message = DynamicMessage::decode(message, payload).map_err(|error| error.to_string())?;
        let mut out = Vec::with_capacity(payload.len() * 3 + 64);
        let mut serializer = serde_json::Serializer::new(&mut out);
        message
            .serialize_with_options(&mut serializer, &SerializeOptions::new())
            .map_err(|error| error.to_string())?;
        let said = if self.has_types { std::str::from_utf8(&out).ok() } else { None };
        let said = said.and_then(|json| well_known_files::meaning_of(&of, json));
        Ok(said.map_or(out, String::into_bytes))
    }

    fn message(&self, indexes: &[usize]) -> Option<MessageDescriptor> {
        let file = self.pool.get_file_by_name(&self.root)?;
        let (first, rest) = indexes.split_first()?;
        let mut found = file.messages().nth(*first)?;
        for index in rest {
            let counts = |child: &MessageDescriptor| !(self.is_text && child.is_map_entry());
            let child = found.child_messages().filter(counts).nth(*index)?;
            found = child;
        }
        Some(found)
    }
}

/// A file out of its text or its descriptor in base64; true when it was text.
fn file(name: &str, text: &str) -> Result<(File, bool), String> {
    let descriptor = base64::decode(text.trim());
    if let Some(file) = descriptor.and_then(|bytes| File::decode_file_descriptor_proto(bytes.as_slice()).ok())
    {
        return Ok((file, false));
    }
    File::from_source(name, text).map(|file| (file, true)).map_err(|error| error.to_string())
}

/// Files by their names.
struct SchemaFiles(HashMap<String, File>);

impl FileResolver for SchemaFiles {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        self.0.get(name).cloned().ok_or_else(|| protox::Error::file_not_found(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_by_their_indexes_and_entries_of_maps_do_not_count_in_text() {
        let text = r#"syntax = "proto3"; package x; import "google/protobuf/timestamp.proto"; import "common.proto";
            message First { string id = 1; }
            message Second { map<string, string> labels = 1; message Inner { string id = 1; common.Address address = 2;
              google.protobuf.Timestamp created_at = 3; int64 big = 4; double ratio = 5; } }"#;
        let common = r#"syntax = "proto3"; package common; message Address { string city = 1; }"#;
        let schema = RegisteredSchema {
            kind: "PROTOBUF".to_owned(),
            text: text.to_owned(),
            references: vec![("common.proto".to_owned(), common.to_owned())],
        };
        let schema = ProtobufSchema::parse(&schema).unwrap();
        let json = |bytes: &[u8]| schema.json(bytes).map(|json| String::from_utf8(json).unwrap());
        assert_eq!(json(&[0, 0x0a, 1, b'a']).unwrap(), r#"{"id":"a"}"#);
        assert_eq!(
            json(&[4, 2, 0, 0x12, 3, 0x0a, 1, b'L', 0x1a, 0, 0x20, 7]).unwrap(),
            r#"{"address":{"city":"L"},"createdAt":"1970-01-01T00:00:00Z","big":"7"}"#
        );
        assert_eq!(json(&[4, 2, 0, 0x29, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]).unwrap(), r#"{"ratio":"NaN"}"#);
        assert!(json(&[2, 8]).unwrap_err().contains("no message"));
        assert!(json(&[0, 0x0a]).is_err());
        let broken =
            RegisteredSchema { kind: String::new(), text: "message {".to_owned(), references: Vec::new() };
        assert!(ProtobufSchema::parse(&broken).is_err());
    }

    #[test]
    fn files_that_serializers_know_are_imported_and_their_types_are_said() {
        // As Connect's converter for Protobuf registers the schema of a table.
        let text = r#"syntax = "proto3"; package app;
            import "confluent/meta.proto"; import "confluent/type/decimal.proto"; import "google/type/date.proto";
            import "google/type/timeofday.proto"; import "google/protobuf/wrappers.proto";
            message Value { option (confluent.message_meta) = { doc: "a row" };
              int32 branches = 1 [(confluent.field_meta) = { params: [{ key: "connect.type", value: "int16" }] }];
              confluent.type.Decimal revenue = 2 [(confluent.field_meta) = { params: [
                { value: "18", key: "precision" }, { value: "2", key: "scale" }] }];
              google.type.Date founded = 3; google.type.TimeOfDay opens_at = 4; repeated google.type.Date days = 5;
              map<string, Value> parts = 6; google.protobuf.StringValue name = 7; }"#;
        let schema = RegisteredSchema { kind: String::new(), text: text.to_owned(), references: Vec::new() };
        let schema = ProtobufSchema::parse(&schema).unwrap();
        let bytes = [
            &[0, 8, 3, 0x12, 11, 0x0a, 5, 0x1c, 0xbe, 0x99, 0x1a, 0x14, 0x10, 18, 0x18, 2][..],
            &[0x1a, 7, 8, 0xc3, 0x0f, 0x10, 3, 0x18, 9, 0x22, 4, 8, 8, 0x10, 30],
            &[0x2a, 7, 8, 0xc3, 0x0f, 0x10, 3, 0x18, 9, 0x2a, 2, 8, 1],
            &[0x32, 7, 0x0a, 1, b'a', 0x12, 2, 0x22, 0, 0x3a, 3, 0x0a, 1, b'x'],
        ]
        .concat();
        assert_eq!(
            String::from_utf8(schema.json(&bytes).unwrap()).unwrap(),
            r#"{"branches":3,"revenue":1234567890.12,"founded":"1987-03-09","opensAt":"08:30:00","days":["1987-03-09",{"year":1}],"parts":{"a":{"opensAt":"00:00:00"}},"name":"x"}"#
        );
    }
}
