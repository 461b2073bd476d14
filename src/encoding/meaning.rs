//! The meaning of a value by the name of its schema: dates, times, moments, decimals, JSON in a string
//! (<https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-temporal-types>).

use serde_json::value::RawValue;

use crate::base64;
use crate::time;

/// The largest scale of a decimal: no index takes a number with more digits.
const SCALE_MAX: i64 = 1_000;
/// PostgreSQL's `infinity` and `-infinity` in microseconds, as Debezium writes them.
const INFINITY: [i64; 2] = [9_223_372_036_825_200_000, -9_223_372_036_832_400_000];

/// Units of time in a second.
pub(super) const MILLIS: i64 = 1_000;
pub(super) const MICROS: i64 = 1_000_000;
pub(super) const NANOS: i64 = 1_000_000_000;

/// The meaning of a value that is not the value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A number of days since the Unix epoch.
    Date,
    /// A date or a time of day with a `Z` behind it.
    Iso,
    /// A time of day, in so many units a second.
    Time(i64),
    /// A moment as RFC 3339 has it, in any zone.
    Zoned,
    /// A moment, in so many units a second since the Unix epoch.
    Timestamp(i64),
    /// A moment of a calendar without a time zone, in so many units a second.
    LocalTimestamp(i64),
    /// Bytes of a whole number, to be shifted by a scale.
    Decimal(i64),
    /// The same with the scale beside it.
    VariableDecimal,
    /// Sixteen bytes of a UUID.
    Uuid,
    /// Months, days and milliseconds in twelve bytes.
    Duration,
    /// A text that holds JSON.
    Json,
}

impl Meaning {
    /// The meaning of the values of a schema with this name. `scale` is the schema's scale of decimals.
    pub(crate) fn of_name(name: &str, scale: Option<i64>) -> Option<Self> {
        Some(match name {
            "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => Self::Date,
            "io.debezium.time.IsoDate" | "io.debezium.time.IsoTime" => Self::Iso,
            "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time" => Self::Time(MILLIS),
            "io.debezium.time.MicroTime" => Self::Time(MICROS),
            "io.debezium.time.NanoTime" => Self::Time(NANOS),
            "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => {
                Self::Timestamp(MILLIS)
            }
            "io.debezium.time.MicroTimestamp" => Self::Timestamp(MICROS),
            "io.debezium.time.NanoTimestamp" => Self::Timestamp(NANOS),
            "io.debezium.time.ZonedTimestamp" => Self::Zoned,
            "io.debezium.data.VariableScaleDecimal" => Self::VariableDecimal,
            "io.debezium.data.Json" => Self::Json,
            "org.apache.kafka.connect.data.Decimal" => Self::Decimal(scale?),
            _ => return None,
        })
    }

    /// The JSON of a value's meaning; `None` when the value is not of this type.
    pub(crate) fn meaning_of(self, value: &str) -> Option<String> {
        match self {
            Self::Iso => Some(format!("\"{}\"", text(value)?.strip_suffix('Z')?)),
            Self::Zoned => {
                let moment = in_utc(&text(value)?);
                Some(moment.map_or_else(|| value.to_owned(), |moment| format!("\"{moment}\"")))
            }
            Self::Json => {
                let json = text(value)?;
                serde_json::from_str::<&RawValue>(&json).ok().map(|value| value.get().to_owned())
            }
            Self::VariableDecimal => variable_decimal(value),
            Self::Decimal(_) | Self::Uuid | Self::Duration => {
                self.meaning_of_bytes(&base64::decode(&text(value)?)?)
            }
            Self::Date | Self::Time(_) | Self::Timestamp(_) | Self::LocalTimestamp(_) => {
                self.meaning_of_integer(value.parse().ok()?)
            }
        }
    }

    /// The JSON of an integer's meaning; `None` when the type has no integers.
    pub(crate) fn meaning_of_integer(self, value: i64) -> Option<String> {
        Some(match self {
            Self::Date => format!("\"{}\"", date(value)),
            Self::Time(unit) => format!("\"{}\"", clock(value, unit)),
            Self::Timestamp(unit) => match INFINITY.iter().position(|infinity| *infinity == value) {
                Some(0) => "\"infinity\"".to_owned(),
                Some(_) => "\"-infinity\"".to_owned(),
                None => format!("\"{}Z\"", moment(value, unit)),
            },
            Self::LocalTimestamp(unit) => format!("\"{}\"", moment(value, unit)),
            _ => return None,
        })
    }

    /// The JSON of the meaning of bytes; `None` when the type has no bytes, or others.
    pub(crate) fn meaning_of_bytes(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Decimal(scale) => decimal(bytes, scale),
            Self::Uuid => uuid(bytes),
            Self::Duration => duration(bytes),
            _ => None,
        }
    }
}

fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

