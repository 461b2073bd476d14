//! The routes of search and of documents (contract, section 4).

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::model::Description;
use super::openapi;
use super::problem::{Answer, Refusal};
use super::refreshes::Refreshes;
use super::requests::IndexRequests;
use crate::error::{Error, ErrorKind, Result};
use crate::event::ID_BYTES_MAX;
use crate::json::remove_own;
use crate::pipeline::durations::Durations;
use crate::pipeline::status::Status;
use crate::plan::{Collection, PlanRef, Projection};
use crate::position::Positions;
use crate::search::Request;
use crate::search::pages::PagedSearcher;
use crate::search::service::{Page, Searcher};

/// A search that takes longer is given up.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// So many searches go to the index at once; further ones wait.
const AT_ONCE: usize = 64;
/// The advice for a search in an index that is not full.
const PARTIAL: &str = "try again later, or search what is there with allow_partial=true";
/// The most suggestions.
const SUGGESTIONS: usize = 8;

/// The parts that the routes of searches need.
#[derive(Clone)]
pub struct Search {
    searcher: PagedSearcher,
    status: Arc<Status>,
    places: Arc<Semaphore>,
    /// The collections, each with its refreshes.
    collections: Arc<[(Collection, Refreshes)]>,
    index_requests: Arc<IndexRequests>,
    plan: PlanRef,
    /// The description of the model, as JSON.
    description: Bytes,
    /// The description of all routes, as JSON.
    openapi: Bytes,
}

impl Search {
    /// Search in the indexes that the pipeline of `status` fills. To be called within a runtime.
    pub fn new(searcher: Searcher, status: Arc<Status>, plan: PlanRef) -> Self {
        let collections = searcher.collections();
        let description = written(&Description::of(plan, searcher.kept()));
        let openapi = written(&openapi::describe(plan, &collections, searcher.kept()));
        let collections = collections.into_iter().map(|of| (of, Refreshes::default())).collect();
        let (searcher, places) = (PagedSearcher::new(searcher), Arc::new(Semaphore::new(AT_ONCE)));
        Self {
            searcher,
            status,
            places,
            collections,
            index_requests: Arc::default(),
            plan,
            description,
            openapi,
        }
    }

    /// The description of the model.
    pub(super) fn description(&self) -> Response {
        answered(&self.description)
    }

    /// The description of all routes.
    pub(super) fn openapi(&self) -> Response {
        answered(&self.openapi)
    }

    /// The collections, the first of which is searched when a request names none.
    fn collections(&self) -> Vec<Collection> {
        self.collections.iter().map(|(collection, _)| *collection).collect()
    }

    /// How long the index took so far.
    pub(super) fn index_requests(&self) -> &IndexRequests {
        &self.index_requests
    }

    /// Waits until the index shows the positions that the request asks for, then searches. `Err` is the refusal,
    /// such as that of a wait that was too long.
    async fn page(&self, request: &Request) -> Answer<Page> {
        self.check_filled(request, &[request.collection])?;
        let reached = self.wait(request).await?;
        Ok(self.bounded(&self.index_requests.search, self.searcher.search(request, reached)).await?)
    }

    /// The projection of a name in a path.
    pub(super) fn projection(&self, name: &str) -> Answer<Projection> {
        let none = || Refusal::new(StatusCode::NOT_FOUND, "there is no such route; see /openapi.json");
        self.plan.projection(name).ok_or_else(none)
    }

    async fn wait(&self, request: &Request) -> Answer<Positions> {
        if request.consistent_with.is_empty() {
            return Ok(self.status.delivered());
        }
        let until = Instant::now() + Duration::from_millis(request.timeout_ms);
        let watching = self.status.signals.wait_for_search();
        loop {
            let moved = self.status.signals.moved();
            tokio::pin!(moved);
            // From here on no move is missed.
            moved.as_mut().enable();
            let reached = self.reached(request.collection);
            if reached.covers(&request.consistent_with) {
                self.status.signals.note_refresh();
                drop(watching);
                self.bounded(&self.index_requests.refresh, self.refresh(request.collection)).await?;
                return Ok(reached);
            }
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, request.not_reached(&reached)));
            };
            // The time that is over is looked at once more.
            let _ = tokio::time::timeout(left, moved).await;
        }
    }

    /// How far the indexes are that such a search looks in.
    fn reached(&self, collection: Collection) -> Positions {
        match *collection.searched() {
            [projection] => self.status.shown(projection),
            _ => self.status.delivered(),
        }
    }

    async fn refresh(&self, collection: Collection) -> Result<()> {
        let refresh = self.searcher.searcher().index().refresh(collection);
        match self.collections.iter().find(|(of, _)| *of == collection) {
            Some((_, refreshes)) => refreshes.share(refresh).await,
            None => refresh.await,
        }
    }

    /// Refuses a search in an index that is not full, unless it says that a part is enough.
    fn check_filled(&self, request: &Request, collections: &[Collection]) -> Answer<()> {
        let projections = collections.iter().flat_map(|collection| collection.searched());
        let projections: Vec<&str> = projections.map(Projection::name).collect();
        if request.allow_partial || self.status.are_filled(&projections) {
            return Ok(());
        }
        let detail = format!("{}; {PARTIAL}", self.status.readiness().detail());
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail))
    }

    /// The answer of the index to `work`, given up after a time. How long it took is noted in `durations`, with the wait
    /// for a place.
    async fn bounded<T>(&self, durations: &Durations, work: impl Future<Output = Result<T>>) -> Result<T> {
        let began = Instant::now();
        let timed = tokio::time::timeout(ANSWER_TIME, async {
            let _place = self.places.acquire().await;
            work.await
        });
        let answer = timed.await;
        durations.note(began.elapsed());
        answer.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable, "the index took too long for an answer"))
        })
    }

    pub(super) async fn document(&self, projection: Projection, id: &str) -> Answer<Value> {
        let projection = projection.name();
        let none = || Refusal::new(StatusCode::NOT_FOUND, format!("{projection} has no document of this id"));
        if id.len() > ID_BYTES_MAX {
            return Err(none());
        }
        let found = self
            .bounded(&self.index_requests.document, self.searcher.searcher().index().document(projection, id))
            .await?;
        match found {
            Some(document) => Ok(shown(document)),
            None if self.status.are_filled(&[projection]) => Err(none()),
            None => {
                let detail = format!("{}; it may come", self.status.readiness().detail());
                Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail))
            }
        }
    }
}

