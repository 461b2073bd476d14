//! The schemas that Kafka Connect's JSON converter sends along, and the values that they give a meaning
//! (<https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-temporal-types>).

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use super::json::Members;
use crate::encoding::Meaning;

/// So many schemas are kept. A topic has few, unless somebody writes a new one with each record.
const KEPT_MAX: usize = 1_000;

/// What a value stands for.
#[derive(Debug, PartialEq)]
pub(super) enum Type {
    /// What it says.
    Itself,
    /// An object with members that stand for something else.
    Object(HashMap<Box<str>, Type>),
    List(Box<Type>),
    /// Something else than it says.
    Other(Meaning),
}

/// The schemas that came so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Schemas(Arc<RwLock<HashMap<u128, Arc<Type>>>>);

impl Schemas {
    /// What values of a schema stand for. The same schema comes with every record, and is read once.
    pub(super) fn read(&self, schema: &RawValue) -> Arc<Type> {
        let hash = xxh3_128(schema.get().as_bytes());
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        held.unwrap_or_else(|| {
            let read = serde_json::from_str::<Value>(schema.get());
            let read = Arc::new(read.map_or(Type::Itself, |schema| Type::of(&schema)));
            let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
            kept.insert(hash, Arc::clone(&read));
            read
        })
    }
}

impl Type {
    fn of(schema: &Value) -> Self {
        let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
        let scale = || schema.pointer("/parameters/scale")?.as_str()?.parse().ok();
        match Meaning::named(text("name"), scale()) {
            Some(meaning) => Self::Other(meaning),
            None => Self::of_parts(schema, text("type")),
        }
    }

    fn of_parts(schema: &Value, kind: &str) -> Self {
        match (kind, schema.get("fields").and_then(Value::as_array), schema.get("items")) {
            ("struct", Some(fields), _) => {
                let members = fields.iter().filter_map(|field| {
                    let name = field.get("field")?.as_str()?;
                    Some((name.into(), Self::of(field))).filter(|(_, of)| *of != Self::Itself)
                });
                let members: HashMap<Box<str>, Self> = members.collect();
                if members.is_empty() { Self::Itself } else { Self::Object(members) }
            }
            ("array", _, Some(items)) => match Self::of(items) {
                Self::Itself => Self::Itself,
                of => Self::List(Box::new(of)),
            },
            _ => Self::Itself,
        }
    }

    /// The type of a member of this object, when it stands for something else than it says.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(name),
            _ => None,
        }
    }

    /// The JSON of what a value stands for; `None` when it is what it says, or is not of this type.
    pub(super) fn said(&self, value: &str) -> Option<String> {
        match self {
            Self::Itself => None,
            Self::Object(members) => said_of_members(members, value),
            Self::List(of) => {
                let elements: Vec<&RawValue> = serde_json::from_str(value).ok()?;
                let said = elements.iter().map(|value| of.said_or_itself(value.get()));
                Some(format!("[{}]", said.collect::<Vec<_>>().join(",")))
            }
            Self::Other(meaning) => meaning.said(value),
        }
    }

    fn said_or_itself<'a>(&self, value: &'a str) -> Cow<'a, str> {
        self.said(value).map_or(Cow::Borrowed(value), Cow::Owned)
    }
}

