//! The creation of an index, and the reason that a cluster has against it.

use elasticsearch::indices::IndicesCreateParts;
use serde_json::Value;

use super::client::ClusterClient;
use super::transport::Method;
use crate::error::Result;
use crate::sink::mapping::Mapping;

/// The innermost reason of a refusal: the outer ones only say where it was met.
pub(super) fn reason(answer: &Value) -> String {
    let mut at = answer.get("error").unwrap_or(&Value::Null);
    let mut said = "no reason given";
    loop {
        said = at.get("reason").and_then(Value::as_str).unwrap_or(said);
        match at.get("caused_by") {
            Some(cause) => at = cause,
            None => return said.to_owned(),
        }
    }
}

/// Makes an index; false when another instance has made it, or another one behind its alias, at the same time. The index
/// and its alias come in one step, and the cluster takes one index for writing behind an alias.
///
/// # Errors
/// Those of the cluster; a mapping that it refuses is a fault of the configuration (exit code 2).
pub(super) async fn create(
    client: &ClusterClient,
    mapping: &Mapping,
    index: &str,
    body: &Value,
) -> Result<bool> {
    let path = IndicesCreateParts::Index(index).url();
    let (status, answer) = client.ask(Method::PUT, &path, Some(body)).await?;
    let kind = answer.pointer("/error/type").and_then(Value::as_str).unwrap_or_default();
    let is_race =
        kind == "resource_already_exists_exception" || reason(&answer).contains("more than one write index");
    match status {
        // With 500 when both came into one change of the cluster.
        400 | 500 if is_race => Ok(false),
        400 => Err(mapping.refusal_error(&reason(&answer)).about("index.mappings")),
        _ => client.check_status(&path, status, answer).map(|_| true),
    }
}
