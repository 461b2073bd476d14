//! The schemas that Kafka Connect's JSON converter sends along with each record.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

pub(super) use crate::encoding::Type;

/// So many schemas are kept. A topic has few, unless its producer writes a new one with each record.
const KEPT_MAX: usize = 1_000;

/// The schemas that came so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Schemas(Arc<RwLock<HashMap<u128, Arc<Type>>>>);

impl Schemas {
    /// The type that a schema gives its values. The same schema comes with every record, and is read once.
    pub(super) fn read(&self, schema: &RawValue) -> Arc<Type> {
        let hash = xxh3_128(schema.get().as_bytes());
        let entry = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        entry.unwrap_or_else(|| {
            let read = serde_json::from_str::<Value>(schema.get());
            let read = Arc::new(read.map_or(Type::Itself, |schema| Type::of(&schema)));
            let mut schemas = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if schemas.len() >= KEPT_MAX {
                schemas.clear();
            }
            schemas.insert(hash, Arc::clone(&read));
            read
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_read_once_and_not_kept_without_end() {
        let schemas = Schemas::default();
        let read = |text: String| schemas.read(&RawValue::from_string(text).unwrap());
        assert!(Arc::ptr_eq(&read("{\"a\":1}".to_owned()), &read("{\"a\":1}".to_owned())));
        for number in 0..3_000 {
            read(number.to_string());
        }
        assert!(schemas.0.read().unwrap().len() <= KEPT_MAX);
    }
}
