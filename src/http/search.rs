//! The routes of search and of documents (docs/api.md).

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::StatusCode;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::problem::{HandlerAnswer, Refusal};
use super::refreshes::Refreshes;
use super::requests::IndexRequests;
use crate::error::{Error, ErrorKind, Result};
use crate::event::ID_BYTES_MAX;
use crate::json::remove_own;
use crate::pipeline::durations::Durations;
use crate::pipeline::index_progress::IndexProgress;
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

/// The parts that the routes of searches need.
#[derive(Clone)]
pub struct SearchSite {
    searcher: PagedSearcher,
    /// Says why an index is not full.
    status: Arc<Status>,
    /// Says how far the indexes are.
    index_progress: Arc<IndexProgress>,
    places: Arc<Semaphore>,
    /// The collections, each with its refreshes.
    collections: Arc<[(Collection, Refreshes)]>,
    index_requests: Arc<IndexRequests>,
    plan: PlanRef,
}

impl SearchSite {
    /// Search in the indexes that the pipeline of `status` fills. To be called within a runtime.
    pub fn new(searcher: Searcher, status: Arc<Status>, plan: PlanRef) -> Self {
        let collections = searcher.collections().into_iter().map(|of| (of, Refreshes::default())).collect();
        let (searcher, places) = (PagedSearcher::new(searcher), Arc::new(Semaphore::new(AT_ONCE)));
        let (index_progress, index_requests) = (Arc::clone(&status.index_progress), Arc::default());
        Self { searcher, status, index_progress, places, collections, index_requests, plan }
    }

    /// The collections, the first of which is searched when a request names none.
    pub(super) fn collections(&self) -> Vec<Collection> {
        self.collections.iter().map(|(collection, _)| *collection).collect()
    }

    /// How long the index took so far.
    pub(super) fn index_requests(&self) -> &IndexRequests {
        &self.index_requests
    }

    /// Waits until the index shows the positions that the request asks for, then searches. `Err` is the refusal,
    /// such as that of a wait that was too long.
    async fn page(&self, request: &Request) -> HandlerAnswer<Page> {
        self.check_filled(request, &[request.collection])?;
        let reached = self.wait(request).await?;
        Ok(self.answer_in_time(&self.index_requests.search, self.searcher.search(request, reached)).await?)
    }

    /// The projection of a name in a path.
    pub(super) fn projection(&self, name: &str) -> HandlerAnswer<Projection> {
        let none = || Refusal::new(StatusCode::NOT_FOUND, "there is no such route; see /openapi.json");
        self.plan.projection(name).ok_or_else(none)
    }

    async fn wait(&self, request: &Request) -> HandlerAnswer<Positions> {
        if request.consistent_with.is_empty() {
            return Ok(self.index_progress.low_watermark());
        }
        let until = Instant::now() + Duration::from_millis(request.timeout_ms);
        let watching = self.index_progress.wait_for_search();
        loop {
            let moved = self.index_progress.next_move();
            tokio::pin!(moved);
            // From here on no move is missed.
            moved.as_mut().enable();
            let reached = self.positions_of(request.collection);
            if reached.covers(&request.consistent_with) {
                self.index_progress.note_refresh();
                drop(watching);
                self.answer_in_time(&self.index_requests.refresh, self.refresh(request.collection)).await?;
                return Ok(reached);
            }
            let Some(remainder) = until.checked_duration_since(Instant::now()) else {
                return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, request.not_reached(&reached)));
            };
            // The time that is over is looked at once more.
            let _ = tokio::time::timeout(remainder, moved).await;
        }
    }

    /// How far the indexes are that such a search looks in.
    fn positions_of(&self, collection: Collection) -> Positions {
        match *collection.projections_to_search() {
            [projection] => self.index_progress.positions_of_searches(projection),
            _ => self.index_progress.low_watermark(),
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
    pub(super) fn check_filled(&self, request: &Request, collections: &[Collection]) -> HandlerAnswer<()> {
        let projections = collections.iter().flat_map(|collection| collection.projections_to_search());
        let projections: Vec<&str> = projections.map(Projection::name).collect();
        if request.allow_partial || self.index_progress.are_filled(&projections) {
            return Ok(());
        }
        let detail = format!("{}; {PARTIAL}", self.status.readiness().detail());
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail))
    }

    /// A page of one search, without views and waits for records.
    pub(super) async fn find(&self, request: &Request) -> HandlerAnswer<Page> {
        let found = self.searcher.searcher().search(request);
        Ok(self.answer_in_time(&self.index_requests.search, found).await?)
    }

    /// The answer of the index to `work`, given up after a time. How long it took is noted in `durations`, with the wait
    /// for a place.
    async fn answer_in_time<T>(
        &self,
        durations: &Durations,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
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

    pub(super) async fn document(&self, projection: Projection, id: &str) -> HandlerAnswer<Value> {
        let projection = projection.name();
        let none = || Refusal::new(StatusCode::NOT_FOUND, format!("{projection} has no document of this id"));
        if id.len() > ID_BYTES_MAX {
            return Err(none());
        }
        let found = self
            .answer_in_time(
                &self.index_requests.document,
                self.searcher.searcher().index().document(projection, id),
            )
            .await?;
        match found {
            Some(document) => Ok(strip_own(document)),
            None if self.index_progress.are_filled(&[projection]) => Err(none()),
            None => {
                let detail = format!("{}; it may come", self.status.readiness().detail());
                Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail))
            }
        }
    }
}

/// A document without the keys that are Tributary's own.
fn strip_own(mut document: Value) -> Value {
    if let Some(members) = document.as_object_mut() {
        remove_own(members);
    }
    document
}

pub(super) fn parse(search: &SearchSite, query: Option<&str>) -> HandlerAnswer<Request> {
    let pairs: Vec<_> = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
    let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
    Request::parse(&search.collections(), pairs).map_err(Refusal::from)
}

/// `GET /search`
pub(super) async fn search(
    Shared(search): Shared<SearchSite>,
    RawQuery(query): RawQuery,
) -> HandlerAnswer<Json<Page>> {
    let request = parse(&search, query.as_deref())?;
    Ok(Json(search.page(&request).await?))
}

/// `GET /{projection}/{id}`
pub(super) async fn document(
    Shared(search): Shared<SearchSite>,
    Path((projection, id)): Path<(String, String)>,
) -> HandlerAnswer<Json<Value>> {
    Ok(Json(search.document(search.projection(&projection)?, &id).await?))
}
