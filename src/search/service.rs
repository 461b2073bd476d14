//! A search from end to end, the same on every engine.

mod shown_hit;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use self::shown_hit::{ShownHit, hit};
use super::cursor::Cursor;
use super::index::{
    Counts, EngineSearch, Hit, MATCHED_MAX, MemberFilters, MemberScope, SearchIndex, SearchResult,
};
use super::query::{FilterField, FilterValue, Filters, QueryReadings, Request, Term};
use crate::error::Result;
use crate::plan::{Collection, MembersPlan, PlanRef};
use crate::searchable_fields::each_at;

/// The answer of a search.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Page {
    /// How many match in all.
    pub total: u64,
    /// How long it took, in milliseconds, without the wait for `consistent_with`.
    pub took_ms: u64,
    /// The positions that the index shows, when they are known.
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// The hits of this page, best first.
    #[schemars(with = "Vec<ShownHit>")]
    pub hits: Vec<Value>,
    /// Field to value to number of hits.
    #[schemars(with = "BTreeMap<String, BTreeMap<String, u64>>")]
    pub facets: Map<String, Value>,
    /// The cursor of the next page; none after the last.
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Searches in an index.
#[derive(Clone)]
pub struct Searcher {
    index: Arc<dyn SearchIndex>,
    plan: PlanRef,
    /// The projections that are kept: members without an index of their own are found only where they are embedded.
    projections: Arc<[String]>,
    /// The number of the view that the index is, when it is kept for further pages.
    view: Option<u64>,
}

/// For each embed that is looked into, the documents that do not embed all its members.
type TruncatedDocuments = [Vec<String>];

impl Searcher {
    /// A searcher over `index`, which keeps these projections of the plan.
    pub fn new(index: Arc<dyn SearchIndex>, plan: PlanRef, projections: &[String]) -> Self {
        Self { index, plan, projections: projections.into(), view: None }
    }

    /// The kept projections that are searched, in the model's order: the first is searched when a request names none.
    pub fn collections(&self) -> Vec<Collection> {
        self.plan.collections().filter(|collection| self.keeps(*collection)).collect()
    }

    /// The kept projections.
    pub fn projections(&self) -> &[String] {
        &self.projections
    }

    fn keeps(&self, collection: Collection) -> bool {
        self.projections.iter().any(|name| name == collection.name())
    }

    /// The same over a view of the index, whose number its cursors carry.
    #[must_use]
    pub(super) fn on(&self, view: Arc<dyn SearchIndex>, number: u64) -> Self {
        Self { index: view, view: Some(number), ..self.clone() }
    }

    /// The index.
    pub fn index(&self) -> &dyn SearchIndex {
        &*self.index
    }

