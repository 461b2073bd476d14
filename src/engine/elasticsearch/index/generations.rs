//! Indexes beside the live one, and the records of rebuilds, on Elasticsearch.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use elasticsearch::cluster::ClusterHealthParts;
use elasticsearch::indices::{
    IndicesCreateParts, IndicesDeleteParts, IndicesGetAliasParts, IndicesGetMappingParts, IndicesGetParts,
    IndicesPutSettingsParts, IndicesRefreshParts, IndicesStatsParts, IndicesUpdateAliasesParts,
};
use elasticsearch::{CountParts, GetParts, IndexParts, MgetParts};
use serde_json::{Value, json};

use super::client::ClusterClient;
use super::live_index::LiveIndex;
use super::{ElasticsearchSink, OpenIndexes, additions, aliases, creation, effective_form, own_aliases};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Projection;
use crate::sink::generations::{
    Aliases, Description, GenerationSummary, Generations, Move, Orphan, Rebuild, Revision, is_generation,
    move_error, note_sending,
};
use crate::sink::mapping::Mapping;
use crate::sink::tenure::Tenure;
use crate::sink::{IndexState, indexes_of};

/// How long a swap waits for the primaries of a new index.
const PRIMARIES_WAIT: Duration = Duration::from_secs(600);
/// The id of the record of the group that writes, beside those of the rebuilds.
const TENURE: &str = "writer";
/// How long one question for them waits.
const HEALTH_SECONDS: u64 = 30;

/// Records have one shard and need no routing. They say one because an index template of the prefix may require it.
const ROUTED: &str = "routing=records";

impl ElasticsearchSink {
    fn records(&self) -> String {
        format!("{}tributary-rebuilds", self.prefix)
    }

    async fn make_records(&self) -> Result<()> {
        let body = json!({
            "settings": {
                "number_of_shards": 1, "auto_expand_replicas": "0-1", "hidden": true,
                // An index template of the prefix is meant for documents: it must not change or refuse records.
                "default_pipeline": "_none", "final_pipeline": "_none", "blocks": {"write": false, "read_only": false},
            },
            "mappings": {
                "dynamic": false, "_meta": {"tributary": {"holds": "records of rebuilds"}},
                "_source": {"enabled": true, "includes": [], "excludes": []},
            },
        });
        let made = self.client.put(&IndicesCreateParts::Index(&self.records()).url(), &body).await;
        match made {
            Err(_)
                if self.client.find(&IndicesGetParts::Index(&[&self.records()]).url()).await?.is_some() =>
            {
                Ok(())
            }
            made => made.map(|_| ()),
        }
    }

    /// Writes or removes a record if it is still the one of `was`; false when it is not.
    async fn change_record(&self, id: &str, body: Option<&Value>, was: Option<&Revision>) -> Result<bool> {
        let condition = was.map_or("op_type=create", |was| was.0.as_str());
        let path = format!("{}?{ROUTED}&{condition}", IndexParts::IndexId(&self.records(), id).url());
        self.client.change_if(&path, body).await
    }

