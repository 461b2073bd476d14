//! Who writes the index: one instance of a group, the others stand by.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use crate::error::Result;
use crate::position::Positions;

/// The position that a writer publishes to its group: everything below the low watermark is in the indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveredPosition {
    /// The next position of each partition.
    pub low_watermark: Positions,
    /// The concrete index of each projection, by its name; empty when it was not said.
    pub indexes: BTreeMap<String, String>,
    /// The generation of the log that the low watermark speaks of ([`EventSource::generation`](super::EventSource::generation));
    /// empty when it is not known.
    pub log: String,
}

/// The port to an election.
pub trait Leadership: Send + Sync {
    /// Takes part from now on: the indexes are open, and this instance may become the writer.
    fn join(&self) {}
    /// True while this instance is the writer.
    fn writer(&self) -> watch::Receiver<bool>;
    /// Publishes the delivered position to the group; false when that did not come to pass, or is not known to have.
    fn commit(&self, delivered: &DeliveredPosition) -> bool;
    /// The position that the group's writer published; empty when it published none.
    fn writer_position(&self) -> Result<DeliveredPosition>;
    /// Notes that this instance has folded the log to its end. Only from then on does it take the writing in a group
    /// that has other members.
    fn note_caught_up(&self) {}
    /// Leaves the group, so that another takes over at once.
    fn close(&self);
}

/// The writer where there can't be another.
#[derive(Debug)]
pub struct SingleInstance(watch::Sender<bool>);

impl Default for SingleInstance {
    fn default() -> Self {
        Self(watch::Sender::new(true))
    }
}

impl Leadership for SingleInstance {
    fn writer(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
    fn commit(&self, _: &DeliveredPosition) -> bool {
        true
    }
    fn writer_position(&self) -> Result<DeliveredPosition> {
        Ok(DeliveredPosition::default())
    }
    fn close(&self) {}
}

/// Under this name the metadata of a position says which generation of the log it is of. No projection has it.
const LOG: &str = "_log";

/// The metadata of published positions: the concrete index of each projection, and the log's generation.
#[expect(clippy::expect_used, reason = "a map of texts can always be written as JSON")]
pub(super) fn metadata_of(delivered: &DeliveredPosition) -> String {
    let mut said = delivered.indexes.clone();
    if !delivered.log.is_empty() {
        said.insert(LOG.to_owned(), delivered.log.clone());
    }
    serde_json::to_string(&said).expect("a map of texts as JSON")
}

/// The publication that positions with these metadata make: the indexes when all name the same. Positions of several
/// generations of the log say nothing.
pub(super) fn position_from_metadata(
    low_watermark: Positions,
    metadata: &BTreeSet<String>,
) -> DeliveredPosition {
    let said: Vec<BTreeMap<String, String>> =
        metadata.iter().map(|word| serde_json::from_str(word).unwrap_or_default()).collect();
    let logs: BTreeSet<String> = said.iter().map(|said| said.get(LOG).cloned().unwrap_or_default()).collect();
    if logs.len() > 1 {
        return DeliveredPosition::default();
    }
    let mut indexes =
        if said.len() == 1 { said.into_iter().next().unwrap_or_default() } else { BTreeMap::new() };
    indexes.remove(LOG);
    DeliveredPosition { low_watermark, indexes, log: logs.into_iter().next().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::TopicPartition;

    #[test]
    fn positions_name_the_indexes_and_the_log_that_they_speak_of() {
        let said = DeliveredPosition {
            indexes: [("contacts".to_owned(), "contacts-1".to_owned())].into(),
            log: "7".to_owned(),
            ..DeliveredPosition::default()
        };
        let low_watermark: Positions = [(TopicPartition::new("contacts", 0), 3)].into_iter().collect();
        let read = |metadata: &[String]| {
            position_from_metadata(low_watermark.clone(), &metadata.iter().cloned().collect())
        };
        let metadata = metadata_of(&said);
        assert_eq!(
            read(std::slice::from_ref(&metadata)),
            DeliveredPosition { low_watermark: low_watermark.clone(), ..said.clone() }
        );
        let other = metadata_of(&DeliveredPosition { log: "8".to_owned(), ..said.clone() });
        assert_eq!(
            read(&[metadata.clone(), other]),
            DeliveredPosition::default(),
            "topics of two generations"
        );
        let elsewhere = metadata_of(&DeliveredPosition { indexes: BTreeMap::new(), ..said });
        let differing = read(&[metadata, elsewhere]);
        assert_eq!((differing.indexes.len(), differing.log.as_str()), (0, "7"));
        assert_eq!(
            read(&[String::new()]),
            DeliveredPosition { low_watermark: low_watermark.clone(), ..DeliveredPosition::default() }
        );
    }
}
