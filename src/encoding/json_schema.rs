//! JSON Schema (<https://json-schema.org/specification>): only the names of its types, which give values their
//! meaning. Kafka Connect's converter writes the name of a type as `title` and its parameters as `connect.parameters`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::meaning::{MILLIS, Meaning};
use super::types::Type;

/// How deep a schema is followed: the first depth at which it is not too large. One that refers to itself has no end.
const DEPTHS: [usize; 5] = [48, 24, 16, 12, 8];
/// So many schemas are read of one, with all that it refers to.
const SCHEMAS_MAX: usize = 20_000;

/// The type of the values that a schema describes. `references` are the schemas that it refers to, by their names.
pub(super) fn read(text: &str, references: &[(String, String)]) -> Type {
    let texts = std::iter::once(("", text))
        .chain(references.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let parsed = texts.map(|(name, text)| (name, serde_json::from_str(text).unwrap_or(Value::Null)));
    let parsed: Vec<(&str, Value)> = parsed.collect();
    let documents: Vec<Document<'_>> = parsed.iter().map(|(name, root)| Document::new(name, root)).collect();
    let Some(first) = documents.first() else { return Type::Itself };
    for depth in DEPTHS {
        let mut reader = SchemaReader { documents: &documents, budget: SCHEMAS_MAX };
        let of = reader.read(first, first.root, depth);
        if reader.budget > 0 {
            return of;
        }
    }
    Type::Itself
}

/// A schema with the names of its parts.
struct Document<'a> {
    name: &'a str,
    root: &'a Value,
    ids: HashMap<&'a str, &'a Value>,
}

impl<'a> Document<'a> {
    fn new(name: &'a str, root: &'a Value) -> Self {
        let mut ids = HashMap::new();
        let mut line = vec![root];
        while let Some(value) = line.pop() {
            match value {
                Value::Object(members) => {
                    let named =
                        ["$id", "id", "$anchor"].iter().filter_map(|name| members.get(*name)?.as_str());
                    ids.extend(named.map(|id| (id.trim_start_matches('#'), value)));
                    line.extend(members.values());
                }
                Value::Array(items) => line.extend(items),
                _ => {}
            }
        }
        Self { name, root, ids }
    }

    /// The part that a reference names behind its `#`.
    fn part(&self, fragment: &str) -> Option<&'a Value> {
        match fragment {
            "" => Some(self.root),
            pointer if pointer.starts_with('/') => self.root.pointer(pointer),
            id => self.ids.get(id).copied(),
        }
    }

    fn is_named(&self, name: &str) -> bool {
        let is_end =
            |of: &str| of.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
        self.name == name || self.root.get("$id").and_then(Value::as_str).is_some_and(is_end)
    }
}

struct SchemaReader<'a> {
    documents: &'a [Document<'a>],
    budget: usize,
}

impl<'a> SchemaReader<'a> {
    fn read(&mut self, document: &'a Document<'a>, schema: &'a Value, depth: usize) -> Type {
        let Some(schema) = schema.as_object().filter(|_| self.budget > 0 && depth > 0) else {
            return Type::Itself;
        };
        self.budget -= 1;
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let found = self.find(document, reference);
            return found.map_or(Type::Itself, |(document, schema)| self.read(document, schema, depth - 1));
        }
        match meaning(schema) {
            Some(meaning) => Type::Other(meaning),
            None => self.of_parts(document, schema, depth - 1),
        }
    }

    fn of_parts(&mut self, document: &'a Document<'a>, schema: &'a Map<String, Value>, depth: usize) -> Type {
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let members = properties.filter_map(|(name, schema)| {
            let of = self.read(document, schema, depth);
            (of != Type::Itself).then(|| (name.as_str().into(), of))
        });
        let mut found = Type::of_members(members.collect());
        if let Some(items) = schema.get("items") {
            found = unite(found, self.read(document, items, depth).in_list());
        }
        if let Some(others) = schema.get("additionalProperties") {
            found = unite(found, self.read(document, others, depth).in_map());
        }
        for name in ["oneOf", "anyOf", "allOf"] {
            for branch in schema.get(name).and_then(Value::as_array).into_iter().flatten() {
                found = unite(found, self.read(document, branch, depth));
            }
        }
        found
    }

    /// The schema that a reference names, and the document that it is in.
    fn find(&self, document: &'a Document<'a>, reference: &str) -> Option<(&'a Document<'a>, &'a Value)> {
        let (name, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if name.is_empty() {
            return document.part(fragment).map(|part| (document, part));
        }
        if let Some(part) = document.ids.get(name).filter(|_| fragment.is_empty()) {
            return Some((document, part));
        }
        let document = self.documents.iter().find(|document| document.is_named(name))?;
        document.part(fragment).map(|part| (document, part))
    }
}

/// The meaning that a schema names: as Connect's converter writes it, or as draft 3 names a moment in milliseconds.
fn meaning(schema: &Map<String, Value>) -> Option<Meaning> {
    if schema.get("format").and_then(Value::as_str) == Some("utc-millisec") {
        return Some(Meaning::Timestamp(MILLIS));
    }
    let scale = || schema.get("connect.parameters")?.get("scale")?.as_str()?.parse().ok();
    Meaning::of_name(schema.get("title")?.as_str()?, scale())
}

