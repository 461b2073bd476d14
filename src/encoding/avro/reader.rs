//! A value of Avro as JSON, written on the way: no tree is made.

use super::schema::{AvroField, AvroId, AvroKind, AvroSchema, AvroType};
use crate::base64;
use crate::encoding::framing::zigzag;
use crate::encoding::meaning::Meaning;

/// How deep values may be nested. Data that is nested deeper than a part of this is refused later.
const DEPTH_MAX: usize = 64;
/// The longest JSON that is made of one record: a few bytes can say that a list holds billions of nulls.
const JSON_BYTES_MAX: usize = 64 << 20;

/// The JSON of the value that `bytes` hold.
///
/// # Errors
/// A value that does not fit the schema, with the names of the fields that lead to it.
pub(crate) fn json(schema: &AvroSchema, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut reader = AvroReader { schema, rest: bytes, out: Vec::with_capacity(bytes.len() * 3 + 64) };
    reader.value(schema.root, 0)?;
    match reader.rest.len() {
        0 => Ok(reader.out),
        more => Err(format!("{more} bytes more than the schema has")),
    }
}

struct AvroReader<'a> {
    schema: &'a AvroSchema,
    rest: &'a [u8],
    out: Vec<u8>,
}

impl<'a> AvroReader<'a> {
    fn value(&mut self, id: AvroId, depth: usize) -> Result<(), String> {
        let schema = self.schema;
        let of = schema.types.get(id).ok_or("a type that the schema does not have")?;
        if depth > DEPTH_MAX {
            return Err(format!("nested more than {DEPTH_MAX} levels deep"));
        }
        if self.out.len() > JSON_BYTES_MAX {
            return Err(format!("more than {JSON_BYTES_MAX} bytes of JSON"));
        }
        match &of.kind {
            AvroKind::Null => self.out.extend_from_slice(b"null"),
            AvroKind::Boolean => {
                let is_true = self.take(1)? != [0];
                self.out.extend_from_slice(if is_true { b"true" } else { b"false" });
            }
            AvroKind::Integer => {
                let value = self.integer()?;
                match of.meaning.and_then(|meaning| meaning.meaning_of_integer(value)) {
                    Some(said) => self.out.extend_from_slice(said.as_bytes()),
                    None => self.put(&value)?,
                }
            }
            AvroKind::Float => {
                let value = f32::from_le_bytes(self.array()?);
                if value.is_finite() { self.put(&value)? } else { self.put_infinite(f64::from(value)) }
            }
            AvroKind::Double => {
                let value = f64::from_le_bytes(self.array()?);
                if value.is_finite() { self.put(&value)? } else { self.put_infinite(value) }
            }
            AvroKind::Bytes => {
                let bytes = self.bytes()?;
                self.put_bytes(bytes, of.meaning)?;
            }
            AvroKind::Fixed(size) => {
                let bytes = self.take(*size)?;
                self.put_bytes(bytes, of.meaning)?;
            }
            AvroKind::String => self.string(of)?,
            AvroKind::Enum(symbols) => {
                let at = self.index()?;
                let symbol = symbols.get(at).ok_or_else(|| format!("no symbol has the number {at}"))?;
                self.put(symbol)?;
            }
            AvroKind::Union(branches) => {
                let at = self.index()?;
                let branch = branches.get(at).ok_or_else(|| format!("no branch has the number {at}"))?;
                self.value(*branch, depth + 1)?;
            }
            AvroKind::Array(element) => self.array_of(*element, depth)?,
            AvroKind::Map(value) => self.map_of(*value, depth)?,
            AvroKind::Record(fields) => self.record(fields, of.meaning, depth)?,
        }
        Ok(())
    }

