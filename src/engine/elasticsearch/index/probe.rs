//! Whether an index refuses one document or all of them. Where no document of a request was taken, an empty document is
//! tried, which every mapping allows. An index that refuses that one too has a fault of its own, which is waited out.

use super::{ElasticsearchSink, own_aliases, response};
use crate::sink::{Outcome, Write};

/// A write on a condition that no document meets: an index that takes the document answers with a conflict, and holds
/// nothing new.
const ACTION: &str =
    r#"{"index":{"_id":"tributary-probe","if_seq_no":4611686018427387904,"if_primary_term":1}}"#;

impl ElasticsearchSink {
    /// Has rejections that are the index's own fault tried again. True where the index takes documents now. Then the
    /// request has to be sent once more, because only a document that is refused after the probe has a fault of its own.
    pub(super) async fn judge_rejections(
        &self,
        index: &str,
        writes: &[Write],
        outcomes: &mut [Outcome],
    ) -> bool {
        let is_taken = |(write, outcome): (&Write, &Outcome)| {
            write.body.is_some() && matches!(outcome, Outcome::Done | Outcome::Conflict { .. })
        };
        let is_rejected = |outcome: &Outcome| matches!(outcome, Outcome::Rejected(_));
        if !outcomes.iter().any(is_rejected) || writes.iter().zip(outcomes.iter()).any(is_taken) {
            return false;
        }
        let Some(reason) = self.refuses_all(index).await else { return true };
        for outcome in outcomes.iter_mut().filter(|outcome| is_rejected(outcome)) {
            *outcome = Outcome::Retry(reason.clone());
        }
        false
    }

    /// Why the index refuses every document, or why that is not known; none when it takes documents.
    async fn refuses_all(&self, index: &str) -> Option<String> {
        let write = Write::delete("tributary-probe", 1);
        let body = format!("{ACTION}\n{{}}\n").into();
        let outcome = match self.client.bulk(&own_aliases::writer(index), body).await {
            Ok((200, answer)) => response::outcomes(&answer, &[write]).pop()?,
            Ok((status, answer)) => response::of_request(status, &answer),
            Err(error) => Outcome::Retry(error.chain()),
        };
        match outcome {
            Outcome::Done | Outcome::Conflict { .. } => None,
            Outcome::Rejected(reason) => Some(format!(
                "the index {index} refuses every document: {reason}; look at its settings and mappings, and at the index \
                 templates"
            )),
            Outcome::Retry(reason) | Outcome::Refused(reason) | Outcome::Gone(reason) => Some(reason),
        }
    }
}