/// A value that is answered as it is each time.
fn written(value: &impl Serialize) -> Bytes {
    // A value of names and texts can be written.
    serde_json::to_vec(value).unwrap_or_default().into()
}

fn answered(json: &Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json.clone()).into_response()
}

/// A document without the keys that are Tributary's own.
fn shown(mut document: Value) -> Value {
    if let Some(members) = document.as_object_mut() {
        remove_own(members);
    }
    document
}

fn parse(search: &Search, query: Option<&str>) -> Answer<Request> {
    let pairs: Vec<_> = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
    let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
    Request::parse(&search.collections(), pairs).map_err(Refusal::from)
}

/// `GET /search`
pub(super) async fn search(Shared(search): Shared<Search>, RawQuery(query): RawQuery) -> Answer<Json<Page>> {
    let request = parse(&search, query.as_deref())?;
    Ok(Json(search.page(&request).await?))
}

/// `GET /suggest?q=`: names that go on as the text does.
pub(super) async fn suggest(
    Shared(search): Shared<Search>,
    RawQuery(query): RawQuery,
) -> Answer<Json<Value>> {
    let request = parse(&search, query.as_deref())?;
    let mut suggestions: Vec<Value> = Vec::new();
    let collections = search.collections();
    search.check_filled(&request, &collections)?;
    for collection in collections {
        let is_same = request.collection == collection;
        // Fields are those of the collection that was asked for.
        let filters = if is_same { request.filters.clone() } else { Vec::new() };
        let (under, terms) = (request.under.clone(), request.terms.clone());
        let under = under.filter(|_| collection.get().under.is_some());
        let (excluded, whole) = (request.excluded.clone(), request.whole.clone());
        let everything = Request::of(collection);
        let request = Request { terms, excluded, whole, under, filters, size: SUGGESTIONS, ..everything };
        if request.terms.as_ref().is_none_or(Vec::is_empty) {
            break;
        }
        let found = search
            .bounded(&search.index_requests.search, search.searcher.searcher().search(&request))
            .await?;
        for one in found.hits.iter().filter_map(|hit| suggestion(hit, collection)) {
            let looks = |one: &Value| ["text", "in", "detail"].map(|name| one.get(name).cloned());
            if !suggestions.iter().any(|other| looks(other) == looks(&one)) {
                suggestions.push(one);
            }
        }
    }
    suggestions.truncate(SUGGESTIONS);
    Ok(Json(json!({"suggestions": suggestions})))
}

fn suggestion(hit: &Value, collection: Collection) -> Option<Value> {
    hit.get("highlights")?.get(collection.get().own.title)?;
    let mut suggestion = json!({"text": hit.get("name")?, "id": hit.get("id")?, "in": collection.name()});
    if let (Some(detail), Some(members)) = (detail(hit, collection), suggestion.as_object_mut()) {
        members.insert("detail".to_owned(), detail.into());
    }
    Some(suggestion)
}

/// The text that tells a hit from others of the same name. It is the city of an address, an entity that it refers to,
/// or the first text that it shows. A text that is the name itself does not tell them apart.
fn detail(hit: &Value, collection: Collection) -> Option<String> {
    let own = hit.get("name").and_then(Value::as_str);
    let title = collection.get().own.title;
    let members = || collection.get().hit.iter().filter(|name| **name != title);
    let shown = || members().filter_map(|name| hit.get(*name));
    let other = |text: &str| Some(text.to_owned()).filter(|text| Some(text.as_str()) != own);
    let city = shown().find_map(|value| value.get("city")?.as_str().and_then(other));
    let entities = || shown().filter(|value| value.get("id").is_some());
    let named = || entities().find_map(|entity| name(entity).and_then(other));
    let first = || shown().find_map(|value| value.as_str().and_then(other));
    city.or_else(named).or_else(first)
}

/// The name of an embedded entity, or another text of it, or its id.
fn name(entity: &Value) -> Option<&str> {
    let members = entity.as_object()?;
    let other =
        || members.iter().find(|(name, value)| *name != "id" && value.is_string()).map(|(_, value)| value);
    let found =
        members.get("name").filter(|name| name.is_string()).or_else(other).or_else(|| members.get("id"));
    found.and_then(Value::as_str)
}

/// `GET /{projection}/{id}`
pub(super) async fn document(
    Shared(search): Shared<Search>,
    Path((projection, id)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    Ok(Json(search.document(search.projection(&projection)?, &id).await?))
}
