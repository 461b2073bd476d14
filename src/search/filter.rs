//! The value of a filter: a whole value, or a range of one that has an order.

use super::query::{FilterField, FilterValue};
use crate::error::{Error, Result};
use crate::searchable_fields::ValueKind;
use crate::time::period;

/// The comparisons that may stand before a value, the longer ones first.
const COMPARISONS: [&str; 4] = [">=", "<=", ">", "<"];
/// The end of a range that is open.
const OPEN: &str = "*";

/// The value or the range of a filter.
///
/// # Errors
/// When the value is none of the field's kind.
pub(super) fn parse(field: FilterField, value: &str) -> Result<FilterValue> {
    let wrong = || {
        let expected = match field.kind {
            ValueKind::Boolean => "true or false",
            ValueKind::Integer => "a number without fraction, a range such as [1 TO 5], or >=1",
            ValueKind::Date => "a date such as 2026-01-31, a range such as [2026-01 TO 2026-03], or >=2026",
            _ => "a number, a range such as [1 TO 5.5], or >=1",
        };
        Error::usage(format!("filter: {}:{value} found; {expected} was expected", field.name))
    };
    match field.kind {
        ValueKind::Text => Ok(FilterValue::Text(value.to_owned())),
        ValueKind::Boolean if matches!(value, "true" | "false") => Ok(FilterValue::Text(value.to_owned())),
        ValueKind::Boolean => Err(wrong()),
        ValueKind::Computed => match Bounds::of(value) {
            Some(bounds) => bounds.numbers().ok_or_else(wrong),
            None => Ok(FilterValue::Text(value.to_owned())),
        },
        ValueKind::Integer => Bounds::or_exact(value).integers().ok_or_else(wrong),
        ValueKind::Number => Bounds::or_exact(value).numbers().ok_or_else(wrong),
        ValueKind::Date => Bounds::or_exact(value).times().ok_or_else(wrong),
    }
}

/// One end of a range.
#[derive(Debug, Clone, Copy)]
struct Bound<'a> {
    text: &'a str,
    /// True when the value itself is in the range.
    is_inclusive: bool,
}

/// The ends of a range; `None` where it is open.
#[derive(Debug, Clone, Copy)]
struct Bounds<'a> {
    from: Option<Bound<'a>>,
    to: Option<Bound<'a>>,
}

impl<'a> Bounds<'a> {
    /// A range as it is written; `None` of anything else.
    fn of(value: &'a str) -> Option<Self> {
        if let Some(comparison) = COMPARISONS.into_iter().find(|comparison| value.starts_with(comparison)) {
            let text = value.get(comparison.len()..)?.trim();
            let bound = Some(Bound { text, is_inclusive: comparison.ends_with('=') });
            let is_from = comparison.starts_with('>');
            return Some(if is_from {
                Self { from: bound, to: None }
            } else {
                Self { from: None, to: bound }
            });
        }
        let is_inclusive = (value.starts_with('['), value.ends_with(']'));
        let inner = value.strip_prefix(['[', '{'])?.strip_suffix([']', '}'])?;
        let (from, to) = inner.split_once(" TO ")?;
        let bound = |text: &'a str, is_inclusive| {
            let text = text.trim();
            (text != OPEN).then_some(Bound { text, is_inclusive })
        };
        Some(Self { from: bound(from, is_inclusive.0), to: bound(to, is_inclusive.1) })
    }

    /// The same, of a single value from it to itself.
    fn or_exact(value: &'a str) -> Self {
        let exact = Some(Bound { text: value.trim(), is_inclusive: true });
        Self::of(value).unwrap_or(Self { from: exact, to: exact })
    }

    fn integers(self) -> Option<FilterValue> {
        let from = end(self.from, |bound| {
            let number = integer(bound.text)?;
            Some(if bound.is_inclusive { number } else { number.checked_add(1)? })
        })?;
        let to = end(self.to, |bound| {
            let number = integer(bound.text)?;
            Some(if bound.is_inclusive { number } else { number.checked_sub(1)? })
        })?;
        Some(FilterValue::Integers(from, to))
    }

    fn numbers(self) -> Option<FilterValue> {
        let from = end(self.from, |bound| {
            let number = number(bound.text)?;
            Some(if bound.is_inclusive { number } else { number.next_up() })
        })?;
        let to = end(self.to, |bound| {
            let number = number(bound.text)?;
            Some(if bound.is_inclusive { number } else { number.next_down() })
        })?;
        Some(FilterValue::Numbers(from, to))
    }

    /// A date that is cut short is its whole period.
    fn times(self) -> Option<FilterValue> {
        let from = end(self.from, |bound| {
            let (first, last) = period(bound.text)?;
            Some(if bound.is_inclusive { first } else { last + 1 })
        })?;
        let to = end(self.to, |bound| {
            let (first, last) = period(bound.text)?;
            Some(if bound.is_inclusive { last } else { first - 1 })
        })?;
        Some(FilterValue::Integers(from, to))
    }
}

/// An end of a range; the outer `None` when its text is no value.
#[allow(clippy::option_option)]
fn end<'a, T>(bound: Option<Bound<'a>>, read: impl Fn(Bound<'a>) -> Option<T>) -> Option<Option<T>> {
    match bound {
        Some(bound) => read(bound).map(Some),
        None => Some(None),
    }
}

fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_with_its_ends_and_everything_else_is_one_value() {
        let integers = |text| Bounds::or_exact(text).integers();
        let between = |from, to| Some(FilterValue::Integers(from, to));
        assert_eq!(integers("[1 TO 5]"), between(Some(1), Some(5)));
        assert_eq!(integers("{1 TO 5}"), between(Some(2), Some(4)));
        assert_eq!(integers("[* TO -3}"), between(None, Some(-4)));
        assert_eq!(integers(">=7"), between(Some(7), None));
        assert_eq!(integers(" 7"), between(Some(7), Some(7)));
        for wrong in
            ["", "x", "1.5", "[1 5]", "[1 TO 5", "1 TO 5]", ">", "{* TO -9223372036854775808}", ">=1e3"]
        {
            assert_eq!(integers(wrong), None, "{wrong}");
        }
        assert_eq!(
            Bounds::or_exact("<2.5").numbers(),
            Some(FilterValue::Numbers(None, Some(2.5_f64.next_down())))
        );
        assert_eq!(Bounds::or_exact("1e999").numbers(), None);
        let day = 86_400_000;
        assert_eq!(
            Bounds::or_exact("[1970-01-02 TO 1970-01-03]").times(),
            between(Some(day), Some(3 * day - 1))
        );
        assert_eq!(Bounds::or_exact(">1970-01-01").times(), between(Some(day), None));
        assert_eq!(Bounds::or_exact("<1970-01-02").times(), between(None, Some(day - 1)));
        assert!(Bounds::of("a:[b]").is_none());
    }
}
