//! The ids of topics (KIP-516, <https://cwiki.apache.org/confluence/display/KAFKA/KIP-516%3A+Topic+Identifiers>).
//!
//! librdkafka reads records by the topic's id, and takes the new id over when a topic was deleted and created again.
//! The change is told in its debug log only (`rd_kafka_topic_metadata_update`). The line lies in the consumer's queue
//! before any record of the new topic. The reason is that the id is taken over after the line, and requests are made
//! with the id. A client that tells no id, because the brokers know none or the line reads otherwise, has its
//! fingerprints compared instead (`reader/log_identity.rs`).

use std::collections::BTreeMap;

/// The contexts of librdkafka's debug log that hold the line.
pub(super) const DEBUG: &str = "metadata";
/// An id of zeros is none: the brokers do not know ids, or the answer does not hold them.
const NONE: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The first id that each topic had, and the first change.
#[derive(Debug, Default)]
pub(super) struct TopicIds {
    first: BTreeMap<String, String>,
    changed: Option<(String, String)>,
}

impl TopicIds {
    /// Takes note of a line of the debug log.
    pub(super) fn note(&mut self, line: &str) {
        let Some((topic, id)) = parse(line).filter(|(_, id)| *id != NONE) else { return };
        match self.first.get(topic) {
            None => drop(self.first.insert(topic.to_owned(), id.to_owned())),
            Some(first) if first != id => {
                self.changed.get_or_insert_with(|| (topic.to_owned(), id.to_owned()));
            }
            Some(_) => {}
        }
    }

    /// The ids of these topics, as far as they are known.
    pub(super) fn ids_of<'a>(&self, topics: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
        topics.filter_map(|topic| Some((topic.to_owned(), self.first.get(topic)?.clone()))).collect()
    }

    /// True when the topic's id is known.
    pub(super) fn is_known(&self, topic: &str) -> bool {
        self.first.contains_key(topic)
    }

    /// The generation that the ids of these topics make; `None` until all are known.
    pub(super) fn generation<'a>(&self, topics: impl Iterator<Item = &'a str>) -> Option<String> {
        let ids =
            topics.map(|topic| self.first.get(topic).map(String::as_str)).collect::<Option<Vec<_>>>()?;
        Some(format!("{:016x}", xxhash_rust::xxh3::xxh3_64(ids.join(",").as_bytes())))
    }

    /// The sentence about the first topic whose id changed.
    pub(super) fn recreation(&self) -> Option<String> {
        let (topic, now) = self.changed.as_ref()?;
        let first = self.first.get(topic)?;
        Some(format!(
            "{topic}: the topic was recreated while it was read (its id was {first} and is {now}); no record of the \
             new topic was folded. Delete the state's folder and start again to replay"
        ))
    }
}

/// The topic and its new id in a line of this form:
/// `[thrd:main]: Topic products changed id from AAAAAAAAAAAAAAAAAAAAAA to jfrRtDeSRR2W2vl7YlHGdA`.
fn parse(line: &str) -> Option<(&str, &str)> {
    let (before, after) = line.split_once(" changed id from ")?;
    let (_, topic) = before.rsplit_once("Topic ")?;
    let (_, id) = after.split_once(" to ")?;
    Some((topic, id.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_id_of_a_topic_is_told_and_a_missing_one_is_not() {
        let mut ids = TopicIds::default();
        let mut note = |topic: &str, from: &str, to: &str| {
            ids.note(&format!("[thrd:main]: Topic {topic} changed id from {from} to {to}"));
            ids.recreation()
        };
        assert_eq!(note("a", NONE, "first"), None);
        assert_eq!(note("b", NONE, "other"), None);
        assert_eq!(note("a", "first", NONE), None);
        assert_eq!(note("a", NONE, "first"), None);
        let reason = note("a", "first", "second").unwrap();
        assert!(
            reason.starts_with("a: ") && reason.contains("first") && reason.contains("second"),
            "{reason}"
        );
        ids.note("[thrd:main]: Topic c [0] Leader 1 Epoch 0");
        assert!(ids.is_known("b") && !ids.is_known("c"));
        let generation = |topics: &[&str]| ids.generation(topics.iter().copied());
        assert!(generation(&["a", "b"]).is_some() && generation(&["a", "b"]) != generation(&["a"]));
        assert_eq!(generation(&["a", "c"]), None);
    }
}