    /// Waits until the index's shards have this colour; false when they have not in time.
    async fn has_health(&self, index: &str, colour: &str) -> Result<bool> {
        let path = ClusterHealthParts::Index(&[index]).url();
        let path = format!("{path}?wait_for_status={colour}&timeout={HEALTH_SECONDS}s");
        match self.client.get(&path).await {
            Ok(health) => Ok(health.get("timed_out") == Some(&Value::Bool(false))),
            Err(error) if error.kind() == ErrorKind::Unavailable => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn wait_for_primaries(&self, index: &str) -> Result<()> {
        let until = std::time::Instant::now() + PRIMARIES_WAIT;
        while !self.has_health(index, "yellow").await? {
            if std::time::Instant::now() >= until {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!(
                        "the primaries of {index} are not there; look at the cluster's allocation, then run the command again"
                    ),
                ));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// Gives an index that was filled the settings of its mapping; false when it is gone.
    async fn give_service_settings(&self, mapping: &Mapping, index: &str) -> Result<bool> {
        let path = IndicesPutSettingsParts::Index(&[index]).url();
        Ok(self.client.put_if_there(&path, &mapping.service_settings()).await?.is_some())
    }

    async fn check_moves(&self, moves: &[Move]) -> Result<Vec<Value>> {
        let mut actions = Vec::new();
        for alias_move in moves {
            let alias = self.alias(alias_move.projection);
            let behind = aliases::indexes_behind(&self.client, &alias).await?;
            if behind != alias_move.from.iter().cloned().collect::<Vec<_>>() {
                return Err(move_error(&alias, alias_move, &behind.join(", ")));
            }
            if let Some(from) = &alias_move.from {
                actions.push(json!({"remove": {"index": from, "alias": alias, "must_exist": true}}));
            }
            actions.push(json!({"add": {"index": alias_move.to, "alias": alias}}));
        }
        Ok(actions)
    }
}

/// A record as `_mget` answers it. A shard that is away is no answer: a record would seem to be gone.
fn read_record<T: serde::de::DeserializeOwned>(found: &Value) -> Result<Option<(T, Revision)>> {
    if let Some(error) = found.get("error") {
        return match error.get("type").and_then(Value::as_str) {
            Some("index_not_found_exception") => Ok(None),
            _ => Err(Error::new(
                ErrorKind::Unavailable,
                format!("the rebuild's record cannot be read now: {error}"),
            )),
        };
    }
    let Some(source) = found.get("_source") else { return Ok(None) };
    let part = |name: &str| found.get(name).and_then(Value::as_u64).unwrap_or_default();
    let revision = format!("if_seq_no={}&if_primary_term={}", part("_seq_no"), part("_primary_term"));
    let record = serde_json::from_value(source.clone()).map_err(|error| {
        Error::failure(
            "a record beside the indexes cannot be read; use the version of this program that wrote it",
        )
        .because(error)
    });
    Ok(Some((record?, Revision(revision))))
}

async fn summary(
    client: &ClusterClient,
    alias: &str,
    index: &str,
    found: &Value,
) -> Result<GenerationSummary> {
    let own = [own_aliases::writer(index), own_aliases::filling(index)];
    let names = found.pointer("/aliases").and_then(Value::as_object).into_iter().flatten();
    let names = names.map(|(name, _)| name.clone()).filter(|name| !own.contains(name)).collect();
    let stats = client
        .get(&IndicesStatsParts::IndexMetric(&[index], &["docs", "store"]).url())
        .await
        .unwrap_or_default();
    let number = |path: &str| stats.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let counted = client.find(&CountParts::Index(&[index]).url()).await?.unwrap_or_default();
    tracing::debug!(alias, index, "generation found");
    Ok(GenerationSummary {
        index: index.to_owned(),
        aliases: names,
        documents: counted.get("count").and_then(Value::as_u64).unwrap_or(0),
        bytes: number("/_all/total/store/size_in_bytes"),
    })
}

#[async_trait]
impl Aliases for ElasticsearchSink {
    async fn indexes_behind(&self) -> Result<BTreeMap<Projection, String>> {
        let mut found = BTreeMap::new();
        for Mapping { projection, .. } in &self.mappings {
            let behind = aliases::indexes_behind(&self.client, &self.alias(*projection)).await?;
            found.extend(behind.into_iter().next().map(|index| (*projection, index)));
        }
        Ok(found)
    }

    async fn adopt(&self, log_identity: &str) -> Result<Vec<IndexState>> {
        let mappings = self.load_mappings().await?;
        let mut states = Vec::new();
        for mapping in &mappings {
            let alias = self.alias(mapping.projection);
            states.push(aliases::adopt(&self.client, &alias, mapping, log_identity).await?);
        }
        self.set_opened(indexes_of(&states)).await;
        Ok(states)
    }

    async fn find_changed(&self, log_identity: &str) -> Result<Vec<Projection>> {
        let mut changed = Vec::new();
        let (mappings, records) = (self.translate_mappings().await?, self.rebuilds().await?);
        for mapping in &mappings {
            let (projection, alias) = (mapping.projection, self.alias(mapping.projection));
            let Some(index) = aliases::indexes_behind(&self.client, &alias).await?.into_iter().next() else {
                continue;
            };
            let record = records.get(&projection).map(|(record, _)| record);
            let live = LiveIndex::get(&self.client, &index).await?;
            match aliases::check(&live, &alias, mapping, log_identity, record) {
                Err(error) if error.kind() == ErrorKind::MappingChanged => changed.push(projection),
                checked => drop(checked?),
            }
        }
        Ok(changed)
    }

    async fn serve(&self) -> Result<()> {
        for (projection, index) in self.open_indexes().indexes {
            // Of an index that is gone the writes tell.
            let Some(live) = LiveIndex::find(&self.client, &index).await? else { continue };
            if live.setting("refresh_interval") == Some(&json!("-1"))
                && self.give_service_settings(self.mapping(projection)?, &index).await?
            {
                tracing::info!(index, "refreshes and replicas are those of the mapping from here on");
            }
            if live.is_filling() {
                // A reader that sees that the mark is gone finds every document.
                self.client.post_if_there(&IndicesRefreshParts::Index(&[&index]).url(), None).await?;
                own_aliases::end_filling(&self.client, &index).await?;
                tracing::info!(index, "the index is filled");
            }
        }
        Ok(())
    }

    async fn put_additions(&self) -> Result<Vec<Projection>> {
        let (mappings, records) = (self.translate_mappings().await?, self.rebuilds().await?);
        let (mut to_send, opened) = (Vec::new(), self.open_indexes().indexes);
        for mapping in &mappings {
            let projection = mapping.projection;
            let Some(index) = opened.get(&projection) else { continue };
            let record = records.get(&projection).map(|(record, _)| record);
            if additions::put(&self.client, mapping, index, record).await? {
                to_send.push(projection);
            } else if record.is_some_and(|record| record.sends_again) {
                note_sending(self, projection, index, false).await?;
            }
        }
        Ok(to_send)
    }

    async fn note_additions(&self) -> Result<()> {
        let records = self.rebuilds().await?;
        for (projection, index) in self.open_indexes().indexes {
            let record = records.get(&projection).map(|(record, _)| record);
            additions::note(&self.client, self.mapping(projection)?, &index, record).await?;
            note_sending(self, projection, &index, false).await?;
        }
        Ok(())
    }

    async fn find_orphans(&self) -> Result<Vec<Orphan>> {
        let every = format!("{}*", self.prefix);
        let path = IndicesGetMappingParts::Index(&[&every]).url();
        let path = format!("{path}?filter_path=*.mappings._meta.tributary");
        let found = self.client.find(&path).await?.unwrap_or_default();
        let mut orphans = Vec::new();
        for (index, found) in found.as_object().into_iter().flatten() {
            let meta = found.pointer("/mappings/_meta/tributary").unwrap_or(&Value::Null);
            let Some(projection) = self.source.find_orphaned_projection(meta) else { continue };
            let path = format!("{}?{ROUTED}", GetParts::IndexId(&self.records(), projection).url());
            let record = self.client.find(&path).await?;
            let record: Option<(Rebuild, Revision)> = record.as_ref().map_or(Ok(None), read_record)?;
            let is_rebuilt = record.is_some_and(|(record, _)| record.is_under_way());
            orphans.push(Orphan { projection: projection.to_owned(), index: index.clone(), is_rebuilt });
        }
        Ok(orphans)
    }

    async fn tenure(&self) -> Result<Option<(Tenure, Revision)>> {
        let path = format!("{}?{ROUTED}", GetParts::IndexId(&self.records(), TENURE).url());
        let found = self.client.find(&path).await?;
        found.as_ref().map_or(Ok(None), read_record)
    }

    async fn note_tenure(&self, record: &Tenure, was: Option<&Revision>) -> Result<bool> {
        self.make_records().await?;
        let body = serde_json::to_value(record);
        let body = body.map_err(|error| Error::failure("a record cannot be written").because(error))?;
        self.change_record(TENURE, Some(&body), was).await.map_err(|error| {
            let is_refused = error.kind() == ErrorKind::Failed && error.to_string().contains("answered 403");
            if is_refused { Error::failure(self.write_refusal(&error.to_string())) } else { error }
        })
    }

    async fn rebuilds(&self) -> Result<BTreeMap<Projection, (Rebuild, Revision)>> {
        let ids: Vec<&str> = self.mappings.iter().map(|mapping| mapping.projection.name()).collect();
        let path = format!("{}?{ROUTED}", MgetParts::Index(&self.records()).url());
        let found = self.client.post_if_there(&path, Some(&json!({ "ids": ids }))).await?;
        let found = found.as_ref().and_then(|found| found.get("docs")).and_then(Value::as_array);
        let mut records = BTreeMap::new();
        for (mapping, found) in self.mappings.iter().zip(found.into_iter().flatten()) {
            records.extend(read_record(found)?.map(|record| (mapping.projection, record)));
        }
        Ok(records)
    }

    async fn note_rebuild(
        &self,
        projection: Projection,
        record: Option<&Rebuild>,
        was: Option<&Revision>,
    ) -> Result<bool> {
        let id = self.mapping(projection)?.projection.name();
        if was.is_none() {
            self.make_records().await?;
        }
        let body = record.map(serde_json::to_value).transpose();
        let body = body.map_err(|error| Error::failure("a record cannot be written").because(error))?;
        self.change_record(id, body.as_ref(), was).await
    }
}

#[async_trait]
impl Generations for ElasticsearchSink {
    fn new_name(&self, projection: Projection) -> Result<String> {
        Ok(self.mapping(projection)?.index_name(&self.alias(projection)))
    }

    async fn create(&self, projection: Projection, index: &str, log_identity: &str) -> Result<()> {
        let mapping = self.translate_mapping(projection).await?;
        if let Some(live) = LiveIndex::find(&self.client, index).await? {
            return effective_form::check(&self.client, &live, &mapping, false).await;
        }
        // No reader's alias yet.
        let writer = own_aliases::writer(index);
        let body = mapping.loading_body(&writer, &writer, log_identity);
        let is_new = creation::create(&self.client, &mapping, index, &body).await?;
        effective_form::check_made(&self.client, index, &mapping, is_new).await
    }

    async fn target(&self, indexes: BTreeMap<Projection, String>) -> Result<()> {
        for index in indexes.values() {
            let Some(live) = LiveIndex::find(&self.client, index).await? else {
                return Err(Error::failure(format!(
                    "the index {index} is gone; give this rebuild up with `tributary reindex --abort` and begin again"
                )));
            };
            if !live.has_alias(&own_aliases::writer(index)) {
                own_aliases::put_writer(&self.client, index).await?;
            }
        }
        self.set_opened(indexes).await;
        Ok(())
    }

    async fn release(&self) {
        *self.opened.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = OpenIndexes::default();
    }

    async fn settle(&self, projection: Projection, index: &str) -> Result<()> {
        self.give_service_settings(self.mapping(projection)?, index).await?;
        self.wait_for_primaries(index).await?;
        if !self.has_health(index, "green").await? {
            tracing::warn!(
                index,
                seconds = HEALTH_SECONDS,
                "not every replica is there; the rebuild goes on with the primaries"
            );
        }
        Ok(())
    }

    async fn count(&self, index: &str) -> Result<u64> {
        self.client.post(&IndicesRefreshParts::Index(&[index]).url(), None).await?;
        let counted = self.client.get(&CountParts::Index(&[index]).url()).await?;
        let count = counted.get("count").and_then(Value::as_u64);
        count.ok_or_else(|| Error::failure(format!("Elasticsearch gives no count of {index}")))
    }

    async fn swap(&self, moves: &[Move]) -> Result<()> {
        let actions = self.check_moves(moves).await?;
        self.client
            .post(&IndicesUpdateAliasesParts::None.url(), Some(&json!({ "actions": actions })))
            .await
            .map(|_| ())
    }

    async fn describe(&self, projection: Projection) -> Result<Option<Description>> {
        let alias = self.alias(projection);
        let behind = aliases::indexes_behind(&self.client, &alias).await?;
        let Some(index) = behind.into_iter().next() else { return Ok(None) };
        let mapping = self.translate_mapping(projection).await?;
        let live = self.client.get(&IndicesGetParts::Index(&[&index]).url()).await?;
        let live = live.get(&index).cloned().unwrap_or_default();
        let summary = summary(&self.client, &alias, &index, &live).await?;
        Ok(Some(mapping.describe(summary, live, false)))
    }

    async fn hash_of(&self, index: &str) -> Result<Option<String>> {
        let live = LiveIndex::find(&self.client, index).await?;
        let meta = live.as_ref().and_then(LiveIndex::meta);
        Ok(meta.and_then(|meta| meta.get("mapping_hash")?.as_str().map(str::to_owned)))
    }

    async fn other_shape(&self, projection: Projection, index: &str) -> Result<Vec<String>> {
        let mapping = self.translate_mapping(projection).await?;
        let live = LiveIndex::find(&self.client, index).await?;
        Ok(mapping.other_shape(live.as_ref().and_then(LiveIndex::meta)))
    }

    async fn put_in_place(&self, projection: Projection) -> Result<bool> {
        let behind = aliases::indexes_behind(&self.client, &self.alias(projection)).await?;
        let Some(index) = behind.into_iter().next() else { return Ok(false) };
        let mapping = self.translate_mapping(projection).await?;
        let send_again = additions::put(&self.client, &mapping, &index, None).await?;
        if send_again {
            note_sending(self, projection, &index, true).await?;
        }
        Ok(send_again)
    }

    async fn generations(&self, projection: Projection) -> Result<Vec<GenerationSummary>> {
        let alias = self.alias(projection);
        let found = self
            .client
            .find(&IndicesGetAliasParts::Index(&[&format!("{alias}-*")]).url())
            .await?
            .unwrap_or_default();
        let mut summaries = Vec::new();
        for (index, found) in found.as_object().into_iter().flatten() {
            if is_generation(&alias, index) {
                summaries.push(summary(&self.client, &alias, index, found).await?);
            }
        }
        summaries.sort_unstable_by(|left, right| left.index.cmp(&right.index));
        Ok(summaries)
    }

    async fn delete(&self, index: &str) -> Result<()> {
        if self.client.find(&IndicesGetParts::Index(&[index]).url()).await?.is_none() {
            return Ok(());
        }
        self.client.delete(&IndicesDeleteParts::Index(&[index]).url(), None).await.map(|_| ())
    }
}
