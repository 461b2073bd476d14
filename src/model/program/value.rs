//! The values that programs work on: JSON, with the size and depth of each.
//!
//! Parts are shared, so that `[., .] | [., .] | …` makes a small value that is long when it is written. The size is
//! that of the written form: no value is larger than [`SIZE_MAX`], which bounds each visit of a whole value. The
//! depth is bounded likewise, so that visiting does not exhaust the stack.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::rc::Rc;

use super::meter::{charge, charge_bytes, give_up};
use super::number::Num;

/// The largest value, in bytes of JSON or a little less.
const SIZE_MAX: usize = 32 << 20;
/// The deepest value. Records are 20 deep at most, and documents little more.
pub(super) const DEPTH_MAX: usize = 100;

pub(super) type ValueMembers = BTreeMap<Rc<String>, Val>;

#[derive(Debug, Default)]
pub(super) enum Val {
    #[default]
    Null,
    Bool(bool),
    Num(Num),
    Str(Rc<String>),
    Arr(Rc<Container<Vec<Val>>>),
    Obj(Rc<Container<ValueMembers>>),
}

/// A list or an object with its size and depth.
#[derive(Debug, Clone, Default)]
pub(super) struct Container<T> {
    pub(super) parts: T,
    size: usize,
    depth: usize,
}

impl<T> Container<T> {
    /// Counts one more part.
    fn take_in(&mut self, key_bytes: usize, part: &Val) {
        self.size += key_bytes + part.size() + 1;
        self.depth = self.depth.max(part.depth() + 1);
        if self.size > SIZE_MAX {
            give_up("a value is larger than 32 MiB");
        }
        if self.depth > DEPTH_MAX {
            give_up("a value is more than 100 levels deep");
        }
    }
}

impl Container<Vec<Val>> {
    pub(super) fn push(&mut self, item: Val) {
        charge(2);
        self.take_in(0, &item);
        self.parts.push(item);
    }
}

impl Container<ValueMembers> {
    /// Takes a member out; null when there is none.
    pub(super) fn take(&mut self, key: &Rc<String>) -> Val {
        let Some(value) = self.parts.remove(key) else { return Val::Null };
        self.size -= key.len() + 3 + value.size() + 1;
        value
    }

    pub(super) fn insert(&mut self, key: Rc<String>, value: Val) {
        charge(6);
        self.take_in(key.len() + 3, &value);
        match self.parts.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(value);
            }
            Entry::Occupied(mut entry) => {
                let old = entry.insert(value);
                self.size -= entry.key().len() + 3 + old.size() + 1;
            }
        }
    }
}

impl Val {
    pub(super) fn string(text: String) -> Self {
        charge_bytes(text.len());
        Self::from_charged(text)
    }

    /// A string that was charged for already.
    pub(super) fn from_charged(text: String) -> Self {
        if text.len() > SIZE_MAX {
            give_up("a string is larger than 32 MiB");
        }
        Self::Str(Rc::new(text))
    }

    /// The value as JSON in a string.
    pub(super) fn to_json_string(&self) -> Self {
        charge_bytes(self.size());
        Self::string(self.to_string())
    }

