//! `GET /suggest`: names that go on as a text does.

use axum::Json;
use axum::extract::{RawQuery, State as Shared};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::problem::HandlerAnswer;
use super::search::{SearchSite, parse};
use crate::plan::Collection;
use crate::search::Request;

/// The most suggestions of an answer.
const SUGGESTIONS: usize = 8;

/// The answer of `GET /suggest`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Suggestions {
    /// The best first.
    suggestions: Vec<Suggestion>,
}

/// A name that goes on as the text does.
#[derive(Serialize, JsonSchema)]
struct Suggestion {
    /// The name.
    #[schemars(with = "String")]
    text: Value,
    /// The id of the document.
    id: String,
    /// The projection of the document.
    #[serde(rename = "in")]
    collection: &'static str,
    /// The text that tells it from others of the same name. It is the city of an address, an entity that it refers to,
    /// or another text of its hit.
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Suggestion {
    /// True when a person cannot tell the two apart.
    fn looks_like(&self, other: &Self) -> bool {
        (&self.text, self.collection, &self.detail) == (&other.text, other.collection, &other.detail)
    }
}

/// `GET /suggest?q=`: names that go on as the text does.
pub(super) async fn suggest(
    Shared(search): Shared<SearchSite>,
    RawQuery(query): RawQuery,
) -> HandlerAnswer<Json<Suggestions>> {
    let request = parse(&search, query.as_deref())?;
    let mut suggestions: Vec<Suggestion> = Vec::new();
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
        let page = search.find(&request).await?;
        for one in page.hits.iter().filter_map(|hit| suggestion(hit, collection)) {
            if !suggestions.iter().any(|other| other.looks_like(&one)) {
                suggestions.push(one);
            }
        }
    }
    suggestions.truncate(SUGGESTIONS);
    Ok(Json(Suggestions { suggestions }))
}

fn suggestion(hit: &Value, collection: Collection) -> Option<Suggestion> {
    hit.get("highlights")?.get(collection.get().own.title)?;
    Some(Suggestion {
        text: hit.get("name")?.clone(),
        id: hit.get("id")?.as_str()?.to_owned(),
        collection: collection.name(),
        detail: detail(hit, collection),
    })
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
