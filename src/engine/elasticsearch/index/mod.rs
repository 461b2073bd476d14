//! Elasticsearch and OpenSearch, by the paths and types of the official client of Elasticsearch.

mod additions;
mod aliases;
mod check;
pub(super) mod client;
mod creation;
pub(super) mod dialect;
mod documents;
mod effective_form;
mod generations;
mod inspection;
mod live_index;
mod own_aliases;
mod probe;
mod product;
mod refusals;
mod response;
mod server;
mod tls;
mod transport;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use elasticsearch::CountParts;
use elasticsearch::cluster::ClusterHealthParts;
use elasticsearch::indices::{IndicesGetAliasParts, IndicesRefreshParts};
use serde_json::{Value, json};

use self::client::ClusterClient;
pub(super) use self::own_aliases::filling;
use self::refusals::Refusals;
use crate::config::IndexConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::model::join::JOIN;
use crate::plan::{ChildKey, Projection};
use crate::sink::documents::{Documents, VersionPage};
use crate::sink::generations::{Aliases, UNOPENED, forget_rollback, projection_error};
use crate::sink::mapping::{Mapping, MappingFaults};
use crate::sink::mappings::Mappings;
use crate::sink::{Batch, DocumentSink, IdPage, IndexState, IndexSummary, Outcome, Write, indexes_of};

/// The indexes of an Elasticsearch cluster.
pub struct ElasticsearchSink {
    client: ClusterClient,
    prefix: String,
    source: Mappings,
    /// The mapping of each projection.
    mappings: Vec<Mapping>,
    /// The findings of [`DocumentSink::open`]: the concrete indexes, and the largest request.
    opened: Mutex<OpenIndexes>,
    /// How many documents are read back at once.
    asked_at_once: AtomicUsize,
    refusals: Refusals,
}

#[derive(Debug, Clone, Default)]
struct OpenIndexes {
    indexes: BTreeMap<Projection, String>,
    request_bytes_max: usize,
}

impl ElasticsearchSink {
    /// A sink for `projections`. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// When an address, the CA certificate or a mapping can't be read (exit code 2).
    pub fn new(config: &IndexConfig, projections: &[Projection]) -> Result<Self> {
        let (sink, wrong) = Self::examine(config, projections)?;
        wrong.into_iter().next().map_or(Ok(sink), |(_, error)| Err(error))
    }

    /// As [`Self::new`], with the faults of the projections' mappings: built-in mappings stand for those.
    ///
    /// # Errors
    /// When an address or the CA certificate can't be read (exit code 2), or the model gives no mapping to a projection.
    pub fn examine(config: &IndexConfig, projections: &[Projection]) -> Result<(Self, MappingFaults)> {
        let (mappings, wrong) = Mapping::load_each(&Mappings::of(config), projections)?;
        let sink = Self {
            client: ClusterClient::new(config)?,
            prefix: config.prefix.clone(),
            source: Mappings::of(config),
            mappings,
            opened: Mutex::default(),
            asked_at_once: AtomicUsize::new(documents::ASKED_FIRST),
            refusals: Refusals::default(),
        };
        Ok((sink, wrong))
    }

    /// The mappings as they lie in their folder now, in the words of the server.
    async fn load_mappings(&self) -> Result<Vec<Mapping>> {
        let dialect = self.client.dialect().await?;
        let load = |mapping: &Mapping| dialect.translate(&Mapping::load(&self.source, mapping.projection)?);
        self.mappings.iter().map(load).collect()
    }

    /// The mappings in the words of the server.
    async fn translate_mappings(&self) -> Result<Vec<Mapping>> {
        let dialect = self.client.dialect().await?;
        self.mappings.iter().map(|mapping| dialect.translate(mapping)).collect()
    }

    /// As [`Self::translate_mappings`], of one projection.
    async fn translate_mapping(&self, projection: Projection) -> Result<Mapping> {
        let mapping = self.mapping(projection)?;
        self.client.dialect().await?.translate(mapping)
    }

    fn alias(&self, projection: Projection) -> String {
        format!("{}{}", self.prefix, projection.name())
    }

    fn mapping(&self, projection: Projection) -> Result<&Mapping> {
        let mapping = self.mappings.iter().find(|mapping| mapping.projection == projection);
        mapping.ok_or_else(|| projection_error(projection))
    }

    async fn set_opened(&self, indexes: BTreeMap<Projection, String>) {
        let opened = OpenIndexes { indexes, request_bytes_max: self.client.request_bytes_max().await };
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = opened;
    }

