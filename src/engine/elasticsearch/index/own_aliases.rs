//! The aliases that an index has for itself alone: the one by which it is written, and the mark of one that is not full.

use elasticsearch::indices::{IndicesDeleteAliasParts, IndicesPutAliasParts};
use serde_json::json;

use super::client::ClusterClient;
use crate::error::Result;

/// The one name by which an index is written: an alias of that index alone, which goes when it goes. An alias may
/// hold capitals and the name of an index may not. So no request can ever make an index of this name, under any
/// `action.auto_create_index` of the cluster.
pub(super) fn writer(index: &str) -> String {
    format!("{index}.WRITE")
}

/// The alias that an index carries from its making until it is full. Readers see by it that documents are missing.
pub(crate) fn filling(index: &str) -> String {
    format!("{index}.FILLING")
}

/// Takes the mark from an index that is full.
pub(super) async fn end_filling(client: &ClusterClient, index: &str) -> Result<()> {
    let path = IndicesDeleteAliasParts::IndexName(&[index], &[&filling(index)]).url();
    client.delete_if_there(&path).await.map(|_| ())
}

/// Gives an index its alias for writing.
pub(super) async fn put_writer(client: &ClusterClient, index: &str) -> Result<()> {
    let path = IndicesPutAliasParts::IndexName(&[index], &writer(index)).url();
    client.put(&path, &json!({})).await.map(|_| ())
}
