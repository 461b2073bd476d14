//! An event's data: its id and the fields that it writes.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::connect::Type;
use super::json::{self, Member, Members};
use super::names::Names;
use super::unknown_fields::UnknownFields;
use super::{DataPlace, Poison, excerpt, fields, keys, placeholder, transform};
use crate::event::EventField;
use crate::plan::EntityType;

/// By this member a flattened row says that it is deleted (`delete.tombstone.handling.mode=rewrite`).
const DELETED: &str = "__deleted";

/// The id and the fields that data holds.
#[derive(Default)]
pub(super) struct Data<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) fields: Vec<EventField>,
    /// True of a flattened row that is deleted.
    pub(super) is_deleted: bool,
    /// True when a field was left out because the change left it as it was.
    pub(super) is_partial: bool,
}

/// How data is to be read.
#[derive(Clone, Copy)]
pub(super) struct DataReader<'a> {
    pub(super) kind: EntityType,
    pub(super) place: DataPlace,
    /// True of rows of a table, as Debezium writes them.
    pub(super) is_row: bool,
    /// True of Protobuf: a field that was not set is an empty string, and long integers are strings of digits
    /// (<https://protobuf.dev/programming-guides/json/>).
    pub(super) is_protobuf: bool,
    /// The names and numbers that a topic writes in its own way.
    pub(super) other: &'a Names,
    /// Where fields are counted that no declaration knows.
    pub(super) unknown: &'a UnknownFields,
    /// The fields that make the id; when there are none, `id` is it.
    pub(super) names: &'a [String],
    /// The types of the members, where a schema came with them.
    pub(super) types: Option<&'a Type>,
}

impl DataReader<'_> {
    /// Reads data; of a field that repeats, the last value stands and the others are not looked at.
    pub(super) fn read<'d>(&self, data: &'d [u8]) -> Result<Data<'d>, Poison> {
        let members = json::members(self.place.data, data)?.last_of_each();
        let mut read = Data { id: self.id(&members)?, ..Data::default() };
        if self.is_row && members.iter().any(|(name, value)| name == DELETED && is_true(value)) {
            // The other columns of a deleted row may hold made-up values.
            read.is_deleted = true;
            return Ok(read);
        }
        read.fields.reserve(members.len());
        let program = self.kind.get().transform.as_ref();
        let mut values: Vec<(&str, Box<[u8]>)> = Vec::new();
        for (written, value) in &members {
            let has = |name: &str| members.iter().any(|(key, _)| key == name);
            let name: &str = self.other.read(written, has).unwrap_or(written);
            if name == "id" || self.is_row && name == DELETED {
                continue;
            }
            json::check_key(name)?;
            let canonical = json::canonical(name, value)?;
            if self.is_row && placeholder::is_placeholder(&canonical) {
                read.is_partial = true;
                continue;
            }
            let mut canonical = self.meaning_of(written, canonical)?;
            if let Some(said) = self.other.meaning_of(name, &canonical) {
                canonical = said.into_bytes().into();
            }
            if self.is_protobuf && *canonical == *b"\"\"" && fields::is_reference(self.kind, name) {
                canonical = (*b"null").into();
            }
            if self.is_protobuf
                && let Some(number) = fields::digits(self.kind, name, &canonical)
            {
                canonical = number.into();
            }
            match program {
                None => self.take(name, canonical, &mut read)?,
                Some(_) => values.push((name, canonical)),
            }
        }
        if let Some(program) = program {
            let id = self.member(&members, "id").map(|(_, value)| value.get());
            for EventField { name, json } in transform::transform(program, id, &values)? {
                self.take(&name, json, &mut read)?;
            }
        }
        Ok(read)
    }

    /// Takes a field into the data that is read so far.
    fn take(&self, name: &str, canonical: Box<[u8]>, read: &mut Data<'_>) -> Result<(), Poison> {
        let json = match self.kind.field_named(name) {
            Some(field) => fields::check_value((self.kind, field.kind), name, canonical, self.is_row)?,
            None => {
                self.unknown.count(self.kind, name);
                canonical
            }
        };
        read.fields.push(EventField { name: name.to_owned(), json });
        Ok(())
    }

    /// The id alone, which is all that a delete needs; empty when the data is no object or has no id. An
    /// object that cannot be read is an error, because it might name another entity.
    pub(super) fn read_id<'d>(&self, data: Option<&'d [u8]>) -> Result<Data<'d>, Poison> {
        let Some(data) = data else { return Ok(Data::default()) };
        let Ok(text) = std::str::from_utf8(data) else {
            return Err(format!("{}: not UTF-8, JSON was expected", self.place.data));
        };
        if !text.trim_start().starts_with('{') {
            return Ok(Data::default());
        }
        let Members(members) = json::members(self.place.data, data)?;
        Ok(Data { id: self.id(&members)?, ..Data::default() })
    }

    fn id<'d>(&self, members: &[Member<'d>]) -> Result<Option<Cow<'d, str>>, Poison> {
        let part = |target: &str| {
            self.member(members, target).map_or(Ok(None), |(name, value)| self.id_text(name, value))
        };
        if self.names.is_empty() {
            return part("id");
        }
        let parts = self.names.iter().map(|name| part(name)).collect::<Result<Option<Vec<_>>, _>>()?;
        parts.map(|parts| keys::join_parts(self.place.data, parts)).transpose()
    }

    /// The last member of this name, else the last that is read by it.
    fn member<'m, 'd>(&self, members: &'m [Member<'d>], target: &str) -> Option<&'m Member<'d>> {
        let named = members.iter().rfind(|(name, _)| name == target);
        named.or_else(|| members.iter().rfind(|(name, _)| self.other.is_read_as(name, target)))
    }

    /// The canonical form of a value's meaning by its schema, and the value itself where it has none.
    fn meaning_of(&self, name: &str, canonical: Box<[u8]>) -> Result<Box<[u8]>, Poison> {
        let Some(of) = self.types.and_then(|types| types.member(name)) else { return Ok(canonical) };
        let said = std::str::from_utf8(&canonical).ok().and_then(|value| of.meaning_of(value));
        match said.map(RawValue::from_string) {
            Some(Ok(said)) => json::canonical(name, &said),
            _ => Ok(canonical),
        }
    }

    fn id_text<'d>(&self, name: &str, value: &'d RawValue) -> Result<Option<Cow<'d, str>>, Poison> {
        let json = value.get();
        if json == "null" {
            return Ok(None);
        }
        let of = self.types.and_then(|types| types.member(name));
        let id = fields::id_said(json, of).map(Some);
        id.ok_or_else(|| {
            format!("{}: {} found, a string or an integer was expected", self.place.id, excerpt(json))
        })
    }
}

fn is_true(value: &RawValue) -> bool {
    matches!(value.get(), "true" | "\"true\"")
}
