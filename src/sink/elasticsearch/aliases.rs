//! Aliases and the concrete indexes behind them.

use elasticsearch::indices::{
    IndicesCreateParts, IndicesGetAliasParts, IndicesGetMappingParts, IndicesGetParts, IndicesPutAliasParts,
};
use serde_json::{Value, json};

use super::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::sink::IndexState;
use crate::sink::generations::Rebuild;
use crate::sink::mapping::{Fit, Mapping};

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
    let found = client.find(&IndicesGetAliasParts::Name(&[alias]).url()).await?;
    let indexes = found.as_ref().and_then(Value::as_object).map(|found| found.keys().cloned().collect());
    Ok(indexes.unwrap_or_default())
}

/// Finds the index behind `alias` and checks it, or creates both: the index is to be filled first, and then to
/// [`serve`](crate::sink::generations::Aliases::serve).
pub(super) async fn open(
    client: &Client,
    alias: &str,
    mapping: &Mapping,
    log_identity: &str,
    record: Option<&Rebuild>,
) -> Result<IndexState> {
    let indexes = behind(client, alias).await?;
    match indexes.as_slice() {
        [] => create(client, alias, mapping, log_identity).await,
        [index] => {
            check(client, index, alias, mapping, log_identity, record)
                .await?
                .tell(&mapping.projection, index);
            ensure_writer(client, index).await?;
            Ok(IndexState { index: index.clone(), created: false })
        }
        several => Err(Error::failed(format!(
            "the alias {alias} stands for several indexes ({}); leave it on one",
            several.join(", ")
        ))),
    }
}

/// As [`open`], for an index that was put behind the alias while this instance ran.
pub(super) async fn adopt(
    client: &Client,
    alias: &str,
    mapping: &Mapping,
    log_identity: &str,
) -> Result<IndexState> {
    match open(client, alias, mapping, log_identity, None).await {
        Err(error) if error.kind() == ErrorKind::MappingChanged => {}
        opened => return opened,
    }
    let index = behind(client, alias).await?.into_iter().next().unwrap_or_default();
    let found = client.get(&IndicesGetMappingParts::Index(&[&index]).url()).await?;
    mapping.check_shape(meta(&found, &index), alias, &index, log_identity)?;
    ensure_writer(client, &index).await?;
    Ok(IndexState { index, created: false })
}

async fn create(client: &Client, alias: &str, mapping: &Mapping, log_identity: &str) -> Result<IndexState> {
    if client.find(&IndicesGetParts::Index(&[alias]).url()).await?.is_some() {
        return Err(Error::failed(format!(
            "there is an index named {alias}, which is in the way of the alias; delete or rename it, or set index.prefix"
        )));
    }
    let index = mapping.index_name(alias);
    client
        .put(
            &IndicesCreateParts::Index(&index).url(),
            &mapping.loading_body(alias, &writer(&index), log_identity),
        )
        .await?;
    tracing::info!(alias, index, "index created");
    Ok(IndexState { index, created: true })
}

/// Gives an index its alias for writing when somebody took it away.
pub(super) async fn ensure_writer(client: &Client, index: &str) -> Result<()> {
    let path = IndicesPutAliasParts::IndexName(&[index], &writer(index)).url();
    match client.find(&path).await? {
        Some(_) => Ok(()),
        None => client.put(&path, &json!({})).await.map(|_| ()),
    }
}

pub(super) async fn check(
    client: &Client,
    index: &str,
    alias: &str,
    mapping: &Mapping,
    log_identity: &str,
    record: Option<&Rebuild>,
) -> Result<Fit> {
    let found = client.get(&IndicesGetMappingParts::Index(&[index]).url()).await?;
    mapping.check(meta(&found, index), alias, index, log_identity, record)
}

fn meta<'a>(found: &'a Value, index: &str) -> Option<&'a Value> {
    found.get(index)?.pointer("/mappings/_meta/tributary")
}
