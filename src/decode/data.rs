//! An event's data: its id and the fields that it writes.

use super::json::{self, Members};
use super::{Poison, fields};
use crate::event::{EntityKind, Field};

/// What data says.
#[derive(Default)]
pub(super) struct Data {
    pub(super) id: Option<String>,
    pub(super) fields: Vec<Field>,
}

impl Data {
    /// What a delete needs of its data: the id, when there is an object that has one.
    pub(super) fn id_only(data: Option<&[u8]>) -> Self {
        let members = data.and_then(|data| serde_json::from_slice::<Members<'_>>(data).ok());
        let id = members.and_then(|Members(members)| {
            let (_, value) = members.into_iter().rev().find(|(name, _)| name == "id")?;
            fields::id_text(value.get())
        });
        Self { id, fields: Vec::new() }
    }
}

/// Reads data; of a field that repeats, the last value stands.
pub(super) fn read(kind: EntityKind, data: &[u8]) -> Result<Data, Poison> {
    let Members(members) = json::members("data", data)?;
    let mut read = Data { id: None, fields: Vec::with_capacity(members.len()) };
    for (name, value) in members {
        if name == "id" {
            read.id = id(value.get())?;
            continue;
        }
        json::check_key(&name)?;
        let json = fields::checked(kind, &name, json::canonical(&name, value)?)?;
        match read.fields.iter_mut().find(|field| field.name == name) {
            Some(field) => field.json = json,
            None => read.fields.push(Field { name: name.into_owned(), json }),
        }
    }
    Ok(read)
}

fn id(json: &str) -> Result<Option<String>, Poison> {
    if json == "null" {
        return Ok(None);
    }
    let id = fields::id_text(json);
    id.map(Some)
        .ok_or_else(|| format!("data.id: {} found, a string or an integer was expected", super::shown(json)))
}
