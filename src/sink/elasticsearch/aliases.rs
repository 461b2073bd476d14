//! Aliases and the concrete indexes behind them.

use serde_json::{Value, json};

use super::client::{Client, encoded};
use crate::error::{Error, Result};
use crate::sink::IndexState;
use crate::sink::mapping::Mapping;

/// The one name by which an index is written: an alias of that index alone, which goes when it goes.
/// An alias may hold capitals and the name of an index may not, so that no request can ever make an
/// index of this name, whatever the cluster's `action.auto_create_index` says.
pub(super) fn writer(index: &str) -> String {
    format!("{index}.WRITE")
}

/// The concrete indexes behind an alias; none when the alias does not exist.
///
/// # Errors
/// When the name is that of an index, which is then in the alias's way.
pub(super) async fn behind(client: &Client, alias: &str) -> Result<Vec<String>> {
    let found = client.find(&format!("/_alias/{}", encoded(alias))).await?;
    let indexes = found.as_ref().and_then(Value::as_object).map(|found| found.keys().cloned().collect());
    Ok(indexes.unwrap_or_default())
}

/// Finds the index behind `alias` and checks it, or creates both.
pub(super) async fn open(
    client: &Client,
    alias: &str,
    mapping: &Mapping,
    log_identity: &str,
) -> Result<IndexState> {
    let indexes = behind(client, alias).await?;
    match indexes.as_slice() {
        [] => create(client, alias, mapping, log_identity).await,
        [index] => {
            check(client, index, alias, mapping, log_identity).await?;
            ensure_writer(client, index).await?;
            Ok(IndexState { index: index.clone(), created: false })
        }
        several => Err(Error::failed(format!(
            "the alias {alias} stands for several indexes ({}); leave it on one",
            several.join(", ")
        ))),
    }
}

async fn create(client: &Client, alias: &str, mapping: &Mapping, log_identity: &str) -> Result<IndexState> {
    if client.find(&format!("/{}", encoded(alias))).await?.is_some() {
        return Err(Error::failed(format!(
            "there is an index named {alias}, which is in the way of the alias; delete or rename it, or set index.prefix"
        )));
    }
    let index = mapping.index_name(alias);
    client
        .put(&format!("/{}", encoded(&index)), &mapping.create_body(alias, &writer(&index), log_identity))
        .await?;
    tracing::info!(alias, index, "index created");
    Ok(IndexState { index, created: true })
}

/// Gives an index its alias for writing when somebody took it away.
async fn ensure_writer(client: &Client, index: &str) -> Result<()> {
    let path = format!("/{}/_alias/{}", encoded(index), encoded(&writer(index)));
    match client.find(&path).await? {
        Some(_) => Ok(()),
        None => client.put(&path, &json!({})).await.map(|_| ()),
    }
}

async fn check(
    client: &Client,
    index: &str,
    alias: &str,
    mapping: &Mapping,
    log_identity: &str,
) -> Result<()> {
    let found = client.get(&format!("/{}/_mapping", encoded(index))).await?;
    let meta = found.get(index).and_then(|found| found.pointer("/mappings/_meta/tributary"));
    mapping.check(meta, alias, index, log_identity)
}
