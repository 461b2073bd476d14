//! The routes of search and of documents (contract, section 4).

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::problem::{of_error, problem};
use crate::error::{Error, Result};
use crate::pipeline::status::Status;
use crate::search::service::{Page, Searcher};
use crate::search::{Collection, Request};

/// A search that takes longer is given up.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// An index that takes longer to say that it is there counts as away.
const PING_TIME: Duration = Duration::from_secs(2);
/// So many searches go to the index at once; further ones wait.
const AT_ONCE: usize = 64;
/// How often it is looked whether the index has come as far as asked.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The most suggestions.
const SUGGESTIONS: usize = 8;

/// What the routes need.
#[derive(Clone)]
pub struct Search {
    searcher: Searcher,
    status: Arc<Status>,
    places: Arc<Semaphore>,
}

impl Search {
    /// Search in the indexes that the pipeline of `status` fills.
    pub fn new(searcher: Searcher, status: Arc<Status>) -> Self {
        Self { searcher, status, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Waits until the index shows what the request asks for, then searches. `Err` is the answer of a
    /// wait that was too long.
    async fn page(&self, request: &Request) -> std::result::Result<Page, Response> {
        let reached = self.wait(request).await?;
        let mut page = self.bounded(self.searcher.search(request)).await.map_err(|error| of_error(&error))?;
        page.position = Some(reached);
        Ok(page)
    }

    async fn wait(&self, request: &Request) -> std::result::Result<String, Response> {
        if request.consistent_with.is_empty() {
            return Ok(self.status.delivered().to_string());
        }
        let until = Instant::now() + Duration::from_millis(request.timeout_ms);
        let watching = self.status.watch();
        loop {
            let reached = self.status.delivered();
            if reached.covers(&request.consistent_with) {
                drop(watching);
                self.bounded(self.searcher.index().refresh()).await.map_err(|error| of_error(&error))?;
                return Ok(reached.to_string());
            }
            if Instant::now() >= until {
                let detail = format!(
                    "the index has not come as far in {} ms; it has reached {reached}",
                    request.timeout_ms
                );
                return Err(problem(StatusCode::SERVICE_UNAVAILABLE, &detail));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether the index answers soon.
    pub(super) async fn is_answering(&self) -> bool {
        let asked = tokio::time::timeout(PING_TIME, self.searcher.index().ping()).await;
        matches!(asked, Ok(Ok(())))
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let timed = tokio::time::timeout(ANSWER_TIME, async {
            let _place = self.places.acquire().await;
            work.await
        });
        timed.await.unwrap_or_else(|_| {
            Err(Error::new(crate::error::ErrorKind::Unavailable, "the index took too long for an answer"))
        })
    }

    async fn document(&self, projection: &str, id: &str) -> std::result::Result<Value, Response> {
        let found = self.bounded(self.searcher.index().document(projection, id)).await;
        match found.map_err(|error| of_error(&error))? {
            Some(document) => Ok(shown(document)),
            None => Err(problem(StatusCode::NOT_FOUND, &format!("{projection} has no document of this id"))),
        }
    }
}

/// A document without the keys that are Tributary's own.
fn shown(document: Value) -> Value {
    let Value::Object(mut members) = document else { return document };
    members.retain(|name, _| !name.starts_with('_'));
    if let Some(Value::Array(contacts)) = members.get_mut("contacts") {
        contacts.iter_mut().filter_map(Value::as_object_mut).for_each(|contact| {
            contact.retain(|name, _| !name.starts_with('_'));
        });
    }
    Value::Object(members)
}

fn either(answer: std::result::Result<Response, Response>) -> Response {
    answer.unwrap_or_else(|problem| problem)
}

fn parse(query: Option<&str>) -> std::result::Result<Request, Response> {
    let pairs: Vec<_> = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
    let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
    Request::parse(pairs).map_err(|error| of_error(&error))
}

/// `GET /search`
pub(super) async fn search(Shared(search): Shared<Search>, RawQuery(query): RawQuery) -> Response {
    let answer = async {
        let request = parse(query.as_deref())?;
        Ok(Json(search.page(&request).await?).into_response())
    };
    either(answer.await)
}

/// `GET /suggest?q=`: names that go on as the text does.
pub(super) async fn suggest(Shared(search): Shared<Search>, RawQuery(query): RawQuery) -> Response {
    let answer = async {
        let mut request = parse(query.as_deref())?;
        let mut suggestions: Vec<Value> = Vec::new();
        for collection in [Collection::Organisations, Collection::Contacts] {
            request.collection = collection;
            request.size = SUGGESTIONS;
            if request.terms.as_ref().is_none_or(Vec::is_empty) {
                break;
            }
            let found = search.bounded(search.searcher.search(&request)).await;
            for hit in found.map_err(|error| of_error(&error))?.hits {
                suggestions.extend(suggestion(&hit, collection));
            }
        }
        suggestions.truncate(SUGGESTIONS);
        Ok(Json(json!({"suggestions": suggestions})).into_response())
    };
    either(answer.await)
}

fn suggestion(hit: &Value, collection: Collection) -> Option<Value> {
    hit.pointer("/highlights/name")?;
    Some(json!({"text": hit.get("name")?, "id": hit.get("id")?, "in": collection.name()}))
}

/// `GET /organisations/{id}`
pub(super) async fn organisation(Shared(search): Shared<Search>, Path(id): Path<String>) -> Response {
    either(search.document("organisations", &id).await.map(|document| Json(document).into_response()))
}

/// `GET /contacts/{id}`
pub(super) async fn contact(Shared(search): Shared<Search>, Path(id): Path<String>) -> Response {
    either(search.document("contacts", &id).await.map(|document| Json(document).into_response()))
}

/// `GET /organisations/{id}/children`
pub(super) async fn children(Shared(search): Shared<Search>, Path(id): Path<String>) -> Response {
    let fields = ["id", "name", "stub", "children", "childCount", "childrenTruncated", "descendantCount"];
    hierarchy(&search, &id, &fields).await
}

/// `GET /organisations/{id}/ancestors`
pub(super) async fn ancestors(Shared(search): Shared<Search>, Path(id): Path<String>) -> Response {
    hierarchy(&search, &id, &["id", "name", "stub", "parent", "ancestors", "hierarchyCycle"]).await
}

async fn hierarchy(search: &Search, id: &str, fields: &[&str]) -> Response {
    let document = search.document("hierarchy", id).await;
    either(document.map(|document| {
        let members = document.as_object().into_iter().flatten();
        let members = members.filter(|(name, _)| fields.contains(&name.as_str()));
        Json(members.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>()).into_response()
    }))
}
