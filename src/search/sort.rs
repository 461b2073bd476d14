//! Orders of hits other than the best first: by a field of the document, what lacks it last, then by id.

use std::cmp::Ordering;

use super::query::Collection;
use crate::error::{Error, Result};
use crate::searchable::SortField;

/// The order that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The field.
    pub field: SortField,
    /// True when the highest comes first.
    pub descending: bool,
}

/// The name of the order with the best hit first.
const RELEVANCE: &str = "relevance";

impl Sort {
    /// The order of that name, `None` for the best first.
    ///
    /// # Errors
    /// When the collection has none of that name.
    pub fn of_name(name: &str, collection: Collection) -> Result<Option<Self>> {
        if name.is_empty() || name == RELEVANCE {
            return Ok(None);
        }
        let known = SortField::ALL
            .into_iter()
            .filter(|field| collection == Collection::Organisations || *field != SortField::ContactCount);
        let known: Vec<SortField> = known.collect();
        let (field, descending) = match name.strip_prefix('-') {
            Some(field) => (field, true),
            None => (name, false),
        };
        if let Some(field) = known.iter().copied().find(|known| known.name() == field) {
            return Ok(Some(Self { field, descending }));
        }
        let names: Vec<&str> = known.iter().map(|field| field.name()).collect();
        Err(Error::usage(format!(
            "sort: {name:?} is no order of {}; {RELEVANCE}, or {}, each with - before it for the highest first",
            collection.name(),
            names.join(", ")
        )))
    }
}

/// The sort value of a hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The score; the highest comes first.
    Score(u32),
    /// A number or a time.
    Number(i64),
    /// A name as [`crate::searchable::sort_key`] has it.
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
            (Key::Text(_), Some(sort)) => sort.field == SortField::Name,
            (Key::Number(_), Some(sort)) => sort.field != SortField::Name,
        }
    }

    /// Which of two hits comes first.
    pub fn compare(&self, other: &Self, sort: Option<Sort>) -> Ordering {
        let order = match (self, other) {
            (Key::Score(one), Key::Score(other)) => return other.cmp(one),
            (Key::Number(one), Key::Number(other)) => one.cmp(other),
            (Key::Text(one), Key::Text(other)) => one.cmp(other),
            (one, other) => return (*one == Key::Missing).cmp(&(*other == Key::Missing)),
        };
        if sort.is_some_and(|sort| sort.descending) { order.reverse() } else { order }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_a_name_and_a_direction() {
        let of_name = |name| Sort::of_name(name, Collection::Contacts);
        assert_eq!(of_name("").unwrap(), None);
        assert_eq!(of_name("relevance").unwrap(), None);
        let newest = Sort { field: SortField::CreatedAt, descending: true };
        assert_eq!(of_name("-createdAt").unwrap(), Some(newest));
        let error = of_name("contactCount").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(
            error.chain().contains("relevance, or name, createdAt, updatedAt, each"),
            "{}",
            error.chain()
        );
        assert!(Sort::of_name("-contactCount", Collection::Organisations).unwrap().is_some());
    }

    #[test]
    fn what_is_missing_comes_last_in_both_directions() {
        let text = |text: &str| Key::Text(text.to_owned());
        let down = Some(Sort { field: SortField::Name, descending: true });
        assert_eq!(text("a").compare(&text("b"), None), Ordering::Less);
        assert_eq!(text("a").compare(&text("b"), down), Ordering::Greater);
        assert_eq!(text("a").compare(&Key::Missing, down), Ordering::Less);
        assert_eq!(Key::Missing.compare(&Key::Missing, down), Ordering::Equal);
    }
}
