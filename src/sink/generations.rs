//! The indexes beside the live one, which a rebuild makes, fills, checks and puts behind the alias. With them goes the
//! record by which a rebuild and the running instance hand the writing over.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IndexState;
use super::documents::Documents;
use super::tenure::Tenure;
use crate::error::{Error, Result};
use crate::model::mapping::Shape;
use crate::plan::Projection;
use crate::position::{Positions, TopicPartition};

/// How far a rebuild is. Each phase is written down before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "RebuildPhase")]
pub enum Phase {
    /// The index is filled, without refreshes and replicas.
    Loading,
    /// Changes that came meanwhile are added, with the settings restored.
    Settling,
    /// The evidence is gathered.
    Checking,
    /// The alias is moved.
    Swapping,
    /// The alias is moved; the rebuild is the index's writer until it has passed the positions that the
    /// instance stopped at.
    Feeding,
    /// The rebuild has ended; the index is the running instance's.
    Done,
}

/// The progress that a rebuild shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildProgress {
    /// Records folded.
    pub events: u64,
    /// Records to fold, as far as is known.
    pub events_total: u64,
    /// Documents that the index took.
    pub documents: u64,
    /// Documents to send, as far as is known; 0 when it is not.
    pub documents_total: u64,
    /// The number of records, then of documents, a second.
    pub rate: u64,
    /// Seconds until the alias is moved, as far as is known.
    pub seconds_left: Option<u64>,
    /// Documents that the index rejected for good.
    pub rejected: u64,
    /// Documents a second over the whole load, the log's replay included; 0 until it is known.
    #[serde(default)]
    pub load_rate: u64,
}

/// The record of one projection's rebuild. There is at most one of a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuild {
    /// Who rebuilds: a name that is drawn at its beginning, and survives its process.
    pub session: String,
    /// The concrete index that is filled.
    pub index: String,
    /// The one that the alias stood for before.
    pub previous: Option<String>,
    /// How far it is.
    pub phase: Phase,
    /// Grows with every heartbeat.
    pub beat: u64,
    /// Where the instance stopped writing the previous index (P).
    #[serde(default)]
    pub stopped_at: Option<Vec<(String, i32, i64)>>,
    /// Where the rebuild ended writing this one (F).
    #[serde(default)]
    pub ended_at: Option<Vec<(String, i32, i64)>>,
    /// Its progress.
    #[serde(default)]
    pub progress: RebuildProgress,
    /// The hash of the mapping's file when a rollback put the index back; none of other rebuilds.
    #[serde(default)]
    pub rolled_back_from: Option<String>,
    /// True while documents are to be sent again to the index behind the alias, for additions that were put in place.
    #[serde(default)]
    pub sends_again: bool,
    /// The record of the index behind the alias that this one stands for until the alias is moved. It is put back when
    /// this rebuild is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Box<Rebuild>>,
}

impl Phase {
    /// The phase as a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Settling => "settling",
            Self::Checking => "checking",
            Self::Swapping => "swapping",
            Self::Feeding => "feeding",
            Self::Done => "done",
        }
    }
}

impl Rebuild {
    /// True while a process, living or dead, has not brought it to its end.
    pub fn is_under_way(&self) -> bool {
        self.phase != Phase::Done
    }

    /// The record of an index that no rebuild is known of.
    pub fn of_index(index: &str) -> Self {
        Self {
            session: String::new(),
            index: index.to_owned(),
            previous: None,
            phase: Phase::Done,
            beat: 0,
            stopped_at: None,
            ended_at: None,
            progress: RebuildProgress::default(),
            rolled_back_from: None,
            sends_again: false,
            earlier: None,
        }
    }

    /// True when a rollback put `index` back while the mapping's file had this hash: the index is wanted although the
    /// file says otherwise.
    pub fn keeps(&self, index: &str, hash: &str) -> bool {
        self.rollback_to(index) == Some(hash)
    }

