//! One document, read from the concrete index as it was written last, searchable already or not.

use serde_json::Value;

use super::live::Live;
use super::{ElasticsearchSink, aliases};
use crate::error::{Error, Result};
use crate::sink::generations::Aliases;
use crate::sink::held::{Held, Stored};

impl ElasticsearchSink {
    /// Finds a document in the index of a projection. Makes and changes nothing.
    ///
    /// # Errors
    /// Those of the cluster.
    pub async fn find(&self, projection: usize, id: &str, log_identity: Option<&str>) -> Result<Held> {
        let (Some(alias), Some(mapping)) =
            (self.aliases.get(projection), self.translated_of(projection).await?)
        else {
            return Err(Error::failed("this sink has no such projection"));
        };
        let mut held = Held { alias: alias.clone(), index: String::new(), refused: None, document: None };
        let indexes = aliases::behind(&self.client, alias).await?;
        let Some(index) = indexes.first() else { return Ok(held) };
        if indexes.len() > 1 {
            held.refused =
                Some(format!("the alias {alias} stands for several indexes: {}", indexes.join(", ")));
        } else if let Some(log_identity) = log_identity {
            let record = self.rebuild_of(projection).await?.map(|(record, _)| record);
            let live = Live::get(&self.client, index).await?;
            let checked = aliases::check(&live, alias, &mapping, log_identity, record.as_ref());
            held.refused = checked.err().map(|error| error.chain());
        }
        let found = self.client.document(index, id, true).await?;
        held.document = found.and_then(|found| {
            let version = found.get("_version").and_then(Value::as_u64)?;
            Some(Stored { version, body: found.get("_source").cloned().unwrap_or_default() })
        });
        held.index.clone_from(index);
        Ok(held)
    }
}
