//! The questions of the application: the faults of a folder, and one document. The document is read from the committed
//! index, which another process may write.

use async_trait::async_trait;

use super::documents::open;
use super::{EmbeddedFolder, EmbeddedSink, blocking};
use crate::error::{Error, Result};
use crate::plan::Projection;
use crate::sink::holding::{Holding, VersionedDocument};
use crate::sink::index::{Index, Node};

#[async_trait]
impl Index for EmbeddedSink {
    async fn check(&self, log_identity: Option<&str>, unread: &[Projection]) -> Vec<Error> {
        self.check_all(log_identity, unread)
    }

    async fn server(&self) -> Result<Option<String>> {
        Ok(None)
    }

    async fn find(&self, projection: Projection, id: &str, log_identity: Option<&str>) -> Result<Holding> {
        let (alias, mapping) = (self.alias(projection), self.mapping(projection)?);
        let Some(index) = self.folder.index_behind(&alias)? else {
            return Ok(Holding { alias, index: String::new(), refused: None, document: None });
        };
        let meta = self.folder.meta(&index)?;
        let record = self.rebuild(projection)?.map(|(record, _)| record);
        let refused = log_identity
            .and_then(|log| {
                self.check_one(mapping, meta.as_ref(), (&alias, &index), log, record.as_ref()).err()
            })
            .map(|error| error.chain());
        let (folder, id) = (self.folder.clone(), id.to_owned());
        let (name, document) = blocking(move || {
            let document = read_document(&folder, &index, &id);
            (index, document)
        })
        .await?;
        Ok(Holding { alias, index: name, refused, document: document? })
    }

    async fn health(&self) -> Result<Option<String>> {
        Ok(None)
    }

    async fn nodes(&self) -> Result<Vec<Node>> {
        Ok(Vec::new())
    }
}

fn read_document(folder: &EmbeddedFolder, index: &str, id: &str) -> Result<Option<VersionedDocument>> {
    let unreadable = || {
        Error::failure(format!("the index {} cannot be read; check the disk", folder.index(index).display()))
    };
    let found = open(folder, index)?.document(id).map_err(|error| unreadable().because(error))?;
    let Some((version, json)) = found else { return Ok(None) };
    let body = serde_json::from_slice(&json).map_err(|error| unreadable().because(error))?;
    Ok(Some(VersionedDocument { version, body }))
}
