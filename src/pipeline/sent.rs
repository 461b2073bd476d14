//! The writes of a request that was answered, and the documents that the index is asked for before they are judged.

use super::deliver::Delivery;
use super::fold::DocumentKey;
use super::versions::{is_made_of_record, is_of_record};
use crate::sink::Outcome;
use crate::sink::documents::{Stored, at_least_one};
use crate::state::State;

/// A write that was sent.
pub(super) struct Sent {
    pub(super) document: DocumentKey,
    pub(super) version: u64,
    /// Of a document of which a partial log holds no record: the turn of the claims that its version was made with.
    pub(super) claim: Option<u64>,
    pub(super) outcome: Outcome,
    /// True when it gives way to the document in the index.
    pub(super) is_kept: bool,
    /// True when it is in conflict with a document of an earlier log.
    pub(super) is_earlier: bool,
}

impl Sent {
    /// The writes with their answers and claims; without a partial log there are no claims.
    pub(super) fn of(
        documents: Vec<DocumentKey>,
        versions: &[u64],
        claims: Vec<Option<u64>>,
        outcomes: Vec<Outcome>,
    ) -> Vec<Self> {
        let unanswered = std::iter::repeat_with(|| Outcome::Retry("no answer".to_owned()));
        let outcomes = outcomes.into_iter().chain(unanswered);
        let claims = claims.into_iter().chain(std::iter::repeat(None));
        let writes = documents.into_iter().zip(versions).zip(claims).zip(outcomes);
        let write = |(((document, version), claim), outcome): (((_, &u64), _), _)| Self {
            document,
            version: *version,
            claim,
            outcome,
            is_kept: false,
            is_earlier: false,
        };
        writes.map(write).collect()
    }
}

/// The log position by which the versions in the index are judged; `None` where no write is in conflict with one. Where the
/// state does not tell it, those in conflict are to be tried again.
pub(super) fn position_for(state: &State, writes: &mut [Sent]) -> Option<u64> {
    let is_in_conflict = |write: &&mut Sent| matches!(write.outcome, Outcome::Conflict { stored: Some(_) });
    let mut in_conflict = writes.iter_mut().filter(is_in_conflict).peekable();
    in_conflict.peek()?;
    match state.progress() {
        Ok(progress) => Some(progress.version()),
        Err(error) => {
            let reason = error.chain();
            in_conflict.for_each(|write| write.outcome = Outcome::Retry(reason.clone()));
            None
        }
    }
}

impl Delivery {
    /// Finds out which writes give way. A document of which a partial log holds no record gives way to one that a record made. It
    /// does not to another one of references, nor to the version that a deleted one left behind: it is claimed, and sent again.
    pub(super) async fn find_kept(&self, number: usize, position: u64, writes: &mut [Sent]) {
        let is_asked = |write: &Sent, stored: u64| write.claim.is_some() && is_of_record(stored, position);
        self.look_up(number, writes, is_asked, |write, stored, document| {
            write.is_kept = document.is_some_and(|document| is_made_of_record(document, position));
            if let (false, Some(turn)) = (write.is_kept, write.claim) {
                let stored = document.map_or(stored, |document| document.version);
                self.bases().claim(write.document.clone(), stored, position, turn);
                write.outcome = Outcome::Conflict { stored: None };
            }
        })
        .await;
    }

    /// Asks the index for the documents that are in conflict, for those writes that `is_asked` says by the stored version.
    /// Where the index does not answer the write is to be tried again.
    pub(super) async fn look_up(
        &self,
        number: usize,
        writes: &mut [Sent],
        is_asked: impl Fn(&Sent, u64) -> bool,
        apply: impl Fn(&mut Sent, u64, Option<&Stored>),
    ) {
        let mut questions: Vec<(&mut Sent, u64)> = Vec::new();
        for write in writes {
            if let Outcome::Conflict { stored: Some(stored) } = write.outcome
                && is_asked(write, stored)
            {
                questions.push((write, stored));
            }
        }
        let ids: Vec<String> = questions.iter().map(|(write, _)| write.document.1.to_string()).collect();
        let (mut left, mut questions) = (ids.as_slice(), questions.into_iter());
        while !left.is_empty() {
            match self.sink.get(number, left).await.and_then(at_least_one) {
                Ok(documents) => {
                    for (document, (write, stored)) in documents.iter().zip(questions.by_ref()) {
                        apply(write, stored, document.as_ref());
                    }
                    left = left.get(documents.len()..).unwrap_or_default();
                }
                Err(error) => {
                    let reason = error.chain();
                    questions.by_ref().for_each(|(write, _)| write.outcome = Outcome::Retry(reason.clone()));
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{CONTACTS, builtin};
    use crate::state::keys::Space;
    use crate::state::memory::MemoryStore;
    use crate::state::store::Changes;

    #[test]
    fn a_conflict_is_tried_again_where_the_state_does_not_tell_its_position() {
        let state = State::open(Arc::new(MemoryStore::default()), builtin(), "f").unwrap();
        let position_of = |outcome: Outcome| {
            let documents = ["a", "b"].map(|id| (CONTACTS, id.into())).to_vec();
            let mut writes = Sent::of(documents, &[1, 2], Vec::new(), vec![Outcome::Done, outcome]);
            let position = position_for(&state, &mut writes);
            assert!(matches!(writes[0].outcome, Outcome::Done));
            (position, matches!(writes[1].outcome, Outcome::Retry(_)))
        };
        assert_eq!(position_of(Outcome::Conflict { stored: Some(7) }), (Some(0), false));
        let mut damage = Changes::default();
        damage.put(Space::META, b"progress".to_vec(), vec![255]);
        state.commit(damage).unwrap();
        assert_eq!(position_of(Outcome::Conflict { stored: Some(7) }), (None, true));
        assert_eq!(position_of(Outcome::Conflict { stored: None }), (None, false), "it is not asked for");
    }
}
