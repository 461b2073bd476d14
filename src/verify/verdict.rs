//! The decision about one document.

use xxhash_rust::xxh3::xxh3_128;

use super::Kind;
use super::comparison::difference;
use crate::pipeline::versions::is_made_of_record;
use crate::sink::documents::StoredDocument;

/// The observation of a look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Observation {
    /// The version and the content's hash of the document in the index; `None` when it held none.
    document: Option<(u64, u128)>,
    /// The basis of the document, when the index held none and no work was pending.
    standing: Option<u128>,
}

/// The document as a snapshot expects it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ExpectedDocument {
    /// Its JSON; `None` when the state calls for none.
    pub(super) body: Option<Vec<u8>>,
    /// Something is on its way to it: a mark, or a fan-out that may mark it.
    pub(super) waits: bool,
    /// The log position, where the log is partial and holds no record of its entity. A document that a record has made
    /// is left as it is.
    pub(super) silent_at: Option<u64>,
    /// Its basis, which changes whenever the state expected no such document meanwhile.
    pub(super) standing: u128,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The index holds the expected document.
    Same,
    /// It does not, and work is pending.
    OnItsWay,
    /// As before, and the index changed since the last look. A document that changes often may never be seen without pending
    /// work.
    Arriving,
    /// It does not, and may have changed since the snapshot.
    Unproven,
    /// It does not, and nothing of ours can have made it so; or, of an [unknown](Kind::Unknown) one, the log cannot tell.
    Differs(Kind, String),
}

/// Decides. `before` is the observation before the snapshot of `expected` was taken, `document` the copy in the index
/// after it. With the same version both times, the index held it at the snapshot too. There every earlier write was
/// acknowledged unless work was pending. A missing document has no version to compare. It counts as missing only if the
/// state expected it in both snapshots, with no work pending. Otherwise it may have been written and deleted in
/// between.
pub(super) fn judge(
    expected: &ExpectedDocument,
    document: Option<&StoredDocument>,
    before: Option<Observation>,
) -> Verdict {
    if let (Some(position), Some(document)) = (expected.silent_at, document)
        && is_made_of_record(document, position)
    {
        return Verdict::Same;
    }
    let (kind, detail) = match (&expected.body, document) {
        (None, None) => return Verdict::Same,
        (Some(_), None) => (Kind::Missing, String::new()),
        (None, Some(_)) => (Kind::Extra, String::new()),
        (Some(body), Some(document)) => match difference(body, &document.body) {
            None => return Verdict::Same,
            Some(detail) => (Kind::Stale, detail),
        },
    };
    let now = observe(expected, document);
    if expected.waits {
        match before {
            Some(before) if before.document != now.document => Verdict::Arriving,
            _ => Verdict::OnItsWay,
        }
    } else if before == Some(now) {
        Verdict::Differs(kind, detail)
    } else {
        Verdict::Unproven
    }
}

/// The part of a look that is remembered.
pub(super) fn observe(expected: &ExpectedDocument, document: Option<&StoredDocument>) -> Observation {
    let is_absent = document.is_none() && !expected.waits;
    Observation {
        document: document.map(|document| (document.version, xxh3_128(&document.body))),
        standing: is_absent.then_some(expected.standing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectation(body: Option<&str>) -> ExpectedDocument {
        ExpectedDocument {
            body: body.map(|body| body.as_bytes().to_vec()),
            waits: false,
            silent_at: None,
            standing: 1,
        }
    }

    /// A look before this one, at which it stood on the same.
    fn look(expected: &ExpectedDocument, document: Option<&StoredDocument>) -> Option<Observation> {
        Some(observe(expected, document))
    }

    fn document_of(version: u64, body: &str) -> StoredDocument {
        StoredDocument { version, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn what_is_equal_is_the_same_whatever_waits() {
        let (one, document) = (document_of(9, r#"{"id":"a"}"#), Some(r#"{"id":"a","_log":{"position":3}}"#));
        for waits in [false, true] {
            let expected = ExpectedDocument { waits, ..expectation(document) };
            assert_eq!(judge(&expected, Some(&one), None), Verdict::Same);
        }
        assert_eq!(judge(&expectation(None), None, None), Verdict::Same);
    }

    #[test]
    fn what_a_partial_log_is_silent_on_differs_only_where_no_record_made_it() {
        let silent = ExpectedDocument { silent_at: Some(5), ..expectation(Some(r#"{"id":"a"}"#)) };
        let absent = ExpectedDocument { body: None, ..silent.clone() };
        let [made, tried, foreign] = [1, 0, 9].map(|version| document_of(version, r#"{"id":"x"}"#));
        let stub = document_of(1, r#"{"id":"x","_log":{"position":1,"partial":true}}"#);
        for expected in [&silent, &absent] {
            assert_eq!(judge(expected, Some(&made), None), Verdict::Same);
            assert_ne!(judge(expected, Some(&tried), None), Verdict::Same);
            assert_ne!(judge(expected, Some(&stub), None), Verdict::Same);
            assert_ne!(judge(expected, Some(&foreign), None), Verdict::Same);
        }
        assert_ne!(judge(&silent, None, None), Verdict::Same);
    }

    #[test]
    fn a_difference_is_proven_by_two_looks_that_see_the_same() {
        let (one, two) = (document_of(9, r#"{"id":"x"}"#), document_of(9, r#"{"id":"y"}"#));
        let (later, target) = (document_of(10, r#"{"id":"x"}"#), expectation(Some(r#"{"id":"a"}"#)));
        assert_eq!(judge(&target, Some(&one), None), Verdict::Unproven);
        for before in [&two, &later] {
            assert_eq!(judge(&target, Some(&one), look(&target, Some(before))), Verdict::Unproven);
        }
        assert_eq!(judge(&target, Some(&one), look(&target, None)), Verdict::Unproven);
        let proven = judge(&target, Some(&one), look(&target, Some(&one)));
        assert_eq!(proven, Verdict::Differs(Kind::Stale, "id".to_owned()));
        let missing = judge(&target, None, look(&target, None));
        assert_eq!(missing, Verdict::Differs(Kind::Missing, String::new()));
        let none = expectation(None);
        let extra = judge(&none, Some(&one), look(&none, Some(&one)));
        assert_eq!(extra, Verdict::Differs(Kind::Extra, String::new()));
    }

    #[test]
    fn what_may_have_come_and_gone_between_two_looks_is_not_proven_missing() {
        let target = expectation(Some("{}"));
        let former = ExpectedDocument { standing: 2, ..target.clone() };
        assert_eq!(judge(&target, None, look(&former, None)), Verdict::Unproven, "another of that id");
        let waiting = ExpectedDocument { waits: true, ..target.clone() };
        assert_eq!(judge(&target, None, look(&waiting, None)), Verdict::Unproven, "it was in flight");
    }

    #[test]
    fn what_is_pending_is_no_difference() {
        let waiting = ExpectedDocument { waits: true, ..expectation(Some("{}")) };
        assert_eq!(judge(&waiting, None, None), Verdict::OnItsWay);
        assert_eq!(judge(&waiting, None, look(&expectation(Some("{}")), None)), Verdict::OnItsWay);
        let arrived = document_of(2, "{\"id\":1}");
        assert_eq!(judge(&waiting, Some(&arrived), look(&waiting, None)), Verdict::Arriving);
        assert_eq!(judge(&waiting, Some(&arrived), look(&waiting, Some(&arrived))), Verdict::OnItsWay);
    }
}
