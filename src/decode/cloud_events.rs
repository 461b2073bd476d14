//! `cloudevents`: CloudEvents 1.0 in JSON, structured (the value is the envelope) and binary
//! (attributes in `ce_*` headers, the value is the data).
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::json::{self, Members};
use super::{Envelope, Place, Poison, header, sequence, shown, verb};
use crate::config::TypeRule;
use crate::event::{Action, Record};

pub(super) fn read<'a>(
    record: &'a Record,
    value: Option<&'a [u8]>,
    types: &BTreeMap<String, TypeRule>,
) -> Result<Option<Envelope<'a>>, Poison> {
    let spec_version = header(record, "ce_specversion")?;
    match header(record, "ce_type")? {
        Some(full_type) => binary(record, (spec_version, full_type), value, types),
        None if spec_version.is_some() => Err("ce_type: missing, an event type was expected".to_owned()),
        None => structured(value.unwrap_or(b"null"), types),
    }
}

fn binary<'a>(
    record: &'a Record,
    (spec_version, full_type): (Option<&str>, &str),
    value: Option<&'a [u8]>,
    types: &BTreeMap<String, TypeRule>,
) -> Result<Option<Envelope<'a>>, Poison> {
    let Some(action) = verb::action(full_type, types)? else { return Ok(None) };
    check_spec_version("ce_specversion", spec_version)?;
    let version = header(record, "ce_sequence")?.map(|text| sequence("ce_sequence", text)).transpose()?;
    let subject = header(record, "ce_subject")?.map(Cow::Borrowed);
    Ok(Some(Envelope { subject, version, action, data: value.map(Cow::Borrowed), place: Place::DATA }))
}

/// The attributes that count, as they stand in the envelope.
#[derive(Default)]
struct Attributes<'a> {
    spec_version: Option<&'a RawValue>,
    full_type: Option<&'a RawValue>,
    subject: Option<&'a RawValue>,
    sequence: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    data_base64: bool,
}

fn structured<'a>(
    value: &'a [u8],
    types: &BTreeMap<String, TypeRule>,
) -> Result<Option<Envelope<'a>>, Poison> {
    let Members(members) = json::members("value", value)?;
    let mut found = Attributes::default();
    for (name, value) in members {
        let value = (value.get() != "null").then_some(value);
        match &*name {
            "specversion" => found.spec_version = value,
            "type" => found.full_type = value,
            "subject" => found.subject = value,
            "sequence" => found.sequence = value,
            "data" => found.data = value,
            "data_base64" => found.data_base64 = value.is_some(),
            _ => {}
        }
    }
    let full_type = text("type", found.full_type)?;
    let full_type = full_type.ok_or_else(|| "type: missing, an event type was expected".to_owned())?;
    let Some(action) = verb::action(&full_type, types)? else { return Ok(None) };
    check_spec_version("specversion", text("specversion", found.spec_version)?.as_deref())?;
    if found.data.is_none() && found.data_base64 && action != Action::Delete {
        return Err("data_base64: found, the data as a JSON object in data was expected".to_owned());
    }
    let version = text("sequence", found.sequence)?.map(|text| sequence("sequence", &text)).transpose()?;
    let subject = text("subject", found.subject)?;
    let data = found.data.map(|data| data.get().as_bytes().into());
    Ok(Some(Envelope { subject, version, action, data, place: Place::DATA }))
}

fn text<'a>(name: &str, value: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, Poison> {
    let Some(value) = value else { return Ok(None) };
    let text = json::text(value.get());
    text.map(Some).ok_or_else(|| format!("{name}: {} found, a string was expected", shown(value.get())))
}

/// Every version 1 is read alike; what another one would mean is not known.
fn check_spec_version(name: &str, version: Option<&str>) -> Result<(), Poison> {
    match version {
        Some(version) if !version.starts_with("1.") => {
            Err(format!("{name}: {} found, 1.0 was expected", shown(version)))
        }
        _ => Ok(()),
    }
}