    /// True when a rollback put `index` back.
    pub fn is_rollback_to(&self, index: &str) -> bool {
        self.rollback_to(index).is_some()
    }

    /// The hash of the mapping's file when a rollback put `index` back; also while another rebuild is under way.
    fn rollback_to(&self, index: &str) -> Option<&str> {
        if self.index == index {
            return self.rolled_back_from.as_deref();
        }
        self.earlier.as_ref().and_then(|earlier| earlier.rollback_to(index))
    }
}

/// Positions as a record holds them.
pub fn to_record(positions: &Positions) -> Vec<(String, i32, i64)> {
    positions.iter().map(|(at, next)| (at.topic.to_string(), at.partition, next)).collect()
}

/// Positions as they were before [`to_record`].
pub fn positions(written: &[(String, i32, i64)]) -> Positions {
    let at = |(topic, partition, next): &(String, i32, i64)| {
        (TopicPartition::new(topic.as_str(), *partition), *next)
    };
    written.iter().map(at).collect()
}

/// Which writing of a record was read: a record changes only from the one that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision(pub(crate) String);

#[cfg(test)]
impl Revision {
    /// A writing by its number.
    pub(crate) fn of(number: u64) -> Self {
        Self(number.to_string())
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.parse().unwrap()
    }
}

/// An index that was made for an alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GenerationSummary {
    /// Its name.
    pub index: String,
    /// The aliases for readers that it is behind.
    pub aliases: Vec<String>,
    /// Its documents.
    pub documents: u64,
    /// The bytes that it takes on the disk.
    pub bytes: u64,
}

/// The mapping that an index was built with, and the one that is wanted now.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The concrete index behind the alias.
    pub index: String,
    /// True when it takes nothing from the mapping: `live` is then only its note on its making.
    pub is_embedded: bool,
    /// The mapping and settings of the index.
    pub live: serde_json::Value,
    /// The mapping's file.
    pub file: serde_json::Value,
    /// The file's hash.
    pub hash: String,
    /// The documents' shape that is wanted.
    pub shape: Shape,
    /// The index's documents.
    pub documents: u64,
    /// The bytes that it takes on the disk.
    pub bytes: u64,
}

/// A move of the alias of one projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The projection.
    pub projection: Projection,
    /// Where the alias has to be still.
    pub from: Option<String>,
    /// Where it goes.
    pub to: String,
}

impl Description {
    /// The hash of the mapping that the index was built with, as it says.
    pub fn mapping_hash(&self) -> Option<&str> {
        let meta =
            if self.is_embedded { Some(&self.live) } else { self.live.pointer("/mappings/_meta/tributary") };
        meta?.get("mapping_hash")?.as_str()
    }
}

/// An index of a projection that the model does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The projection.
    pub projection: String,
    /// The concrete index.
    pub index: String,
    /// True while a rebuild of the projection, by an instance with another model, has not ended.
    pub is_rebuilt: bool,
}

/// The questions of a running instance about the aliases that its indexes are behind, beside its documents.
#[async_trait]
pub trait Aliases: Documents {
    /// The concrete index behind each projection's alias. A projection whose alias stands for nothing is left out.
    async fn indexes_behind(&self) -> Result<BTreeMap<Projection, String>>;

    /// As [`DocumentSink::open`](super::DocumentSink::open) with the mappings read anew: an instance that goes on with
    /// an index that was swapped in. A mapping that differs even so is only warned about, because documents do not
    /// depend on it. It was chosen when the index was made.
    async fn adopt(&self, log_identity: &str) -> Result<Vec<IndexState>>;

    /// The projections whose index was built with another mapping than the one that is loaded.
    async fn find_changed(&self, log_identity: &str) -> Result<Vec<Projection>>;

    /// Has the indexes that are written serve readers, with refreshes and replicas as their mappings want them, if they
    /// were made to be filled first. Then it takes the mark away by which readers see that an index is not full.
    async fn serve(&self) -> Result<()>;

