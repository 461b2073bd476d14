//! Documents by their ids.

use super::{EmbeddedSink, blocking, lock};
use crate::error::{Error, Result};
use crate::sink::documents::{ANSWER_BYTES_MAX, Documents, Stored};

impl Documents for EmbeddedSink {
    async fn get(&self, projection: usize, ids: &[String]) -> Result<Vec<Option<Stored>>> {
        let (generations, ids) = (std::sync::Arc::clone(&self.generations), ids.to_vec());
        let read = move || {
            // Read from a view, so that nobody waits who writes.
            let view = lock(&generations).get(projection).map(super::Generation::view);
            let Some(view) = view else {
                return Err(Error::failed("an index was used before it was opened"));
            };
            let (mut held, mut bytes) = (Vec::with_capacity(ids.len()), 0);
            for id in &ids {
                let found = view.document(id).map_err(|error| {
                    Error::failed(format!(
                        "the embedded index: the document {id} cannot be read; check the disk"
                    ))
                    .because(error)
                })?;
                let stored = found.map(|(version, body)| Stored { version, body });
                bytes += stored.as_ref().map_or(0, |stored| stored.body.len());
                held.push(stored);
                if bytes >= ANSWER_BYTES_MAX {
                    break;
                }
            }
            Ok(held)
        };
        blocking(read).await?
    }
}
