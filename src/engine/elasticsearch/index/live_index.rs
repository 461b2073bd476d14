//! An index as the cluster describes it: its aliases, settings and mappings in one answer.

use elasticsearch::indices::IndicesGetParts;
use serde_json::Value;

use super::client::ClusterClient;
use super::own_aliases::filling;
use crate::error::{Error, Result};

/// The description (<https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-indices-get>).
pub(super) struct LiveIndex {
    /// The index's name.
    pub(super) index: String,
    /// Its `aliases`, `mappings` and `settings`.
    pub(super) body: Value,
}

impl LiveIndex {
    /// Asks for an index; `None` when there is none of this name.
    pub(super) async fn find(client: &ClusterClient, index: &str) -> Result<Option<Self>> {
        let found = client.find(&IndicesGetParts::Index(&[index]).url()).await?;
        let body = found.and_then(|mut found| found.get_mut(index).map(Value::take));
        Ok(body.map(|body| Self { index: index.to_owned(), body }))
    }

    /// As [`Self::find`], for an index that was there a moment ago.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) async fn get(client: &ClusterClient, index: &str) -> Result<Self> {
        let absence = || Error::failure(format!("the index {index} is gone; start again"));
        Self::find(client, index).await?.ok_or_else(absence)
    }

    /// The index's note on its making.
    pub(super) fn meta(&self) -> Option<&Value> {
        self.body.pointer("/mappings/_meta/tributary")
    }

    /// The value of a setting of this name, without the `index.` before it.
    pub(super) fn setting(&self, name: &str) -> Option<&Value> {
        self.body.pointer("/settings/index")?.get(name)
    }

    /// True when the index has this alias.
    pub(super) fn has_alias(&self, alias: &str) -> bool {
        self.body.get("aliases").is_some_and(|aliases| aliases.get(alias).is_some())
    }

    /// True while the index carries the mark of one that is not full.
    pub(super) fn is_filling(&self) -> bool {
        self.has_alias(&filling(&self.index))
    }
}
