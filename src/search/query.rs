//! What can be asked.

use std::collections::{BTreeMap, BTreeSet};

use super::cursor::Cursor;
use super::sort::Sort;
use super::token::Phone;
use crate::error::{Error, Result};
use crate::position::Positions;

/// The page size when none is given.
pub const SIZE_DEFAULT: usize = 10;
/// The largest page.
pub const SIZE_MAX: usize = 100;

/// The most letters of a word in which no typo is forgiven at first.
const SHORT_LETTERS_MAX: usize = 3;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Collection {
    /// Organisations, by their own words and those of their contacts.
    #[default]
    Organisations,
    /// Contacts, by their own words and their organisation's name.
    Contacts,
}

impl Collection {
    /// The name in a request, and of its projection.
    pub fn name(self) -> &'static str {
        match self {
            Collection::Organisations => "organisations",
            Collection::Contacts => "contacts",
        }
    }

    /// The projections whose indexes a search in it looks in: organisations are found by contacts that they do not embed
    /// as well.
    pub fn searched(self) -> &'static [&'static str] {
        match self {
            Collection::Organisations => &["organisations", "contacts"],
            Collection::Contacts => &["contacts"],
        }
    }

    /// The collection of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn of_name(name: &str) -> Result<Self> {
        match name {
            "organisations" => Ok(Collection::Organisations),
            "contacts" => Ok(Collection::Contacts),
            other => Err(Error::usage(format!("in: {other:?} is no collection; organisations or contacts"))),
        }
    }
}

/// A field to filter by or to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// An organisation's `address.country`.
    Country,
    /// An organisation's industry.
    Industry,
    /// An organisation's status.
    Status,
    /// One of an organisation's or a contact's tags.
    Tag,
    /// A contact's role.
    Role,
    /// A contact's department.
    Department,
}

impl Field {
    /// All fields.
    pub const ALL: [Field; 6] =
        [Field::Country, Field::Industry, Field::Status, Field::Tag, Field::Role, Field::Department];

    /// The name in a request.
    pub fn name(self) -> &'static str {
        match self {
            Field::Country => "country",
            Field::Industry => "industry",
            Field::Status => "status",
            Field::Tag => "tag",
            Field::Role => "role",
            Field::Department => "department",
        }
    }

    /// True when an organisation has it by its contacts only.
    pub fn is_of_contacts(self) -> bool {
        matches!(self, Field::Role | Field::Department)
    }

    /// The field of that name in `collection`.
    ///
    /// # Errors
    /// When the collection does not have it.
    pub fn of_name(name: &str, collection: Collection) -> Result<Self> {
        let known = Field::ALL.into_iter().filter(|field| match collection {
            Collection::Organisations => true,
            Collection::Contacts => matches!(field, Field::Tag | Field::Role | Field::Department),
        });
        let known: Vec<Field> = known.collect();
        known.iter().copied().find(|field| field.name() == name).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|field| field.name()).collect();
            Error::usage(format!("{name:?} is no field of {}; {}", collection.name(), names.join(", ")))
        })
    }
}

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
pub fn by_field(filters: &[(Field, String)]) -> BTreeMap<Field, Vec<&str>> {
    let mut fields: BTreeMap<Field, Vec<&str>> = BTreeMap::new();
    filters.iter().for_each(|(field, value)| fields.entry(*field).or_default().push(value));
    fields
}

/// What a query may be as a whole, beside a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Whole {
    /// An e-mail address, with ASCII letters in lower case.
    pub mail: Option<String>,
    /// A phone number in its forms, each as reversed digits.
    pub numbers: Vec<String>,
    /// An id, and that of the organisation of a contact with this id.
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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    /// The words and phrases, all of which must match. `None` matches everything, no words match nothing.
    pub terms: Option<Vec<Term>>,
    /// The words and phrases of which none may match.
    pub excluded: Vec<Term>,
    /// What the whole query may be.
    pub whole: Whole,
    /// What is searched.
    pub collection: Collection,
    /// Only what is at or below this organisation.
    pub under: Option<String>,
    /// Values that must hold: any of those of a field.
    pub filters: Vec<(Field, String)>,
    /// The order of hits; `None` for the best first.
    pub sort: Option<Sort>,
    /// The page's size, 1 to [`SIZE_MAX`].
    pub size: usize,
    /// Where the page begins.
    pub after: Option<Cursor>,
    /// Fields to count over all hits.
    pub facets: Vec<Field>,
    /// Positions that must be searchable: for each partition the offset after the record.
    pub consistent_with: Positions,
    /// How long to wait for them, in milliseconds.
    pub timeout_ms: u64,
    /// Search an index that is not full yet as well.
    pub allow_partial: bool,
}

impl Request {
    /// The same search with typos forgiven in short words, for when it finds nothing. `None` when it has no such word
    /// beside a longer one, which keeps what is found near to what was meant.
    pub fn forgiving(&self) -> Option<Self> {
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

    /// What to say when the wait for `consistent_with` was too long.
    pub fn not_reached(&self, reached: &Positions) -> String {
        format!("the index has not come as far in {} ms; it has reached {reached}", self.timeout_ms)
    }
}
