//! The description of all routes (OpenAPI 3.1, <https://spec.openapis.org/oas/v3.1.0>), with the names of the model.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::schemas::schemas;
use crate::plan::{Collection, PlanRef, Projection};
use crate::search::sort::RELEVANCE;

/// The description, whose routes of documents are patterns. Its schemas come from the types of requests and answers.
pub(super) const OPENAPI: &str = include_str!("openapi.json");
/// The routes of documents.
const OF_DOCUMENTS: [&str; 3] =
    ["/{projection}/{id}", "/{projection}/{id}/children", "/{projection}/{id}/ancestors"];

/// The description for a plan of which these projections are kept.
#[expect(clippy::expect_used, reason = "the text comes with the program, and tests read it")]
pub(super) fn describe(plan: PlanRef, collections: &[Collection], projections: &[String]) -> Value {
    let mut described: Value = serde_json::from_str(OPENAPI).expect("a description in JSON");
    if let Some(info) = described.pointer_mut("/info/description") {
        let names: Vec<&str> = collections.iter().map(|of| of.name()).collect();
        *info = format!("Search over {}, and the state of the indexing.", names.join(", ")).into();
    }
    if let Some(components) = described.get_mut("components").and_then(Value::as_object_mut) {
        components.insert("schemas".to_owned(), schemas().into());
    }
    let list = |names: &dyn Fn(Collection) -> Vec<&'static str>| {
        let one = |of: &Collection| format!("{}: {}", of.name(), names(*of).join(", "));
        collections.iter().map(one).collect::<Vec<_>>().join("; ")
    };
    let fields = list(&|of| of.get().filters.iter().map(|filter| filter.name).collect());
    let sorts = collections.iter().flat_map(|of| &of.get().sorts).map(|sort| sort.name);
    let sorts: BTreeSet<&str> = sorts.collect();
    let both = sorts.iter().flat_map(|name| [(*name).to_owned(), format!("-{name}")]);
    let sorts: Vec<String> = std::iter::once(RELEVANCE.to_owned()).chain(both).collect();
    for parameter in search_parameters(&mut described) {
        match parameter.get("name").and_then(Value::as_str) {
            Some("in") => {
                let names: Vec<&str> = collections.iter().map(|of| of.name()).collect();
                parameter["schema"] = json!({"type": "string", "enum": names, "default": names.first()});
            }
            Some("sort") => {
                parameter["schema"] = json!({"type": "string", "enum": sorts, "default": RELEVANCE});
            }
            Some("filter") => append(parameter, &format!("Fields of {fields}")),
            Some("facets") => append(parameter, &format!("Fields of {fields}")),
            _ => {}
        }
    }
    if let Some(paths) = described.get_mut("paths").and_then(Value::as_object_mut) {
        name_documents(paths, plan, projections);
    }
    described
}

/// Writes the routes of documents once for each projection that has them, in the place of the patterns.
fn name_documents(paths: &mut Map<String, Value>, plan: PlanRef, projections: &[String]) {
    let has: [fn(Projection) -> bool; 3] =
        [|_| true, |of| of.children().is_some(), |of| of.ancestors().is_some()];
    for (pattern, has) in OF_DOCUMENTS.into_iter().zip(has) {
        let Some(route) = paths.remove(pattern) else { continue };
        let named =
            plan.projections().filter(|of| projections.iter().any(|name| name == of.name()) && has(*of));
        for name in named.map(Projection::name) {
            let mut route = route.clone();
            if let Some(Value::Array(parameters)) = route.pointer_mut("/get/parameters") {
                parameters.retain(|parameter| parameter.get("name") != Some(&json!("projection")));
            }
            if let Some(id) = route.pointer_mut("/get/operationId") {
                *id = format!("{}_of_{name}", id.as_str().unwrap_or_default()).into();
            }
            paths.insert(pattern.replace("{projection}", name), route);
        }
    }
}

/// The parameters of `GET /search`.
fn search_parameters(described: &mut Value) -> impl Iterator<Item = &mut Value> {
    let parameters = described.pointer_mut("/paths/~1search/get/parameters").and_then(Value::as_array_mut);
    parameters.into_iter().flatten().filter(|parameter| parameter.is_object())
}

fn append(parameter: &mut Value, sentence: &str) {
    let text = parameter.get("description").and_then(Value::as_str).unwrap_or_default();
    parameter["description"] = format!("{text}. {sentence}").into();
}
