//! Arithmetic on values, as jq has it.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::rc::Rc;

use jaq_core::{Error, ValR, ops::Math};

use super::meter::{charge, charge_bytes};
use super::value::{Container, Val, ValueMembers, unshare};

impl Add for Val {
    type Output = ValR<Self>;

    fn add(self, other: Self) -> ValR<Self> {
        charge(1);
        Ok(match (self, other) {
            (Self::Null, value) | (value, Self::Null) => value,
            (Self::Num(left), Self::Num(right)) => {
                Self::Num(left.combine(&right, i64::checked_add, |left, right| left + right))
            }
            (Self::Str(left), Self::Str(right)) => {
                charge_bytes(right.len());
                let mut text = Rc::try_unwrap(left).unwrap_or_else(|left| {
                    charge_bytes(left.len());
                    (*left).clone()
                });
                text.push_str(&right);
                Self::from_charged(text)
            }
            (Self::Arr(left), Self::Arr(right)) => {
                let mut list = unshare(left);
                match Rc::try_unwrap(right) {
                    Ok(right) => right.parts.into_iter().for_each(|item| list.push(item)),
                    Err(right) => right.parts.iter().for_each(|item| list.push(item.clone())),
                }
                Self::Arr(Rc::new(list))
            }
            (Self::Obj(left), Self::Obj(right)) => {
                let mut object = unshare(left);
                unshare(right).parts.into_iter().for_each(|(key, value)| object.insert(key, value));
                Self::Obj(Rc::new(object))
            }
            (left, right) => return Err(Error::math(left, Math::Add, right)),
        })
    }
}

impl Sub for Val {
    type Output = ValR<Self>;

    fn sub(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Num(left), Self::Num(right)) => {
                Ok(Self::Num(left.combine(&right, i64::checked_sub, |left, right| left - right)))
            }
            (Self::Arr(left), Self::Arr(right)) => {
                let is_kept = |item: &Val| !right.parts.contains(item);
                Ok(Self::list(unshare(left).parts.into_iter().filter(is_kept)))
            }
            (left, right) => Err(Error::math(left, Math::Sub, right)),
        }
    }
}

impl Mul for Val {
    type Output = ValR<Self>;

    fn mul(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Num(left), Self::Num(right)) => {
                Ok(Self::Num(left.combine(&right, i64::checked_mul, |left, right| left * right)))
            }
            (Self::Obj(left), Self::Obj(right)) => {
                Ok(Self::Obj(Rc::new(merge(unshare(left), unshare(right)))))
            }
            (Self::Str(text), Self::Num(times)) | (Self::Num(times), Self::Str(text)) => {
                Ok(repeat(&text, times.float()))
            }
            (left, right) => Err(Error::math(left, Math::Mul, right)),
        }
    }
}

/// A text so many times, and null for none. The new text is charged for before it is made.
fn repeat(text: &str, times: f64) -> Val {
    if times.is_nan() || times <= 0.0 {
        return Val::Null;
    }
    let most = f64::from(u32::MAX);
    let mut bytes = text.len();
    let mut remainder = times.min(most) - 1.0;
    let mut count: usize = 1;
    while remainder > 0.0 {
        // The budget ends this long before memory does.
        charge(1);
        bytes = bytes.saturating_add(text.len());
        count += 1;
        remainder -= 1.0;
    }
    charge_bytes(bytes);
    Val::from_charged(text.repeat(count))
}

/// Objects in both are merged as well. The depth of values bounds that of the recursion.
fn merge(left: Container<ValueMembers>, right: Container<ValueMembers>) -> Container<ValueMembers> {
    let mut result = left;
    for (key, value) in right.parts {
        let value = match (result.parts.get(&key).cloned(), value) {
            (Some(Val::Obj(old)), Val::Obj(new)) => Val::Obj(Rc::new(merge(unshare(old), unshare(new)))),
            (_, value) => value,
        };
        result.insert(key, value);
    }
    result
}

impl Div for Val {
    type Output = ValR<Self>;

    fn div(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Num(left), Self::Num(right)) => {
                let exact = |left: i64, right: i64| {
                    (left.checked_rem(right)? == 0).then(|| left.checked_div(right)).flatten()
                };
                Ok(Self::Num(left.combine(&right, exact, |left, right| left / right)))
            }
            (Self::Str(left), Self::Str(right)) if right.is_empty() => {
                Ok(Self::list(left.chars().map(|letter| Self::string(letter.to_string()))))
            }
            (Self::Str(left), Self::Str(right)) => {
                charge_bytes(left.len());
                let parts = if left.is_empty() { None } else { Some(left.split(right.as_str())) };
                Ok(Self::list(parts.into_iter().flatten().map(|part| Self::string(part.to_owned()))))
            }
            (left, right) => Err(Error::math(left, Math::Div, right)),
        }
    }
}

impl Rem for Val {
    type Output = ValR<Self>;

    fn rem(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Num(_), Self::Num(right)) if right.float() == 0.0 => {
                Err(Error::str("a remainder by zero does not exist"))
            }
            (Self::Num(left), Self::Num(right)) => {
                Ok(Self::Num(left.combine(&right, i64::checked_rem, |left, right| left % right)))
            }
            (left, right) => Err(Error::math(left, Math::Rem, right)),
        }
    }
}

impl Neg for Val {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        match self {
            Self::Num(number) => Ok(Self::Num(number.negate())),
            other => Err(Error::typ(other, "number")),
        }
    }
}
