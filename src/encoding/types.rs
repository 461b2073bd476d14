//! The types of values that stand for something else than they say, as Kafka Connect's schemas name them
//! (<https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-temporal-types>).

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::meaning::Meaning;
use super::members::Members;

/// The meaning of a value.
#[derive(Debug, PartialEq)]
pub(crate) enum Type {
    /// The value as it is written.
    Itself,
    /// An object with members that stand for something else.
    Object(HashMap<Box<str>, Type>),
    List(Box<Type>),
    /// An object whose members all stand for something else, under any name.
    Map(Box<Type>),
    /// Something else than it says.
    Other(Meaning),
}

impl Type {
    /// The type that a schema of Kafka Connect says, in its own JSON.
    pub(crate) fn of(schema: &Value) -> Self {
        let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
        let scale = || schema.pointer("/parameters/scale")?.as_str()?.parse().ok();
        match Meaning::of_name(text("name"), scale()) {
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
                Self::of_members(members.collect())
            }
            ("array", _, Some(items)) => Self::of(items).in_list(),
            ("map", ..) => schema.get("values").map_or(Self::Itself, |values| Self::of(values).in_map()),
            _ => Self::Itself,
        }
    }

    /// The type of a list of these.
    pub(super) fn in_list(self) -> Self {
        if self == Self::Itself { self } else { Self::List(Box::new(self)) }
    }

    /// The type of an object of these.
    pub(super) fn in_map(self) -> Self {
        if self == Self::Itself { self } else { Self::Map(Box::new(self)) }
    }

    /// The type of an object with these members.
    pub(super) fn of_members(members: HashMap<Box<str>, Self>) -> Self {
        if members.is_empty() { Self::Itself } else { Self::Object(members) }
    }

    /// The type of a member of this object, when it stands for something else than it says.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(name),
            Self::Map(of) => Some(of),
            _ => None,
        }
    }

    /// The JSON of a value's meaning; `None` when that is the value itself, or when it is not of this type.
    pub(crate) fn meaning_of(&self, value: &str) -> Option<String> {
        match self {
            Self::Itself => None,
            Self::Object(_) | Self::Map(_) => self.meaning_of_members(value),
            Self::List(of) => {
                let elements: Vec<&RawValue> = serde_json::from_str(value).ok()?;
                let said = elements.iter().map(|value| of.meaning_or_itself(value.get()));
                Some(format!("[{}]", said.collect::<Vec<_>>().join(",")))
            }
            Self::Other(meaning) => meaning.meaning_of(value),
        }
    }

    fn meaning_or_itself<'a>(&self, value: &'a str) -> Cow<'a, str> {
        self.meaning_of(value).map_or(Cow::Borrowed(value), Cow::Owned)
    }

    fn meaning_of_members(&self, value: &str) -> Option<String> {
        let Members(members) = serde_json::from_str(value).ok()?;
        let said = members.iter().map(|(name, value)| {
            let value = value.get();
            let said = self.member(name).map_or(Cow::Borrowed(value), |of| of.meaning_or_itself(value));
            Some(format!("{}:{said}", serde_json::to_string(name).ok()?))
        });
        Some(format!("{{{}}}", said.collect::<Option<Vec<_>>>()?.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64;

    fn meaning_of(schema: &str, value: &str) -> String {
        let schema: Value = serde_json::from_str(schema).unwrap();
        Type::of(&schema).meaning_or_itself(value).into_owned()
    }

    #[test]
    fn every_semantic_type_has_one_json() {
        for (name, value, expected) in [
            ("io.debezium.time.Date", "6276", "\"1987-03-09\""),
            ("io.debezium.time.MicroTime", "-5430000001", "\"-01:30:30.000001\""),
            (
                "io.debezium.time.ZonedTimestamp",
                "\"2024-03-01T00:30:00.1234567+02:00\"",
                "\"2024-02-29T22:30:00.1234567Z\"",
            ),
            ("io.debezium.time.ZonedTimestamp", "\"2024-02-01T10:11:12-03:30\"", "\"2024-02-01T13:41:12Z\""),
            ("io.debezium.time.ZonedTimestamp", "\"2024-02-01T10:11:12.1Z\"", "\"2024-02-01T10:11:12.1Z\""),
            ("io.debezium.time.ZonedTimestamp", "\"infinity\"", "\"infinity\""),
            ("io.debezium.time.Date", "-735061", "\"-0043-06-22\""),
            ("org.apache.kafka.connect.data.Date", "0", "\"1970-01-01\""),
            ("io.debezium.time.IsoDate", "\"1987-03-09Z\"", "\"1987-03-09\""),
            ("io.debezium.time.IsoTime", "\"08:30:00.5Z\"", "\"08:30:00.5\""),
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
                meaning_of(&format!(r#"{{"type":"x","name":"{name}"}}"#), value),
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
            let said = meaning_of(
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
        let numeric = meaning_of(&format!(r#"{{"name":"{name}","parameters":{{"scale":"2"}}}}"#), "1.10");
        assert_eq!(numeric, "1.10");
    }

    #[test]
    fn types_are_found_in_objects_and_lists() {
        let date = r#"{"type":"int32","name":"io.debezium.time.Date","field":"d"}"#;
        let list = format!(r#"{{"type":"array","items":{date},"field":"l"}}"#);
        let schema =
            format!(r#"{{"type":"struct","fields":[{{"type":"int32","field":"n"}},{date},{list}]}}"#);
        assert_eq!(
            meaning_of(&schema, r#"{"n":1,"d":0,"l":[0,null]}"#),
            r#"{"n":1,"d":"1970-01-01","l":["1970-01-01",null]}"#
        );
        let map = format!(r#"{{"type":"map","keys":{{"type":"string"}},"values":{date}}}"#);
        assert_eq!(meaning_of(&map, r#"{"a":0,"b":"x"}"#), r#"{"a":"1970-01-01","b":"x"}"#);
        let plain = r#"{"type":"struct","fields":[{"type":"int32","field":"n"}]}"#;
        assert_eq!(Type::of(&serde_json::from_str(plain).unwrap()), Type::Itself);
    }
}
