//! The computed members of a document, each with the result of its program.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::remove_own;
use crate::plan::FieldType;
use crate::projection::Projection;

/// A computed member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComputedReport {
    /// The member's name.
    pub member: String,
    /// The value; null when the program made none.
    pub value: Value,
    /// Why the program failed; null when it did not.
    pub error: Option<String>,
}

/// Evaluates the programs of a projection over a document, in their order: each sees the document with those before it.
pub(super) fn evaluate(projection: Projection, document: &Value) -> Vec<ComputedReport> {
    let mut copy = document.clone();
    if let Some(members) = copy.as_object_mut() {
        let is_computed = |name: &str| projection.compute.iter().any(|program| *program.name == *name);
        remove_own(members);
        members.retain(|name, _| !is_computed(name));
    }
    let mut reports = Vec::new();
    for program in &projection.get().compute {
        let result = program.evaluate(copy.to_string().as_bytes(), FieldType::Any);
        let (value, error) = match result {
            Ok(json) => (json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default(), None),
            Err(error) => (Value::Null, Some(error)),
        };
        if let (false, Some(members)) = (value.is_null(), copy.as_object_mut()) {
            members.insert(program.name.to_string(), value.clone());
        }
        reports.push(ComputedReport { member: program.name.to_string(), value, error });
    }
    reports
}
