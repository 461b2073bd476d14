//! Schemas, out of their JSON. The meaning of a type's values is read along: Connect's name of its schema, or the
//! logical type.

use std::collections::HashMap;

use serde_json::Value;

use crate::encoding::meaning::{MICROS, MILLIS, Meaning, NANOS};

/// A type's place in its schema.
pub(super) type AvroId = usize;

/// A schema whose types are in one list, so that a record may hold itself.
#[derive(Debug)]
pub(crate) struct AvroSchema {
    pub(super) types: Vec<AvroType>,
    pub(super) root: AvroId,
}

/// A type, and the meaning of its values.
#[derive(Debug)]
pub(super) struct AvroType {
    pub(super) kind: AvroKind,
    pub(super) meaning: Option<Meaning>,
}

#[derive(Debug)]
pub(super) enum AvroKind {
    Null,
    Boolean,
    /// `int` and `long`, which are written alike.
    Integer,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    /// The symbols.
    Enum(Vec<Box<str>>),
    Array(AvroId),
    Map(AvroId),
    Union(Vec<AvroId>),
    Record(Vec<AvroField>),
}

#[derive(Debug)]
pub(super) struct AvroField {
    pub(super) name: Box<str>,
    pub(super) of: AvroId,
}

impl AvroSchema {
    /// Reads a schema; `references` are the schemas that define types which it names.
    ///
    /// # Errors
    /// The fault of the schema.
    pub(crate) fn parse(text: &str, references: &[String]) -> Result<Self, String> {
        let mut builder = Builder::default();
        for reference in references {
            builder.parse(reference)?;
        }
        let root = builder.parse(text)?;
        Ok(Self { types: builder.types, root })
    }
}

#[derive(Default)]
struct Builder {
    types: Vec<AvroType>,
    names: HashMap<String, AvroId>,
}

impl Builder {
    fn parse(&mut self, text: &str) -> Result<AvroId, String> {
        match serde_json::from_str::<Value>(text) {
            Ok(schema) => self.read(&schema, ""),
            // The schema of a primitive type may be written without quotes.
            Err(error) => self.find_type(text.trim(), "").map_err(|_| format!("no JSON ({error})")),
        }
    }

    fn push(&mut self, kind: AvroKind, meaning: Option<Meaning>) -> AvroId {
        self.types.push(AvroType { kind, meaning });
        self.types.len() - 1
    }