    fn open_indexes(&self) -> OpenIndexes {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// No document is larger than the request that it came by. The usual limit stands where the server's is lower: a
    /// larger document may have come before.
    fn document_bytes_max(&self) -> usize {
        self.open_indexes().request_bytes_max.max(client::REQUEST_BYTES_DEFAULT)
    }

    fn index(&self, projection: Projection) -> Result<String> {
        let index = self.open_indexes().indexes.remove(&projection);
        index.ok_or_else(|| Error::failure(UNOPENED))
    }

    async fn write_some(&self, opened: &OpenIndexes, batch: Batch) -> Vec<Outcome> {
        let projection = batch.projection();
        let Some(index) = opened.indexes.get(&projection) else {
            let reason = UNOPENED.to_owned();
            return vec![Outcome::Retry(reason); batch.writes().len()];
        };
        let (body, writes) = batch.into_parts();
        if projection.has_children()
            && let Some(reason) = writes.iter().find_map(|write| refusal(projection, write))
        {
            return self.refuse(opened, (projection, reason), (body, writes)).await;
        }
        if body.len() > opened.request_bytes_max {
            return self.too_large(opened, projection, (body, writes)).await;
        }
        let Some(mut outcomes) = self.send(index, &body, &writes).await else {
            return self.too_large(opened, projection, (body, writes)).await;
        };
        if self.judge_rejections(index, &writes, &mut outcomes).await {
            // The index takes documents now, and may have refused all of them when the request came.
            outcomes = match self.send(index, &body, &writes).await {
                Some(outcomes) => outcomes,
                None => return self.too_large(opened, projection, (body, writes)).await,
            };
        }
        for outcome in &mut outcomes {
            match outcome {
                Outcome::Gone(reason) => *reason = self.absence(projection, index).to_string(),
                Outcome::Refused(reason) => *reason = self.write_refusal(reason),
                _ => {}
            }
        }
        self.refusals.judge(&writes, &mut outcomes);
        outcomes
    }

    /// Sends the body of a request; one outcome for each write. `None` when the server calls it too large.
    async fn send(&self, index: &str, body: &Bytes, writes: &[Write]) -> Option<Vec<Outcome>> {
        match self.client.bulk(&own_aliases::writer(index), body.clone()).await {
            Ok((413, _)) => None,
            Ok((200, answer)) => Some(response::outcomes(&answer, writes)),
            Ok((status, answer)) => Some(vec![response::of_request(status, &answer); writes.len()]),
            Err(error) => Some(vec![Outcome::Retry(error.chain()); writes.len()]),
        }
    }

    /// Counts the documents of an index that are no children.
    async fn count_owners(&self, index: &str, projection: Projection) -> Result<Value> {
        let path = CountParts::Index(&[index]).url();
        if !projection.has_children() {
            return self.client.get(&path).await;
        }
        let is_owner = json!({"query": {"term": {JOIN: projection.name()}}});
        self.client.post(&path, Some(&is_owner)).await
    }

    /// The sentence for a user that may not write.
    fn write_refusal(&self, reason: &str) -> String {
        format!(
            "Elasticsearch at {} does not let the user write the indexes {}*: {reason}. Check the credentials, and that \
             the role has the privileges index and delete there",
            self.client.addresses(),
            self.prefix
        )
    }

    /// The error for an index that is not there any more.
    fn absence(&self, projection: Projection, index: &str) -> Error {
        let alias = self.alias(projection);
        Error::failure(format!(
            "the index {index} behind the alias {alias}, or its alias {}, was deleted while this instance wrote to \
             it. Nothing of the state is lost. Start again, and a new index is made and filled from the state",
            own_aliases::writer(index)
        ))
    }

    /// Splits a request that is too large; a lone document that is, is rejected for good.
    async fn too_large(
        &self,
        opened: &OpenIndexes,
        projection: Projection,
        (body, writes): (Bytes, Vec<Write>),
    ) -> Vec<Outcome> {
        let size = body.len();
        if writes.len() <= 1 {
            let reason = format!(
                "the request of this document alone has {size} bytes, the server takes at most {} \
                 (http.max_content_length). Embed fewer entities (max in the model) or raise the server's limit",
                opened.request_bytes_max
            );
            return vec![Outcome::Rejected(reason); writes.len()];
        }
        self.write_halves(opened, projection, (body, writes)).await
    }

    async fn write_halves(
        &self,
        opened: &OpenIndexes,
        projection: Projection,
        (body, writes): (Bytes, Vec<Write>),
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(writes.len());
        for half in Batch::split((body, writes), projection) {
            outcomes.extend(Box::pin(self.write_some(opened, half)).await);
        }
        outcomes
    }

    /// Splits a request with a document that is not sent. The lone document is rejected for this reason for good, and its
    /// delete is done.
    async fn refuse(
        &self,
        opened: &OpenIndexes,
        (projection, reason): (Projection, String),
        (body, writes): (Bytes, Vec<Write>),
    ) -> Vec<Outcome> {
        match writes.as_slice() {
            [write] if write.body.is_none() => vec![Outcome::Done],
            [_] => vec![Outcome::Rejected(reason)],
            _ => self.write_halves(opened, projection, (body, writes)).await,
        }
    }
}

/// The longest id that a server takes.
const ID_BYTES_MAX: usize = 512;

/// Why a document of a projection with children is not sent. A server refuses the whole request for an id that is too long. An
/// owner with the id of a child would take the child's place, and its delete would take the child away.
fn refusal(projection: Projection, write: &Write) -> Option<String> {
    if let Some(embed) = projection.embed_of_id(&write.id) {
        return Some(format!(
            "the id {:?} may be that of a child, because the ids of {embed} begin with \"{embed}/\" in this index. \
             Give the entity another id, give the embed another name, or use layout = \"nested\"",
            write.id
        ));
    }
    // A key is longer than the id in it.
    let is_long = write.id.len() > ID_BYTES_MAX
        && ChildKey::of(&write.id).is_some_and(|child| child.id().len() > ID_BYTES_MAX);
    is_long.then(|| {
        format!(
            "the id has more than the {ID_BYTES_MAX} bytes that a server takes, because that of a child begins with \
             the name of its embed. Use layout = \"nested\" or shorter ids"
        )
    })
}

#[async_trait]
impl DocumentSink for ElasticsearchSink {
    fn refresh_interval(&self) -> Option<Duration> {
        // The longest, and none when one of them is none.
        self.mappings
            .iter()
            .map(Mapping::refresh_interval)
            .try_fold(Duration::ZERO, |longest, interval| interval.map(|interval| longest.max(interval)))
    }