    /// A value of JSON. The text it was read from bounds its size.
    pub(super) fn of_json(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => {
                Num::parse(&number.to_string()).map_or(Self::Null, Self::Num)
            }
            serde_json::Value::String(text) => Self::string(text),
            serde_json::Value::Array(items) => Self::list(items.into_iter().map(Self::of_json)),
            serde_json::Value::Object(members) => {
                Self::object(members.into_iter().map(|(key, value)| (Rc::new(key), Self::of_json(value))))
            }
        }
    }

    pub(super) fn list(items: impl IntoIterator<Item = Val>) -> Self {
        let mut list = Container::default();
        items.into_iter().for_each(|item| list.push(item));
        Self::Arr(Rc::new(list))
    }

    pub(super) fn object(members: impl IntoIterator<Item = (Rc<String>, Val)>) -> Self {
        let mut object = Container::default();
        members.into_iter().for_each(|(key, value)| object.insert(key, value));
        Self::Obj(Rc::new(object))
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 4,
            Self::Num(Num::Text(text, _)) => text.len(),
            Self::Num(_) => 8,
            Self::Str(text) => text.len() + 2,
            Self::Arr(list) => list.size + 2,
            Self::Obj(object) => object.size + 2,
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Arr(list) => list.depth,
            Self::Obj(object) => object.depth,
            _ => 0,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(false) => 1,
            Self::Bool(true) => 2,
            Self::Num(_) => 3,
            Self::Str(_) => 4,
            Self::Arr(_) => 5,
            Self::Obj(_) => 6,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Num(left), Self::Num(right)) => left.cmp(right),
            (Self::Str(left), Self::Str(right)) => left.cmp(right),
            (Self::Arr(left), Self::Arr(right)) => {
                let mut items = left.parts.iter().zip(&right.parts);
                let differs =
                    items.find_map(|(left, right)| Some(left.compare(right)).filter(|order| order.is_ne()));
                differs.unwrap_or_else(|| left.parts.len().cmp(&right.parts.len()))
            }
            (Self::Obj(left), Self::Obj(right)) => {
                left.parts.keys().cmp(right.parts.keys()).then_with(|| {
                    let mut values = left.parts.values().zip(right.parts.values());
                    let differs = values
                        .find_map(|(left, right)| Some(left.compare(right)).filter(|order| order.is_ne()));
                    differs.unwrap_or(Ordering::Equal)
                })
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// The parts of a list or an object, without a copy where they have no other holder.
pub(super) fn unshare<T: Clone>(parts: Rc<Container<T>>) -> Container<T> {
    Rc::try_unwrap(parts).unwrap_or_else(|parts| {
        charge_bytes(parts.size);
        (*parts).clone()
    })
}

/// A copy counts as a step, because every step of a program copies its input or a variable.
impl Clone for Val {
    fn clone(&self) -> Self {
        charge(1);
        match self {
            Self::Null => Self::Null,
            Self::Bool(value) => Self::Bool(*value),
            Self::Num(number) => Self::Num(number.clone()),
            Self::Str(text) => Self::Str(Rc::clone(text)),
            Self::Arr(list) => Self::Arr(Rc::clone(list)),
            Self::Obj(object) => Self::Obj(Rc::clone(object)),
        }
    }
}

impl Ord for Val {
    fn cmp(&self, other: &Self) -> Ordering {
        charge_bytes(self.size().min(other.size()));
        self.compare(other)
    }
}

impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Val {}

/// Canonical JSON: keys sorted, no spaces.
impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separate =
            |f: &mut fmt::Formatter<'_>, number: usize| if number > 0 { f.write_str(",") } else { Ok(()) };
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Num(number) => number.fmt(f),
            Self::Str(text) => write_string(f, text),
            Self::Arr(list) => {
                f.write_str("[")?;
                for (number, item) in list.parts.iter().enumerate() {
                    separate(f, number)?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Self::Obj(object) => {
                f.write_str("{")?;
                for (number, (key, value)) in object.parts.iter().enumerate() {
                    separate(f, number)?;
                    write_string(f, key)?;
                    f.write_str(":")?;
                    value.fmt(f)?;
                }
                f.write_str("}")
            }
        }
    }
}

fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<isize> for Val {
    fn from(int: isize) -> Self {
        charge(1);
        Self::Num(Num::Int(int as i64))
    }
}

impl From<usize> for Val {
    fn from(int: usize) -> Self {
        Self::Num(i64::try_from(int).map_or(Num::Float(f64::INFINITY), Num::Int))
    }
}

impl From<f64> for Val {
    fn from(float: f64) -> Self {
        Self::Num(Num::Float(float))
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Self::string(text)
    }
}

impl From<std::ops::Range<Option<Val>>> for Val {
    fn from(range: std::ops::Range<Option<Val>>) -> Self {
        let ends = [("start", range.start), ("end", range.end)];
        let member = |(key, end): (&str, Option<Val>)| Some((Rc::new(key.to_owned()), end?));
        Self::object(ends.into_iter().filter_map(member))
    }
}

impl FromIterator<Val> for Val {
    fn from_iter<I: IntoIterator<Item = Val>>(items: I) -> Self {
        Self::list(items)
    }
}
