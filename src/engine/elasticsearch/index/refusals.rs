//! Writes that the cluster does not let the user make. At first that is the role's fault, and no waiting repairs it. Once
//! writes of the kind were taken it may also be the cluster's own, which cannot look roles up while it is short of nodes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::sink::{Outcome, Write};

/// How long refusals are waited out where writes were taken before.
const WAIT: Duration = Duration::from_secs(60);

/// The outcomes of writes so far, each kind by itself, because a role may hold one privilege and lack the other.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<RefusalKinds>);

#[derive(Debug, Default)]
struct RefusalKinds {
    documents: RefusalKind,
    deletes: RefusalKind,
}

#[derive(Debug, Default)]
struct RefusalKind {
    has_answered: bool,
    /// Since when the index refused each of them.
    refused: Option<Instant>,
}

impl Refusals {
    /// Has refusals that may pass tried again; the others stay, and end the run.
    pub(super) fn judge(&self, writes: &[Write], outcomes: &mut [Outcome]) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (write, outcome) in writes.iter().zip(outcomes) {
            let kind = if write.body.is_some() { &mut kinds.documents } else { &mut kinds.deletes };
            match outcome {
                Outcome::Refused(reason) => {
                    let since = *kind.refused.get_or_insert_with(Instant::now);
                    if kind.has_answered && since.elapsed() < WAIT {
                        *outcome = Outcome::Retry(std::mem::take(reason));
                    }
                }
                Outcome::Done | Outcome::Conflict { .. } | Outcome::Rejected(_) => {
                    *kind = RefusalKind { has_answered: true, refused: None };
                }
                Outcome::Retry(_) | Outcome::Gone(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CONTACTS;
    use crate::sink::{Batch, Buffer};

    fn judge(refusals: &Refusals, is_delete: bool, outcome: Outcome) -> Outcome {
        let mut batch = Batch::new(CONTACTS, Buffer::default());
        batch.push("a".into(), [1, 1], |_| Ok(!is_delete)).unwrap();
        let mut outcomes = [outcome];
        refusals.judge(batch.writes(), &mut outcomes);
        let [outcome] = outcomes;
        outcome
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_ends_the_run_at_first_and_is_waited_out_later() {
        let refusals = Refusals::default();
        let refused = || Outcome::Refused("no".to_owned());
        let again = || Outcome::Retry("no".to_owned());
        assert_eq!(judge(&refusals, false, refused()), refused());
        assert_eq!(judge(&refusals, false, Outcome::Done), Outcome::Done);
        assert_eq!(judge(&refusals, false, refused()), again());
        assert_eq!(judge(&refusals, true, refused()), refused(), "no delete was taken yet");
        tokio::time::advance(WAIT / 2).await;
        assert_eq!(judge(&refusals, false, Outcome::Done), Outcome::Done);
        tokio::time::advance(WAIT / 2).await;
        assert_eq!(judge(&refusals, false, refused()), again(), "one was taken meanwhile");
        tokio::time::advance(WAIT).await;
        assert_eq!(judge(&refusals, false, refused()), refused());
    }
}
