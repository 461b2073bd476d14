//! Indexes beside the live one, and the records of rebuilds, in a folder.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use super::{EmbeddedSink, blocking, count_committed, lock};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Projection;
use crate::sink::IndexState;
use crate::sink::generations::{
    Aliases, Description, GenerationSummary, Generations, Move, Orphan, Rebuild, Revision, is_generation,
    move_error, nothing_behind, projection_error,
};
use crate::sink::mapping::Mapping;
use crate::sink::tenure::Tenure;

impl EmbeddedSink {
    pub(super) fn alias(&self, projection: Projection) -> String {
        format!("{}{}", self.prefix, projection.name())
    }

    pub(super) fn mapping(&self, projection: Projection) -> Result<&Mapping> {
        let mapping = self.mappings.iter().find(|mapping| mapping.projection == projection);
        mapping.ok_or_else(|| projection_error(projection))
    }

    fn adopt_all(&self, log_identity: &str) -> Result<Vec<IndexState>> {
        // All are looked at before one is let go: a refusal leaves those that were written open.
        let mut indexes = Vec::new();
        for Mapping { projection, .. } in &self.mappings {
            let alias = &self.alias(*projection);
            let mapping = Mapping::load(&self.source, *projection)?;
            let index = self.folder.index_behind(alias)?.ok_or_else(|| nothing_behind(alias))?;
            let meta = self.folder.meta(&index)?;
            match self.check_one(&mapping, meta.as_ref(), (alias, &index), log_identity, None) {
                Err(error) if error.kind() == ErrorKind::MappingChanged => {
                    tracing::warn!(
                        error = error.chain(),
                        "the index keeps the mapping that it was built with"
                    );
                    mapping.check_shape(meta.as_ref(), alias, &index, log_identity)?;
                }
                checked => drop(checked?),
            }
            indexes.push((*projection, index));
        }
        let mut generations = lock(&self.generations);
        generations.clear();
        let mut states = Vec::new();
        for (projection, index) in indexes {
            generations.insert(projection, self.open_generation(projection, &index)?);
            let is_filling = self.folder.is_filling(&index);
            states.push(IndexState { projection, index, created: false, is_filling });
        }
        Ok(states)
    }

    fn move_all(&self, moves: &[Move]) -> Result<()> {
        self.folder.change_aliases(|aliases| {
            for alias_move in moves {
                let alias = self.alias(alias_move.projection);
                let behind = aliases.get(&alias);
                if behind != alias_move.from.as_ref() {
                    return Err(move_error(
                        &alias,
                        alias_move,
                        behind.map(String::as_str).unwrap_or_default(),
                    ));
                }
                aliases.insert(alias, alias_move.to.clone());
            }
            Ok(())
        })
    }

    fn summary(&self, index: String) -> Result<GenerationSummary> {
        Ok(GenerationSummary {
            aliases: self.folder.aliases_of(&index)?,
            documents: count_committed(&self.folder, &index).unwrap_or(0),
            bytes: self.folder.bytes(&index),
            index,
        })
    }

    /// Takes note of the mapping's file when the index behind the alias can go on with it. Nothing of it is put in
    /// place, because the fields of an embedded index are the same under every mapping.
    fn put_one(&self, projection: Projection, record: Option<&Rebuild>) -> Result<()> {
        let mapping = self.mapping(projection)?;
        let Some(index) = self.folder.index_behind(&self.alias(projection))? else { return Ok(()) };
        let Some(meta) = self.folder.meta(&index)? else { return Ok(()) };
        let is_same = meta.get("mapping_hash").and_then(serde_json::Value::as_str) == Some(&mapping.hash);
        if is_same || record.is_some_and(|record| record.keeps(&index, &mapping.hash)) {
            return Ok(());
        }
        let Some(mut additions) = mapping.additions_of_embedded(&meta) else { return Ok(()) };
        let Some(log) = meta.get("log").and_then(serde_json::Value::as_str) else {
            return Err(Error::failure(format!(
                "the index {index} does not say which log it was built from; run `tributary reindex {}`",
                mapping.projection.name()
            )));
        };
        self.folder.create(&index, &mapping.meta_of_embedded(log))?;
        additions.send_again = false;
        additions.tell(mapping.projection, &index);
        Ok(())
    }

