//! The questions of the application: the faults of a cluster, its condition, and one document. The document is read from
//! the concrete index as it was written last, searchable already or not.

use async_trait::async_trait;
use elasticsearch::cluster::ClusterHealthParts;
use elasticsearch::nodes::NodesStatsParts;
use serde_json::Value;

use super::live_index::LiveIndex;
use super::{ElasticsearchSink, aliases};
use crate::error::{Error, Result};
use crate::plan::Projection;
use crate::sink::generations::Aliases;
use crate::sink::holding::{Holding, VersionedDocument};
use crate::sink::index::{Index, Node};

#[async_trait]
impl Index for ElasticsearchSink {
    async fn check(&self, log_identity: Option<&str>, unread: &[Projection]) -> Vec<Error> {
        self.check_all(log_identity, unread).await
    }

    async fn server(&self) -> Result<Option<String>> {
        self.client.server().await.map(|server| Some(server.to_string()))
    }

    async fn find(&self, projection: Projection, id: &str, log_identity: Option<&str>) -> Result<Holding> {
        let (alias, mapping) = (self.alias(projection), self.translate_mapping(projection).await?);
        let mut holding =
            Holding { alias: alias.clone(), index: String::new(), refused: None, document: None };
        let indexes = aliases::indexes_behind(&self.client, &alias).await?;
        let Some(index) = indexes.first() else { return Ok(holding) };
        if indexes.len() > 1 {
            holding.refused =
                Some(format!("the alias {alias} stands for several indexes: {}", indexes.join(", ")));
        } else if let Some(log_identity) = log_identity {
            let record = self.rebuild_of(projection).await?.map(|(record, _)| record);
            let live = LiveIndex::get(&self.client, index).await?;
            let checked = aliases::check(&live, &alias, &mapping, log_identity, record.as_ref());
            holding.refused = checked.err().map(|error| error.chain());
        }
        let found = self.client.document(index, id, true).await?;
        holding.document = found.and_then(|found| {
            let version = found.get("_version").and_then(Value::as_u64)?;
            Some(VersionedDocument { version, body: found.get("_source").cloned().unwrap_or_default() })
        });
        holding.index.clone_from(index);
        Ok(holding)
    }

    async fn health(&self) -> Result<Option<String>> {
        let behind: Vec<String> = self.indexes_behind().await?.into_values().collect();
        if behind.is_empty() {
            return Ok(None);
        }
        let names: Vec<&str> = behind.iter().map(String::as_str).collect();
        let path = format!("{}?timeout=5s", ClusterHealthParts::Index(&names).url());
        let answer = self.client.get(&path).await?;
        Ok(answer.get("status").and_then(Value::as_str).map(str::to_owned))
    }

    async fn nodes(&self) -> Result<Vec<Node>> {
        let path = NodesStatsParts::Metric(&["fs"]).url();
        let path = format!("{path}?filter_path=nodes.*.name,nodes.*.timestamp,nodes.*.fs.total");
        let answer = self.client.get(&path).await?;
        let nodes = answer.get("nodes").and_then(Value::as_object).into_iter().flatten();
        let node = |node: &Value| {
            let number = |pointer: &str| node.pointer(pointer).and_then(Value::as_u64);
            Some(Node {
                name: node.get("name")?.as_str()?.to_owned(),
                clock_ms: number("/timestamp")?,
                free: number("/fs/total/available_in_bytes")?,
                total: number("/fs/total/total_in_bytes")?,
            })
        };
        Ok(nodes.filter_map(|(_, value)| node(value)).collect())
    }
}
