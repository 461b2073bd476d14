//! Requests, and the parts of a query.

use std::collections::{BTreeMap, BTreeSet};

use super::cursor::Cursor;
use super::phone::Phone;
use super::sort::Sort;
use crate::plan::{Collection, FilterPlan};
use crate::position::Positions;
use crate::time::milliseconds;

/// The page size when none is given.
pub const SIZE_DEFAULT: usize = 10;
/// The largest page.
pub const SIZE_MAX: usize = 100;

/// How long `consistent_with` waits unless told otherwise.
pub const TIMEOUT_MS_DEFAULT: u64 = 5_000;

/// The most letters of a word in which no typo is forgiven at first.
const SHORT_LETTERS_MAX: usize = 3;

/// A field to filter by or to count.
pub type FilterField = &'static FilterPlan;

/// The values asked for of a field: any of them will do.
#[derive(Debug, Clone, PartialEq)]
pub enum FilterValue {
    /// This text.
    Text(String),
    /// A number without fraction, or a time in milliseconds, from the first to the last.
    Integers(Option<i64>, Option<i64>),
    /// A number from the first to the last.
    Numbers(Option<f64>, Option<f64>),
}

impl FilterValue {
    /// The text, where it is none of a range.
    pub fn text(&self) -> Option<&str> {
        match self {
            FilterValue::Text(text) => Some(text),
            FilterValue::Integers(..) | FilterValue::Numbers(..) => None,
        }
    }

    /// True when the value counted under this text is wanted.
    pub fn holds(&self, text: &str) -> bool {
        match self {
            FilterValue::Text(value) => value == text,
            FilterValue::Integers(from, to) => {
                let number = text.parse().ok().or_else(|| milliseconds(text));
                number.is_some_and(|number| is_between(number, *from, *to))
            }
            FilterValue::Numbers(from, to) => {
                let number = text.parse::<f64>().ok();
                number.is_some_and(|number| is_between(number, *from, *to))
            }
        }
    }
}

fn is_between<T: PartialOrd>(number: T, from: Option<T>, to: Option<T>) -> bool {
    from.is_none_or(|from| number >= from) && to.is_none_or(|to| number <= to)
}

/// Values that must hold.
pub type Filters = [(FilterField, FilterValue)];

/// One word of a query, which matches as a word or as a part of a phone number, or one phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The folded word; a word of the document matches that begins with it. Of a phrase the folded words, parted by spaces.
    pub text: String,
    /// True when the words of the document must be the same and stand side by side in one field.
    pub exact: bool,
    /// The word written together with its neighbours, as a document may have it: `jeanluc` for `jean luc`.
    pub joined: Vec<String>,
    /// True when a word one typo away matches too.
    pub fuzzy: bool,
    /// The phone numbers that it may be a part of.
    pub phone: Phone,
}

/// The values asked for, by their fields: any value of a field will do, and each field must hold.
pub fn by_field(filters: &Filters) -> BTreeMap<FilterField, Vec<&FilterValue>> {
    let mut fields: BTreeMap<FilterField, Vec<&FilterValue>> = BTreeMap::new();
    filters.iter().for_each(|(field, value)| fields.entry(*field).or_default().push(value));
    fields
}

/// The readings of a whole query, beside that of a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryReadings {
    /// An e-mail address, with ASCII letters in lower case.
    pub mail: Option<String>,
    /// A phone number in its forms, each as reversed digits.
    pub numbers: Vec<String>,
    /// An id, and those of the documents that embed a member with this id.
    pub ids: Vec<String>,
}

/// The different words of terms, as a name may have them.
pub fn name_words<'a>(terms: impl IntoIterator<Item = &'a Term>) -> BTreeSet<&'a str> {
    terms.into_iter().flat_map(Term::words).collect()
}

impl Term {
    /// The words: several of a phrase.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.text.split(' ')
    }

    /// True when it has several words.
    pub fn is_phrase(&self) -> bool {
        self.text.contains(' ')
    }

    /// The texts that a word of a document may be or begin with.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.text.as_str()).chain(self.joined.iter().map(String::as_str))
    }
}

/// One search.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The words and phrases, all of which must match. `None` matches everything, no words match nothing.
    pub terms: Option<Vec<Term>>,
    /// The words and phrases of which none may match.
    pub excluded: Vec<Term>,
    /// The readings of the whole query.
    pub whole: QueryReadings,
    /// The collection that is searched.
    pub collection: Collection,
    /// Only entities at or below this one in the collection's tree.
    pub under: Option<String>,
    /// Values that must hold: any of those of a field.
    pub filters: Vec<(FilterField, FilterValue)>,
    /// The order of hits; `None` for the best first.
    pub sort: Option<Sort>,
    /// The page's size, 1 to [`SIZE_MAX`].
    pub size: usize,
    /// Where the page begins.
    pub after: Option<Cursor>,
    /// Fields to count over all hits.
    pub facets: Vec<FilterField>,
    /// Positions that must be searchable: for each partition the offset after the record.
    pub consistent_with: Positions,
    /// How long to wait for them, in milliseconds.
    pub timeout_ms: u64,
    /// Search an index that is not full yet as well.
    pub allow_partial: bool,
}

impl Request {
    /// A search for everything in a collection.
    pub fn of(collection: Collection) -> Self {
        Self {
            terms: None,
            excluded: Vec::new(),
            whole: QueryReadings::default(),
            collection,
            under: None,
            filters: Vec::new(),
            sort: None,
            size: SIZE_DEFAULT,
            after: None,
            facets: Vec::new(),
            consistent_with: Positions::default(),
            timeout_ms: TIMEOUT_MS_DEFAULT,
            allow_partial: false,
        }
    }

    /// The same search with typos forgiven in short words, for when it finds nothing. `None` when it has no such
    /// word beside a longer one, which keeps the hits near to the query's meaning.
    pub fn to_forgiving(&self) -> Option<Self> {
        let letters = |term: &Term| term.text.chars().count();
        let mut terms = self.terms.clone()?;
        let has_longer = terms.iter().any(|term| letters(term) > SHORT_LETTERS_MAX);
        let is_short = |term: &Term| {
            !term.exact
                && !term.text.contains(char::is_numeric)
                && (2..=SHORT_LETTERS_MAX).contains(&letters(term))
        };
        let mut short = terms.iter_mut().filter(|term| is_short(term)).peekable();
        if !has_longer || short.peek().is_none() {
            return None;
        }
        short.for_each(|term| term.fuzzy = true);
        Some(Self { terms: Some(terms), ..self.clone() })
    }

    /// The message after a wait for `consistent_with` that was too long.
    pub fn not_reached(&self, reached: &Positions) -> String {
        format!("the index has not come as far in {} ms; it has reached {reached}", self.timeout_ms)
    }
}
