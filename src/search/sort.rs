//! Orders of hits other than the best first: by a field of the document, then by id. Documents that lack the field
//! come last.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::plan::{Collection, SortPlan};
use crate::searchable_fields::SortKind;

/// The order that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The field.
    pub by: &'static SortPlan,
    /// True when the highest comes first.
    pub descending: bool,
}

/// The name of the order with the best hit first.
pub const RELEVANCE: &str = "relevance";

impl Sort {
    /// The order of that name, `None` for the best first.
    ///
    /// # Errors
    /// When the collection has none of that name.
    pub fn of_name(name: &str, collection: Collection) -> Result<Option<Self>> {
        if name.is_empty() || name == RELEVANCE {
            return Ok(None);
        }
        let known = &collection.get().sorts;
        let (field, descending) = match name.strip_prefix('-') {
            Some(field) => (field, true),
            None => (name, false),
        };
        if let Some(by) = known.iter().find(|known| known.name == field) {
            return Ok(Some(Self { by, descending }));
        }
        let names: Vec<&str> = known.iter().map(|sort| sort.name).collect();
        Err(Error::usage(format!(
            "sort: {name:?} is no order of {}; {RELEVANCE}, or {}, each with - before it for the highest first",
            collection.name(),
            names.join(", ")
        )))
    }
}

/// The sort value of a hit.
#[derive(Debug, Clone, PartialEq)]
pub enum Key {
    /// The score; the highest comes first.
    Score(u32),
    /// A number without fraction, or a time.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A name as [`crate::searchable_fields::sort_key`] has it.
    Text(String),
    /// The document lacks the field: it comes last.
    Missing,
}

impl Key {
    /// Whether hits in this order have such a key.
    pub fn fits(&self, sort: Option<Sort>) -> bool {
        match (self, sort) {
            (Key::Score(_), sort) => sort.is_none(),
            (_, None) => false,
            (Key::Missing, Some(_)) => true,
            (Key::Text(_), Some(sort)) => sort.by.kind == SortKind::Title,
            (Key::Integer(_), Some(sort)) => matches!(sort.by.kind, SortKind::Integer | SortKind::Date),
            (Key::Number(_), Some(sort)) => sort.by.kind == SortKind::Number,
        }
    }

    /// Which of two hits comes first.
    pub fn compare(&self, other: &Self, sort: Option<Sort>) -> Ordering {
        let order = match (self, other) {
            (Key::Score(one), Key::Score(other)) => return other.cmp(one),
            (Key::Integer(one), Key::Integer(other)) => one.cmp(other),
            (Key::Number(one), Key::Number(other)) => one.total_cmp(other),
            (Key::Text(one), Key::Text(other)) => one.cmp(other),
            (one, other) => return (*one == Key::Missing).cmp(&(*other == Key::Missing)),
        };
        if sort.is_some_and(|sort| sort.descending) { order.reverse() } else { order }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CONTACTS, ORGANISATIONS};

    #[test]
    fn an_order_has_a_name_and_a_direction() {
        let of_name = |name| Sort::of_name(name, Collection::of(CONTACTS).unwrap());
        assert_eq!(of_name("").unwrap(), None);
        assert_eq!(of_name("relevance").unwrap(), None);
        let newest = of_name("-createdAt").unwrap().unwrap();
        assert_eq!((newest.by.member, newest.descending), ("createdAt", true));
        let error = of_name("contactCount").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(
            error.chain().contains("relevance, or name, createdAt, updatedAt, each"),
            "{}",
            error.chain()
        );
        assert!(Sort::of_name("-contactCount", Collection::of(ORGANISATIONS).unwrap()).unwrap().is_some());
    }

    #[test]
    fn what_is_missing_comes_last_in_both_directions() {
        let text = |text: &str| Key::Text(text.to_owned());
        let down = Sort::of_name("-name", Collection::of(CONTACTS).unwrap()).unwrap();
        assert_eq!(text("a").compare(&text("b"), None), Ordering::Less);
        assert_eq!(text("a").compare(&text("b"), down), Ordering::Greater);
        assert_eq!(text("a").compare(&Key::Missing, down), Ordering::Less);
        assert_eq!(Key::Missing.compare(&Key::Missing, down), Ordering::Equal);
    }
}