    /// The record of one projection's rebuild.
    pub(super) fn rebuild(&self, projection: Projection) -> Result<Option<(Rebuild, Revision)>> {
        self.read_record(&self.record_name(projection), "a rebuild")
    }

    /// A record of the folder by its file's name; `of` names the record's subject to people.
    fn read_record<T: DeserializeOwned>(&self, name: &str, of: &str) -> Result<Option<(T, Revision)>> {
        let Some(text) = self.folder.record(name)? else { return Ok(None) };
        let record = serde_json::from_str(&text).map_err(|error| {
            let what =
                format!("the record of {of} cannot be read; use the version of this program that wrote it");
            Error::failure(what).because(error)
        });
        Ok(Some((record?, Revision(text))))
    }

    /// The name of the record of the group that writes. No alias holds a space.
    fn tenure_name(&self) -> String {
        format!("{} writer", self.prefix)
    }

    /// The file's name: aliases of several prefixes may share a folder.
    fn record_name(&self, projection: Projection) -> String {
        format!("{}.{}", self.alias(projection), projection.name())
    }
}

#[async_trait]
impl Aliases for EmbeddedSink {
    async fn indexes_behind(&self) -> Result<BTreeMap<Projection, String>> {
        let mut found = BTreeMap::new();
        for Mapping { projection, .. } in &self.mappings {
            let behind = self.folder.index_behind(&self.alias(*projection))?;
            found.extend(behind.map(|index| (*projection, index)));
        }
        Ok(found)
    }

    async fn adopt(&self, log_identity: &str) -> Result<Vec<IndexState>> {
        tokio::task::block_in_place(|| self.adopt_all(log_identity))
    }

    async fn find_changed(&self, log_identity: &str) -> Result<Vec<Projection>> {
        let mut changed = Vec::new();
        for mapping in &self.mappings {
            let (projection, alias) = (mapping.projection, &self.alias(mapping.projection));
            let Some(index) = self.folder.index_behind(alias)? else { continue };
            let record = self.rebuild(projection)?.map(|(record, _)| record);
            let meta = self.folder.meta(&index)?;
            match self.check_one(mapping, meta.as_ref(), (alias, &index), log_identity, record.as_ref()) {
                Err(error) if error.kind() == ErrorKind::MappingChanged => changed.push(projection),
                checked => drop(checked?),
            }
        }
        Ok(changed)
    }

    async fn serve(&self) -> Result<()> {
        for Mapping { projection, .. } in &self.mappings {
            let behind = self.folder.index_behind(&self.alias(*projection))?;
            if let Some(index) = behind.filter(|index| self.folder.is_filling(index)) {
                self.folder.end_filling(&index)?;
                tracing::info!(index, "the index is filled");
            }
        }
        Ok(())
    }

    async fn put_additions(&self) -> Result<Vec<Projection>> {
        for Mapping { projection, .. } in &self.mappings {
            let record = self.rebuild(*projection)?.map(|(record, _)| record);
            self.put_one(*projection, record.as_ref())?;
        }
        Ok(Vec::new())
    }

    async fn find_orphans(&self) -> Result<Vec<Orphan>> {
        let mut orphans = Vec::new();
        for index in self.folder.indexes()? {
            let meta = self.folder.meta(&index)?.unwrap_or_default();
            let Some(projection) = self.source.find_orphaned_projection(&meta) else { continue };
            let record = format!("{}{projection}.{projection}", self.prefix);
            let record: Option<(Rebuild, Revision)> = self.read_record(&record, "a rebuild")?;
            let is_rebuilt = record.is_some_and(|(record, _)| record.is_under_way());
            orphans.push(Orphan { projection: projection.to_owned(), index, is_rebuilt });
        }
        Ok(orphans)
    }

    async fn tenure(&self) -> Result<Option<(Tenure, Revision)>> {
        self.read_record(&self.tenure_name(), "the group that writes")
    }

