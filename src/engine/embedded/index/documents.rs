//! Documents by their ids.

use async_trait::async_trait;

use super::generation::IndexView;
use super::{EmbeddedFolder, EmbeddedSink, PAGE, blocking, lock, not_opened};
use crate::error::{Error, Result};
use crate::plan::Projection;
use crate::sink::documents::{ANSWER_BYTES_MAX, Documents, StoredDocument, VersionPage};

/// A commit may take files away while they are being opened.
const ATTEMPTS: usize = 5;

#[async_trait]
impl Documents for EmbeddedSink {
    async fn get(&self, projection: Projection, ids: &[String]) -> Result<Vec<Option<StoredDocument>>> {
        let (generations, ids) = (std::sync::Arc::clone(&self.generations), ids.to_vec());
        let read = move || {
            // A view is read, so that no writer waits.
            let view = lock(&generations).get(&projection).map(super::Generation::view);
            documents(&view.ok_or_else(not_opened)?, &ids)
        };
        blocking(read).await?
    }

    async fn get_of(&self, index: &str, ids: &[String]) -> Result<Vec<Option<StoredDocument>>> {
        let (folder, index, ids) = (self.folder.clone(), index.to_owned(), ids.to_vec());
        blocking(move || documents(&open(&folder, &index)?, &ids)).await?
    }

    async fn versions(&self, index: &str, cursor: Option<String>) -> Result<VersionPage> {
        let (folder, index) = (self.folder.clone(), index.to_owned());
        let list = move || {
            let found = open(&folder, &index)?.versions(&cursor.unwrap_or_default(), PAGE);
            let documents =
                found.map_err(|error| Error::failure("the ids cannot be listed").because(error))?;
            let cursor = documents.last().filter(|_| documents.len() == PAGE).map(|(id, _)| id.clone());
            Ok(VersionPage { documents, cursor })
        };
        blocking(list).await?
    }
}

/// The committed documents of an index that another process may write.
pub(super) fn open(folder: &EmbeddedFolder, index: &str) -> Result<IndexView> {
    let path = folder.index(index);
    let mut attempts = 0;
    loop {
        attempts += 1;
        match IndexView::open(&path) {
            Err(_) if attempts < ATTEMPTS => {}
            opened => {
                return opened.map_err(|error| {
                    let message = format!("the index {} cannot be read; check the disk", path.display());
                    Error::failure(message).because(error)
                });
            }
        }
    }
}

/// The first of `ids`, as many as fit.
fn documents(view: &IndexView, ids: &[String]) -> Result<Vec<Option<StoredDocument>>> {
    let (mut documents, mut bytes) = (Vec::with_capacity(ids.len()), 0);
    for id in ids {
        let found = view.document(id).map_err(|error| {
            Error::failure(format!("the embedded index: the document {id} cannot be read; check the disk"))
                .because(error)
        })?;
        let stored = found.map(|(version, body)| StoredDocument { version, body });
        bytes += stored.as_ref().map_or(0, |stored| stored.body.len());
        documents.push(stored);
        if bytes >= ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(documents)
}
