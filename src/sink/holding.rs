//! One document as an index holds it, for those who ask why.

use serde_json::Value;

use super::documents;

/// The index behind a projection's alias, and its copy of one document.
#[derive(Debug, Clone, PartialEq)]
pub struct Holding {
    /// The alias.
    pub alias: String,
    /// The concrete index; empty when there is none.
    pub index: String,
    /// Why a writer of this configuration would not write there.
    pub refused: Option<String>,
    /// The document; none when the index does not hold it.
    pub document: Option<VersionedDocument>,
}

/// A document with the version that it was written with.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionedDocument {
    /// The version.
    pub version: u64,
    /// The document whole, our own keys among it.
    pub body: Value,
}

impl From<&VersionedDocument> for documents::StoredDocument {
    fn from(stored: &VersionedDocument) -> Self {
        Self { version: stored.version, body: stored.body.to_string().into_bytes() }
    }
}