    async fn note_tenure(&self, record: &Tenure, was: Option<&Revision>) -> Result<bool> {
        let text = serde_json::to_string(record);
        let text = text.map_err(|error| Error::failure("a record cannot be written").because(error))?;
        self.folder.change_record(&self.tenure_name(), Some(&text), was.map(|was| was.0.as_str()))
    }

    async fn rebuilds(&self) -> Result<BTreeMap<Projection, (Rebuild, Revision)>> {
        let mut records = BTreeMap::new();
        for Mapping { projection, .. } in &self.mappings {
            records.extend(self.rebuild(*projection)?.map(|record| (*projection, record)));
        }
        Ok(records)
    }

    async fn note_rebuild(
        &self,
        projection: Projection,
        record: Option<&Rebuild>,
        was: Option<&Revision>,
    ) -> Result<bool> {
        let text = record.map(serde_json::to_string).transpose();
        let text = text.map_err(|error| Error::failure("a record cannot be written").because(error))?;
        let was = was.map(|was| was.0.as_str());
        self.folder.change_record(&self.record_name(projection), text.as_deref(), was)
    }
}

#[async_trait]
impl Generations for EmbeddedSink {
    fn new_name(&self, projection: Projection) -> Result<String> {
        Ok(self.mapping(projection)?.index_name(&self.alias(projection)))
    }

    async fn create(&self, projection: Projection, index: &str, log_identity: &str) -> Result<()> {
        let mapping = self.mapping(projection)?;
        if self.folder.meta(index)?.is_some() {
            return Ok(());
        }
        self.folder.create(index, &mapping.meta_of_embedded(log_identity))
    }

    async fn target(&self, indexes: BTreeMap<Projection, String>) -> Result<()> {
        for index in indexes.values() {
            if self.folder.meta(index)?.is_none() {
                return Err(Error::failure(format!(
                    "the index {index} is gone; give this rebuild up with `tributary reindex --abort` and begin again"
                )));
            }
        }
        tokio::task::block_in_place(|| {
            let mut generations = lock(&self.generations);
            generations.clear();
            for (projection, index) in indexes {
                generations.insert(projection, self.open_generation(projection, &index)?);
            }
            Ok(())
        })
    }

    async fn release(&self) {
        tokio::task::block_in_place(|| lock(&self.generations).clear());
    }

    async fn settle(&self, _: Projection, _: &str) -> Result<()> {
        // Every acknowledged write is committed, and there are no replicas.
        Ok(())
    }

    async fn count(&self, index: &str) -> Result<u64> {
        let (folder, index) = (self.folder.clone(), index.to_owned());
        blocking(move || count_committed(&folder, &index)).await?
    }

    async fn swap(&self, moves: &[Move]) -> Result<()> {
        self.move_all(moves)
    }

    async fn describe(&self, projection: Projection) -> Result<Option<Description>> {
        let mapping = self.mapping(projection)?;
        let Some(index) = self.folder.index_behind(&self.alias(projection))? else { return Ok(None) };
        let live = self.folder.meta(&index)?.unwrap_or_default();
        Ok(Some(mapping.describe(self.summary(index)?, live, true)))
    }

    async fn hash_of(&self, index: &str) -> Result<Option<String>> {
        let meta = self.folder.meta(index)?;
        Ok(meta.as_ref().and_then(|meta| meta.get("mapping_hash")?.as_str().map(str::to_owned)))
    }

    async fn other_shape(&self, projection: Projection, index: &str) -> Result<Vec<String>> {
        let meta = self.folder.meta(index)?;
        Ok(self.mapping(projection)?.other_shape(meta.as_ref()))
    }

    async fn put_in_place(&self, projection: Projection) -> Result<bool> {
        self.put_one(projection, None)?;
        Ok(false)
    }

    async fn generations(&self, projection: Projection) -> Result<Vec<GenerationSummary>> {
        let alias = self.alias(projection);
        let indexes = self.folder.indexes()?.into_iter();
        indexes.filter(|index| is_generation(&alias, index)).map(|index| self.summary(index)).collect()
    }

    async fn delete(&self, index: &str) -> Result<()> {
        self.folder.delete(index)
    }
}
