//! A search from end to end, the same on every engine.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde_json::{Map, Value};

use super::cursor::Cursor;
use super::highlight;
use super::index::{Among, Counts, Find, Found, Hit, MATCHED_MAX, SearchIndex};
use super::query::{Collection, Field, Request, Term, Whole};
use crate::error::Result;

/// The answer of a search (contract, section 4).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page {
    /// How many match in all.
    pub total: u64,
    /// How long it took, in milliseconds, without the wait for `consistent_with`.
    pub took_ms: u64,
    /// The positions that the index shows, when they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// The hits of this page, best first.
    pub hits: Vec<Value>,
    /// Field to value to number of hits.
    pub facets: Map<String, Value>,
    /// The cursor of the next page; none after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Searches in an index.
#[derive(Clone)]
pub struct Searcher {
    index: Arc<dyn SearchIndex>,
    /// False when contacts have no index of their own: those that are not embedded are not found.
    has_contacts: bool,
    /// The number of the view that the index is, when it is kept for further pages.
    view: Option<u64>,
}

impl Searcher {
    /// A searcher over `index`, which keeps these projections.
    pub fn new(index: Arc<dyn SearchIndex>, projections: &[String]) -> Self {
        let has_contacts = projections.iter().any(|name| name == Collection::Contacts.name());
        Self { index, has_contacts, view: None }
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
            && let Some(forgiving) = request.forgiving()
        {
            page = self.page(&forgiving, &request.identity()).await?;
        }
        page.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(page)
    }

    /// `identity` is what the cursor of the next page depends on.
    async fn page(&self, request: &Request, identity: &str) -> Result<Page> {
        let terms = request.terms.as_deref().unwrap_or_default();
        let truncated = self.truncated(request).await?;
        let (find, of_id) = self.plan(request, &truncated).await?;
        let mut found = self.index.find(&find).await?;
        let next = found.hits.get(request.size).is_some();
        found.hits.truncate(request.size);
        let next = found.hits.last().filter(|_| next).map(|hit| self.cursor(hit).text(identity));
        let mut facets = self.facets(request, &find, &truncated, &found).await?;
        for field in request.facets.iter().filter(|field| is_filtered(request, **field)) {
            facets.extend(self.facet_aside(request, *field, &truncated).await?);
        }
        let mut hits = Vec::new();
        for hit in found.hits {
            hits.push(match request.collection {
                Collection::Organisations => {
                    self.organisation(hit, request, &truncated, of_id.as_ref()).await?
                }
                Collection::Contacts => contact(hit, terms),
            });
        }
        Ok(Page { total: found.total, took_ms: 0, position: None, hits, facets, next })
    }

    /// The place after a hit.
    fn cursor(&self, hit: &Hit) -> Cursor {
        Cursor { key: hit.key.clone(), id: hit.id.clone(), view: self.view }
    }

    /// The organisations whose further contacts matter to this request.
    async fn truncated(&self, request: &Request) -> Result<Vec<String>> {
        let asks_for_contacts = request.terms.is_some()
            || !request.excluded.is_empty()
            || request.filters.iter().any(|(field, _)| field.is_of_contacts())
            || request.facets.iter().any(|field| field.is_of_contacts());
        if request.collection == Collection::Contacts || !self.has_contacts || !asks_for_contacts {
            return Ok(Vec::new());
        }
        self.index.truncated().await
    }

    /// The question for the engine, and the contact whose id the query is.
    async fn plan(&self, request: &Request, truncated: &[String]) -> Result<(Find, Option<Value>)> {
        let of_contacts = |(field, _): &(Field, String)| {
            request.collection == Collection::Organisations && field.is_of_contacts()
        };
        let (contact_filters, filters): (Vec<_>, Vec<_>) =
            request.filters.iter().cloned().partition(of_contacts);
        let (of_id, contact) = self.of_id(request).await?;
        let mut terms = Vec::new();
        for term in request.terms.iter().flatten() {
            let mut owners = self.owners(truncated, Some(term), &[]).await?;
            owners.extend(of_id.iter().cloned());
            terms.push((term.clone(), owners));
        }
        let mut excluded = Vec::new();
        for term in &request.excluded {
            excluded.push((term.clone(), self.owners(truncated, Some(term), &[]).await?));
        }
        let contact_filters_met = if contact_filters.is_empty() {
            Vec::new()
        } else {
            self.owners(truncated, None, &contact_filters).await?
        };
        let find = Find {
            collection: request.collection,
            terms: request.terms.as_ref().map(|_| terms),
            excluded,
            whole: Whole { ids: of_id, ..request.whole.clone() },
            under: request.under.clone(),
            filters,
            contact_filters,
            contact_filters_met,
            among: None,
            // One hit more tells whether there is a page after this.
            size: request.size + 1,
            sort: request.sort,
            after: request.after.clone(),
            facets: request.facets.iter().copied().filter(|field| !is_filtered(request, *field)).collect(),
            documents: true,
        };
        Ok((find, contact))
    }

    /// A facet that is filtered by, counted as if it were not: its counts say what another choice would find.
    async fn facet_aside(
        &self,
        request: &Request,
        field: Field,
        truncated: &[String],
    ) -> Result<Map<String, Value>> {
        let mut aside = Request { facets: vec![field], after: None, ..request.clone() };
        aside.filters.retain(|(filtered, _)| *filtered != field);
        let find = Find { size: 0, documents: false, ..self.plan(&aside, truncated).await?.0 };
        let found = self.index.find(&find).await?;
        self.facets(&aside, &find, truncated, &found).await
    }

