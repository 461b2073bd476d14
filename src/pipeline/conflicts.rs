//! The conflicts of a request: the documents that the index is asked for before its writes are judged.

use std::sync::{Mutex, PoisonError};

use super::earlier_documents::is_ours;
use super::sent_write::SentWrite;
use super::versions::{Bases, base_of, is_made_of_record, is_of_record};
use crate::projection::Projection;
use crate::sink::Outcome;
use crate::sink::documents::{Documents, StoredDocument, at_least_one};

/// The conflicts of writes to the index of one projection.
pub(super) struct Conflicts<'a> {
    sink: &'a dyn Documents,
    bases: &'a Mutex<Bases>,
    projection: Projection,
    /// The log position by which the versions in the index are judged.
    position: u64,
}

impl<'a> Conflicts<'a> {
    /// The conflicts in the index of a projection, judged by a position of the log.
    pub(super) fn new(
        sink: &'a dyn Documents,
        bases: &'a Mutex<Bases>,
        projection: Projection,
        position: u64,
    ) -> Self {
        Self { sink, bases, projection, position }
    }

    /// Finds out which writes give way. A document of which a partial log holds no record gives way to one that a record made. It
    /// does not to another one of references, nor to the version that a deleted one left behind: it is claimed, and sent again.
    pub(super) async fn find_kept(&self, writes: &mut [SentWrite]) {
        let position = self.position;
        let is_asked =
            |write: &SentWrite, stored: u64| write.claim.is_some() && is_of_record(stored, position);
        self.look_up(writes, is_asked, |write, stored, document| {
            write.is_kept = document.is_some_and(|document| is_made_of_record(document, position));
            if let (false, Some(turn)) = (write.is_kept, write.claim) {
                let stored = document.map_or(stored, |document| document.version);
                let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
                bases.claim(write.document.clone(), stored, position, turn);
                write.outcome = Outcome::Conflict { stored: None };
            }
        })
        .await;
    }

    /// Finds the writes in conflict with the remains of an earlier log: a document of ours, or the version of a deleted one. A
    /// write is tried again where the index does not answer.
    pub(super) async fn find_earlier(&self, writes: &mut [SentWrite]) {
        let position = self.position;
        let is_asked = |_: &SentWrite, stored| stored > position && base_of(stored, position).is_none();
        let mark = |write: &mut SentWrite, _, document: Option<&StoredDocument>| {
            write.is_earlier = document.is_none_or(is_ours);
        };
        self.look_up(writes, is_asked, mark).await;
    }

    /// Asks the index for the documents that are in conflict, for those writes that `is_asked` says by the stored version.
    /// Where the index does not answer the write is to be tried again.
    async fn look_up(
        &self,
        writes: &mut [SentWrite],
        is_asked: impl Fn(&SentWrite, u64) -> bool,
        apply: impl Fn(&mut SentWrite, u64, Option<&StoredDocument>),
    ) {
        let mut questions: Vec<(&mut SentWrite, u64)> = Vec::new();
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
            match self.sink.get(self.projection, left).await.and_then(at_least_one) {
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
