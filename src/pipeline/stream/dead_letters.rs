//! Dead letters that are tried again.

use std::time::Duration;

use super::{Stream, record_name};
use crate::dead_letter::DeadLetter;
use crate::decoder::RecordReadiness;
use crate::error::Result;
use crate::event::{DecodeOutcome, Record};
use crate::pipeline::dead_letter_outcomes::RetryOutcome;
use crate::pipeline::fold::DecodedRecord;
use crate::pipeline::queue::Priority;

/// Why the truncation of a table stays in the dead letters, where an earlier version put it.
const TRUNCATION: &str = "a truncation cannot be retried, because it would delete what came after it as well; delete the \
     state's folder and start again to replay";
/// How long the retry of a dead letter waits for the schema registry.
const SCHEMA_WAIT: Duration = Duration::from_secs(2);

impl Stream {
    /// Tries dead letters again: records are folded by their own versions, documents marked.
    pub(super) fn retry(&mut self, names: Option<&[String]>) -> Result<RetryOutcome> {
        let mut retried = RetryOutcome::default();
        self.decoder.forget_unknown_schemas();
        let letters = self.state_writer.dead_letters().list()?;
        let is_named = |letter: &&DeadLetter| names.is_none_or(|names| names.contains(&letter.name()));
        let mut records = Vec::new();
        let mut documents = Vec::new();
        let mut resolved = Vec::new();
        for letter in letters.iter().filter(is_named) {
            match letter.document_key() {
                Some((projection, id)) => {
                    resolved.push(letter.name());
                    let projection = self.state_writer.plan().projection(projection);
                    documents.extend(projection.map(|projection| (projection, id)));
                }
                None => match letter.to_record(&self.kinds) {
                    Ok(record) => records.push(self.decode(record)),
                    Err(error) => retried.failed.push((letter.name(), error.chain())),
                },
            }
        }
        for input in &records {
            if let DecodeOutcome::Poison(reason) = &input.decoded {
                retried.failed.push((record_name(&input.record), reason.clone()));
            }
        }
        if let Some(names) = names {
            let known: Vec<String> = letters.iter().map(DeadLetter::name).collect();
            retried.unknown = names.iter().filter(|name| !known.contains(name)).cloned().collect();
        }
        records.retain(|input| !matches!(input.decoded, DecodeOutcome::Poison(_)));
        if !records.is_empty() {
            let (step, poison) = self.state_writer.fold_retried(&records)?;
            let still =
                |input: &&DecodedRecord| !poison.iter().any(|(name, _)| *name == record_name(&input.record));
            resolved.extend(records.iter().filter(still).map(|input| record_name(&input.record)));
            retried.failed.extend(poison);
            self.publish(step, Priority::Direct)?;
        }
        if !documents.is_empty() {
            let step = self.state_writer.mark(documents)?;
            self.publish(step, Priority::Direct)?;
        }
        retried.done = resolved.len();
        self.state_writer.sync()?;
        self.state_writer.dead_letters().resolve(&resolved)?;
        Ok(retried)
    }

    fn decode(&self, record: Record) -> DecodedRecord {
        let decoded = match self.decoder.readiness(&record, SCHEMA_WAIT) {
            RecordReadiness::Ready => match self.decoder.decode(&record) {
                DecodeOutcome::Truncation(_) => DecodeOutcome::Poison(TRUNCATION.to_owned()),
                decoded => decoded,
            },
            RecordReadiness::Waiting(Some(why)) => DecodeOutcome::Poison(why.to_string()),
            RecordReadiness::Waiting(None) => DecodeOutcome::Poison(
                "the schema registry has not answered yet; retry the dead letter".to_owned(),
            ),
        };
        DecodedRecord { record, decoded }
    }
}
