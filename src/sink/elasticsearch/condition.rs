//! The condition of a cluster, beyond the questions of a run: clocks and disks of its nodes, and the health of the
//! indexes.

use elasticsearch::cluster::ClusterHealthParts;
use elasticsearch::nodes::NodesStatsParts;
use serde_json::Value;

use super::ElasticsearchSink;
use crate::error::Result;
use crate::sink::generations::Aliases;

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its clock, in milliseconds since the Unix epoch.
    pub clock_ms: u64,
    /// The bytes that are free on its disks.
    pub free: u64,
    /// The size of its disks in bytes.
    pub total: u64,
}

impl ElasticsearchSink {
    /// The nodes with their clocks and disks.
    ///
    /// # Errors
    /// Those of the cluster.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
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

    /// The health of the indexes behind the aliases, as the cluster has it: green, yellow or red. `None` when there are no
    /// indexes yet.
    ///
    /// # Errors
    /// Those of the cluster.
    pub async fn health(&self) -> Result<Option<String>> {
        let behind: Vec<String> = self.behind().await?.into_iter().flatten().collect();
        if behind.is_empty() {
            return Ok(None);
        }
        let names: Vec<&str> = behind.iter().map(String::as_str).collect();
        let path = format!("{}?timeout=5s", ClusterHealthParts::Index(&names).url());
        let answer = self.client.get(&path).await?;
        Ok(answer.get("status").and_then(Value::as_str).map(str::to_owned))
    }
}
