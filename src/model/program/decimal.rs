//! Numbers by their digits, which no double rounds.

use std::cmp::Ordering;

/// The most digits of an integer of 64 bits.
const DIGITS_MAX: usize = 19;

/// A number in the notation of JSON.
#[derive(Debug)]
pub(super) struct DecimalText<'a> {
    is_negative: bool,
    /// Without zeros around them; zero has none.
    digits: String,
    /// The power of ten of the point, which stands before the first digit.
    place: i64,
    /// The notation.
    text: &'a str,
}

impl<'a> DecimalText<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let (is_negative, number) = text.strip_prefix('-').map_or((false, text), |number| (true, number));
        let (number, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all = [whole, fraction].concat();
        let digits = all.trim_start_matches('0');
        let zeros = length(&all) - length(digits);
        let power = power.parse().unwrap_or(if power.starts_with('-') { i64::MIN } else { i64::MAX });
        let place = power.saturating_add(length(whole) - zeros);
        Self { is_negative, digits: digits.trim_end_matches('0').to_owned(), place, text }
    }

    /// True of a number without a fraction, however it is written.
    pub(super) fn is_whole(&self) -> bool {
        self.digits.is_empty() || length(&self.digits) <= self.place
    }

    /// The integer of 64 bits.
    pub(super) fn int(&self) -> Option<i64> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let place = usize::try_from(self.place).ok().filter(|place| *place <= DIGITS_MAX)?;
        let zeros = "0".repeat(place.checked_sub(self.digits.len())?);
        let sign = if self.is_negative { "-" } else { "" };
        [sign, self.digits.as_str(), zeros.as_str()].concat().parse().ok()
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        if self.text == other.text {
            return Ordering::Equal;
        }
        let sign = self.sign();
        sign.cmp(&other.sign()).then_with(|| {
            let order = self.place.cmp(&other.place).then_with(|| self.digits.cmp(&other.digits));
            match sign {
                0 => Ordering::Equal,
                1 => order,
                _ => order.reverse(),
            }
        })
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }
}

fn length(digits: &str) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_their_digits() {
        let in_order = [
            "-18446744073709551616",
            "-18446744073709551615",
            "-2.5",
            "-2",
            "-0.05",
            "0",
            "1e-9",
            "0.05",
            "0.5",
            "2",
            "2.0000000000000000001",
            "9007199254740992",
            "9007199254740993.0",
            "18446744073709551615",
            "1e99999999999999999999",
        ];
        for (one, left) in in_order.iter().enumerate() {
            for (other, right) in in_order.iter().enumerate() {
                assert_eq!(
                    DecimalText::of(left).compare(&DecimalText::of(right)),
                    one.cmp(&other),
                    "{left} {right}"
                );
            }
        }
        for (left, right) in
            [("10", "1e+1"), ("-0.50", "-5E-1"), ("0", "-0.0"), ("0e7", "0"), ("1000.0", "1e3")]
        {
            assert!(DecimalText::of(left).compare(&DecimalText::of(right)).is_eq(), "{left} {right}");
        }
    }

    #[test]
    fn an_integer_is_read_from_every_notation_of_it() {
        for (text, int) in [
            ("9007199254740993.0", Some(9_007_199_254_740_993)),
            ("-9.223372036854775808e18", Some(i64::MIN)),
            ("1.5e1", Some(15)),
            ("-0", Some(0)),
            ("0.0", Some(0)),
        ] {
            assert_eq!(
                (DecimalText::of(text).int(), DecimalText::of(text).is_whole()),
                (int, true),
                "{text}"
            );
        }
        for (text, is_whole) in
            [("9223372036854775808", true), ("1e400", true), ("1.5", false), ("1e-1", false)]
        {
            assert_eq!(
                (DecimalText::of(text).int(), DecimalText::of(text).is_whole()),
                (None, is_whole),
                "{text}"
            );
        }
    }
}
