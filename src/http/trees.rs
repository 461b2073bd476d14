//! The routes that tell the place of an entity in its tree.

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use serde_json::Value;

use super::problem::{HandlerAnswer, Refusal};
use super::search::SearchSite;
use crate::plan::{Projection, TreePart};

type DocumentPath = Path<(String, String)>;

/// `GET /{projection}/{id}/children`
pub(super) async fn children(
    Shared(search): Shared<SearchSite>,
    Path(place): DocumentPath,
) -> HandlerAnswer<Json<Value>> {
    part(&search, place, Projection::children).await
}

/// `GET /{projection}/{id}/ancestors`
pub(super) async fn ancestors(
    Shared(search): Shared<SearchSite>,
    Path(place): DocumentPath,
) -> HandlerAnswer<Json<Value>> {
    part(&search, place, Projection::ancestors).await
}

async fn part(
    search: &SearchSite,
    (name, id): (String, String),
    of: fn(Projection) -> Option<TreePart>,
) -> HandlerAnswer<Json<Value>> {
    let projection = search.projection(&name)?;
    let Some(part) = of(projection) else {
        let detail = format!("no projection of the model shows a tree of {name}; see /openapi.json");
        return Err(Refusal::new(StatusCode::NOT_FOUND, detail));
    };
    let mut document = search.document(part.projection, &id).await?;
    if let Some(members) = document.as_object_mut() {
        members.retain(|name, _| part.members.contains(&name.as_str()));
    }
    Ok(Json(document))
}
