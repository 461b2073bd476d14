//! Records that are not written in JSON: their keys and values become JSON, and are then read like all others.

use std::sync::Arc;
use std::time::Duration;

use super::{Decoder, Poison, RecordLayout};
use crate::config::Encoding;
use crate::encoding::{self, Look, Registry};
use crate::event::Record;

/// Whether a record can be decoded now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordReadiness {
    /// It can.
    Ready,
    /// The schema registry has not said yet by which schema; with why, once it did not answer.
    Waiting(Option<Arc<str>>),
}

/// How a record's key is encoded, as far as the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyEncoding {
    Text,
    /// In a frame, by the schema's own encoding unless one is expected.
    Framed(Option<Encoding>),
}

impl RecordLayout {
    /// True when records need more than JSON to be read.
    pub(super) fn is_encoded(&self) -> bool {
        self.encoding != Encoding::Json
            || self.key_encoding.is_some_and(|encoding| encoding != Encoding::Json)
    }

    fn key_encoding(&self, key: &[u8]) -> KeyEncoding {
        match self.key_encoding {
            Some(Encoding::Json) => KeyEncoding::Text,
            Some(encoding) => KeyEncoding::Framed(Some(encoding)),
            // No text and no JSON is in a frame.
            None if encoding::unframe(key).is_none() => KeyEncoding::Text,
            None if self.encoding == Encoding::JsonSchema => KeyEncoding::Framed(Some(Encoding::JsonSchema)),
            None => KeyEncoding::Framed(None),
        }
    }
}

impl Decoder {
    /// The same; Avro and Protobuf are read by the schemas of this registry.
    #[must_use]
    pub fn with_registry(self, registry: Option<Registry>) -> Self {
        Self { registry: registry.map(Arc::new), ..self }
    }

    /// True when no record needs a schema of a registry.
    pub fn is_always_ready(&self) -> bool {
        self.registry.is_none() || !self.layouts.iter().any(RecordLayout::is_encoded)
    }

    /// Has schemas that were not known asked for again.
    pub fn forget_unknown_schemas(&self) {
        if let Some(registry) = &self.registry {
            registry.forget_unknown();
        }
    }

    /// Whether a record can be decoded now. Asks the registry for its schemas, and waits at most about `wait` for each.
    pub fn readiness(&self, record: &Record, wait: Duration) -> RecordReadiness {
        let layout = self.layout(record.kind);
        let Some(registry) = self.registry.as_deref().filter(|_| layout.is_encoded()) else {
            return RecordReadiness::Ready;
        };
        let of_value = record.value.as_deref().filter(|_| layout.encoding != Encoding::Json);
        let of_value = of_value.and_then(encoding::schema_of);
        let of_key = record.key.as_deref().and_then(|key| match layout.key_encoding(key) {
            KeyEncoding::Text => None,
            KeyEncoding::Framed(_) => encoding::schema_of(key),
        });
        for id in of_key.into_iter().chain(of_value) {
            if let Look::Waiting(why) = registry.look(id, wait) {
                return RecordReadiness::Waiting(why);
            }
        }
        RecordReadiness::Ready
    }

    /// The record with its key and its value in JSON.
    pub(super) fn in_json(&self, record: &Record, layout: &RecordLayout) -> Result<Record, Poison> {
        let registry = self.registry.as_deref();
        let value = match &record.value {
            Some(value) if layout.encoding != Encoding::Json => {
                let json = encoding::json(value, Some(layout.encoding), registry);
                Some(json.map_err(|reason| format!("value: {reason}"))?)
            }
            value => value.clone(),
        };
        Ok(Record { key: self.key_in_json(record, layout)?, value, ..record.clone() })
    }

    /// The record's key in JSON, or as it is.
    pub(super) fn key_in_json(
        &self,
        record: &Record,
        layout: &RecordLayout,
    ) -> Result<Option<Vec<u8>>, Poison> {
        let Some(key) = &record.key else { return Ok(None) };
        match layout.key_encoding(key) {
            KeyEncoding::Text => Ok(Some(key.clone())),
            KeyEncoding::Framed(expected) => {
                let json = encoding::json(key, expected, self.registry.as_deref());
                json.map(Some).map_err(|reason| format!("key: {reason}"))
            }
        }
    }
}

/// The reason why a value or key in a registry's frame cannot be read as JSON, with the settings that put it right.
pub(super) fn find_frame(part: &str, bytes: &[u8]) -> Option<Poison> {
    let framed = encoding::unframe(bytes)?;
    let setting = if part == "key" { "key_encoding" } else { "encoding" };
    Some(format!(
        "{part}: the frame of a schema registry (schema {}) found, JSON was expected; set {setting} to \"avro\", \
         \"protobuf\" or \"json-schema\", and schema_registry.url",
        framed.id
    ))
}
