//! The deadline of an answer that the control loop waits for.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// How long the looks wait for an answer before they go on without.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// After a failure it is tried again so much later.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The answer of the index. An index that answers too late counts as away.
///
/// # Errors
/// Those of the index, and its absence.
pub(super) async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::new(ErrorKind::Unavailable, "the index does not answer in time"));
    tokio::time::timeout(ANSWER_WAIT, answer).await.unwrap_or_else(late)
}
