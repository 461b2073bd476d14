//! Paths into values: the operations that the library asks of a type of values.

use std::ops::Range;
use std::rc::Rc;

use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::{Error, Exn, ValR, ValT, ValX};

use super::meter::{charge, charge_bytes};
use super::number::Num;
use super::value::{Val, ValueMembers, unshare};

impl Val {
    fn key_of(self) -> Result<Rc<String>, Error<Self>> {
        match self {
            Self::Str(text) => Ok(text),
            other => Err(Error::typ(other, "string")),
        }
    }

    /// The member at an index; `None` where there is none.
    pub(super) fn member(&self, index: &Self) -> Result<Option<Self>, Error<Self>> {
        charge(1);
        Ok(match (self, index) {
            (Self::Null, _) => None,
            (Self::Arr(list), Self::Num(number)) => {
                number.int().and_then(|at| list.parts.get(place(at, list.parts.len())?)).cloned()
            }
            (Self::Obj(object), Self::Str(key)) => object.parts.get(key).cloned(),
            (Self::Arr(_), Self::Arr(_)) => Some(self.indices(index)?),
            (Self::Arr(_) | Self::Str(_), Self::Obj(object)) => {
                let end = |name: &str| end_of(&object.parts, name);
                return self.clone().range(end("start")..end("end")).map(Some);
            }
            _ => return Err(Error::index(self.clone(), index.clone())),
        })
    }

    /// Where a part begins in a list or a string.
    pub(super) fn indices(&self, part: &Self) -> ValR<Self> {
        let places: Vec<usize> = match (self, part) {
            (Self::Null, _) => return Ok(Self::Null),
            (Self::Str(_), Self::Str(part)) if part.is_empty() => Vec::new(),
            (Self::Arr(_), Self::Arr(part)) if part.parts.is_empty() => Vec::new(),
            (Self::Str(text), Self::Str(part)) => {
                charge_bytes(text.len().saturating_mul(part.len()));
                let starts = text.char_indices().enumerate();
                starts
                    .filter(|(_, (at, _))| {
                        text.get(*at..).is_some_and(|rest| rest.starts_with(part.as_str()))
                    })
                    .map(|(number, _)| number)
                    .collect()
            }
            (Self::Arr(items), Self::Arr(part)) => {
                let windows = items.parts.windows(part.parts.len()).enumerate();
                windows.filter(|(_, window)| **window == *part.parts).map(|(at, _)| at).collect()
            }
            (Self::Arr(items), part) => {
                items.parts.iter().enumerate().filter(|(_, item)| *item == part).map(|(at, _)| at).collect()
            }
            _ => return Err(Error::index(self.clone(), part.clone())),
        };
        Ok(Self::list(places.into_iter().map(Self::from)))
    }
}

/// The place that an index means; a negative one counts from the end.
fn place(at: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let at = if at < 0 { at.checked_add(length)? } else { at };
    usize::try_from(at).ok().filter(|_| at < length)
}

/// An end of a slice, of an object that stands for one.
fn end_of<'a>(members: &'a ValueMembers, name: &str) -> Option<&'a Val> {
    members.iter().find(|(key, _)| key.as_str() == name).map(|(_, end)| end)
}

/// The ends of a slice, clipped.
fn ends(range: &Range<Option<&Val>>, length: usize) -> Result<(usize, usize), Error<Val>> {
    let end = |end: Option<&Val>, default: usize, up: bool| match end {
        None | Some(Val::Null) => Ok(default),
        Some(Val::Num(number)) => {
            let float = if up { number.float().ceil() } else { number.float().floor() };
            let at = Num::Float(float).int().unwrap_or(if float < 0.0 { i64::MIN } else { i64::MAX });
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            let at = if at < 0 { at.saturating_add(length) } else { at };
            Ok(usize::try_from(at.clamp(0, length)).unwrap_or(0))
        }
        Some(other) => Err(Error::typ(other.clone(), "number")),
    };
    let (from, to) = (end(range.start, 0, false)?, end(range.end, length, true)?);
    Ok((from, to.max(from)))
}

/// The slice of a string, in letters, as bytes.
fn bytes_of(text: &str, range: &Range<Option<&Val>>) -> Result<(usize, usize), Error<Val>> {
    charge_bytes(text.len());
    let (from, to) = ends(range, text.chars().count())?;
    let byte = |letters: usize| text.char_indices().nth(letters).map_or(text.len(), |(at, _)| at);
    Ok((byte(from), byte(to)))
}

