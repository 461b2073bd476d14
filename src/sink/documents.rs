//! Reading documents back by their ids, for comparisons.

use std::future::Future;

use super::DocumentSink;
use crate::error::Result;

/// Answers are kept to about this size.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A document as the index holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The version that it was written with.
    pub version: u64,
    /// Its JSON; empty when the index does not keep it.
    pub body: Vec<u8>,
}

/// An index whose documents can be read back.
pub trait Documents: DocumentSink {
    /// What the concrete index of `projection` holds under the first of `ids` at this moment, with
    /// everything that was acknowledged, refreshed or not: as many as fit into an answer of bounded size,
    /// at least one.
    ///
    /// # Errors
    /// `Unavailable` while the index does not answer.
    fn get(
        &self,
        projection: usize,
        ids: &[String],
    ) -> impl Future<Output = Result<Vec<Option<Stored>>>> + Send;
}
