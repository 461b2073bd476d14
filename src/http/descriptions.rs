//! The routes that describe an instance: its model, and its routes. Each description is made once, and answered as it is each
//! time.

use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::model::ModelDescription;
use super::openapi::describe;
use crate::plan::PlanRef;
use crate::search::service::Searcher;

/// The descriptions of an instance, as JSON.
#[derive(Clone)]
pub struct Descriptions {
    /// The description of the model.
    model: Bytes,
    /// The description of all routes.
    routes: Bytes,
}

impl Descriptions {
    /// The descriptions of a plan, with the projections in which `searcher` searches.
    pub fn of(plan: PlanRef, searcher: &Searcher) -> Self {
        let (collections, projections) = (searcher.collections(), searcher.projections());
        let model = write(&ModelDescription::of(plan, projections));
        let routes = write(&describe(plan, &collections, projections));
        Self { model, routes }
    }
}

fn write(description: &impl Serialize) -> Bytes {
    // A value of names and texts can be written.
    serde_json::to_vec(description).unwrap_or_default().into()
}

fn answer(json: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// `GET /model`
pub(super) async fn model(Shared(descriptions): Shared<Descriptions>) -> Response {
    answer(descriptions.model)
}

/// `GET /openapi.json`
pub(super) async fn openapi(Shared(descriptions): Shared<Descriptions>) -> Response {
    answer(descriptions.routes)
}