impl ValT for Val {
    fn from_num(text: &str) -> ValR<Self> {
        charge_bytes(text.len());
        Num::parse(text).map(Self::Num).ok_or_else(|| Error::str(format!("{text} is no number")))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(members: I) -> ValR<Self> {
        let members = members.into_iter().map(|(key, value)| Ok((key.key_of()?, value)));
        Ok(Self::object(members.collect::<Result<Vec<_>, Error<Self>>>()?))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self {
            Self::Arr(list) => Box::new(
                unshare(list).parts.into_iter().enumerate().map(|(at, item)| Ok((Self::from(at), item))),
            ),
            Self::Obj(object) => {
                Box::new(unshare(object).parts.into_iter().map(|(key, value)| Ok((Self::Str(key), value))))
            }
            other => box_once(Err(Error::typ(other, "iterable (array or object)"))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        let charged = |value: Self| {
            charge(1);
            Ok(value)
        };
        match self {
            Self::Arr(list) => Box::new(unshare(list).parts.into_iter().map(charged)),
            Self::Obj(object) => Box::new(unshare(object).parts.into_values().map(charged)),
            other => box_once(Err(Error::typ(other, "iterable (array or object)"))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        self.member(index).map(Option::unwrap_or_default)
    }

    fn range(self, range: Range<Option<&Self>>) -> ValR<Self> {
        match self {
            Self::Null => Ok(Self::Null),
            Self::Str(text) => {
                let (from, to) = bytes_of(&text, &range)?;
                Ok(Self::string(text.get(from..to).unwrap_or_default().to_owned()))
            }
            Self::Arr(list) => {
                let (from, to) = ends(&range, list.parts.len())?;
                Ok(Self::list(list.parts.get(from..to).unwrap_or_default().iter().cloned()))
            }
            other => Err(Error::typ(other, "array or string")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        charge(2);
        match self {
            Self::Arr(list) => unshare(list).parts.into_iter().flat_map(f).collect(),
            Self::Obj(object) => {
                let members = unshare(object).parts.into_iter();
                let members =
                    members.filter_map(|(key, value)| Some(f(value).next()?.map(|value| (key, value))));
                Ok(Self::object(members.collect::<Result<Vec<_>, Exn<'a, Self>>>()?))
            }
            other => opt.fail(other, |other| Exn::from(Error::typ(other, "iterable (array or object)"))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        charge(2);
        match (self, index) {
            (this @ (Self::Arr(_) | Self::Str(_)), Self::Obj(object)) => {
                let end = |name: &str| end_of(&object.parts, name);
                this.map_range(end("start")..end("end"), opt, f)
            }
            (Self::Null, Self::Str(_)) => Self::object([]).map_index(index, opt, f),
            (Self::Obj(object), Self::Str(key)) => {
                let mut object = unshare(object);
                if let Some(value) = f(object.take(key)).next().transpose()? {
                    object.insert(Rc::clone(key), value);
                }
                Ok(Self::Obj(Rc::new(object)))
            }
            (Self::Arr(list), Self::Num(number)) => {
                let found = number.int().and_then(|at| place(at, list.parts.len()));
                let Some(at) = found else {
                    return opt.fail(Self::Arr(list), |_| {
                        Exn::from(Error::str(format!("index {number} is out of bounds")))
                    });
                };
                let mut items = unshare(list).parts;
                let item = items.get_mut(at).map(std::mem::take).unwrap_or_default();
                let new = f(item).next().transpose()?;
                items.splice(at..=at, new);
                Ok(Self::list(items))
            }
            (other, _) => opt.fail(other, |other| Exn::from(Error::index(other, index.clone()))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<Option<&Self>>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        charge(2);
        match self {
            Self::Arr(list) => {
                let (from, to) = ends(&range, list.parts.len())?;
                let mut items = unshare(list).parts;
                let slice = Self::list(items.get(from..to).unwrap_or_default().iter().cloned());
                let new = match f(slice).next().transpose()? {
                    None => Vec::new(),
                    Some(Self::Arr(new)) => unshare(new).parts,
                    Some(other) => return Err(Error::typ(other, "array").into()),
                };
                items.splice(from..to, new);
                Ok(Self::list(items))
            }
            Self::Str(text) => {
                let (from, to) = bytes_of(&text, &range)?;
                let slice = Self::string(text.get(from..to).unwrap_or_default().to_owned());
                let new = match f(slice).next().transpose()? {
                    None => Rc::default(),
                    Some(new) => new.key_of()?,
                };
                let part = |range: Range<usize>| text.get(range).unwrap_or_default();
                Ok(Self::string([part(0..from), new.as_str(), part(to..text.len())].concat()))
            }
            other => opt.fail(other, |other| Exn::from(Error::typ(other, "array or string"))),
        }
    }

    fn as_bool(&self) -> bool {
        charge(1);
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::Str(text) => Self::Str(text),
            other => other.to_json_string(),
        }
    }
}

impl jaq_std::ValT for Val {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::Arr(list) => Ok(unshare(list).parts.into_iter().collect()),
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        // Rounding passes on an integer in its own digits.
        matches!(self, Self::Num(number) if number.is_int())
    }

    fn as_isize(&self) -> Option<isize> {
        match self {
            // The library counts dates in microseconds, and a larger integer would overflow there.
            Self::Num(number) => {
                let int =
                    number.int().filter(|int| int.unsigned_abs() <= (i64::MAX / 1_000_000).unsigned_abs());
                int.and_then(|int| isize::try_from(int).ok())
            }
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Num(number) => Some(number.float()),
            _ => None,
        }
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::Str(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Str(text) => {
                // A regular expression takes several steps for each byte.
                charge_bytes(text.len().saturating_mul(4));
                Some(text.as_bytes())
            }
            _ => None,
        }
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        Self::string(String::from_utf8_lossy(part).into_owned())
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::string(String::from_utf8_lossy(bytes.as_ref()).into_owned())
    }
}