    /// Answers a request.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn search(&self, request: &Request) -> Result<Page> {
        let began = Instant::now();
        let mut page = if request.terms.as_ref().is_some_and(Vec::is_empty) {
            empty(request)
        } else {
            self.page(request, &request.identity()).await?
        };
        if page.total == 0
            && let Some(forgiving) = request.to_forgiving()
        {
            page = self.page(&forgiving, &request.identity()).await?;
        }
        page.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(page)
    }

    /// `identity` holds the parts of the search that the cursor of the next page depends on.
    async fn page(&self, request: &Request, identity: &str) -> Result<Page> {
        let truncated = self.find_truncated(request).await?;
        let (find, of_id) = self.plan(request, &truncated).await?;
        let mut found = self.index.find(&find).await?;
        let next = found.hits.get(request.size).is_some();
        found.hits.truncate(request.size);
        let next = found.hits.last().filter(|_| next).map(|hit| self.cursor(hit).text(identity));
        let mut facets = self.facets(request, &find, &truncated, &found).await?;
        for field in request.facets.iter().filter(|field| is_filtered(request, field)) {
            facets.extend(self.facet_aside(request, field, &truncated).await?);
        }
        let mut hits = Vec::new();
        for mut found in found.hits {
            self.add_matched(&mut found, request, &truncated, &of_id).await?;
            hits.push(hit(found, request));
        }
        Ok(Page { total: found.total, took_ms: 0, position: None, hits, facets, next })
    }

    /// The place after a hit.
    fn cursor(&self, hit: &Hit) -> Cursor {
        Cursor { key: hit.key.clone(), id: hit.id.clone(), view: self.view }
    }

    /// The collection of members that are not embedded, when it is kept.
    fn apart(&self, collection: Collection, members: &MembersPlan) -> Option<(Collection, &'static str)> {
        let apart = collection.apart(members).filter(|apart| self.keeps(*apart));
        apart.zip(members.apart.map(|apart| apart.owner))
    }

    /// The documents whose further members matter to this request.
    async fn find_truncated(&self, request: &Request) -> Result<Vec<Vec<String>>> {
        let asks_for_words = request.terms.is_some() || !request.excluded.is_empty();
        let mut all = Vec::new();
        for (number, members) in request.collection.get().members.iter().enumerate() {
            let is_asked = |field: &FilterField| field.members == Some(number);
            let is_looked_into = asks_for_words && members.words.is_some()
                || request.filters.iter().any(|(field, _)| is_asked(field))
                || request.facets.iter().any(is_asked);
            let is_known = members.truncated.is_some() && self.apart(request.collection, members).is_some();
            all.push(if is_looked_into && is_known {
                self.index.find_truncated(request.collection, number).await?
            } else {
                Vec::new()
            });
        }
        Ok(all)
    }

    /// The question for the engine, and the members whose id the query is.
    async fn plan(
        &self,
        request: &Request,
        truncated: &TruncatedDocuments,
    ) -> Result<(EngineSearch, Vec<Option<Value>>)> {
        let (of_id, members) = self.of_id(request).await?;
        let mut terms = Vec::new();
        for term in request.terms.iter().flatten() {
            let mut owners = self.owners_of_term(request, truncated, term).await?;
            owners.extend(of_id.iter().cloned());
            terms.push((term.clone(), owners));
        }
        let mut excluded = Vec::new();
        for term in &request.excluded {
            excluded.push((term.clone(), self.owners_of_term(request, truncated, term).await?));
        }
        let (of_members, filters): (Vec<_>, Vec<_>) =
            request.filters.iter().cloned().partition(|(field, _)| field.members.is_some());
        let find = EngineSearch {
            collection: request.collection,
            terms: request.terms.as_ref().map(|_| terms),
            excluded,
            whole: QueryReadings { ids: of_id, ..request.whole.clone() },
            under: request.under.clone(),
            filters,
            member_filters: self.member_filters(request, truncated, &of_members).await?,
            among: None,
            // One hit more tells whether there is a page after this.
            size: request.size + 1,
            sort: request.sort,
            after: request.after.clone(),
            facets: request.facets.iter().copied().filter(|field| !is_filtered(request, field)).collect(),
            documents: true,
        };
        Ok((find, members))
    }

    /// The filters of members, those of one embed together.
    async fn member_filters(
        &self,
        request: &Request,
        truncated: &TruncatedDocuments,
        filters: &Filters,
    ) -> Result<Vec<MemberFilters>> {
        let mut all = Vec::new();
        for number in 0..request.collection.get().members.len() {
            let of_embed = filters.iter().filter(|(field, _)| field.members == Some(number));
            let filters: Vec<(FilterField, FilterValue)> = of_embed.cloned().collect();
            if filters.is_empty() {
                continue;
            }
            let met = match filters_apart(request.collection, number, &filters) {
                Some(filters) => self.owners(request, (number, truncated), &[], &filters).await?,
                None => Vec::new(),
            };
            all.push(MemberFilters { members: number, filters, met });
        }
        Ok(all)
    }

    /// A facet that is filtered by, counted as if it were not: its counts say how much another choice would find.
    async fn facet_aside(
        &self,
        request: &Request,
        field: FilterField,
        truncated: &TruncatedDocuments,
    ) -> Result<Map<String, Value>> {
        let mut aside = Request { facets: vec![field], after: None, ..request.clone() };
        aside.filters.retain(|(filtered, _)| *filtered != field);
        let find = EngineSearch { size: 0, documents: false, ..self.plan(&aside, truncated).await?.0 };
        let found = self.index.find(&find).await?;
        self.facets(&aside, &find, truncated, &found).await
    }

    /// The documents that are found because the query is an id: its own, and those that embed a member of this id.
    /// Beside each stands that member of each embed.
    async fn of_id(&self, request: &Request) -> Result<(Vec<String>, Vec<Option<Value>>)> {
        let Some(id) = request.whole.ids.first() else { return Ok((Vec::new(), Vec::new())) };
        let (mut found, mut members) = (vec![id.clone()], Vec::new());
        for (number, searched, _) in request.collection.get().members_to_search() {
            let member = match self.apart(request.collection, searched) {
                Some((apart, owner)) => {
                    let member = self.index.document(apart.name(), id).await?;
                    member.iter().for_each(|member| found.extend(owners_of(member, owner)));
                    member
                }
                None if searched.is_found_by_id() => {
                    found.extend(self.index.owners_of_id(request.collection, number, id).await?);
                    None
                }
                None => None,
            };
            members.push(member);
        }
        Ok((found, members))
    }

    /// Documents that match a term by a member which they do not embed.
    async fn owners_of_term(
        &self,
        request: &Request,
        truncated: &TruncatedDocuments,
        term: &Term,
    ) -> Result<Vec<String>> {
        let mut owners = Vec::new();
        for (number, ..) in request.collection.get().members_to_search() {
            let term = std::slice::from_ref(term);
            owners.extend(self.owners(request, (number, truncated), term, &[]).await?);
        }
        Ok(owners)
    }

    async fn owners(
        &self,
        request: &Request,
        (number, truncated): (usize, &TruncatedDocuments),
        terms: &[Term],
        filters: &Filters,
    ) -> Result<Vec<String>> {
        let owners = truncated.get(number).map_or(&[][..], Vec::as_slice);
        let members = request.collection.get().members.get(number).filter(|_| !owners.is_empty());
        match members.and_then(|members| self.apart(request.collection, members)) {
            Some((collection, owner)) => {
                self.index.owners(MemberScope { collection, owner, owners, terms, filters }).await
            }
            None => Ok(Vec::new()),
        }
    }

    /// The counts; those of members that are not embedded are taken from the members themselves.
    async fn facets(
        &self,
        request: &Request,
        find: &EngineSearch,
        truncated: &TruncatedDocuments,
        found: &SearchResult,
    ) -> Result<Map<String, Value>> {
        let mut facets = Map::new();
        // By the numbers of the embeds: the hits that do not embed all members.
        let mut owners: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (field, counts) in &found.facets {
            let mut counts = counts.clone();
            if let Some(number) = field.members {
                let owners = match owners.entry(number) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => {
                        place.insert(self.find_truncated_hits(find, truncated.get(number)).await?)
                    }
                };
                add(&mut counts, self.counts_apart(request, find, (number, owners), field).await?);
            }
            let counts = counts.into_iter().map(|(value, count)| (value, count.into()));
            facets.insert(field.name.to_owned(), Value::Object(counts.collect()));
        }
        Ok(facets)
    }

    /// The hits among documents that do not embed all members.
    async fn find_truncated_hits(
        &self,
        find: &EngineSearch,
        truncated: Option<&Vec<String>>,
    ) -> Result<Vec<String>> {
        let Some(truncated) = truncated.filter(|ids| !ids.is_empty()) else { return Ok(Vec::new()) };
        let find = EngineSearch {
            among: Some(truncated.clone()),
            sort: None,
            size: truncated.len(),
            after: None,
            facets: Vec::new(),
            documents: false,
            ..find.clone()
        };
        Ok(self.index.find(&find).await?.hits.into_iter().map(|hit| hit.id).collect())
    }

    /// The counts of a field of members over the hits that do not embed all of them.
    async fn counts_apart(
        &self,
        request: &Request,
        find: &EngineSearch,
        (number, owners): (usize, &[String]),
        field: FilterField,
    ) -> Result<Counts> {
        let collection = request.collection;
        let members = collection.get().members.get(number).filter(|_| !owners.is_empty());
        let apart = members.and_then(|members| self.apart(collection, members));
        let filters = filters_apart(collection, number, find.filters_of(number));
        let field = filter_apart(collection, number, field);
        let ((Some((collection, owner)), Some(filters)), Some(field)) = ((apart, filters), field) else {
            return Ok(Counts::new());
        };
        self.index
            .owner_counts(MemberScope { collection, owner, owners, terms: &[], filters: &filters }, field)
            .await
    }

    /// Puts the members that matched into a hit, also those that the document does not embed. `of_id` are the members whose
    /// id the query is.
    async fn add_matched(
        &self,
        hit: &mut Hit,
        request: &Request,
        truncated: &TruncatedDocuments,
        of_id: &[Option<Value>],
    ) -> Result<()> {
        let terms = request.terms.as_deref().unwrap_or_default();
        for (place, (number, members, _)) in request.collection.get().members_to_search().enumerate() {
            let Some(matched) = hit.matched.get_mut(place) else { continue };
            let Some((collection, owner)) = self.apart(request.collection, members) else { continue };
            let is_truncated = truncated.get(number).is_some_and(|ids| ids.contains(&hit.id));
            if is_truncated && !terms.is_empty() {
                let owners = std::slice::from_ref(&hit.id);
                let among = MemberScope { collection, owner, owners, terms, filters: &[] };
                *matched = self.index.match_members(among, &request.whole).await?;
            }
            let is_owned = |member: &&Value| owners_of(member, owner).contains(&hit.id);
            if let Some(member) = of_id.get(place).and_then(Option::as_ref).filter(is_owned) {
                matched.retain(|other| other.get("id") != member.get("id"));
                matched.insert(0, member.clone());
                matched.truncate(MATCHED_MAX);
            }
        }
        Ok(())
    }
}

