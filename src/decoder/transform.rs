//! An event's data as the model's program makes it.

use serde_json::value::RawValue;

use super::json::{self, Members};
use super::{Poison, excerpt};
use crate::event::EventField;
use crate::json::Object;
use crate::model::program::Program;

/// The fields that the program makes of the data's; `id` is the data's own.
///
/// # Errors
/// jq's message, or that the result is no object.
pub(super) fn transform(
    program: &Program,
    id: Option<&str>,
    fields: &[(&str, Box<[u8]>)],
) -> Result<Vec<EventField>, Poison> {
    let mut input = Vec::new();
    let mut object = Object::open(&mut input);
    object.raw_if("id", id.map(str::as_bytes));
    fields.iter().for_each(|(name, json)| object.raw(&**name, json));
    object.close();
    let made = program.run(&input).map_err(|error| format!("transform: {error}"))?;
    let made = made.ok_or_else(|| "transform: no result, an object was expected".to_owned())?;
    let no_object =
        || format!("transform: {} found, an object was expected", excerpt(&String::from_utf8_lossy(&made)));
    let Members(members) = json::members("transform", &made).map_err(|_| no_object())?;
    let mut transformed = Vec::with_capacity(members.len());
    for (name, value) in &members {
        let value: &RawValue = value;
        // A null that the data did not have clears nothing.
        let is_had = || fields.iter().any(|(had, _)| *had == name);
        if name == "id" || value.get() == "null" && !is_had() {
            continue;
        }
        json::check_key(name)?;
        transformed.push(EventField { name: name.to_string(), json: json::canonical(name, value)? });
    }
    Ok(transformed)
}
