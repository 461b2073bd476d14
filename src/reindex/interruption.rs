//! The interruption of a rebuild: a stop ends every wait with this one error.

use crate::error::{Error, Result};
use crate::pipeline::start::{Patience, retry_outage};
use crate::shutdown::Shutdown;

/// Asks the index until it answers.
///
/// # Errors
/// Every error but the index's absence, and the interruption once a stop is requested.
pub(super) async fn ask_index<T>(stop: &Shutdown, ask: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    retry_outage(stop, "the index", Patience::default(), ask).await?.ok_or_else(interruption)
}

/// The error of a rebuild that was stopped.
pub(super) fn interruption() -> Error {
    Error::failure(
        "the rebuild was stopped; the same command goes on with the same index, `tributary reindex --abort` gives it up",
    )
}
