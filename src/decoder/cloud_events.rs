//! `cloudevents`: CloudEvents 1.0 in JSON, structured (the value is the envelope) and binary
//! (attributes in `ce_*` headers, the value is the data).
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{self, Members};
use super::verb::Types;
use super::{DataPlace, Envelope, Poison, excerpt, header, sequence};
use crate::base64;
use crate::event::Record;

pub(super) fn read<'a>(
    record: &'a Record,
    value: Option<&'a [u8]>,
    types: &Types,
) -> Result<Option<Envelope<'a>>, Poison> {
    if is_structured(record)? {
        return parse_structured(value.unwrap_or(b"null"), types);
    }
    let spec_version = header(record, "ce_specversion")?;
    match header(record, "ce_type")? {
        Some(full_type) => binary(record, (spec_version, full_type), value, types),
        None if spec_version.is_some() => Err("ce_type: missing, an event type was expected".to_owned()),
        None => parse_structured(value.unwrap_or(b"null"), types),
    }
}

/// The content type of structured mode, and how it goes on where the record holds several events.
const MEDIA_TYPE: &str = "application/cloudevents";
const BATCH: &str = "-batch";
/// The reason of a dead letter that holds a batch.
const BATCH_FOUND: &str =
    "a batch of CloudEvents found, which is not supported; one event in each record was expected";

/// Whether the content type says that the value is the envelope. It stands above `ce_` headers, which relays copy.
fn is_structured(record: &Record) -> Result<bool, Poison> {
    let Some(found) = header(record, "content-type")? else { return Ok(false) };
    let media_type = found.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.strip_prefix(MEDIA_TYPE) {
        Some(rest) if rest.starts_with(BATCH) => Err(format!("content-type: {BATCH_FOUND}")),
        Some("" | "+json") => Ok(true),
        Some(_) => Err(format!("content-type: {} found, {MEDIA_TYPE}+json was expected", excerpt(found))),
        None => Ok(false),
    }
}

fn binary<'a>(
    record: &'a Record,
    (spec_version, full_type): (Option<&str>, &str),
    value: Option<&'a [u8]>,
    types: &Types,
) -> Result<Option<Envelope<'a>>, Poison> {
    let Some(action) = types.action(full_type)? else { return Ok(None) };
    check_spec_version("ce_specversion", spec_version)?;
    let version = header(record, "ce_sequence")?.map(|text| sequence("ce_sequence", text)).transpose()?;
    let subject = header(record, "ce_subject")?.map(Cow::Borrowed);
    Ok(Some(Envelope { subject, version, action, data: value.map(Cow::Borrowed), place: DataPlace::DATA }))
}

/// The attributes that count, as they stand in the envelope.
#[derive(Default)]
struct Attributes<'a> {
    spec_version: Option<&'a RawValue>,
    full_type: Option<&'a RawValue>,
    subject: Option<&'a RawValue>,
    sequence: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    data_base64: Option<&'a RawValue>,
}

fn parse_structured<'a>(value: &'a [u8], types: &Types) -> Result<Option<Envelope<'a>>, Poison> {
    if value.trim_ascii_start().starts_with(b"[") {
        return Err(format!("value: {BATCH_FOUND}"));
    }
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
            "data_base64" => found.data_base64 = value,
            _ => {}
        }
    }
    let full_type = text("type", found.full_type)?;
    let full_type = full_type.ok_or_else(|| "type: missing, an event type was expected".to_owned())?;
    let Some(action) = types.action(&full_type)? else { return Ok(None) };
    check_spec_version("specversion", text("specversion", found.spec_version)?.as_deref())?;
    let version = text("sequence", found.sequence)?.map(|text| sequence("sequence", &text)).transpose()?;
    let subject = text("subject", found.subject)?;
    let data = match (found.data, text("data_base64", found.data_base64)?) {
        (Some(data), _) => Some(Cow::Borrowed(data.get().as_bytes())),
        (None, None) => None,
        (None, Some(text)) => Some(Cow::Owned(
            base64::decode(&text)
                .ok_or_else(|| format!("data_base64: {} found, base64 was expected", excerpt(&text)))?,
        )),
    };
    Ok(Some(Envelope { subject, version, action, data, place: DataPlace::MEMBER }))
}

fn text<'a>(name: &str, value: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, Poison> {
    let Some(value) = value else { return Ok(None) };
    let text = json::text(value.get());
    text.map(Some).ok_or_else(|| format!("{name}: {} found, a string was expected", excerpt(value.get())))
}

/// Every version 1 is read alike; the rules of another major version are not known.
fn check_spec_version(name: &str, version: Option<&str>) -> Result<(), Poison> {
    match version {
        Some(version) if !version.starts_with("1.") => {
            Err(format!("{name}: {} found, 1.0 was expected", excerpt(version)))
        }
        _ => Ok(()),
    }
}
