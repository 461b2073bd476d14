//! The routes that report on an instance and give it orders.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use crossbeam_channel::{Sender, bounded};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::metrics;
use super::origin::is_cross_site;
use super::problem::problem;
use super::requests::Requests;
use super::search::SearchSite;
use super::stream::pieces;
use crate::pipeline::command::FoldCommand;
use crate::pipeline::status::Status;
use crate::projection::Limits;
use crate::state::{State, copy};

/// The answer of the administrative routes where they are closed.
pub const ADMIN_CLOSED: &str = "the administrative routes are closed, because http.listen is reached from other machines and \
                                http.token is not set; set http.token or http.token_file";

const ANSWER_WAIT: Duration = Duration::from_secs(300);

/// Where the folder of a name lies, when it is one that a rebuild made on this disk.
pub type Linking = dyn Fn(&str) -> Option<PathBuf> + Send + Sync;

/// The parts of the instance that the routes need.
#[derive(Clone)]
pub struct Admin {
    /// Counters and positions.
    pub status: Arc<Status>,
    /// The state.
    pub state: Arc<State>,
    /// To the fold.
    pub commands: Sender<FoldCommand>,
    /// The token that administrative routes ask for.
    pub token: Option<String>,
    /// True when the administrative routes are closed, because other machines reach them and no token is set.
    pub is_closed: bool,
    /// The limits that shape documents.
    pub limits: Limits,
    /// Finds the folder for a copy by links.
    pub linking: Arc<Linking>,
}

pub(super) async fn status(Shared(admin): Shared<Admin>) -> Response {
    let state = Arc::clone(&admin.state);
    match tokio::task::spawn_blocking(move || state.count_waiting()).await {
        Ok(Ok(waiting)) => Json(admin.status.report(Some(waiting))).into_response(),
        _ => problem(StatusCode::INTERNAL_SERVER_ERROR, "the state cannot be read"),
    }
}

pub(super) async fn metrics_text(
    Shared(admin): Shared<Admin>,
    Shared(requests): Shared<Requests>,
    Shared(search): Shared<SearchSite>,
) -> Response {
    let text = metrics::text(&admin.status, &admin.state, &requests, search.index_requests());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Dead letters by their names.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "DeadLettersRequest")]
#[serde(deny_unknown_fields)]
pub(super) struct LettersRequest {
    /// Their names; without names every dead letter is meant.
    #[serde(default)]
    names: Option<Vec<String>>,
}

pub(super) async fn retry(
    Shared(admin): Shared<Admin>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    match request::<LettersRequest>(&admin, &headers, &body) {
        Ok(LettersRequest { names }) => ask_fold(&admin, |reply| FoldCommand::Retry(names, reply)).await,
        Err(refused) => *refused,
    }
}

pub(super) async fn discard(
    Shared(admin): Shared<Admin>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    match request::<LettersRequest>(&admin, &headers, &body) {
        Ok(LettersRequest { names }) => ask_fold(&admin, |reply| FoldCommand::Discard(names, reply)).await,
        Err(refused) => *refused,
    }
}

/// Sends a command to the fold, and answers with the fold's reply.
async fn ask_fold<T: Serialize + Send + 'static>(
    admin: &Admin,
    command: impl FnOnce(Sender<crate::error::Result<T>>) -> FoldCommand,
) -> Response {
    let (reply, answer) = bounded(1);
    if admin.commands.send(command(reply)).is_err() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the instance is stopping");
    }
    match tokio::task::spawn_blocking(move || answer.recv_timeout(ANSWER_WAIT)).await {
        Ok(Ok(Ok(done))) => Json(done).into_response(),
        Ok(Ok(Err(error))) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.chain()),
        _ => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "the fold did not answer in time; try again, or look at the log of the instance",
        ),
    }
}

/// A consistent copy of the state, for a rebuild.
pub(super) async fn copy(Shared(admin): Shared<Admin>, headers: HeaderMap) -> Response {
    if let Some(refused) = refuse(&admin, &headers) {
        return refused;
    }
    let (body, mut pieces) = pieces();
    tokio::task::spawn_blocking(move || {
        match copy::write(&*admin.state.view(), admin.state.plan(), &mut pieces) {
            // A client that went away has given up the copy.
            Ok(()) => drop(pieces.end()),
            Err(error) => {
                tracing::warn!(error = error.chain(), "a copy of the state was cut off");
                pieces.cut_off();
            }
        }
    });
    ([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response()
}

/// Where a copy of the state goes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkRequest {
    /// The name of the folder, beside the state's own.
    into: String,
}

/// Whether the state was copied by links.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Linked")]
pub(super) struct LinkAnswer {
    /// False when the folder is not there, or lies on another disk.
    linked: bool,
}

/// A copy of the state by links, for a rebuild that sees the same disk. Its folder has the name that the rebuild made,
/// and lies beside the state's.
pub(super) async fn link(
    Shared(admin): Shared<Admin>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let order: LinkRequest = match request(&admin, &headers, &body) {
        Ok(order) => order,
        Err(refused) => return *refused,
    };
    let linked = tokio::task::spawn_blocking(move || match (admin.linking)(&order.into) {
        Some(folder) => admin.state.link(&folder),
        None => Ok(false),
    });
    match linked.await {
        Ok(Ok(linked)) => Json(LinkAnswer { linked }).into_response(),
        Ok(Err(error)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.chain()),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the state could not be linked"),
    }
}

/// The request in the body of an administrative route, or why it is refused.
pub(super) fn request<T: DeserializeOwned>(
    admin: &Admin,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<T, Box<Response>> {
    if let Some(refused) = refuse(admin, headers) {
        return Err(Box::new(refused));
    }
    serde_json::from_slice(body).map_err(|error| {
        Box::new(problem(StatusCode::BAD_REQUEST, &format!("the body cannot be read: {error}")))
    })
}

/// Why an order is refused: it has no token, or it comes from a page of another origin. Such a page can send plain
/// text without asking first, and no JSON.
pub(super) fn refuse(admin: &Admin, headers: &HeaderMap) -> Option<Response> {
    if admin.is_closed {
        return Some(problem(StatusCode::FORBIDDEN, ADMIN_CLOSED));
    }
    if is_cross_site(headers) {
        let detail =
            "this route takes requests of this instance's own page and of programs, and none of other sites";
        return Some(problem(StatusCode::FORBIDDEN, detail));
    }
    if !is_authorised(admin.token.as_deref(), headers) {
        let detail = "a bearer token (http.token) is needed for this route";
        return Some(problem(StatusCode::UNAUTHORIZED, detail));
    }
    let is_json = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json = is_json.is_some_and(|kind| kind.starts_with("application/json"));
    (!is_json).then(|| problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json was expected"))
}

/// Compares in a time that does not depend on where the difference is.
fn is_authorised(token: Option<&str>, headers: &HeaderMap) -> bool {
    let Some(token) = token else { return true };
    let credentials = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(credentials) = credentials.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
    credentials.len() == token.len()
        && credentials.bytes().zip(token.bytes()).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}