/// The type of a value that is of one of these, or of both. A value whose types do not agree stays as it is.
fn unite(one: Type, other: Type) -> Type {
    match (one, other) {
        (Type::Itself, of) | (of, Type::Itself) => of,
        (Type::Object(mut members), Type::Object(others)) => {
            for (name, of) in others {
                let of = match members.remove(&name) {
                    Some(first) => unite(first, of),
                    None => of,
                };
                if of != Type::Itself {
                    members.insert(name, of);
                }
            }
            Type::of_members(members)
        }
        (Type::List(one), Type::List(other)) => unite(*one, *other).in_list(),
        (Type::Map(one), Type::Map(other)) => unite(*one, *other).in_map(),
        (one, other) if one == other => one,
        // Members that are named, beside others that are not.
        (Type::Object(members), Type::Map(_)) | (Type::Map(_), Type::Object(members)) => {
            Type::Object(members)
        }
        _ => Type::Itself,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning_of(schema: &str, references: &[(&str, &str)], value: &str) -> String {
        let references: Vec<(String, String)> =
            references.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        read(schema, &references).meaning_of(value).unwrap_or_else(|| value.to_owned())
    }

    const DATE: &str =
        r#"{"type":"integer","title":"io.debezium.time.Date","connect.type":"int32","connect.version":1}"#;

    #[test]
    fn types_are_found_wherever_a_schema_may_have_them() {
        for (schema, value, expected) in [
            (
                format!(r#"{{"properties":{{"d":{DATE}}}}}"#),
                r#"{"d":0,"e":0}"#,
                r#"{"d":"1970-01-01","e":0}"#,
            ),
            (
                format!(
                    r#"{{"properties":{{"d":{{"oneOf":[{{"type":"null"}},{DATE}],"connect.index":3}}}}}}"#
                ),
                r#"{"d":0}"#,
                r#"{"d":"1970-01-01"}"#,
            ),
            (format!(r#"{{"items":{DATE}}}"#), "[0,null]", r#"["1970-01-01",null]"#),
            (
                format!(r#"{{"additionalProperties":{DATE},"connect.type":"map"}}"#),
                r#"{"x":0}"#,
                r#"{"x":"1970-01-01"}"#,
            ),
            (
                format!(
                    r##"{{"definitions":{{"D":{DATE}}},"properties":{{"d":{{"$ref":"#/definitions/D"}}}}}}"##
                ),
                r#"{"d":0}"#,
                r#"{"d":"1970-01-01"}"#,
            ),
            (
                format!(
                    r##"{{"$defs":{{"D":{{"$anchor":"day","allOf":[{DATE}]}}}},"properties":{{"d":{{"$ref":"#day"}}}}}}"##
                ),
                r#"{"d":0}"#,
                r#"{"d":"1970-01-01"}"#,
            ),
            (r#"{"type":"integer","format":"utc-millisec"}"#.to_owned(), "0", "\"1970-01-01T00:00:00Z\""),
            (format!(r#"{{"oneOf":[{DATE},{{"title":"io.debezium.time.Timestamp"}}]}}"#), "0", "0"),
            ("no schema".to_owned(), "0", "0"),
            ("true".to_owned(), "0", "0"),
        ] {
            assert_eq!(meaning_of(&schema, &[], value), expected, "{schema}");
        }
        let schema = r#"{"properties":{"d":{"$ref":"day.json"},"e":{"$ref":"http://x/all.json#/definitions/E"},"f":{"$ref":"none.json"}}}"#;
        let all = format!(r#"{{"$id":"http://x/all.json","definitions":{{"E":{DATE}}}}}"#);
        let references = [("day.json", DATE), ("all.json", all.as_str())];
        assert_eq!(
            meaning_of(schema, &references, r#"{"d":0,"e":0,"f":0}"#),
            r#"{"d":"1970-01-01","e":"1970-01-01","f":0}"#
        );
    }

    #[test]
    fn decimals_are_numbers_in_both_forms_of_the_converter() {
        let schema = r#"{"type":"string","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.version":1,
            "connect.parameters":{"scale":"2","connect.decimal.precision":"18"}}"#;
        assert_eq!(meaning_of(schema, &[], "\"HL6ZGhQ=\""), "1234567890.12");
        assert_eq!(meaning_of(schema, &[], "1234567890.12"), "1234567890.12");
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_read_to_an_end() {
        let schema = format!(
            r##"{{"$id":"#id1","properties":{{"d":{DATE},"a":{{"$ref":"#id1"}},"b":{{"$ref":"#"}},"c":{{"items":{{"$ref":"#id1"}}}}}}}}"##
        );
        assert_eq!(
            meaning_of(&schema, &[], r#"{"d":0,"a":{"d":1},"c":[{"d":2}]}"#),
            r#"{"d":"1970-01-01","a":{"d":"1970-01-02"},"c":[{"d":"1970-01-03"}]}"#
        );
    }
}
