//! Numbers. One that comes from a record and is only passed on keeps all its digits. Arithmetic has 64 bits for
//! integers, and doubles for everything else.

use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

use super::decimal::DecimalText;
use super::meter::charge_bytes;

/// The largest double below which every integer is exact.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

#[derive(Debug, Clone)]
pub(super) enum Num {
    Int(i64),
    Float(f64),
    /// The digits as they came, of a number that is no integer of 64 bits, and the nearest double.
    Text(Rc<str>, f64),
}

impl Num {
    /// A number in the notation of JSON.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text != "-0"
            && let Ok(int) = text.parse()
        {
            return Some(Self::Int(int));
        }
        let is_number =
            text.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-' || letter == '.');
        let float: f64 = text.parse().ok().filter(|_| is_number)?;
        // JSON wants a digit on both sides of the point.
        let is_json = !text.starts_with('.') && !text.ends_with('.') && !text.contains(".e");
        Some(if is_json { Self::Text(text.into(), float) } else { Self::Float(float) })
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn float(&self) -> f64 {
        match self {
            Self::Int(int) => *int as f64,
            Self::Float(float) | Self::Text(_, float) => *float,
        }
    }

    /// The integer, of a double too that holds one exactly.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Float(float) => (float.fract() == 0.0 && float.abs() <= EXACT_MAX).then_some(*float as i64),
            Self::Text(text, _) => decimal(text).int(),
        }
    }

    /// True of an integer of any size in its own digits.
    pub(super) fn is_int(&self) -> bool {
        match self {
            Self::Int(_) => true,
            Self::Float(_) => false,
            Self::Text(text, _) => decimal(text).is_whole(),
        }
    }

    /// The order of two numbers that have one nearest double: a double with a fraction stands for the
    /// digits with which it is shown.
    fn compare_digits(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Float(_), Self::Float(_)) => Ordering::Equal,
            (left, right) if left.float().is_infinite() && right.float().is_infinite() => Ordering::Equal,
            (left, right) => decimal(&left.digits()).compare(&decimal(&right.digits())),
        }
    }

    /// The digits by which it is compared: a whole double is the integer that it is.
    fn digits(&self) -> String {
        match self {
            Self::Float(float) if float.fract() == 0.0 => format!("{float:.0}"),
            number => number.to_string(),
        }
    }

    pub(super) fn negate(&self) -> Self {
        match self {
            Self::Int(int) => int.checked_neg().map_or_else(|| Self::Float(-self.float()), Self::Int),
            _ => Self::Float(-self.float()),
        }
    }

    /// A sum, difference or product: of integers when it fits 64 bits, else of doubles.
    pub(super) fn combine(
        &self,
        other: &Self,
        ints: fn(i64, i64) -> Option<i64>,
        floats: fn(f64, f64) -> f64,
    ) -> Self {
        let exact = match (self, other) {
            (Self::Int(left), Self::Int(right)) => ints(*left, *right),
            _ => None,
        };
        exact.map_or_else(|| Self::Float(floats(self.float(), other.float())), Self::Int)
    }
}

fn decimal(text: &str) -> DecimalText<'_> {
    charge_bytes(text.len());
    DecimalText::of(text)
}

/// A total order: a NaN comes first and equals itself. Doubles alone would make an integer beyond them equal to both of its
/// neighbours, which are not equal to each other.
impl Ord for Num {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Self::Int(left), Self::Int(right)) = (self, other) {
            return left.cmp(right);
        }
        let (left, right) = (self.float(), other.float());
        match left.partial_cmp(&right) {
            None => right.is_nan().cmp(&left.is_nan()),
            Some(Ordering::Equal) => self.compare_digits(other),
            Some(order) => order,
        }
    }
}

impl PartialOrd for Num {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Num {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Num {}

/// As JSON: whole doubles without a fraction, a NaN as null, infinities as the largest double.
impl fmt::Display for Num {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(int) => int.fmt(f),
            Self::Text(text, _) => f.write_str(text),
            Self::Float(float) if float.is_nan() => f.write_str("null"),
            Self::Float(float) => {
                let float = float.clamp(f64::MIN, f64::MAX);
                if float.fract() == 0.0 && float.abs() < 1e17 {
                    write!(f, "{float:.0}")
                } else {
                    serde_json::Number::from_f64(float)
                        .map_or(Ok(()), |number| f.write_str(&number.to_string()))
                }
            }
        }
    }
}
