//! The parts of its mapping that an index lacks and takes in place: fields, parameters and settings.

use elasticsearch::indices::{IndicesPutMappingParts, IndicesPutSettingsParts};
use serde_json::{Value, json};

use super::client::ClusterClient;
use super::live_index::LiveIndex;
use crate::error::{Error, ErrorKind, Result};
use crate::sink::generations::Rebuild;
use crate::sink::mapping::Mapping;

/// The key under which an index keeps the hash of the mapping that was put in place, while documents are to be sent
/// again. The hash becomes the index's own once they were. A writer that dies before that leaves it to the next one.
const ADDING: &str = "adding";

/// Puts in place the parts of the mapping that `index` lacks; true when its documents have to be sent again.
///
/// # Errors
/// Exit code 3 when the index refuses it.
pub(super) async fn put(
    client: &ClusterClient,
    mapping: &Mapping,
    index: &str,
    record: Option<&Rebuild>,
) -> Result<bool> {
    // An index that is gone is told of by the writes.
    let Some(live) = LiveIndex::find(client, index).await? else { return Ok(false) };
    let meta = live.meta().cloned().unwrap_or_default();
    let is_pending = is_pending(&meta, mapping, record);
    let is_same = meta.get("mapping_hash").and_then(Value::as_str) == Some(&mapping.hash);
    if is_same || record.is_some_and(|record| record.keeps(index, &mapping.hash)) {
        return Ok(is_pending);
    }
    let Some(mut additions) = mapping.additions(&live.body) else { return Ok(is_pending) };
    if live.setting("refresh_interval") == Some(&json!("-1")) {
        additions.leave_out_loading();
    }
    additions.send_again |= meta.get(ADDING).is_some();
    let (name, value) =
        if additions.send_again { (ADDING, &mapping.hash) } else { ("mapping_hash", &mapping.hash) };
    let body = mapping.with_meta(with(meta, name, value));
    let refused = |error: Error| refusal_error(error, mapping, index);
    if !additions.settings.is_empty() {
        let path = IndicesPutSettingsParts::Index(&[index]).url();
        client.put(&path, &json!({"index": additions.settings})).await.map_err(refused)?;
    }
    client.put(&IndicesPutMappingParts::Index(&[index]).url(), &body).await.map_err(refused)?;
    additions.tell(mapping.projection, index);
    Ok(additions.send_again)
}

/// Notes that every document has been sent to `index` since additions were put in place.
pub(super) async fn note(
    client: &ClusterClient,
    mapping: &Mapping,
    index: &str,
    record: Option<&Rebuild>,
) -> Result<()> {
    let Some(live) = LiveIndex::find(client, index).await? else { return Ok(()) };
    let meta = live.meta().cloned().unwrap_or_default();
    let (true, Some(hash)) = (is_pending(&meta, mapping, record), meta.get(ADDING).and_then(Value::as_str))
    else {
        return Ok(());
    };
    let mut whole = live.body.pointer("/mappings/_meta").cloned().unwrap_or_default();
    let mut own = with(meta.clone(), "mapping_hash", hash);
    if let (Some(own), Some(whole)) = (own.as_object_mut(), whole.as_object_mut()) {
        own.remove(ADDING);
        whole.insert("tributary".to_owned(), json!(own));
    }
    client.put(&IndicesPutMappingParts::Index(&[index]).url(), &json!({"_meta": whole})).await?;
    tracing::info!(projection = mapping.projection.name(), index, "every document was sent again");
    Ok(())
}

/// True when documents are to be sent again for the mapping's file as it is, or because `reindex` asks for it.
fn is_pending(meta: &Value, mapping: &Mapping, record: Option<&Rebuild>) -> bool {
    let adding = meta.get(ADDING).and_then(Value::as_str);
    let is_asked = record.is_some_and(|record| record.sends_again);
    adding.is_some_and(|hash| hash == mapping.hash || is_asked)
}

fn with(mut meta: Value, name: &str, value: &str) -> Value {
    if let Some(meta) = meta.as_object_mut() {
        meta.insert(name.to_owned(), json!(value));
    }
    meta
}

fn refusal_error(error: Error, mapping: &Mapping, index: &str) -> Error {
    if error.kind() == ErrorKind::Unavailable {
        return error;
    }
    let projection = mapping.projection.name();
    let what = format!(
        "the additions to the mapping of {projection} are not taken by {index}; correct the file, or run `tributary reindex \
         {projection} --rebuild`"
    );
    Error::new(ErrorKind::MappingChanged, what).because(error)
}