/// The ids of a member's owners.
fn owners_of(member: &Value, embed: &str) -> Vec<String> {
    let mut owners = Vec::new();
    each_at(member, &format!("{embed}.id"), &mut |id| owners.extend(id.as_str().map(str::to_owned)));
    owners
}

/// The same filter among those of the members' own projection.
fn filter_apart(collection: Collection, members: usize, field: FilterField) -> Option<FilterField> {
    let apart = collection.apart(collection.get().members.get(members)?)?;
    apart.get().filters.get(usize::from(field.apart?))
}

/// The same filters for the members' own projection; `None` when it lacks one.
fn filters_apart(
    collection: Collection,
    members: usize,
    filters: &Filters,
) -> Option<Vec<(FilterField, FilterValue)>> {
    let one = |(field, value): &(FilterField, FilterValue)| {
        Some((filter_apart(collection, members, field)?, value.clone()))
    };
    filters.iter().map(one).collect()
}

/// True when a facet of the field is counted without its own filter.
fn is_filtered(request: &Request, field: &FilterField) -> bool {
    request.filters.iter().any(|(filtered, _)| filtered == field)
}

/// A query of marks alone: nothing is found.
fn empty(request: &Request) -> Page {
    let facets = request.facets.iter().map(|field| (field.name.to_owned(), Value::Object(Map::new())));
    Page { total: 0, took_ms: 0, position: None, hits: Vec::new(), facets: facets.collect(), next: None }
}

fn add(counts: &mut Counts, more: Counts) {
    for (value, count) in more {
        *counts.entry(value).or_default() += count;
    }
}
