//! Whether the log is still the one that was read: by the topics' ids, and by the records that were read last.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::super::notices::Notices;
use super::{KafkaSource, WAIT, assignment_error, create, partition_error, settings};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Record;
use crate::position::TopicPartition;
use crate::source::Fingerprint;

/// How long the records that were read last are waited for together.
const TOGETHER_WAIT: Duration = Duration::from_secs(1);

/// How long the ids of topics are waited for: brokers that know none do not tell so.
const IDS_WAIT: Duration = Duration::from_secs(1);
const IDS_PAUSE: Duration = Duration::from_millis(10);

impl KafkaSource {
    /// Refuses to go on in a topic that was deleted and created again.
    pub(super) fn check_ids(&self) -> Result<()> {
        let reason = self.consumer.as_ref().and_then(|consumer| consumer.context().recreation());
        reason.map_or(Ok(()), |reason| Err(Error::failure(reason)))
    }

    /// Waits a moment until the brokers have told the topics' ids: the client tells of them once it knows the topics.
    pub(super) fn learn_ids(&self) -> Result<()> {
        let consumer = self.consumer()?;
        super::partitions(consumer, &self.topics)?;
        let until = Instant::now() + IDS_WAIT;
        let is_known = || self.topics.iter().all(|(topic, _)| consumer.context().knows_id(topic));
        while !is_known() && Instant::now() < until {
            if let Some(Err(error)) = consumer.poll(IDS_PAUSE) {
                self.judge(&error)?;
            }
        }
        Ok(())
    }

    /// Remembers the last record of each partition whose topic has no known id.
    pub(super) fn remember(&mut self, records: &[Record]) {
        let Some(consumer) = &self.consumer else { return };
        let mut last: BTreeMap<&TopicPartition, &Record> = BTreeMap::new();
        if records.is_empty() || self.topics.iter().all(|(topic, _)| consumer.context().knows_id(topic)) {
            return;
        }
        last.extend(records.iter().map(|record| (&record.partition, record)));
        for (at, record) in last {
            let print = Fingerprint::of(record);
            // The next look compares the first one: a later one may be of another topic already.
            self.baseline.entry(at.clone()).or_insert_with(|| print.clone());
            self.last.insert(at.clone(), print);
        }
    }

    /// Compares a record that was read earlier with the one that lies there now, for each partition whose topic has no
    /// known id. Such a change is found within seconds, and not before the first record of the new topic.
    pub(super) fn verify(&mut self) -> Result<()> {
        let Some(consumer) = &self.consumer else { return Ok(()) };
        let unknown = |at: &TopicPartition| !consumer.context().knows_id(&at.topic);
        let mut prints = Vec::new();
        for (at, print) in self.baseline.iter().filter(|(at, _)| unknown(at)) {
            // A broker that does not say is asked at the next look.
            let Ok((low, high)) = self.watermarks(at) else { return Ok(()) };
            if print.offset >= high {
                return Err(another_log(at, print.offset));
            }
            prints.extend((print.offset >= low).then_some((at, print)));
        }
        if prints.is_empty() {
            self.baseline.append(&mut self.last);
            return Ok(());
        }
        let comparer = match self.comparer.take() {
            Some(comparer) => comparer,
            None => create(settings(&self.config, prints.len()).set("group.id", &self.config.group))?,
        };
        let checked = self.check_fingerprints(&comparer, prints);
        let unassigned = comparer.unassign();
        self.comparer = Some(comparer);
        match checked {
            Err(error) if error.kind() == ErrorKind::Unavailable => return Ok(()),
            checked => checked?,
        }
        unassigned.map_err(super::assignment_error)?;
        self.baseline.append(&mut self.last);
        Ok(())
    }

    /// Compares the records that were read last with those that lie there now, all at once. One that does not come so
    /// is compared by itself.
    pub(super) fn check_fingerprints(
        &self,
        consumer: &BaseConsumer<Notices>,
        prints: Vec<(&TopicPartition, &Fingerprint)>,
    ) -> Result<()> {
        let mut remainder: BTreeMap<_, _> = prints.into_iter().collect();
        let mut list = TopicPartitionList::new();
        for (at, print) in &remainder {
            list.add_partition_offset(&at.topic, at.partition, Offset::Offset(print.offset))
                .map_err(|error| partition_error(at, error))?;
        }
        if !remainder.is_empty() {
            consumer.assign(&list).map_err(assignment_error)?;
        }
        let until = Instant::now() + TOGETHER_WAIT;
        while !remainder.is_empty() && Instant::now() < until {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let Some(record) = self.record(&message) else { continue };
                    if let Some(print) = remainder.remove(&record.partition)
                        && !is_record(print, &record)
                    {
                        return Err(another_log(&record.partition, print.offset));
                    }
                }
                // The end of some partition of this number; which one, it does not say.
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => self.judge(&error)?,
            }
        }
        remainder.into_iter().try_for_each(|(at, print)| self.check_fingerprint(consumer, at, print))
    }

    fn check_fingerprint(
        &self,
        consumer: &BaseConsumer<Notices>,
        at: &TopicPartition,
        print: &Fingerprint,
    ) -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&at.topic, at.partition, Offset::Offset(print.offset))
            .and_then(|()| consumer.assign(&list))
            .map_err(|error| partition_error(at, error))?;
        let until = Instant::now() + WAIT;
        while Instant::now() < until {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message))
                    if self.record(&message).is_some_and(|record| is_record(print, &record)) =>
                {
                    return Ok(());
                }
                Some(Ok(_)) => return Err(another_log(at, print.offset)),
                // Compaction took the record away, and nothing came after it.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => self.judge(&error)?,
                None => {}
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("{at}: the record at offset {} did not come", print.offset),
        ))
    }
}

/// Whether a record is the one of the fingerprint, or one that came after it where compaction took it away.
fn is_record(print: &Fingerprint, record: &Record) -> bool {
    record.offset > print.offset || record.offset == print.offset && print.is_of(record)
}

fn another_log(at: &TopicPartition, offset: i64) -> Error {
    Error::failure(format!(
        "{at}: the record at offset {offset} is not the one that the state read there. The topic was recreated or it \
         is another log: delete the state's folder and start again to replay"
    ))
}
