//! The writes of a request that was answered, and the documents that the index is asked for before they are judged.

use super::deliver::Delivery;
use super::fold::DocumentKey;
use super::versions::{is_of_record, is_of_references};
use crate::sink::Outcome;
use crate::sink::documents::{Documents, Stored, at_least_one};

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
    /// The writes with their answers; `are_silent` says of which documents a partial log holds no record.
    pub(super) fn of(
        documents: Vec<DocumentKey>,
        versions: &[u64],
        (are_silent, turn): (Vec<bool>, u64),
        outcomes: Vec<Outcome>,
    ) -> Vec<Self> {
        let unanswered = std::iter::repeat_with(|| Outcome::Retry("no answer".to_owned()));
        let outcomes = outcomes.into_iter().chain(unanswered);
        let are_silent = are_silent.into_iter().chain(std::iter::repeat(false));
        let writes = documents.into_iter().zip(versions).zip(are_silent).zip(outcomes);
        let write = |(((document, version), is_silent), outcome): (((_, &u64), bool), _)| Self {
            document,
            version: *version,
            claim: is_silent.then_some(turn),
            outcome,
            is_kept: false,
            is_earlier: false,
        };
        writes.map(write).collect()
    }
}

impl<S: Documents> Delivery<S> {
    /// Finds out which writes give way. A document of which a partial log holds no record gives way to one that a record made. It
    /// does not to another one of references, nor to the version that a deleted one left behind: it is claimed, and sent again.
    pub(super) async fn find_kept(&self, number: usize, writes: &mut [Sent]) {
        let is_asked = |write: &Sent, position: u64, stored: u64| {
            write.claim.is_some() && is_of_record(stored, position)
        };
        self.look_up(number, writes, is_asked, |write, (position, stored), held| {
            let is_of_record =
                |held: &Stored| is_of_record(held.version, position) && !is_of_references(&held.body);
            write.is_kept = held.is_some_and(is_of_record);
            if let (false, Some(turn)) = (write.is_kept, write.claim) {
                let stored = held.map_or(stored, |held| held.version);
                self.bases().claim(write.document.clone(), stored, position, turn);
                write.outcome = Outcome::Conflict { stored: None };
            }
        })
        .await;
    }

    /// Asks the index for the documents that are in conflict, for those writes that `is_asked` says by the log position and
    /// the stored version. Where the index does not answer the write is to be tried again.
    pub(super) async fn look_up(
        &self,
        number: usize,
        writes: &mut [Sent],
        is_asked: impl Fn(&Sent, u64, u64) -> bool,
        seen: impl Fn(&mut Sent, (u64, u64), Option<&Stored>),
    ) {
        if !writes.iter().any(|write| matches!(write.outcome, Outcome::Conflict { stored: Some(_) })) {
            return;
        }
        let Ok(position) = self.state.progress().map(|progress| progress.version()) else { return };
        let mut asked: Vec<(&mut Sent, u64)> = Vec::new();
        for write in writes {
            if let Outcome::Conflict { stored: Some(stored) } = write.outcome
                && is_asked(write, position, stored)
            {
                asked.push((write, stored));
            }
        }
        let ids: Vec<String> = asked.iter().map(|(write, _)| write.document.1.to_string()).collect();
        let (mut left, mut asked) = (ids.as_slice(), asked.into_iter());
        while !left.is_empty() {
            match self.sink.get(number, left).await.and_then(at_least_one) {
                Ok(held) => {
                    for (held, (write, stored)) in held.iter().zip(asked.by_ref()) {
                        seen(write, (position, stored), held.as_ref());
                    }
                    left = left.get(held.len()..).unwrap_or_default();
                }
                Err(error) => {
                    let reason = error.chain();
                    asked.by_ref().for_each(|(write, _)| write.outcome = Outcome::Retry(reason.clone()));
                    return;
                }
            }
        }
    }
}