    /// The documents that are found because the query is an id: its own, and the organisation of a contact, beside that
    /// contact.
    async fn of_id(&self, request: &Request) -> Result<(Vec<String>, Option<Value>)> {
        let Some(id) = request.whole.ids.first() else { return Ok((Vec::new(), None)) };
        let (mut found, mut contact) = (vec![id.clone()], None);
        let is_more = request.whole.mail.is_some() || !request.whole.numbers.is_empty();
        if request.collection == Collection::Organisations && self.has_contacts && !is_more {
            contact = self.index.document(Collection::Contacts.name(), id).await?;
            found.extend(contact.as_ref().and_then(employer).map(str::to_owned));
        }
        Ok((found, contact))
    }

    async fn owners(
        &self,
        owners: &[String],
        term: Option<&Term>,
        filters: &[(Field, String)],
    ) -> Result<Vec<String>> {
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        self.index.owners(Among { owners, term, filters }).await
    }

    /// The counts; those of truncated organisations' contacts are taken from the contacts themselves.
    async fn facets(
        &self,
        request: &Request,
        find: &Find,
        truncated: &[String],
        found: &Found,
    ) -> Result<Map<String, Value>> {
        let mut facets = Map::new();
        let apart = request.collection == Collection::Organisations
            && !truncated.is_empty()
            && request.facets.iter().any(|field| field.is_of_contacts());
        let mut owners = Vec::new();
        if apart {
            let size = truncated.len();
            let find = Find {
                among: Some(truncated.to_vec()),
                sort: None,
                size,
                after: None,
                facets: Vec::new(),
                documents: false,
                ..find.clone()
            };
            owners = self.index.find(&find).await?.hits.into_iter().map(|hit| hit.id).collect();
        }
        for (field, counts) in &found.facets {
            let mut counts = counts.clone();
            if field.is_of_contacts() && !owners.is_empty() {
                add(&mut counts, self.index.owner_counts(&owners, *field, &find.contact_filters).await?);
            }
            let counts = counts.into_iter().map(|(value, count)| (value, count.into()));
            facets.insert(field.name().to_owned(), Value::Object(counts.collect()));
        }
        Ok(facets)
    }

    async fn organisation(
        &self,
        hit: Hit,
        request: &Request,
        truncated: &[String],
        of_id: Option<&Value>,
    ) -> Result<Value> {
        let terms = request.terms.as_deref().unwrap_or_default();
        let mut matched = if !terms.is_empty() && truncated.contains(&hit.id) {
            self.index.matched(&hit.id, terms, &request.whole).await?
        } else {
            hit.matched
        };
        if let Some(contact) = of_id.filter(|contact| employer(contact) == Some(&hit.id)) {
            matched.retain(|other| other.get("id") != contact.get("id"));
            matched.insert(0, contact.clone());
            matched.truncate(MATCHED_MAX);
        }
        let document = hit.document;
        let mut shown = head(&hit.id, hit.score, &document);
        for field in
            ["stub", "type", "status", "industry", "address", "parent", "contactCount", "contactsTruncated"]
        {
            copy(&mut shown, &document, field);
        }
        shown.insert("highlights".to_owned(), highlight::organisation(&document, terms).into());
        let matched: Vec<Value> = matched.iter().map(|contact| matched_contact(contact, terms)).collect();
        shown.insert("matchedContacts".to_owned(), matched.into());
        Ok(shown.into())
    }
}

/// The id of a contact's organisation.
fn employer(contact: &Value) -> Option<&str> {
    contact.pointer("/organisation/id")?.as_str()
}

fn contact(hit: Hit, terms: &[Term]) -> Value {
    let mut shown = head(&hit.id, hit.score, &hit.document);
    for field in ["email", "phone", "role", "department", "organisation"] {
        copy(&mut shown, &hit.document, field);
    }
    shown.insert("highlights".to_owned(), highlight::contact(&hit.document, terms).into());
    shown.into()
}

fn matched_contact(contact: &Value, terms: &[Term]) -> Value {
    let mut shown = Map::new();
    for field in ["id", "name", "email", "phone", "role", "department"] {
        copy(&mut shown, contact, field);
    }
    let mut highlights = highlight::contact(contact, terms);
    highlights.remove("organisation.name");
    shown.insert("highlights".to_owned(), highlights.into());
    shown.into()
}

fn head(id: &str, score: u32, document: &Value) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), id.into());
    copy(&mut shown, document, "name");
    shown.insert("score".to_owned(), score.into());
    shown
}

fn copy(to: &mut Map<String, Value>, from: &Value, field: &str) {
    if let Some(value) = from.get(field) {
        to.insert(field.to_owned(), value.clone());
    }
}

/// True when a facet of the field is counted without its own filter.
fn is_filtered(request: &Request, field: Field) -> bool {
    request.filters.iter().any(|(filtered, _)| *filtered == field)
}

/// A query of marks alone: nothing is found.
fn empty(request: &Request) -> Page {
    let facets = request.facets.iter().map(|field| (field.name().to_owned(), Value::Object(Map::new())));
    Page { total: 0, took_ms: 0, position: None, hits: Vec::new(), facets: facets.collect(), next: None }
}

fn add(counts: &mut Counts, more: Counts) {
    for (value, count) in more {
        *counts.entry(value).or_default() += count;
    }
}
