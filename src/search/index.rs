//! The port of search: plain questions that every engine answers alike.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use super::cursor::Cursor;
use super::query::{FilterField, FilterValue, Filters, QueryReadings, Term};
use super::sort::{Key, Sort};
use crate::error::Result;
use crate::plan::Collection;

/// The most truncated documents whose further members are looked at.
pub const TRUNCATED_MAX: usize = 10_000;
/// The most documents that are found because they embed a member whose id is the query.
pub const OWNERS_MAX: usize = 1_000;
/// The most values of a facet.
pub const FACET_VALUES_MAX: usize = 1_000;

/// An answer that is waited for.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A search as an engine takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineSearch {
    /// The collection that is searched.
    pub collection: Collection,
    /// The terms; all must match. Each with documents that match by a member which they don't embed.
    pub terms: Option<Vec<(Term, Vec<String>)>>,
    /// The terms of which none may match, each with documents that match in the same way.
    pub excluded: Vec<(Term, Vec<String>)>,
    /// The readings of the whole query.
    pub whole: QueryReadings,
    /// Only entities at or below this one.
    pub under: Option<String>,
    /// Values of the document itself, of which each field must have one.
    pub filters: Vec<(FilterField, FilterValue)>,
    /// Values of members.
    pub member_filters: Vec<MemberFilters>,
    /// Only these ids.
    pub among: Option<Vec<String>>,
    /// The order of hits; `None` for the best first.
    pub sort: Option<Sort>,
    /// How many hits; 0 for counts only.
    pub size: usize,
    /// The place after which they begin.
    pub after: Option<Cursor>,
    /// Fields to count over all hits. Those of members are counted over the documents that embed all of them, and by the
    /// members that meet `member_filters`.
    pub facets: Vec<FilterField>,
    /// True when documents are wanted, false for ids only.
    pub documents: bool,
}

/// Values of which one and the same member of a `from` embed must have one for each field.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberFilters {
    /// The number of the embed among those that are looked into.
    pub members: usize,
    /// The values; at least one.
    pub filters: Vec<(FilterField, FilterValue)>,
    /// Documents that meet them by a member which they don't embed.
    pub met: Vec<String>,
}

impl EngineSearch {
    /// The values that one and the same member of an embed must have.
    pub fn filters_of(&self, members: usize) -> &Filters {
        let found = self.member_filters.iter().find(|found| found.members == members);
        found.map_or(&[], |found| &found.filters)
    }
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
    /// The document, without members that no hit shows.
    pub document: Value,
    /// For each searched `from` embed the members that a term matched, best first, at most [`MATCHED_MAX`].
    pub matched: Vec<Vec<Value>>,
}

/// The most matched members of one embed of a hit.
pub const MATCHED_MAX: usize = 10;

/// The number of hits for each value of a field.
pub type Counts = BTreeMap<String, u64>;

/// The hits and counts that an engine found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchResult {
    /// How many match in all.
    pub total: u64,
    /// The page.
    pub hits: Vec<Hit>,
    /// The counts, in the order asked for.
    pub facets: Vec<(FilterField, Counts)>,
}

/// Documents of members, among which is looked for those of some owners.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemberScope<'a> {
    /// The collection of the members.
    pub collection: Collection,
    /// The embed that shows the owner.
    pub owner: &'static str,
    /// The owners.
    pub owners: &'a [String],
    /// Terms of which the member's own fields must match one; none for all members.
    pub terms: &'a [Term],
    /// Values that the member must have.
    pub filters: &'a Filters,
}

/// Indexes that can be searched, behind their aliases.
pub trait SearchIndex: Send + Sync + 'static {
    /// Finds documents.
    fn find<'a>(&'a self, find: &'a EngineSearch) -> Answer<'a, SearchResult>;

    /// The ids of documents that don't embed all members of an embed, by its number, at most [`TRUNCATED_MAX`].
    fn find_truncated(&self, collection: Collection, members: usize) -> Answer<'_, Vec<String>>;

    /// The ids of documents that embed a member with this id, by the number of the embed, at most [`OWNERS_MAX`].
    fn owners_of_id<'a>(
        &'a self,
        collection: Collection,
        members: usize,
        id: &'a str,
    ) -> Answer<'a, Vec<String>>;

    /// Those owners that have such a member.
    fn owners<'a>(&'a self, among: MemberScope<'a>) -> Answer<'a, Vec<String>>;

    /// For each value of `field` how many of the owners have such a member with it.
    fn owner_counts<'a>(&'a self, among: MemberScope<'a>, field: FilterField) -> Answer<'a, Counts>;

    /// Such members, best first, at most [`MATCHED_MAX`].
    fn match_members<'a>(
        &'a self,
        among: MemberScope<'a>,
        whole: &'a QueryReadings,
    ) -> Answer<'a, Vec<Value>>;

    /// A document of a projection by its id.
    fn document<'a>(&'a self, projection: &'a str, id: &'a str) -> Answer<'a, Option<Value>>;

    /// The index as it is when each part of it is first asked: later changes are not seen. It holds resources of
    /// the engine until it is dropped.
    fn view(&self) -> std::sync::Arc<dyn SearchIndex>;

    /// Makes the writes that are acknowledged until now searchable, for searches of this collection.
    fn refresh(&self, collection: Collection) -> Answer<'_, ()>;

    /// Those of `projections` whose index is not there or is being filled for the first time: a search in it finds less
    /// than there is.
    fn find_unfilled<'a>(&'a self, projections: &'a [String]) -> Answer<'a, Vec<String>>;

    /// The product and the version of the server; `None` of an engine without a server.
    fn server(&self) -> Answer<'_, Option<String>> {
        Box::pin(async { Ok(None) })
    }

    /// Asks whether the index is there.
    fn ping(&self) -> Answer<'_, ()>;
}
