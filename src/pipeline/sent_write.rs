//! The writes of a request that was answered.

use super::fold::DocumentKey;
use crate::sink::Outcome;
use crate::state::State;

/// A write that was sent.
pub(super) struct SentWrite {
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

impl SentWrite {
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
pub(super) fn position_for(state: &State, writes: &mut [SentWrite]) -> Option<u64> {
    let is_in_conflict =
        |write: &&mut SentWrite| matches!(write.outcome, Outcome::Conflict { stored: Some(_) });
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{CONTACTS, builtin};
    use crate::state::keys::{PROGRESS_KEY, Space};
    use crate::state::memory::MemoryStore;
    use crate::state::store::Changes;

    #[test]
    fn a_conflict_is_tried_again_where_the_state_does_not_tell_its_position() {
        let state = State::open(Arc::new(MemoryStore::default()), builtin(), "f").unwrap();
        let position_of = |outcome: Outcome| {
            let documents = ["a", "b"].map(|id| (CONTACTS, id.into())).to_vec();
            let mut writes = SentWrite::of(documents, &[1, 2], Vec::new(), vec![Outcome::Done, outcome]);
            let position = position_for(&state, &mut writes);
            assert!(matches!(writes[0].outcome, Outcome::Done));
            (position, matches!(writes[1].outcome, Outcome::Retry(_)))
        };
        assert_eq!(position_of(Outcome::Conflict { stored: Some(7) }), (Some(0), false));
        let mut damage = Changes::default();
        damage.put(Space::META, PROGRESS_KEY.to_vec(), vec![255]);
        state.commit(damage).unwrap();
        assert_eq!(position_of(Outcome::Conflict { stored: Some(7) }), (None, true));
        assert_eq!(position_of(Outcome::Conflict { stored: None }), (None, false), "it is not asked for");
    }
}