fn said_of_members(types: &HashMap<Box<str>, Type>, value: &str) -> Option<String> {
    let Members(members) = serde_json::from_str(value).ok()?;
    let said = members.iter().map(|(name, value)| {
        let value = value.get();
        let said = types.get(&**name).map_or(Cow::Borrowed(value), |of| of.said_or_itself(value));
        Some(format!("{}:{said}", serde_json::to_string(name).ok()?))
    });
    Some(format!("{{{}}}", said.collect::<Option<Vec<_>>>()?.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64;

    fn said(schema: &str, value: &str) -> String {
        let schema: Value = serde_json::from_str(schema).unwrap();
        Type::of(&schema).said_or_itself(value).into_owned()
    }

    #[test]
    fn every_semantic_type_has_one_json() {
        for (name, value, expected) in [
            ("io.debezium.time.Date", "6276", "\"1987-03-09\""),
            ("io.debezium.time.Date", "-735061", "\"-0043-06-22\""),
            ("org.apache.kafka.connect.data.Date", "0", "\"1970-01-01\""),
            ("io.debezium.time.IsoDate", "\"1987-03-09Z\"", "\"1987-03-09\""),
            ("io.debezium.time.Time", "30600000", "\"08:30:00\""),
            ("io.debezium.time.MicroTime", "86399999999", "\"23:59:59.999999\""),
            ("io.debezium.time.NanoTime", "1000000", "\"00:00:00.001\""),
            ("io.debezium.time.Timestamp", "1706782272654", "\"2024-02-01T10:11:12.654Z\""),
            ("io.debezium.time.MicroTimestamp", "1706782272654321", "\"2024-02-01T10:11:12.654321Z\""),
            ("io.debezium.time.MicroTimestamp", "-1", "\"1969-12-31T23:59:59.999999Z\""),
            ("io.debezium.time.MicroTimestamp", "9223372036825200000", "\"infinity\""),
            ("io.debezium.time.NanoTimestamp", "1706782272000000001", "\"2024-02-01T10:11:12.000000001Z\""),
            ("org.apache.kafka.connect.data.Timestamp", "0", "\"1970-01-01T00:00:00Z\""),
            ("io.debezium.data.Json", r#""{\"city\": \"Leeds\"}""#, r#"{"city": "Leeds"}"#),
            ("io.debezium.data.VariableScaleDecimal", r#"{"scale":2,"value":"Aak="}"#, "4.25"),
            ("io.debezium.data.Uuid", "\"a\"", "\"a\""),
            ("io.debezium.time.Date", "null", "null"),
            ("io.debezium.time.Date", "\"x\"", "\"x\""),
        ] {
            assert_eq!(
                said(&format!(r#"{{"type":"x","name":"{name}"}}"#), value),
                expected,
                "{name} {value}"
            );
        }
    }

    #[test]
    fn decimals_keep_all_their_digits() {
        let name = "org.apache.kafka.connect.data.Decimal";
        for (scale, value, expected) in [
            ("2", "HL6ZGhQ=", "1234567890.12"),
            ("2", "/w==", "-0.01"),
            ("0", "AA==", "0"),
            ("3", "AA==", "0.000"),
            ("-2", "AQ==", "100"),
            ("0", "gA==", "-128"),
            ("0", "/wA=", "-256"),
            ("9", "Gs63Fvu0Qr5E4VsV", "8296908297.729471826181675797"),
        ] {
            let said = said(
                &format!(r#"{{"name":"{name}","parameters":{{"scale":"{scale}"}}}}"#),
                &format!("\"{value}\""),
            );
            if scale == "9" {
                // Compared with the arithmetic of 128 bits.
                let bytes = base64::decode(value).unwrap();
                let number = bytes.iter().fold(0_i128, |number, byte| number << 8 | i128::from(*byte));
                assert_eq!(said.replace('.', ""), number.to_string());
                continue;
            }
            assert_eq!(said, expected, "{value}");
        }
        let numeric = said(&format!(r#"{{"name":"{name}","parameters":{{"scale":"2"}}}}"#), "1.10");
        assert_eq!(numeric, "1.10");
    }

    #[test]
    fn types_are_found_in_objects_and_lists() {
        let date = r#"{"type":"int32","name":"io.debezium.time.Date","field":"d"}"#;
        let list = format!(r#"{{"type":"array","items":{date},"field":"l"}}"#);
        let schema =
            format!(r#"{{"type":"struct","fields":[{{"type":"int32","field":"n"}},{date},{list}]}}"#);
        assert_eq!(
            said(&schema, r#"{"n":1,"d":0,"l":[0,null]}"#),
            r#"{"n":1,"d":"1970-01-01","l":["1970-01-01",null]}"#
        );
        let plain = r#"{"type":"struct","fields":[{"type":"int32","field":"n"}]}"#;
        assert_eq!(Type::of(&serde_json::from_str(plain).unwrap()), Type::Itself);
    }

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
