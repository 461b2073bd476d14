//! Protobuf by the schemas of a registry, as text or as descriptors, and its own mapping to JSON
//! (<https://protobuf.dev/programming-guides/json/>).

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::framing::message_indexes;
use super::registered::Registered;
use crate::base64;

/// The name of a schema that came as text, which has none of its own.
const ROOT: &str = "the-schema.proto";

/// The messages of one schema.
#[derive(Debug)]
pub(crate) struct Schema {
    pool: DescriptorPool,
    root: String,
    /// True when the schema came as text: a serializer that registers text does not count the entries of maps, which are
    /// messages as well, when it says which message it wrote.
    is_text: bool,
}

impl Schema {
    /// Reads a schema with those that it imports.
    ///
    /// # Errors
    /// The fault of the schema.
    pub(super) fn parse(schema: &Registered) -> Result<Self, String> {
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
        resolver.add(Files(files));
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.open_file(&name).map_err(|error| error.to_string())?;
        Ok(Self { pool: compiler.descriptor_pool(), root: name, is_text })
    }

    /// The JSON of a message behind the indexes that name it.
    ///
    /// # Errors
    /// A value that does not fit the schema.
    pub(crate) fn json(&self, payload: &[u8]) -> Result<Vec<u8>, String> {
        let (indexes, payload) = message_indexes(payload).ok_or("the message's indexes do not end")?;
        let message =
            self.message(&indexes).ok_or_else(|| format!("no message has the indexes {indexes:?}"))?;
        let message = DynamicMessage::decode(message, payload).map_err(|error| error.to_string())?;
        let mut out = Vec::with_capacity(payload.len() * 3 + 64);
        let mut serializer = serde_json::Serializer::new(&mut out);
        message
            .serialize_with_options(&mut serializer, &SerializeOptions::new())
            .map_err(|error| error.to_string())?;
        Ok(out)
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
struct Files(HashMap<String, File>);

impl FileResolver for Files {
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
        let schema = Registered {
            kind: "PROTOBUF".to_owned(),
            text: text.to_owned(),
            references: vec![("common.proto".to_owned(), common.to_owned())],
        };
        let schema = Schema::parse(&schema).unwrap();
        let json = |bytes: &[u8]| schema.json(bytes).map(|json| String::from_utf8(json).unwrap());
        assert_eq!(json(&[0, 0x0a, 1, b'a']).unwrap(), r#"{"id":"a"}"#);
        assert_eq!(
            json(&[4, 2, 0, 0x12, 3, 0x0a, 1, b'L', 0x1a, 0, 0x20, 7]).unwrap(),
            r#"{"address":{"city":"L"},"createdAt":"1970-01-01T00:00:00Z","big":"7"}"#
        );
        assert_eq!(json(&[4, 2, 0, 0x29, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]).unwrap(), r#"{"ratio":"NaN"}"#);
        assert!(json(&[2, 8]).unwrap_err().contains("no message"));
        assert!(json(&[0, 0x0a]).is_err());
        let broken = Registered { kind: String::new(), text: "message {".to_owned(), references: Vec::new() };
        assert!(Schema::parse(&broken).is_err());
    }
}
