//! The index's server: documents by versions, aliases, the records of rebuilds.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::bugs::{self, Bug};
use super::world::World;
use crate::error::{Error, Result};
use crate::plan::{Projection, id_and_owner, is_held, key_of};
use crate::sink::Outcome;
use crate::sink::generations::{Move, Rebuild};

/// For so long a delete is remembered by an index that does.
const DELETES_KEPT: Duration = Duration::from_secs(60);

/// So much higher than ours are the versions of a foreign write.
const FOREIGN: u64 = 1_000_000;

/// A document, or the memory of a deleted one.
#[derive(Debug, Clone)]
pub(super) struct HeldDocument {
    pub(super) version: u64,
    pub(super) body: Option<Vec<u8>>,
    routing: Option<String>,
    at: Instant,
}

/// An item of a request. Its id and its routing name the document.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) id: String,
    pub(super) routing: Option<String>,
    pub(super) version: u64,
    pub(super) body: Option<Cow<'a, [u8]>>,
}

/// The place of a document: its shard and its id. One shard holds one document of an id with any routing.
type Place = (u64, String);

/// A concrete index.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) projection: Projection,
    /// True from its making by a run until that has it serve.
    pub(super) is_filling: bool,
    shards: u64,
    documents: BTreeMap<Place, HeldDocument>,
}

impl Index {
    fn place(&self, id: &str, routing: Option<&str>) -> Place {
        let hash = xxhash_rust::xxh3::xxh3_64(routing.unwrap_or(id).as_bytes());
        (hash % self.shards, id.to_owned())
    }

    fn place_of(&self, key: &str) -> Place {
        let (id, owner) = id_and_owner(key);
        self.place(&id, owner.as_deref())
    }

    /// The document of a key.
    pub(super) fn get(&self, key: &str) -> Option<&HeldDocument> {
        let document = self.documents.get(&self.place_of(key))?;
        (document.body.is_some() && is_held(key, document.routing.as_deref())).then_some(document)
    }

    /// Whether it holds a document of this key, or the memory of a deleted one.
    pub(super) fn knows(&self, key: &str) -> bool {
        let document = self.documents.get(&self.place_of(key));
        document.is_some_and(|document| is_held(key, document.routing.as_deref()))
    }

    /// The documents by key.
    pub(super) fn documents(&self) -> BTreeMap<String, &HeldDocument> {
        let documents = self.documents.iter().filter(|(_, document)| document.body.is_some());
        documents.map(|((_, id), document)| (key_of(id, document.routing.as_deref()), document)).collect()
    }
}

#[derive(Default)]
pub(super) struct Server {
    /// How many shards an index has.
    shards: u64,
    pub(super) aliases: BTreeMap<Projection, String>,
    pub(super) indexes: BTreeMap<String, Index>,
    pub(super) records: BTreeMap<Projection, (Rebuild, u64)>,
    revision: u64,
    /// It answers no request until then.
    pub(super) away_until: Option<Instant>,
    /// It takes its time until then.
    pub(super) slow_until: Option<Instant>,
    /// It refuses every write until then, as with a full disk, and answers all else.
    pub(super) refuses_until: Option<Instant>,
}

impl Server {
    /// A server without indexes.
    pub(super) fn new(shards: u64) -> Self {
        Self { shards, ..Self::default() }
    }

    pub(super) fn is_away(&self) -> bool {
        self.away_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn is_slow(&self) -> bool {
        self.slow_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn refuses_writes(&self) -> bool {
        self.refuses_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn name(&self, projection: Projection) -> String {
        format!("{}-{:04}", projection.name(), self.indexes.len())
    }

    pub(super) fn create(&mut self, projection: Projection, index: &str) {
        let (shards, documents) = (self.shards, BTreeMap::new());
        let new = || Index { projection, is_filling: false, shards, documents };
        self.indexes.entry(index.to_owned()).or_insert_with(new);
    }

    /// The index behind a projection's alias; true when both were made just now.
    pub(super) fn open(&mut self, projection: Projection) -> (String, bool) {
        if let Some(index) = self.aliases.get(&projection) {
            return (index.clone(), false);
        }
        let index = self.name(projection);
        self.create(projection, &index);
        if let Some(index) = self.indexes.get_mut(&index) {
            index.is_filling = true;
        }
        self.aliases.insert(projection, index.clone());
        (index, true)
    }

    pub(super) fn swap(&mut self, moves: &[Move]) -> Result<()> {
        for change in moves {
            if self.aliases.get(&change.projection) != change.from.as_ref() {
                return Err(Error::failure("the alias was moved by somebody else"));
            }
        }
        for change in moves {
            self.aliases.insert(change.projection, change.to.clone());
        }
        Ok(())
    }

    /// Writes a record if it is still the one of `was`.
    pub(super) fn note(
        &mut self,
        projection: Projection,
        record: Option<&Rebuild>,
        was: Option<u64>,
    ) -> bool {
        if self.records.get(&projection).map(|(_, revision)| *revision) != was {
            return false;
        }
        self.revision += 1;
        match record {
            Some(record) => drop(self.records.insert(projection, (record.clone(), self.revision))),
            None => drop(self.records.remove(&projection)),
        }
        true
    }

    /// One item, as `version_type=external_gte` has it.
    pub(super) fn apply(&mut self, world: &World, index: &str, item: &Item<'_>) -> Outcome {
        let Some(index) = self.indexes.get_mut(index) else {
            return Outcome::Gone("no such index".to_owned());
        };
        let now = Instant::now();
        let place = index.place(&item.id, item.routing.as_deref());
        if let Some(document) = index.documents.get(&place) {
            let is_kept = document.body.is_some() || !world.plan.forgets && now < document.at + DELETES_KEPT;
            // A write without a version is done over any version that the index holds.
            let has_version = item.version > 0 || !bugs::is_planted(Bug::DeleteUnversioned);
            if is_kept && document.version > item.version && has_version {
                return Outcome::Conflict { stored: Some(document.version) };
            }
        }
        let body = item.body.as_deref().map(<[u8]>::to_vec);
        let document = HeldDocument { version: item.version, body, routing: item.routing.clone(), at: now };
        index.documents.insert(place, document);
        Outcome::Done
    }

    /// Makes a foreign write to the index behind a projection's alias; false when no index is there.
    pub(super) fn write_foreign(&mut self, projection: Projection, id: &str) -> bool {
        let index = self.aliases.get(&projection).and_then(|index| self.indexes.get_mut(index));
        let Some(index) = index else { return false };
        let place = index.place(id, None);
        let version = index.documents.get(&place).map_or(0, |document| document.version) + FOREIGN;
        let body = Some(br#"{"by":"somebody else"}"#.to_vec());
        index.documents.insert(place, HeldDocument { version, body, routing: None, at: Instant::now() });
        true
    }

    /// The documents behind the alias of a projection.
    pub(super) fn index_behind(&self, projection: Projection) -> Option<&Index> {
        self.indexes.get(self.aliases.get(&projection)?)
    }
}
