//! Routes of a running instance.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, sync_channel};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::{metrics, page};
use crate::pipeline::status::Status;
use crate::pipeline::stream::Command;
use crate::shutdown::Shutdown;
use crate::state::State;

const BODY_BYTES_MAX: usize = 1 << 20;
const ANSWER_WAIT: Duration = Duration::from_secs(300);
/// An instance with work waiting that makes no progress for so long is not ready.
const STUCK_MS: u64 = 60_000;

/// What the routes need.
#[derive(Clone)]
pub struct Admin {
    /// Counters and positions.
    pub status: Arc<Status>,
    /// The state.
    pub state: Arc<State>,
    /// To the fold.
    pub commands: Sender<Command>,
    /// The token that administrative routes ask for.
    pub token: Option<String>,
}

/// A problem document (RFC 9457).
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

/// Serves until a stop is asked for; requests under way are answered first.
pub async fn serve(listener: tokio::net::TcpListener, admin: Admin, stop: Shutdown) {
    let routes = Router::new()
        .route("/", get(page::page))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .route("/metrics", get(metrics_text))
        .route("/admin/dead-letters/retry", post(retry))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "there is no such route") })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "not by this method")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(guarded))
        .with_state(admin);
    let served = axum::serve(listener, routes).with_graceful_shutdown(async move { stop.requested().await });
    if let Err(error) = served.await {
        tracing::error!(%error, "the http server ended");
    }
}

/// Headers for every answer.
async fn guarded(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

async fn ready(Shared(admin): Shared<Admin>) -> Response {
    let report = admin.status.report(None);
    let idle_ms = Status::now_ms().saturating_sub(admin.status.progressed_ms.load(Ordering::Relaxed));
    let lag: i64 = report.partitions.iter().map(|partition| partition.lag).sum();
    let has_work = lag > 0 || report.documents_waiting > 0;
    if has_work && idle_ms > STUCK_MS {
        let detail = format!("work waits and nothing moved for {} s", idle_ms / 1_000);
        return problem(StatusCode::SERVICE_UNAVAILABLE, &detail);
    }
    "ready\n".into_response()
}

async fn status(Shared(admin): Shared<Admin>) -> Response {
    let state = Arc::clone(&admin.state);
    match tokio::task::spawn_blocking(move || state.count_marks()).await {
        Ok(Ok(waiting)) => Json(admin.status.report(Some(waiting))).into_response(),
        _ => problem(StatusCode::INTERNAL_SERVER_ERROR, "the state cannot be read"),
    }
}

async fn metrics_text(Shared(admin): Shared<Admin>) -> Response {
    let text = metrics::text(&admin.status, admin.state.disk_bytes());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryRequest {
    #[serde(default)]
    names: Option<Vec<String>>,
}

async fn retry(Shared(admin): Shared<Admin>, headers: HeaderMap, body: axum::body::Bytes) -> Response {
    if !is_authorised(admin.token.as_deref(), &headers) {
        return problem(StatusCode::UNAUTHORIZED, "a bearer token (http.token) is needed for this route");
    }
    // A page of another origin can send plain text without asking first, and no JSON.
    let is_json = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !is_json.is_some_and(|kind| kind.starts_with("application/json")) {
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json was expected");
    }
    let request: RetryRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &format!("the body cannot be read: {error}")),
    };
    let (reply, answer) = sync_channel(1);
    if admin.commands.send(Command::Retry(request.names, reply)).is_err() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the instance is stopping");
    }
    match tokio::task::spawn_blocking(move || answer.recv_timeout(ANSWER_WAIT)).await {
        Ok(Ok(Ok(retried))) => Json(retried).into_response(),
        Ok(Ok(Err(error))) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.chain()),
        _ => problem(StatusCode::SERVICE_UNAVAILABLE, "the fold did not answer in time"),
    }
}

/// Compares in a time that does not depend on where the difference is.
fn is_authorised(token: Option<&str>, headers: &HeaderMap) -> bool {
    let Some(token) = token else { return true };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
    given.len() == token.len() && given.bytes().zip(token.bytes()).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}