    /// Reads a type. JSON is nested at most 128 deep, so that this is as well.
    fn read(&mut self, schema: &Value, namespace: &str) -> Result<AvroId, String> {
        match schema {
            Value::String(name) => self.find_type(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.read(branch, namespace));
                let branches = branches.collect::<Result<_, _>>()?;
                Ok(self.push(AvroKind::Union(branches), None))
            }
            Value::Object(_) => self.complex(schema, namespace),
            other => Err(format!("{other} found, a type was expected")),
        }
    }

    fn find_type(&mut self, name: &str, namespace: &str) -> Result<AvroId, String> {
        if let Some(kind) = primitive(name) {
            return Ok(self.push(kind, None));
        }
        let full = full_name(name, namespace);
        let found = self.names.get(&full).or_else(|| self.names.get(name));
        found.copied().ok_or_else(|| format!("the type {full} is not defined"))
    }

    fn complex(&mut self, schema: &Value, namespace: &str) -> Result<AvroId, String> {
        let kind = match schema.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(inner) => return self.read(inner, namespace),
            None => return Err("an object without a type found".to_owned()),
        };
        let meaning = meaning(schema);
        if let Some(kind) = primitive(kind) {
            return Ok(self.push(kind, meaning));
        }
        match kind {
            "array" => {
                let of = self.read(member(schema, "items")?, namespace)?;
                Ok(self.push(AvroKind::Array(of), meaning))
            }
            "map" => {
                let of = self.read(member(schema, "values")?, namespace)?;
                Ok(self.push(AvroKind::Map(of), meaning))
            }
            "record" | "error" => self.record(schema, namespace, meaning),
            "enum" => {
                let symbols = list(schema, "symbols")?.iter().map(|symbol| symbol.as_str().map(Into::into));
                let symbols = symbols.collect::<Option<_>>().ok_or("a symbol that is no string found")?;
                let id = self.push(AvroKind::Enum(symbols), meaning);
                self.define(schema, namespace, id)?;
                Ok(id)
            }
            "fixed" => {
                let size = member(schema, "size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                let id = self.push(AvroKind::Fixed(size.ok_or("a size that is no number found")?), meaning);
                self.define(schema, namespace, id)?;
                Ok(id)
            }
            name => self.find_type(name, namespace),
        }
    }

    fn record(
        &mut self,
        schema: &Value,
        namespace: &str,
        meaning: Option<Meaning>,
    ) -> Result<AvroId, String> {
        // Its name is known before its fields are, because one of them may be of its type.
        let id = self.push(AvroKind::Record(Vec::new()), meaning);
        let namespace = self.define(schema, namespace, id)?;
        let mut fields = Vec::new();
        for field in list(schema, "fields")? {
            let name = member(field, "name")?.as_str().ok_or("a field whose name is no string found")?;
            fields.push(AvroField { name: name.into(), of: self.read(member(field, "type")?, &namespace)? });
        }
        if let Some(record) = self.types.get_mut(id) {
            record.kind = AvroKind::Record(fields);
        }
        Ok(id)
    }

    /// Takes note of a type's name; answers the namespace of the types that are defined inside it.
    fn define(&mut self, schema: &Value, namespace: &str, id: AvroId) -> Result<String, String> {
        let name = member(schema, "name")?.as_str().ok_or("a name that is no string found")?;
        let namespace = schema.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
        let full = full_name(name, namespace);
        let inside = full.rsplit_once('.').map_or("", |(before, _)| before).to_owned();
        for alias in schema.get("aliases").and_then(Value::as_array).into_iter().flatten() {
            if let Some(alias) = alias.as_str() {
                self.names.entry(full_name(alias, &inside)).or_insert(id);
            }
        }
        self.names.insert(full, id);
        Ok(inside)
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn primitive(name: &str) -> Option<AvroKind> {
    Some(match name {
        "null" => AvroKind::Null,
        "boolean" => AvroKind::Boolean,
        "int" | "long" => AvroKind::Integer,
        "float" => AvroKind::Float,
        "double" => AvroKind::Double,
        "bytes" => AvroKind::Bytes,
        "string" => AvroKind::String,
        _ => return None,
    })
}

fn member<'a>(schema: &'a Value, name: &str) -> Result<&'a Value, String> {
    schema.get(name).ok_or_else(|| format!("a type without {name} found"))
}

fn list<'a>(schema: &'a Value, name: &str) -> Result<&'a Vec<Value>, String> {
    member(schema, name)?.as_array().ok_or_else(|| format!("{name}: a list was expected"))
}

/// The meaning of a type's values. Connect's name says more than the logical type beside it.
fn meaning(schema: &Value) -> Option<Meaning> {
    let text = |name: &str| schema.get(name).and_then(Value::as_str);
    let scale = schema.get("scale").and_then(Value::as_i64);
    let of_connect = || schema.pointer("/connect.parameters/scale")?.as_str()?.parse().ok();
    let scale = scale.or_else(of_connect);
    let named = text("connect.name").and_then(|name| Meaning::of_name(name, scale));
    named.or_else(|| {
        Some(match text("logicalType")? {
            // A scale that is left out is none.
            "decimal" => Meaning::Decimal(scale.unwrap_or(0)),
            "date" => Meaning::Date,
            "time-millis" => Meaning::Time(MILLIS),
            "time-micros" => Meaning::Time(MICROS),
            "timestamp-millis" => Meaning::Timestamp(MILLIS),
            "timestamp-micros" => Meaning::Timestamp(MICROS),
            "timestamp-nanos" => Meaning::Timestamp(NANOS),
            "local-timestamp-millis" => Meaning::LocalTimestamp(MILLIS),
            "local-timestamp-micros" => Meaning::LocalTimestamp(MICROS),
            "local-timestamp-nanos" => Meaning::LocalTimestamp(NANOS),
            "uuid" => Meaning::Uuid,
            "duration" => Meaning::Duration,
            _ => return None,
        })
    })
}
