//! The index's server: documents by versions, aliases, the records of rebuilds.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::world::World;
use crate::error::{Error, Result};
use crate::pipeline::planted::{self, Bug};
use crate::sink::generations::{Move, Rebuild};
use crate::sink::{Outcome, Write};

/// For so long a delete is remembered by an index that does.
const DELETES_KEPT: Duration = Duration::from_secs(60);

/// So much higher than ours are the versions of a foreign write.
const FOREIGN: u64 = 1_000_000;

/// A document, or the memory of a deleted one.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) version: u64,
    pub(super) body: Option<Vec<u8>>,
    at: Instant,
}

/// A concrete index.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) projection: usize,
    /// True from its making by a run until that has it serve.
    pub(super) is_filling: bool,
    documents: BTreeMap<String, Held>,
}

impl Index {
    /// The document of an id.
    pub(super) fn get(&self, id: &str) -> Option<&Held> {
        self.documents.get(id).filter(|held| held.body.is_some())
    }

    /// Whether it holds a document of this id, or the memory of a deleted one.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.documents.contains_key(id)
    }

    /// The documents by id.
    pub(super) fn documents(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        self.documents.iter().filter_map(|(id, held)| Some((id, held.body.as_ref()?)))
    }
}

#[derive(Default)]
pub(super) struct Server {
    /// The names of the projections.
    names: Vec<&'static str>,
    pub(super) aliases: BTreeMap<usize, String>,
    pub(super) indexes: BTreeMap<String, Index>,
    pub(super) records: BTreeMap<usize, (Rebuild, u64)>,
    revision: u64,
    /// It answers no request until then.
    pub(super) away_until: Option<Instant>,
    /// It takes its time until then.
    pub(super) slow_until: Option<Instant>,
    /// It refuses every write until then, as with a full disk, and answers all else.
    pub(super) refuses_until: Option<Instant>,
}

impl Server {
    /// A server without indexes, for projections of these names.
    pub(super) fn new(names: Vec<&'static str>) -> Self {
        Self { names, ..Self::default() }
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

    pub(super) fn name(&self, projection: usize) -> String {
        format!("{}-{:04}", self.names[projection], self.indexes.len())
    }

    pub(super) fn create(&mut self, projection: usize, index: &str) {
        self.indexes.entry(index.to_owned()).or_insert_with(|| Index { projection, ..Index::default() });
    }

    /// The index behind a projection's alias; true when both were made just now.
    pub(super) fn open(&mut self, projection: usize) -> (String, bool) {
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

    pub(super) fn behind(&self) -> Vec<Option<String>> {
        (0..self.names.len()).map(|projection| self.aliases.get(&projection).cloned()).collect()
    }

    pub(super) fn swap(&mut self, moves: &[Move]) -> Result<()> {
        for wanted in moves {
            if self.aliases.get(&wanted.projection) != wanted.from.as_ref() {
                return Err(Error::failed("the alias was moved by somebody else"));
            }
        }
        for wanted in moves {
            self.aliases.insert(wanted.projection, wanted.to.clone());
        }
        Ok(())
    }

    /// Writes a record if it is still the one of `was`.
    pub(super) fn note(&mut self, projection: usize, record: Option<&Rebuild>, was: Option<u64>) -> bool {
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

    /// One write, as `version_type=external_gte` has it.
    pub(super) fn apply(
        &mut self,
        world: &World,
        index: &str,
        write: &Write,
        body: Option<&[u8]>,
    ) -> Outcome {
        let Some(index) = self.indexes.get_mut(index) else {
            return Outcome::Gone("no such index".to_owned());
        };
        let now = Instant::now();
        if let Some(held) = index.documents.get(&*write.id) {
            let is_kept = held.body.is_some() || !world.plan.forgets && now < held.at + DELETES_KEPT;
            // A write without a version is done over any version that the index holds.
            let has_version = write.version > 0 || !planted::is(Bug::DeleteUnversioned);
            if is_kept && held.version > write.version && has_version {
                return Outcome::Conflict { stored: Some(held.version) };
            }
        }
        let held = Held { version: write.version, body: body.map(<[u8]>::to_vec), at: now };
        index.documents.insert(write.id.to_string(), held);
        Outcome::Done
    }

    /// Makes a foreign write to the index behind a projection's alias; false when no index is there.
    pub(super) fn write_foreign(&mut self, projection: usize, id: &str) -> bool {
        let index = self.aliases.get(&projection).and_then(|index| self.indexes.get_mut(index));
        let Some(index) = index else { return false };
        let version = index.documents.get(id).map_or(0, |held| held.version) + FOREIGN;
        let body = Some(br#"{"by":"somebody else"}"#.to_vec());
        index.documents.insert(id.to_owned(), Held { version, body, at: Instant::now() });
        true
    }

    /// The documents behind the alias of a projection, by its number.
    pub(super) fn published(&self, projection: usize) -> Option<&Index> {
        self.indexes.get(self.aliases.get(&projection)?)
    }
}