    fn record(&mut self, fields: &[AvroField], meaning: Option<Meaning>, depth: usize) -> Result<(), String> {
        let begin = self.out.len();
        self.out.push(b'{');
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.put(&field.name)?;
            self.out.push(b':');
            self.value(field.of, depth + 1).map_err(|reason| format!("{}: {reason}", field.name))?;
        }
        self.out.push(b'}');
        self.replace(begin, meaning);
        Ok(())
    }

    fn array_of(&mut self, element: AvroId, depth: usize) -> Result<(), String> {
        self.blocks([b'[', b']'], |reader| reader.value(element, depth + 1))
    }

    fn map_of(&mut self, value: AvroId, depth: usize) -> Result<(), String> {
        self.blocks([b'{', b'}'], |reader| {
            let key = reader.text()?;
            reader.put(key)?;
            reader.out.push(b':');
            reader.value(value, depth + 1)
        })
    }

    /// The entries of a list or map, between brackets.
    fn blocks(
        &mut self,
        [open, close]: [u8; 2],
        mut entry: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.out.push(open);
        let mut is_first = true;
        while let Some(count) = self.block()? {
            for _ in 0..count {
                if !std::mem::take(&mut is_first) {
                    self.out.push(b',');
                }
                entry(self)?;
            }
        }
        self.out.push(close);
        Ok(())
    }

    fn string(&mut self, of: &AvroType) -> Result<(), String> {
        let text = self.text()?;
        let begin = self.out.len();
        self.put(text)?;
        // A UUID that is a string is one already.
        self.replace(begin, of.meaning.filter(|meaning| *meaning != Meaning::Uuid));
        Ok(())
    }

    /// Puts a value's meaning in the place of its JSON, which begins at `begin`.
    fn replace(&mut self, begin: usize, meaning: Option<Meaning>) {
        let Some(meaning) = meaning else { return };
        let json = self.out.get(begin..).and_then(|json| std::str::from_utf8(json).ok());
        if let Some(said) = json.and_then(|json| meaning.meaning_of(json)) {
            self.out.truncate(begin);
            self.out.extend_from_slice(said.as_bytes());
        }
    }

    fn put(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), String> {
        serde_json::to_writer(&mut self.out, value).map_err(|error| error.to_string())
    }

    /// Infinity and NaN have no form in JSON but their names.
    fn put_infinite(&mut self, value: f64) {
        let name: &[u8] = match value {
            _ if value.is_nan() => b"\"NaN\"",
            _ if value > 0.0 => b"\"Infinity\"",
            _ => b"\"-Infinity\"",
        };
        self.out.extend_from_slice(name);
    }

    fn put_bytes(&mut self, bytes: &[u8], meaning: Option<Meaning>) -> Result<(), String> {
        match meaning.and_then(|meaning| meaning.meaning_of_bytes(bytes)) {
            Some(said) => self.out.extend_from_slice(said.as_bytes()),
            None => self.put(&base64::encode(bytes))?,
        }
        Ok(())
    }

    /// The number of values in the next block of a list or map; `None` after the last one.
    fn block(&mut self) -> Result<Option<u64>, String> {
        let count = self.integer()?;
        if count < 0 {
            // The block's length in bytes follows, for those who pass over it.
            self.integer()?;
        }
        Ok(Some(count.unsigned_abs()).filter(|count| *count > 0))
    }

    fn index(&mut self) -> Result<usize, String> {
        let index = self.integer()?;
        usize::try_from(index).map_err(|_| format!("the number {index} found where none is below 0"))
    }

    fn integer(&mut self) -> Result<i64, String> {
        let (value, rest) = zigzag(self.rest).ok_or("an integer that does not end")?;
        self.rest = rest;
        Ok(value)
    }

    fn text(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a string that is not UTF-8".to_owned())
    }

    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.index()?;
        self.take(length)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "too few bytes".to_owned())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (head, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| format!("{length} bytes expected, {} are left", self.rest.len()))?;
        self.rest = rest;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(schema: &str, bytes: &[u8]) -> Result<String, String> {
        let schema = AvroSchema::parse(schema, &[])?;
        json(&schema, bytes).map(|json| String::from_utf8(json).unwrap())
    }

    #[test]
    fn every_type_has_its_json() {
        for (schema, bytes, expected) in [
            (r#""null""#, &[][..], "null"),
            ("long", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20], "9007199254740992"),
            (r#"{"type":"string"}"#, &[4, b'"', b'a'], r#""\"a""#),
            (r#""bytes""#, &[2, 0xff], r#""/w==""#),
            (r#""float""#, &[0, 0, 0xc0, 0x7f], r#""NaN""#),
            (r#""float""#, &[0xcd, 0xcc, 0xcc, 0x3d], "0.1"),
            (r#""double""#, &[0, 0, 0, 0, 0, 0, 0xf0, 0xff], r#""-Infinity""#),
            (r#"["null","boolean"]"#, &[2, 1], "true"),
            (r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, &[2], r#""B""#),
            (r#"{"type":"array","items":"int"}"#, &[1, 2, 2, 2, 4, 0], "[1,2]"),
            (r#"{"type":"map","values":"int"}"#, &[2, 2, b'k', 4, 0], r#"{"k":2}"#),
            (r#"{"type":"int","logicalType":"date"}"#, &[0], r#""1970-01-01""#),
            (
                r#"{"type":"long","logicalType":"local-timestamp-micros"}"#,
                &[1],
                r#""1969-12-31T23:59:59.999999""#,
            ),
            (r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#, &[2, 0xff], "-0.01"),
            (
                r#"{"type":"fixed","size":12,"name":"D","logicalType":"duration"}"#,
                &[1, 0, 0, 0, 2, 0, 0, 0, 0xdd, 5, 0, 0],
                r#""P1M2DT1.501S""#,
            ),
            (r#"{"type":"string","connect.name":"io.debezium.data.Json"}"#, b"\x0e{\"a\":1}", r#"{"a":1}"#),
            (r#"{"type":"string","connect.name":"io.debezium.data.Json"}"#, b"\x08{\"a\"", r#""{\"a\"""#),
            (
                r#"{"type":"record","name":"V","connect.name":"io.debezium.data.VariableScaleDecimal",
                    "fields":[{"name":"scale","type":"int"},{"name":"value","type":"bytes"}]}"#,
                &[4, 4, 0x01, 0xa9],
                "4.25",
            ),
            (
                r#"{"type":"record","name":"n.C","fields":[{"name":"id","type":"int"},{"name":"of","type":["null","C"]}]}"#,
                &[2, 2, 4, 0],
                r#"{"id":1,"of":{"id":2,"of":null}}"#,
            ),
        ] {
            assert_eq!(of(schema, bytes).as_deref(), Ok(expected), "{schema}");
        }
    }

    #[test]
    fn what_does_not_fit_says_where() {
        let record = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}"#;
        assert_eq!(of(record, &[6, b'x']).unwrap_err(), "a: 3 bytes expected, 1 are left");
        assert_eq!(of(record, &[0, 0]).unwrap_err(), "1 bytes more than the schema has");
        assert!(of(r#"{"type":"array","items":"null"}"#, &[0xfe, 0xff, 0xff, 0xff, 0xff, 1]).is_err());
        let endless = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"R"}]}"#;
        assert!(of(endless, &[]).unwrap_err().ends_with("levels deep"));
        for schema in ["{", r#"{"type":"R"}"#, r#"{"type":"record","name":"R"}"#, "7"] {
            assert!(AvroSchema::parse(schema, &[]).is_err(), "{schema}");
        }
    }

    #[test]
    fn types_of_other_schemas_are_found_by_their_names() {
        let address = r#"{"type":"record","name":"Address","namespace":"x","fields":[{"name":"city","type":"string"}]}"#;
        let schema = r#"{"type":"record","name":"O","namespace":"y","fields":[{"name":"address","type":"x.Address"}]}"#;
        let schema = AvroSchema::parse(schema, &[address.to_owned()]).unwrap();
        assert_eq!(json(&schema, &[4, b'A', b'B']).unwrap(), br#"{"address":{"city":"AB"}}"#);
    }
}
