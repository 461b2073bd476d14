//! The aliases of projections and the concrete indexes behind them.

use std::time::Duration;

use elasticsearch::indices::{IndicesGetAliasParts, IndicesGetParts};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::ClusterClient;
use super::live_index::LiveIndex;
use super::own_aliases::{filling, put_writer, writer};
use super::{creation, effective_form};
use crate::error::{Error, ErrorKind, Result};
use crate::sink::IndexState;
use crate::sink::generations::{Rebuild, nothing_behind};
use crate::sink::mapping::{Fit, Mapping};

/// How long an instance that did not get to make an index looks for the one that another instance made.
const OTHER_WAIT: Duration = Duration::from_secs(20);
/// The pause between two of these looks.
const OTHER_PAUSE: Duration = Duration::from_millis(100);

/// The concrete indexes behind an alias; none when the alias does not exist.
///
/// # Errors
/// When the name is that of an index, which is then in the alias's way.
pub(super) async fn indexes_behind(client: &ClusterClient, alias: &str) -> Result<Vec<String>> {
    // An index that has nothing to do with the alias may refuse to show its aliases.
    let found = client.find(&IndicesGetAliasParts::IndexName(&[alias], &[alias]).url()).await?;
    let indexes = found.as_ref().and_then(Value::as_object).map(|found| found.keys().cloned().collect());
    Ok(indexes.unwrap_or_default())
}

/// Finds the index behind `alias` and checks it, or creates both: the index is to be filled first, and then to
/// [`serve`](crate::sink::generations::Aliases::serve).
pub(super) async fn open(
    client: &ClusterClient,
    alias: &str,
    mapping: &Mapping,
    log_identity: &str,
    record: Option<&Rebuild>,
) -> Result<IndexState> {
    match find(client, alias, mapping, log_identity, record).await? {
        Some(state) => Ok(state),
        None => create(client, alias, mapping, log_identity).await,
    }
}

/// The index behind `alias`, checked; none when the alias does not exist.
async fn find(
    client: &ClusterClient,
    alias: &str,
    mapping: &Mapping,
    log_identity: &str,
    record: Option<&Rebuild>,
) -> Result<Option<IndexState>> {
    let indexes = indexes_behind(client, alias).await?;
    let Some(index) = one(alias, &indexes)? else { return Ok(None) };
    let live = LiveIndex::get(client, index).await?;
    check(&live, alias, mapping, log_identity, record)?.tell(mapping.projection, index);
    effective_form::check(client, &live, mapping, false).await?;
    go_on(client, mapping, live).await.map(Some)
}

/// The state of an index that was there before, which can be written from here on.
async fn go_on(client: &ClusterClient, mapping: &Mapping, live: LiveIndex) -> Result<IndexState> {
    if !live.has_alias(&writer(&live.index)) {
        put_writer(client, &live.index).await?;
    }
    let is_filling = live.is_filling();
    Ok(IndexState { projection: mapping.projection, index: live.index, created: false, is_filling })
}

/// As [`open`], for an index that was put behind the alias while this instance ran.
pub(super) async fn adopt(
    client: &ClusterClient,
    alias: &str,
    mapping: &Mapping,
    log_identity: &str,
) -> Result<IndexState> {
    match open(client, alias, mapping, log_identity, None).await {
        Err(error) if error.kind() == ErrorKind::MappingChanged => {}
        opened => return opened,
    }
    let index =
        indexes_behind(client, alias).await?.into_iter().next().ok_or_else(|| nothing_behind(alias))?;
    let live = LiveIndex::get(client, &index).await?;
    mapping.check_shape(live.meta(), alias, &index, log_identity)?;
    go_on(client, mapping, live).await
}

async fn create(
    client: &ClusterClient,
    alias: &str,
    mapping: &Mapping,
    log_identity: &str,
) -> Result<IndexState> {
    check_free(client, alias).await?;
    let until = Instant::now() + OTHER_WAIT;
    loop {
        let index = mapping.index_name(alias);
        let mut body = mapping.first_body(alias, &writer(&index), log_identity);
        if let Some(aliases) = body.get_mut("aliases").and_then(Value::as_object_mut) {
            aliases.insert(filling(&index), json!({}));
        }
        if creation::create(client, mapping, &index, &body).await? {
            effective_form::check_made(client, &index, mapping, true).await?;
            tracing::info!(alias, index, "index created");
            return Ok(IndexState { projection: mapping.projection, index, created: true, is_filling: true });
        }
        if let Some(state) = find(client, alias, mapping, log_identity, None).await? {
            tracing::info!(alias, index = state.index, "another instance created the index first");
            return Ok(state);
        }
        // The node that was asked may not know the alias yet. A rebuild may have taken the name of this second,
        // without the alias: the next second has another name.
        if Instant::now() >= until {
            return Err(Error::failure(format!(
                "the index {index} was made by another process, and the alias {alias} stands for none; start again"
            )));
        }
        tokio::time::sleep(OTHER_PAUSE).await;
    }
}

/// The one index that an alias stands for; none when it stands for none.
///
/// # Errors
/// When it stands for several.
pub(super) fn one<'a>(alias: &str, indexes: &'a [String]) -> Result<Option<&'a String>> {
    match indexes {
        [] => Ok(None),
        [index] => Ok(Some(index)),
        several => Err(Error::failure(format!(
            "the alias {alias} stands for several indexes ({}); leave it on one",
            several.join(", ")
        ))),
    }
}

/// That no index has the alias's name.
///
/// # Errors
/// When one has.
pub(super) async fn check_free(client: &ClusterClient, alias: &str) -> Result<()> {
    // Where the alias has come since, the answer names the index behind it.
    let named = client.find(&IndicesGetParts::Index(&[alias]).url()).await?;
    if named.is_none_or(|found| found.get(alias).is_none()) {
        return Ok(());
    }
    Err(Error::failure(format!(
        "there is an index named {alias}, which is in the way of the alias; delete or rename it, or set index.prefix"
    )))
}

/// How the index behind an alias fits the mapping and the log.
///
/// # Errors
/// Those of [`Mapping::check`], unless the index takes the missing parts in place.
pub(super) fn check(
    live: &LiveIndex,
    alias: &str,
    mapping: &Mapping,
    log_identity: &str,
    record: Option<&Rebuild>,
) -> Result<Fit> {
    match mapping.check(live.meta(), alias, &live.index, log_identity, record) {
        // Another shape of the documents calls for a rebuild too.
        Err(error) if error.kind() == ErrorKind::MappingChanged => {
            mapping.additions(&live.body).map(|_| Fit::Additions).ok_or(error)
        }
        checked => checked,
    }
}
