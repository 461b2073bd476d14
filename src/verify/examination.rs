//! A look at some documents: a snapshot first, then the index.

use std::sync::Arc;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_128;

use super::pending_work::PendingWork;
use super::silence_check::explains;
use super::verdict::{ExpectedDocument, Observation, Verdict, judge, observe};
use super::walk::explain_surplus;
use super::{Kind, Verifier};
use crate::entity::Liveness;
use crate::error::{ErrorKind, Result};
use crate::pipeline::versions::is_made_of_record;
use crate::pipeline::work::blocking;
use crate::projection::{Limits, Projection, own_entity};
use crate::sink::documents::{StoredDocument, at_least_one};
use crate::state::keys::Space;
use crate::state::{Snapshot, State, rows};

/// Documents of one snapshot are made until they are so large.
const BYTES_MAX: usize = 4 << 20;
/// An index that does not answer is asked again for so long.
const AWAY_MAX: Duration = Duration::from_secs(60);
const AWAY_PAUSE: Duration = Duration::from_millis(500);

/// A document to be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) id: String,
    /// The observation of the last look.
    pub(super) before: Option<Observation>,
    /// It differed, and was marked to be repaired.
    pub(super) in_repair: bool,
}

/// The expected documents of the first `candidates`, as many as fit.
fn expect(
    state: &State,
    projection: Projection,
    limits: Limits,
    candidates: &[Candidate],
) -> Result<Vec<ExpectedDocument>> {
    let snapshot = state.snapshot()?;
    let pending = PendingWork::of(&snapshot)?;
    let mut expected = Vec::with_capacity(candidates.len());
    let mut bytes = 0;
    for Candidate { id, .. } in candidates {
        let mut body = Vec::new();
        let exists = projection.materialise(&snapshot, id, limits, 0, &mut body)?;
        bytes += body.len();
        let waits = pending.touches(&snapshot, projection, id)?;
        let standing = standing(&snapshot, projection, id, &body)?;
        let is_silent = state.is_partial() && !snapshot.is_recorded(projection, id)?;
        let silent_at = is_silent.then(|| snapshot.progress().version());
        expected.push(ExpectedDocument { body: exists.then_some(body), waits, silent_at, standing });
        if bytes >= BYTES_MAX {
            break;
        }
    }
    Ok(expected)
}

/// The basis of a document: its entity's row, which every deletion changes for good, or the references to it.
fn standing(snapshot: &Snapshot, projection: Projection, id: &str, body: &[u8]) -> Result<u128> {
    let (of, id) = own_entity(projection, id);
    let row = snapshot.view().get(Space::of_type(of), id.as_bytes())?;
    Ok(match row {
        Some(row) if rows::liveness(&row)? == Liveness::Alive => xxh3_128(&row),
        _ => xxh3_128(body),
    })
}

impl Verifier {
    /// Looks at each candidate once.
    pub(super) async fn examine(
        &self,
        projection: Projection,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<(Candidate, Verdict)>> {
        let mut judged = Vec::with_capacity(candidates.len());
        let mut waiting: Arc<[Candidate]> = candidates.into();
        while !waiting.is_empty() {
            let (state, limits, some) = (Arc::clone(&self.state), self.limits, Arc::clone(&waiting));
            let expected = blocking(move || expect(&state, projection, limits, &some)).await?;
            let (now, later) = waiting.split_at(expected.len().min(waiting.len()));
            let mut left = expected.into_iter().zip(now.iter().cloned()).collect::<Vec<_>>();
            while !left.is_empty() {
                let ids: Vec<String> = left.iter().map(|(_, candidate)| candidate.id.clone()).collect();
                let documents = self.get_documents(projection, &ids).await?;
                let rest = left.split_off(documents.len().min(left.len()));
                let some = std::mem::replace(&mut left, rest);
                let state = Arc::clone(&self.state);
                judged.extend(blocking(move || judge_all(&state, projection, some, &documents)).await?);
            }
            waiting = later.into();
        }
        Ok(judged)
    }

    /// The documents of the index under the first of `ids`. An index that is away is waited for a while.
    async fn get_documents(
        &self,
        projection: Projection,
        ids: &[String],
    ) -> Result<Vec<Option<StoredDocument>>> {
        at_least_one(self.ask_patiently(|| self.sink.get(projection, ids)).await?)
    }

    /// Asks the index; one that is away is asked again for a while.
    pub(super) async fn ask_patiently<T, F>(&self, mut ask: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let until = Instant::now() + AWAY_MAX;
        loop {
            match ask().await {
                Err(error) if error.kind() == ErrorKind::Unavailable && Instant::now() < until => {
                    tracing::warn!(error = error.chain(), "the comparison is waiting for the index");
                }
                answered => return answered,
            }
            self.pause(AWAY_PAUSE).await?;
        }
    }

    /// Why the state calls for no document: `deleted` or `foreign`.
    pub(super) async fn why_extra(&self, projection: Projection, id: &str) -> Result<String> {
        let (state, id) = (Arc::clone(&self.state), id.to_owned());
        blocking(move || {
            Ok(explain_surplus(&state.snapshot()?, projection, &id)?.unwrap_or_default().to_owned())
        })
        .await
    }
}

fn judge_all(
    state: &State,
    projection: Projection,
    some: Vec<(ExpectedDocument, Candidate)>,
    documents: &[Option<StoredDocument>],
) -> Result<Vec<(Candidate, Verdict)>> {
    let one =
        |((expected, candidate), document): ((ExpectedDocument, Candidate), &Option<StoredDocument>)| {
            let mut verdict = judge(&expected, document.as_ref(), candidate.before);
            if let (Verdict::Differs(kind @ Kind::Stale, _), Some(document)) = (&mut verdict, document)
                && state.is_partial()
                && is_unknown(state, projection, &expected, document)?
            {
                *kind = Kind::Unknown;
            }
            Ok((Candidate { before: Some(observe(&expected, document.as_ref())), ..candidate }, verdict))
        };
    some.into_iter().zip(documents).map(one).collect()
}

/// Whether one of our instances made the document, when it knew more of entities that the log holds no record of.
fn is_unknown(
    state: &State,
    projection: Projection,
    expected: &ExpectedDocument,
    document: &StoredDocument,
) -> Result<bool> {
    let snapshot = state.snapshot()?;
    let Some(body) = &expected.body else { return Ok(false) };
    let is_ours = is_made_of_record(document, snapshot.progress().version());
    Ok(is_ours && explains(&snapshot, projection, body, &document.body)?)
}
