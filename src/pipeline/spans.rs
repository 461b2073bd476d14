//! The spans of commits and requests. Nothing is gathered while no traces are wanted.

use std::collections::BTreeMap;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanContext;

use super::fold::{DecodedRecord, DocumentKey, Step};
use super::queue::Queue;
use crate::error::Result;
use crate::position::TopicPartition;
use crate::trace::{self, LINKS_MAX};

/// Folds records by `fold`, and tells of the commit.
///
/// # Errors
/// Those of `fold`.
pub(super) fn commit(records: &[DecodedRecord], fold: impl FnOnce() -> Result<Step>) -> Result<Step> {
    let began = trace::began();
    let step = fold()?;
    if let Some(began) = began.filter(|_| step.number > 0) {
        tell_commit(began, records, &step);
    }
    Ok(step)
}

fn tell_commit(began: SystemTime, records: &[DecodedRecord], step: &Step) {
    let mut offsets: BTreeMap<&TopicPartition, (i64, i64)> = BTreeMap::new();
    for DecodedRecord { record, .. } in records {
        let range = offsets.entry(&record.partition).or_insert((record.offset, record.offset));
        *range = (range.0.min(record.offset), range.1.max(record.offset));
    }
    let offsets: Vec<String> =
        offsets.iter().take(LINKS_MAX).map(|(at, (first, last))| format!("{at}:{first}-{last}")).collect();
    trace::commit(
        began,
        step.number,
        producers(records),
        vec![
            KeyValue::new("tributary.step", number(step.number)),
            KeyValue::new("tributary.records", number(records.len())),
            KeyValue::new("tributary.offsets", offsets.join(" ")),
            KeyValue::new("tributary.documents", number(step.marked.len())),
            KeyValue::new("tributary.dead_letters", number(step.poisoned)),
        ],
    );
}

/// The spans of the producers of these records, each once.
fn producers(records: &[DecodedRecord]) -> Vec<SpanContext> {
    let mut found: Vec<SpanContext> = Vec::new();
    let headers = records.iter().flat_map(|decoded| &decoded.record.headers);
    let named = headers.filter(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
    for span in named.filter_map(|(_, value)| trace::producer(value.as_ref()?)) {
        if !found.contains(&span) {
            found.push(span);
        }
        if found.len() >= LINKS_MAX {
            break;
        }
    }
    found
}

/// A request that is sent.
pub(super) struct RequestSpan {
    began: SystemTime,
    steps: Vec<u64>,
    projection: &'static str,
    documents: usize,
    bytes: usize,
}

impl RequestSpan {
    /// `None` while no traces are wanted.
    pub(super) fn begin(queue: &Queue, documents: &[DocumentKey], bytes: usize) -> Option<Self> {
        let began = trace::began()?;
        let (projection, _) = documents.first()?;
        let steps = queue.steps_of(documents, LINKS_MAX);
        Some(Self { began, steps, projection: projection.name(), documents: documents.len(), bytes })
    }

    /// Tells of the request and its answer.
    pub(super) fn end(self, undelivered: usize, rejected: usize) {
        let failed = (undelivered + rejected > 0).then(|| {
            format!("{undelivered} documents are sent again, and {rejected} went to the dead letters")
        });
        trace::request(
            self.began,
            &self.steps,
            failed,
            vec![
                KeyValue::new("tributary.projection", self.projection),
                KeyValue::new("tributary.documents", number(self.documents)),
                KeyValue::new("tributary.bytes", number(self.bytes)),
            ],
        );
    }
}

fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
