//! Values that are compared, counted and ordered: the same of each engine.

use serde_json::Value;

use crate::time::{milliseconds, timestamp};

/// The kind of a value to filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueKind {
    /// A text, compared whole.
    Text,
    /// True or false.
    Boolean,
    /// A number without fraction.
    Integer,
    /// A number.
    Number,
    /// A time.
    Date,
    /// A computed member: a text, or a number.
    Computed,
}

/// The kind of value that hits are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKind {
    /// The title, without case and accents.
    Title,
    /// A number without fraction.
    Integer,
    /// A number.
    Number,
    /// A time.
    Date,
}

impl ValueKind {
    /// The name in the description of a model.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Date => "date",
            Self::Computed => "computed",
        }
    }
}

impl SortKind {
    /// The name in the description of a model.
    pub fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Date => "date",
        }
    }
}

/// The text under which a value is counted; `None` of one that is of another kind, which is not compared.
pub fn value_text(kind: ValueKind, value: &Value) -> Option<String> {
    match kind {
        ValueKind::Integer => integer(value).map(|number| number.to_string()),
        ValueKind::Number => number(value).map(number_text),
        ValueKind::Date => value.as_str().and_then(milliseconds).map(timestamp),
        ValueKind::Boolean => value.as_bool().map(|value| value.to_string()),
        ValueKind::Text | ValueKind::Computed => match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        },
    }
}

/// A number without fraction that an index holds.
pub fn integer(value: &Value) -> Option<i64> {
    value.as_i64()
}

/// A number that an index holds; a text that is written as one counts as it.
pub fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    };
    number.filter(|number| number.is_finite())
}

/// A number as it is counted: one without fraction has no decimal point.
pub fn number_text(number: f64) -> String {
    format!("{number}")
}

/// Visits the values at a path of a document: all items of lists on the way, and of one at its end.
pub fn each_at(document: &Value, path: &str, visit: &mut dyn FnMut(&Value)) {
    if let Value::Array(items) = document {
        return items.iter().for_each(|item| each_at(item, path, visit));
    }
    // A member's own name may have a dot.
    if let Some(value) = document.get(path) {
        match value {
            Value::Array(items) => items.iter().for_each(visit),
            other => visit(other),
        }
        return;
    }
    if let Some((first, rest)) = path.split_once('.')
        && let Some(inner) = document.get(first)
    {
        each_at(inner, rest, visit);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_found_through_lists_and_under_names_with_dots() {
        let document = json!({"a": [{"b": "1"}, {"b": ["2", "3"]}, {}], "x": {"y.z": "4"}, "n": null});
        let at = |path: &str| {
            let mut found = Vec::new();
            each_at(&document, path, &mut |value| found.push(value.to_string()));
            found.join(" ")
        };
        assert_eq!(
            (at("a.b"), at("x.y.z"), at("a.c")),
            ("\"1\" \"2\" \"3\"".into(), "\"4\"".into(), String::new())
        );
    }

    #[test]
    fn a_value_is_counted_under_one_text() {
        let number: Value = serde_json::from_str("19.90").unwrap();
        assert_eq!(value_text(ValueKind::Number, &number).as_deref(), Some("19.9"));
        assert_eq!(value_text(ValueKind::Number, &json!(20.0)).as_deref(), Some("20"));
        assert_eq!(value_text(ValueKind::Integer, &json!(1.5)), None);
        assert_eq!(
            value_text(ValueKind::Date, &json!("2026-01")).as_deref(),
            Some("2026-01-01T00:00:00.000Z")
        );
        assert_eq!(value_text(ValueKind::Computed, &number).as_deref(), Some("19.90"));
        assert_eq!(value_text(ValueKind::Boolean, &json!("true")), None);
    }
}
