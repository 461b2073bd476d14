//! The outcomes of commands for dead letters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::error::Result;

/// The outcome of a retry of dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Retried")]
pub struct RetryOutcome {
    /// Folded, or marked to be delivered again.
    pub done: usize,
    /// Poison still, each with its reason.
    pub failed: Vec<(String, String)>,
    /// Names that no dead letter has.
    pub unknown: Vec<String>,
}

/// The outcome of discarding dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Discarded")]
pub struct DiscardOutcome {
    /// How many were taken out.
    pub discarded: usize,
    /// Names that no dead letter has.
    pub unknown: Vec<String>,
}

/// Takes dead letters out for good, all or those named.
///
/// # Errors
/// Those of the dead letters.
pub fn discard(dead_letters: &mut dyn DeadLetters, names: Option<&[String]>) -> Result<DiscardOutcome> {
    let known: Vec<String> = dead_letters.list()?.iter().map(DeadLetter::name).collect();
    let unknown = names.unwrap_or_default().iter().filter(|name| !known.contains(name)).cloned().collect();
    let is_named = |name: &String| names.is_none_or(|names| names.contains(name));
    let chosen: Vec<String> = known.into_iter().filter(is_named).collect();
    dead_letters.resolve(&chosen)?;
    chosen.iter().for_each(|name| tracing::info!(name, "dead letter discarded"));
    Ok(DiscardOutcome { discarded: chosen.len(), unknown })
}
