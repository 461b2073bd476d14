//! The files and types that Protobuf's serializers know, beside Google's own: schemas import them and do not bring them along
//! (`protos/NOTICE.md`). Some of the types stand for a date, a time of day or a number.

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use protox::file::{File, FileResolver};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::meaning::{Meaning, NANOS};
use super::members::Members;

macro_rules! known {
    ($name:literal) => {
        ($name, include_str!(concat!("protos/", $name)))
    };
}

/// Each file by the name under which it is imported.
const FILES: [(&str, &str); 19] = [
    known!("confluent/meta.proto"),
    known!("confluent/type/decimal.proto"),
    known!("confluent/type/variant.proto"),
    known!("google/type/calendar_period.proto"),
    known!("google/type/color.proto"),
    known!("google/type/date.proto"),
    known!("google/type/datetime.proto"),
    known!("google/type/dayofweek.proto"),
    known!("google/type/decimal.proto"),
    known!("google/type/expr.proto"),
    known!("google/type/fraction.proto"),
    known!("google/type/interval.proto"),
    known!("google/type/latlng.proto"),
    known!("google/type/money.proto"),
    known!("google/type/month.proto"),
    known!("google/type/phone_number.proto"),
    known!("google/type/postal_address.proto"),
    known!("google/type/quaternion.proto"),
    known!("google/type/timeofday.proto"),
];

const DECIMAL: &str = "confluent.type.Decimal";
const DATE: &str = "google.type.Date";
const TIME: &str = "google.type.TimeOfDay";

/// Finds the files that serializers know.
pub(super) struct WellKnownFiles;

impl FileResolver for WellKnownFiles {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let found = FILES.iter().find(|(known, _)| *known == name);
        let (name, text) = found.ok_or_else(|| protox::Error::file_not_found(name))?;
        File::from_source(name, text)
    }
}

/// True when a message may hold a value that stands for something else than it says.
pub(super) fn has_types(pool: &DescriptorPool) -> bool {
    [DECIMAL, DATE, TIME].iter().any(|name| pool.get_message_by_name(name).is_some())
}

/// The JSON of a message's meaning, out of Protobuf's own JSON of it; `None` when that JSON stays as it is.
pub(super) fn meaning_of(of: &MessageDescriptor, json: &str) -> Option<String> {
    match of.full_name() {
        DECIMAL => decimal(json),
        DATE => date(json),
        TIME => time(json),
        _ => {
            let Members(members) = serde_json::from_str(json).ok()?;
            let members = members.iter().map(|(name, value)| {
                let value = value.get();
                let field = of.get_field_by_json_name(name);
                let said = field.and_then(|field| meaning_of_field(&field, value));
                Some(format!("{}:{}", serde_json::to_string(name).ok()?, said.as_deref().unwrap_or(value)))
            });
            Some(format!("{{{}}}", members.collect::<Option<Vec<_>>>()?.join(",")))
        }
    }
}

fn meaning_of_field(field: &FieldDescriptor, json: &str) -> Option<String> {
    let Kind::Message(of) = field.kind() else { return None };
    if field.is_map() {
        let values = of.map_entry_value_field();
        let Kind::Message(of) = values.kind() else { return None };
        let Members(entries) = serde_json::from_str(json).ok()?;
        let entries = entries.iter().map(|(key, value)| {
            let value = value.get();
            let said = meaning_of(&of, value);
            Some(format!("{}:{}", serde_json::to_string(key).ok()?, said.as_deref().unwrap_or(value)))
        });
        return Some(format!("{{{}}}", entries.collect::<Option<Vec<_>>>()?.join(",")));
    }
    if field.is_list() {
        let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
        let items =
            items.iter().map(|item| meaning_of(&of, item.get()).unwrap_or_else(|| item.get().to_owned()));
        return Some(format!("[{}]", items.collect::<Vec<_>>().join(",")));
    }
    meaning_of(&of, json)
}

fn decimal(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Decimal<'a> {
        #[serde(borrow)]
        value: &'a RawValue,
        #[serde(default)]
        scale: i64,
    }
    let Decimal { value, scale } = serde_json::from_str(json).ok()?;
    Meaning::Decimal(scale).meaning_of(value.get())
}

/// A date with all its parts. One without a year or a day stays as it is.
fn date(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Date {
        year: u16,
        month: u8,
        day: u8,
    }
    let Date { year, month, day } = serde_json::from_str(json).ok()?;
    let is_whole = (1..=9_999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    is_whole.then(|| format!("\"{year:04}-{month:02}-{day:02}\""))
}

fn time(json: &str) -> Option<String> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Time {
        hours: u8,
        minutes: u8,
        seconds: u8,
        nanos: u32,
    }
    let Time { hours, minutes, seconds, nanos } = serde_json::from_str(json).ok()?;
    let whole = (i64::from(hours) * 60 + i64::from(minutes)) * 60 + i64::from(seconds);
    Meaning::Time(NANOS).meaning_of_integer(whole * NANOS + i64::from(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_can_be_read() {
        for (name, _) in FILES {
            let mut compiler = protox::Compiler::with_file_resolver({
                let mut resolver = protox::file::ChainFileResolver::new();
                resolver.add(protox::file::GoogleFileResolver::new());
                resolver.add(WellKnownFiles);
                resolver
            });
            assert!(compiler.open_file(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn dates_times_and_decimals_are_said_where_they_are_whole() {
        assert_eq!(decimal(r#"{"value":"HL6ZGhQ=","precision":18,"scale":2}"#).unwrap(), "1234567890.12");
        assert_eq!(decimal(r#"{"value":"/w=="}"#).unwrap(), "-1");
        assert_eq!(decimal("{}"), None);
        assert_eq!(date(r#"{"year":1987,"month":3,"day":9}"#).unwrap(), "\"1987-03-09\"");
        assert_eq!(date(r#"{"year":1987,"month":3}"#), None);
        assert_eq!(time(r#"{"hours":8,"minutes":30,"nanos":1000}"#).unwrap(), "\"08:30:00.000001\"");
        assert_eq!(time("{}").unwrap(), "\"00:00:00\"");
    }
}