    async fn open(&self, log_identity: &str) -> Result<Vec<IndexState>> {
        let server = self.client.server().await?;
        tracing::info!(%server, addresses = self.client.addresses(), "the server of the index answers");
        let mut states = Vec::new();
        let (mappings, mut records) = (self.translate_mappings().await?, self.rebuilds().await?);
        for mapping in &mappings {
            let (projection, alias) = (mapping.projection, self.alias(mapping.projection));
            let found = records.remove(&projection);
            let record = found.as_ref().map(|(record, _)| record);
            let state = aliases::open(&self.client, &alias, mapping, log_identity, record).await?;
            forget_rollback(self, projection, &state.index, &mapping.hash, found).await?;
            states.push(state);
        }
        self.set_opened(indexes_of(&states)).await;
        Ok(states)
    }

    async fn write(&self, batch: Batch) -> Vec<Outcome> {
        let opened = self.open_indexes();
        self.write_some(&opened, batch).await
    }

    async fn refresh(&self) -> Result<()> {
        let opened = self.open_indexes();
        let indexes: Vec<&str> = opened.indexes.values().map(String::as_str).collect();
        if self.client.post_if_there(&IndicesRefreshParts::Index(&indexes).url(), None).await?.is_some() {
            return Ok(());
        }
        for (projection, index) in &opened.indexes {
            if self.client.find(&IndicesGetAliasParts::Index(&[index]).url()).await?.is_none() {
                return Err(self.absence(*projection, index));
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "an index was missing at its refresh and is there again"))
    }

    async fn ping(&self) -> Result<()> {
        self.client.get(&format!("{}?timeout=5s", ClusterHealthParts::None.url())).await.map(|_| ())
    }

    async fn summaries(&self) -> Result<Vec<IndexSummary>> {
        let mut summaries = Vec::new();
        for Mapping { projection, .. } in &self.mappings {
            let (projection, alias) = (*projection, self.alias(*projection));
            let index =
                aliases::indexes_behind(&self.client, &alias).await?.into_iter().next().unwrap_or_default();
            let documents = if index.is_empty() {
                0
            } else {
                let counted = self.count_owners(&index, projection).await?;
                counted.get("count").and_then(Value::as_u64).unwrap_or(0)
            };
            summaries.push(IndexSummary { projection, alias, index, documents });
        }
        Ok(summaries)
    }

    async fn ids(&self, projection: Projection, cursor: Option<String>) -> Result<IdPage> {
        let VersionPage { documents, cursor } = self.versions(&self.index(projection)?, cursor).await?;
        Ok(IdPage { ids: documents.into_iter().map(|(id, _)| id).collect(), cursor })
    }
}
