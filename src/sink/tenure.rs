//! Which group writes the indexes of a prefix: a record beside those of the rebuilds.

use serde::{Deserialize, Serialize};

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    /// The group that writes.
    pub group: String,
    /// Since when, as a time of RFC 3339.
    pub since: String,
    /// The state that the writer folds into, where the log has no coordinator that lets one of a group write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateName>,
}

/// The two names of a state. It is the same one where either is equal: a state may be moved, or made anew in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateName {
    /// The id that it was given when it was made.
    pub id: String,
    /// Its host and folder.
    pub place: String,
}
