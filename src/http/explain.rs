//! The state's side of an explanation.

use axum::Json;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::admin::{Admin, request};
use super::problem::problem;
use crate::explain::StateSide;

/// The document to explain.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainRequest {
    /// The name of its projection.
    projection: String,
    /// Its id.
    id: String,
}

pub(super) async fn explain(
    Shared(admin): Shared<Admin>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let question: ExplainRequest = match request(&admin, &headers, &body) {
        Ok(question) => question,
        Err(refused) => return *refused,
    };
    let Some(projection) = admin.state.plan().projection(&question.projection) else {
        return problem(StatusCode::BAD_REQUEST, "there is no such projection");
    };
    let read = move || {
        let instance = admin.status.report(None).state;
        StateSide::of(&admin.state, projection, &question.id, admin.limits, &instance)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(side)) => Json(side).into_response(),
        Ok(Err(error)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.chain()),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the state cannot be read"),
    }
}
