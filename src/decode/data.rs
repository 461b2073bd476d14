//! An event's data: its id and the fields that it writes.

use std::borrow::Cow;

use super::json::{self, Members};
use super::{Place, Poison, fields, shown};
use crate::event::{EntityKind, Field};

/// What data says.
#[derive(Default)]
pub(super) struct Data<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) fields: Vec<Field>,
}

/// Reads data; of a field that repeats, the last value stands and the others are not looked at.
pub(super) fn read<'a>(kind: EntityKind, place: Place, data: &'a [u8]) -> Result<Data<'a>, Poison> {
    let members = json::members(place.data, data)?.last_of_each();
    let mut read = Data { id: None, fields: Vec::with_capacity(members.len()) };
    for (name, value) in members {
        if name == "id" {
            read.id = id(place, value.get())?;
            continue;
        }
        json::check_key(&name)?;
        let json = fields::checked(kind, &name, json::canonical(&name, value)?)?;
        read.fields.push(Field { name: name.into_owned(), json });
    }
    Ok(read)
}

/// What a delete needs of its data: the id, when there is an object that has one. Anything but an
/// object is passed over, but an object that cannot be read might name another entity.
pub(super) fn id_only(place: Place, data: Option<&[u8]>) -> Result<Data<'_>, Poison> {
    let Some(data) = data else { return Ok(Data::default()) };
    let Ok(text) = std::str::from_utf8(data) else {
        return Err(format!("{}: not UTF-8, JSON was expected", place.data));
    };
    if !text.trim_start().starts_with('{') {
        return Ok(Data::default());
    }
    let Members(members) = json::members(place.data, data)?;
    let held = members.into_iter().rev().find(|(name, _)| name == "id");
    let id = held.map_or(Ok(None), |(_, value)| id(place, value.get()))?;
    Ok(Data { id, fields: Vec::new() })
}

fn id(place: Place, json: &str) -> Result<Option<Cow<'_, str>>, Poison> {
    if json == "null" {
        return Ok(None);
    }
    let id = fields::id_text(json);
    id.map(Some)
        .ok_or_else(|| format!("{}: {} found, a string or an integer was expected", place.id, shown(json)))
}