    /// Puts in place the parts of their mappings that the written indexes lack, where an index takes them. Answers the
    /// projections whose documents have to be sent again, because a document shows the parts only once it is written
    /// again.
    ///
    /// # Errors
    /// Exit code 3 when an index refuses it.
    async fn put_additions(&self) -> Result<Vec<Projection>> {
        Ok(Vec::new())
    }

    /// Notes of the indexes that are written that every document has been sent again since additions were put in place.
    async fn note_additions(&self) -> Result<()> {
        Ok(())
    }

    /// The indexes that were made for the same prefix, of projections that the model does not have.
    async fn find_orphans(&self) -> Result<Vec<Orphan>> {
        Ok(Vec::new())
    }

    /// The record of the group that writes; none before the first one did, and where no other group can write.
    async fn tenure(&self) -> Result<Option<(Tenure, Revision)>> {
        Ok(None)
    }

    /// Writes that record if it is still the one of `was`; false when it is not.
    async fn note_tenure(&self, _record: &Tenure, _was: Option<&Revision>) -> Result<bool> {
        Ok(false)
    }

    /// The record of each projection's rebuild. A projection without a record is left out.
    async fn rebuilds(&self) -> Result<BTreeMap<Projection, (Rebuild, Revision)>>;

    /// The record of one projection's rebuild.
    async fn rebuild_of(&self, projection: Projection) -> Result<Option<(Rebuild, Revision)>> {
        Ok(self.rebuilds().await?.remove(&projection))
    }

    /// Writes (or, with `None`, removes) the record of a projection if it is still the one of `was`;
    /// false when it is not.
    async fn note_rebuild(
        &self,
        projection: Projection,
        record: Option<&Rebuild>,
        was: Option<&Revision>,
    ) -> Result<bool>;
}

/// The questions and orders of a rebuild to an index, beside writing documents.
#[async_trait]
pub trait Generations: Aliases {
    /// A name for a new index of `projection`.
    ///
    /// # Errors
    /// When the sink has no index of the projection.
    fn new_name(&self, projection: Projection) -> Result<String>;

    /// Makes the index, empty and without refreshes and replicas, unless it is there.
    async fn create(&self, projection: Projection, index: &str, log_identity: &str) -> Result<()>;

    /// Opens these indexes, one for each projection, for writing.
    async fn target(&self, indexes: BTreeMap<Projection, String>) -> Result<()>;

    /// Gives up the indexes that [`Self::target`] opened, so that another process can write them.
    async fn release(&self);

    /// Restores the settings for service, waits for the primaries and a while for replicas.
    async fn settle(&self, projection: Projection, index: &str) -> Result<()>;

    /// How many documents the index holds, after a refresh.
    async fn count(&self, index: &str) -> Result<u64>;

    /// Moves aliases in one step, if each stands for its `from` alone.
    ///
    /// # Errors
    /// When another process moved one; then none is moved.
    async fn swap(&self, moves: &[Move]) -> Result<()>;

    /// The index behind the alias of `projection`, beside the mapping that is wanted; `None` when there is
    /// none.
    async fn describe(&self, projection: Projection) -> Result<Option<Description>>;

    /// The hash of the mapping that `index` was built with, as it says; `None` when it says nothing.
    async fn hash_of(&self, index: &str) -> Result<Option<String>>;

    /// Where the documents that `index` was built with have another shape than those that are wanted of `projection`: parts
    /// of the model, or `shape`. Empty when they have the same, and when the index says nothing of itself.
    async fn other_shape(&self, projection: Projection, index: &str) -> Result<Vec<String>>;

    /// As [`Aliases::put_additions`], for the index behind the alias of `projection`; true when its documents have to
    /// be sent again, which its writer is asked for.
    async fn put_in_place(&self, projection: Projection) -> Result<bool>;

    /// Every index made for the alias of `projection`, by name, which is by age.
    async fn generations(&self, projection: Projection) -> Result<Vec<GenerationSummary>>;