fn variable_decimal(value: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct DecimalParts {
        scale: i64,
        value: String,
    }
    let DecimalParts { scale, value } = serde_json::from_str(value).ok()?;
    decimal(&base64::decode(&value)?, scale)
}

/// `YYYY-MM-DD`; years before the first have a sign.
fn date(days: i64) -> String {
    let (year, month, day) = time::civil(days);
    let sign = if year < 0 { "-" } else { "" };
    format!("{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs())
}

/// The same moment in UTC with all digits of its fraction; `None` where it is in UTC already, or is no moment.
fn in_utc(moment_text: &str) -> Option<String> {
    let (day, time) = moment_text.split_once('T').filter(|_| !moment_text.ends_with('Z'))?;
    let zone = time.find(['+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let seconds = time::milliseconds(&format!("{day}T{clock}{zone}"))?.div_euclid(1_000);
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{}{point}{fraction}Z", moment(seconds, 1)))
}

/// `HH:MM:SS`, with as many digits of the fraction as there are, in threes; one sign before a negative value (a
/// duration of MySQL's `TIME`).
fn clock(value: i64, unit: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let (value, unit_of) = (value.unsigned_abs(), unit.unsigned_abs());
    let (seconds, fraction) = (value / unit_of, value % unit_of);
    let time = format!("{sign}{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 {
        return time;
    }
    let digits = unit.ilog10() as usize;
    let mut fraction = format!("{fraction:0digits$}");
    while let Some(shorter) = fraction.strip_suffix("000") {
        fraction = shorter.to_owned();
    }
    format!("{time}.{fraction}")
}

/// A date and a time of day.
fn moment(value: i64, unit: i64) -> String {
    let day = 86_400 * unit;
    format!("{}T{}", date(value.div_euclid(day)), clock(value.rem_euclid(day), unit))
}

fn uuid(bytes: &[u8]) -> Option<String> {
    let number = u128::from_be_bytes(bytes.try_into().ok()?);
    let digits = format!("{number:032x}");
    let part = |from: usize, to: usize| digits.get(from..to);
    let parts = [part(0, 8)?, part(8, 12)?, part(12, 16)?, part(16, 20)?, part(20, 32)?];
    Some(format!("\"{}\"", parts.join("-")))
}

/// ISO 8601 of months, days and milliseconds, each in four bytes with the lowest first.
fn duration(bytes: &[u8]) -> Option<String> {
    if bytes.len() != 12 {
        return None;
    }
    let mut numbers = bytes
        .chunks_exact(4)
        .map(|part| part.iter().rev().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)));
    let (months, days, millis) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let fraction = if millis % 1_000 == 0 { String::new() } else { format!(".{:03}", millis % 1_000) };
    Some(format!("\"P{months}M{days}DT{}{fraction}S\"", millis / 1_000))
}

/// The number that these bytes hold in two's complement, the highest first, with all its digits.
fn decimal(bytes: &[u8], scale: i64) -> Option<String> {
    let is_negative = bytes.first()? & 0x80 != 0;
    if scale.abs() > SCALE_MAX || bytes.len() > 512 {
        return None;
    }
    let mut magnitude: Vec<u8> = bytes.iter().map(|byte| if is_negative { !byte } else { *byte }).collect();
    if is_negative {
        let carry = magnitude.iter_mut().rev().try_for_each(|byte| {
            let (sum, is_over) = byte.overflowing_add(1);
            *byte = sum;
            if is_over { Ok(()) } else { Err(()) }
        });
        if carry.is_ok() {
            // Only the bytes of zero carry so far, and they are not negative.
            return None;
        }
    }
    let mut digits = decimal_digits(magnitude);
    let places = usize::try_from(scale.max(0)).ok()?;
    if scale < 0 && digits != "0" {
        digits.push_str(&"0".repeat(usize::try_from(-scale).ok()?));
    }
    if digits.len() <= places {
        digits = format!("{}{digits}", "0".repeat(places + 1 - digits.len()));
    }
    let (whole, fraction) = digits.split_at_checked(digits.len() - places)?;
    let (sign, point) = (if is_negative { "-" } else { "" }, if fraction.is_empty() { "" } else { "." });
    Some(format!("{sign}{whole}{point}{fraction}"))
}

/// The decimal digits of a whole number by long division.
fn decimal_digits(mut number: Vec<u8>) -> String {
    const NINE: u64 = 1_000_000_000;
    let mut groups = Vec::new();
    while number.iter().any(|byte| *byte != 0) {
        let rest = number.iter_mut().fold(0_u64, |rest, byte| {
            let part = rest << 8 | u64::from(*byte);
            *byte = u8::try_from(part / NINE).unwrap_or(u8::MAX);
            part % NINE
        });
        groups.push(rest);
    }
    let mut digits = groups.pop().unwrap_or(0).to_string();
    for group in groups.iter().rev() {
        digits.push_str(&format!("{group:09}"));
    }
    digits
}
