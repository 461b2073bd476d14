//! Reading documents back by their ids, for comparisons.

use async_trait::async_trait;
use serde::Deserialize;

use super::DocumentSink;
use crate::error::{Error, Result};
use crate::plan::Projection;

/// Answers are kept to about this size.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A document as the index holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// The version that it was written with.
    pub version: u64,
    /// Its JSON; empty when the index does not keep it.
    pub body: Vec<u8>,
}

/// The member `_log` of a document, by which it tells its log position.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct DocumentLog {
    /// The log position.
    pub position: Option<u64>,
    /// True of a document that was made of references only, from a partial log.
    #[serde(default)]
    pub partial: bool,
}

/// The member `_log` of a document; `None` when it has none, or cannot be read.
pub fn log_of(document: &[u8]) -> Option<DocumentLog> {
    #[derive(Deserialize)]
    struct LogMember {
        #[serde(rename = "_log")]
        log: DocumentLog,
    }
    serde_json::from_slice(document).ok().map(|LogMember { log }| log)
}

/// A page of the ids and versions in an index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// Ids with the versions that the documents were written with.
    pub documents: Vec<(String, u64)>,
    /// Where the next page begins; `None` after the last.
    pub cursor: Option<String>,
}

/// An index whose documents can be read back.
#[async_trait]
pub trait Documents: DocumentSink {
    /// The documents of the first of `ids` in the concrete index of `projection` at this moment, with every
    /// acknowledged write, refreshed or not. There are as many as fit into an answer of bounded size, and at least one.
    ///
    /// # Errors
    /// `Unavailable` while the index does not answer.
    async fn get(&self, projection: Projection, ids: &[String]) -> Result<Vec<Option<StoredDocument>>>;

    /// As [`Self::get`], of a concrete index that need not be open for writing.
    ///
    /// # Errors
    /// As for [`Self::get`].
    async fn get_of(&self, index: &str, ids: &[String]) -> Result<Vec<Option<StoredDocument>>>;

    /// The searchable documents of a concrete index, in pages, as [`DocumentSink::ids`] has them. It need not be open for
    /// writing.
    ///
    /// # Errors
    /// `Unavailable` while the index does not answer.
    async fn versions(&self, index: &str, cursor: Option<String>) -> Result<VersionPage>;
}

/// Refuses an answer for no document, because a loop that asks for the rest would never end.
///
/// # Errors
/// When there is none.
pub fn at_least_one<T>(documents: Vec<T>) -> Result<Vec<T>> {
    if documents.is_empty() {
        return Err(Error::failure("the index answered for no document; this is a bug"));
    }
    Ok(documents)
}
