//! The port of search: plain questions that every engine answers alike.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use super::cursor::Cursor;
use super::query::{Collection, Field, Term, Whole};
use super::sort::{Key, Sort};
use crate::error::Result;

/// The most truncated organisations whose further contacts are looked at.
pub const TRUNCATED_MAX: usize = 10_000;
/// The most values of a facet.
pub const FACET_VALUES_MAX: usize = 1_000;

/// An answer that is waited for.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A search as an engine takes it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Find {
    /// What is searched.
    pub collection: Collection,
    /// The terms; all must match. Each with organisations that match by a contact which they don't embed.
    pub terms: Option<Vec<(Term, Vec<String>)>>,
    /// The terms of which none may match, each with organisations that match in the same way.
    pub excluded: Vec<(Term, Vec<String>)>,
    /// What the whole query may be.
    pub whole: Whole,
    /// Only what is at or below this organisation.
    pub under: Option<String>,
    /// Values of which each field must have one; of an organisation its own, of a contact any.
    pub filters: Vec<(Field, String)>,
    /// Values of which one and the same contact of an organisation must have one for each field.
    pub contact_filters: Vec<(Field, String)>,
    /// Organisations that meet `contact_filters` by a contact which they don't embed.
    pub contact_filters_met: Vec<String>,
    /// Only these ids.
    pub among: Option<Vec<String>>,
    /// The order of hits; `None` for the best first.
    pub sort: Option<Sort>,
    /// How many hits; 0 for counts only.
    pub size: usize,
    /// The place after which they begin.
    pub after: Option<Cursor>,
    /// Fields to count over all hits, organisations' contact fields over those that are not truncated, and by the contacts
    /// that meet `contact_filters`.
    pub facets: Vec<Field>,
    /// True when documents are wanted, false for ids only.
    pub documents: bool,
}

/// One document that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The document's id.
    pub id: String,
    /// How well it matches.
    pub score: u32,
    /// Its sort value.
    pub key: Key,
    /// The document, of an organisation without its contacts.
    pub document: Value,
    /// An organisation's embedded contacts that a term matched, best first, at most [`MATCHED_MAX`].
    pub matched: Vec<Value>,
}

/// The most matched contacts of a hit.
pub const MATCHED_MAX: usize = 10;

/// The number of hits for each value of a field.
pub type Counts = BTreeMap<String, u64>;

/// What an engine found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// How many match in all.
    pub total: u64,
    /// The page.
    pub hits: Vec<Hit>,
    /// The counts, in the order asked for.
    pub facets: Vec<(Field, Counts)>,
}

/// Contacts of truncated organisations, among which is looked for a term or for values.
#[derive(Debug, Clone, PartialEq)]
pub struct Among<'a> {
    /// The organisations.
    pub owners: &'a [String],
    /// A term that the contact's own fields must match.
    pub term: Option<&'a Term>,
    /// Values that the contact must have.
    pub filters: &'a [(Field, String)],
}

/// Indexes that can be searched, behind their aliases.
pub trait SearchIndex: Send + Sync + 'static {
    /// Finds documents.
    fn find<'a>(&'a self, find: &'a Find) -> Answer<'a, Found>;

    /// The ids of organisations that don't embed all their contacts, at most [`TRUNCATED_MAX`].
    fn truncated(&self) -> Answer<'_, Vec<String>>;

    /// Those owners that have such a contact.
    fn owners<'a>(&'a self, among: Among<'a>) -> Answer<'a, Vec<String>>;

    /// For each value of `field` how many of `owners` have a contact with it that also has the values of `filters`.
    fn owner_counts<'a>(
        &'a self,
        owners: &'a [String],
        field: Field,
        filters: &'a [(Field, String)],
    ) -> Answer<'a, Counts>;

    /// The contacts of `owner` that any of `terms` matches by the contact's own fields, best first, at
    /// most [`MATCHED_MAX`].
    fn matched<'a>(&'a self, owner: &'a str, terms: &'a [Term], whole: &'a Whole) -> Answer<'a, Vec<Value>>;

    /// A document of a projection by its id.
    fn document<'a>(&'a self, projection: &'a str, id: &'a str) -> Answer<'a, Option<Value>>;

    /// The index as it is when each part of it is first asked: what changes afterwards is not seen. It holds
    /// resources of the engine until it is dropped.
    fn view(&self) -> std::sync::Arc<dyn SearchIndex>;

    /// Makes what was acknowledged until now searchable, for searches of this collection.
    fn refresh(&self, collection: Collection) -> Answer<'_, ()>;

    /// Those of `projections` whose index is not there or is being filled for the first time: a search in it finds less
    /// than there is.
    fn unfilled<'a>(&'a self, projections: &'a [String]) -> Answer<'a, Vec<String>>;

    /// The product and the version of the server; `None` of an engine without a server.
    fn server(&self) -> Answer<'_, Option<String>> {
        Box::pin(async { Ok(None) })
    }

    /// Asks whether the index is there.
    fn ping(&self) -> Answer<'_, ()>;
}