    /// Deletes an index with the aliases that stand for it; one that is gone already is no error.
    async fn delete(&self, index: &str) -> Result<()>;
}

/// Forgets a rollback whose index was opened with another mapping's file than the one that was rolled back. The file
/// changed since then, so that a later change counts again.
pub(crate) async fn forget_rollback(
    sink: &dyn Aliases,
    projection: Projection,
    index: &str,
    hash: &str,
    found: Option<(Rebuild, Revision)>,
) -> Result<()> {
    let is_over = |record: &Rebuild| {
        record.is_rollback_to(index) && !record.keeps(index, hash) && !record.is_under_way()
    };
    let Some((record, revision)) = found.filter(|(record, _)| is_over(record)) else { return Ok(()) };
    let record = Rebuild { rolled_back_from: None, ..record };
    // A record changes meanwhile only when a rebuild begins, which forgets the rollback as well.
    sink.note_rebuild(projection, Some(&record), Some(&revision)).await.map(|_| ())
}

/// Notes in a projection's record that documents are to be sent again, or that they were; a rollback is forgotten with it.
pub(crate) async fn note_sending(
    sink: &dyn Aliases,
    projection: Projection,
    index: &str,
    is_due: bool,
) -> Result<()> {
    let found = sink.rebuild_of(projection).await?;
    let record = found.as_ref().map(|(record, _)| record.clone());
    if !is_due && record.as_ref().is_none_or(|record| !record.sends_again) {
        return Ok(());
    }
    let record = record.unwrap_or_else(|| Rebuild::of_index(index));
    let rolled_back_from = record.rolled_back_from.clone().filter(|_| !is_due);
    let record = Rebuild { sends_again: is_due, rolled_back_from, ..record };
    let revision = found.map(|(_, revision)| revision);
    if sink.note_rebuild(projection, Some(&record), revision.as_ref()).await? || !is_due {
        return Ok(());
    }
    Err(Error::failure(format!(
        "a reindex of {index} was begun meanwhile; wait for its end, then run the command again"
    )))
}

/// The reason for a use of an index before it was opened.
pub(crate) const UNOPENED: &str = "an index was used before it was opened; this is a bug, report it";

/// The error for a projection that a sink was not made for.
pub(crate) fn projection_error(projection: Projection) -> Error {
    Error::failure(format!(
        "there is no index of the projection {}; this is a bug, report it",
        projection.name()
    ))
}

/// The error for an alias that stands for no index any more.
pub(crate) fn nothing_behind(alias: &str) -> Error {
    Error::failure(format!("there is no index behind the alias {alias}; `tributary run` makes and fills it"))
}

/// Whether `index` is named as an index of `alias` is.
pub(crate) fn is_generation(alias: &str, index: &str) -> bool {
    let Some((time, hash)) = index
        .strip_prefix(alias)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.split_once('-'))
    else {
        return false;
    };
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    time.len() == 14
        && time.bytes().all(|byte| byte.is_ascii_digit())
        && hash.len() == 8
        && hash.bytes().all(hexadecimal)
}

/// The sentence for a swap that is refused.
pub(crate) fn move_error(alias: &str, alias_move: &Move, behind: &str) -> Error {
    Error::failure(format!(
        "the alias {alias} no longer stands for {} but for {}. Another program moved it, so the alias stays there; {} stays as it is. \
         Move the alias back and run the command again, or give up with `tributary reindex --abort`",
        alias_move.from.as_deref().unwrap_or("nothing"),
        if behind.is_empty() { "nothing" } else { behind },
        alias_move.to
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_documented_form_are_generations() {
        assert!(is_generation("a-organisations", "a-organisations-20260102030405-0123abcd"));
        for other in
            ["a-organisations", "a-organisations-2-0123abcd", "organisations-20260102030405-0123abcd"]
        {
            assert!(!is_generation("a-organisations", other), "{other}");
        }
        assert!(!is_generation("a", "a-b-20260102030405-0123abcd"), "another alias's");
    }
}
