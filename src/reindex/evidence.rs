//! The evidence that a filled index equals the state.
//!
//! It is gathered while nothing else writes either of them, so that every difference is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::carrier::find_surplus;
use crate::error::Result;
use crate::pipeline::work::blocking;
use crate::projection::{Limits, Projection, display_key};
use crate::sink::documents::{Documents, at_least_one};
use crate::sink::generations::Generations;
use crate::state::State;
use crate::verify::comparison::difference;
use crate::verify::walk::{Sampling, Walk};

/// About how many documents of each index are compared.
const SAMPLE: u64 = 1_000;
/// How many are made and fetched together, and how many bytes of them; large ones come in further answers.
const PAGE: usize = 1_000;
const PAGE_BYTES: usize = 8 << 20;
/// How many are made of one snapshot: large ones are not many.
const IDS_MAX: usize = 5;
/// How many ids are told.
const NAMED_MAX: usize = 10;

/// The evidence of one index.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Evidence {
    /// The concrete index.
    pub index: String,
    /// The documents that the state calls for.
    pub expected: u64,
    /// Those that the index holds.
    pub stored: u64,
    /// Documents of entities that a partial log holds no record of, as they were in the index before.
    pub carried: u64,
    /// Those of them that the state calls for no document of.
    pub unexpected: u64,
    /// How many were compared.
    pub compared: u64,
    /// How many of those the index does not hold.
    pub missing: u64,
    /// Some of those that it holds otherwise.
    pub differing: Vec<String>,
}

impl Evidence {
    /// The failures. `rejected` documents may be missing.
    pub(super) fn find_failure(&self, rejected: u64) -> Option<String> {
        let advice = "the alias is left where it is. Look for another program that writes there, then run the same \
                      command again, or give it up with `tributary reindex --abort`";
        let total = self.expected + self.unexpected;
        let lacking = total.saturating_sub(self.stored);
        if self.stored > total || lacking > rejected || self.missing > rejected {
            return Some(format!(
                "{} holds {} documents where the state calls for {}; {advice}",
                self.index, self.stored, total
            ));
        }
        let first = self.differing.first()?;
        Some(format!(
            "{}: of {} compared documents some are not what the state calls for ({}, first {first}); {advice}",
            self.index,
            self.compared,
            self.differing.len()
        ))
    }
}

/// Counts both sides of each index and compares a sample, all indexes at once.
pub(super) async fn gather(
    sink: &dyn Generations,
    state: &Arc<State>,
    indexes: &BTreeMap<Projection, String>,
    limits: Limits,
) -> Result<BTreeMap<Projection, Evidence>> {
    let gathered = indexes.iter().map(|(projection, index)| async move {
        let projection = *projection;
        let sample = SampleWalk::of(Arc::clone(state), projection, limits);
        // The index makes everything searchable meanwhile.
        let (stored, (mut sample, mut made)) = tokio::try_join!(sink.count(index), sample.next())?;
        let mut evidence = Evidence { index: index.clone(), stored, ..Evidence::default() };
        while !made.is_empty() {
            compare(sink, projection, made, &mut evidence).await?;
            (sample, made) = sample.next().await?;
        }
        evidence.expected = sample.walk.count();
        if sample.state.is_partial() {
            evidence.unexpected = count_unexpected(sink, &sample.state, projection).await?;
        }
        Ok((projection, evidence))
    });
    Ok(try_join_all(gathered).await?.into_iter().collect())
}

/// How many documents the index holds that a partial log is silent on, and the state calls for none of.
async fn count_unexpected(sink: &dyn Documents, state: &Arc<State>, projection: Projection) -> Result<u64> {
    let (mut count, mut cursor) = (0, None);
    loop {
        let page = sink.ids(projection, cursor).await?;
        let state = Arc::clone(state);
        count += blocking(move || find_surplus(&state, projection, page.ids)).await?.len() as u64;
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(count);
        }
    }
}

/// Documents with their ids. A document without a record in a partial log has the content that the index held before.
type SampleDocuments = Vec<(String, Option<Vec<u8>>)>;

/// Some of the documents that a state calls for, and the number of all, by one walk.
struct SampleWalk {
    state: Arc<State>,
    projection: Projection,
    limits: Limits,
    walk: Walk,
}

impl SampleWalk {
    fn of(state: Arc<State>, projection: Projection, limits: Limits) -> Self {
        let every = Sampling::of(state.count_about(projection), SAMPLE, fastrand::u64(..));
        Self { state, projection, limits, walk: Walk::new(projection, every) }
    }

    /// The next documents, as the state makes them; none once all are passed.
    async fn next(mut self) -> Result<(Self, SampleDocuments)> {
        blocking(move || {
            let made = self.make()?;
            Ok((self, made))
        })
        .await
    }

    fn make(&mut self) -> Result<SampleDocuments> {
        let (mut made, mut bytes) = (Vec::new(), 0);
        while made.len() < PAGE && bytes < PAGE_BYTES {
            let snapshot = self.state.snapshot()?;
            let ids = self.walk.next(&snapshot, IDS_MAX)?;
            if ids.is_empty() {
                break;
            }
            for id in ids {
                let mut body = Vec::new();
                self.projection.materialise(&snapshot, &id, self.limits, 0, &mut body)?;
                bytes += body.len();
                let is_silent = self.state.is_partial() && !snapshot.is_recorded(self.projection, &id)?;
                made.push((id, (!is_silent).then_some(body)));
            }
        }
        Ok(made)
    }
}

async fn compare(
    sink: &dyn Documents,
    projection: Projection,
    mut made: SampleDocuments,
    evidence: &mut Evidence,
) -> Result<()> {
    while !made.is_empty() {
        let ids: Vec<String> = made.iter().map(|(id, _)| id.clone()).collect();
        let documents = at_least_one(sink.get(projection, &ids).await?)?;
        let rest = made.split_off(documents.len().min(made.len()));
        for ((id, body), document) in std::mem::replace(&mut made, rest).into_iter().zip(documents) {
            evidence.compared += 1;
            match document {
                None => evidence.missing += 1,
                Some(document) => match body.and_then(|body| difference(&body, &document.body)) {
                    Some(_) if evidence.differing.len() < NAMED_MAX => {
                        evidence.differing.push(display_key(&id))
                    }
                    _ => {}
                },
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanting_is_told_and_rejected_documents_may_be_missing() {
        let whole = Evidence { expected: 10, stored: 10, compared: 5, ..Evidence::default() };
        assert_eq!(whole.find_failure(0), None);
        let fewer = Evidence { stored: 9, missing: 1, ..whole.clone() };
        assert!(fewer.find_failure(0).unwrap().contains("holds 9 documents where the state calls for 10"));
        assert_eq!(fewer.find_failure(1), None);
        assert_eq!(Evidence { stored: 12, unexpected: 2, ..whole.clone() }.find_failure(0), None);
        assert!(
            Evidence { unexpected: 2, ..whole.clone() }.find_failure(0).is_some(),
            "what was carried is gone"
        );
        assert!(
            Evidence { stored: 11, ..whole.clone() }.find_failure(3).is_some(),
            "more than are called for"
        );
        let other = Evidence { differing: vec!["o1".to_owned()], ..whole };
        assert!(other.find_failure(5).unwrap().contains("first o1"));
    }
}
