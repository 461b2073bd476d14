//! `/readyz`, and the look after the index that it rests on.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, json};

use super::admin::Admin;
use super::problem::problem_with;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::readiness::Cause;
use crate::pipeline::status::Status;
use crate::search::SearchIndex;
use crate::shutdown::Shutdown;

/// How often the index is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// And how often while it is not full: a standby learns so that another instance has filled it.
const LOOK_OFTEN: Duration = Duration::from_millis(200);
/// An index that takes longer to answer counts as away.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// `GET /readyz`: 200 while nothing speaks against it, else 503 with the reasons.
pub(super) async fn ready(Shared(admin): Shared<Admin>) -> Response {
    let readiness = admin.status.readiness();
    if readiness.ready {
        return "ready\n".into_response();
    }
    let reasons = Map::from_iter([("reasons".to_owned(), json!(readiness.reasons))]);
    problem_with(StatusCode::SERVICE_UNAVAILABLE, &readiness.detail(), reasons)
}

/// Looks whether the index answers, and which of the indexes of `projections` are full, until a stop is asked for.
pub async fn watch_index(
    index: Arc<dyn SearchIndex>,
    projections: Vec<String>,
    status: Arc<Status>,
    stop: Shutdown,
) {
    loop {
        let fillings = status.index_progress.fillings();
        let looked = tokio::time::timeout(ANSWER_TIME, look(&*index, &projections)).await;
        let late = |_| Err(Error::new(ErrorKind::Unavailable, "it takes too long to answer"));
        let mut wait = LOOK_EVERY;
        match looked.unwrap_or_else(late) {
            Ok((unfilled, server)) => {
                status.set_index_server(server);
                status.clear(Cause::IndexAway);
                if !unfilled.is_empty() {
                    wait = LOOK_OFTEN;
                }
                status.index_progress.set_unfilled(unfilled, fillings);
            }
            Err(error) => {
                status.raise(Cause::IndexAway, format!("the index does not answer: {}", error.chain()));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.wait() => return,
        }
    }
}

/// The projections whose index is not full, while the others answer, and the server.
async fn look(index: &dyn SearchIndex, projections: &[String]) -> Result<(Vec<String>, Option<String>)> {
    let server = index.server().await?;
    let unfilled = index.find_unfilled(projections).await?;
    if unfilled.is_empty() {
        index.ping().await?;
    }
    Ok((unfilled, server))
}
