//! The decision about one document.

use xxhash_rust::xxh3::xxh3_128;

use super::Kind;
use super::compare::difference;
use crate::sink::documents::Stored;

/// What the index held: the version and the content's hash; `None` when it held nothing.
pub(super) type Seen = Option<(u64, u128)>;

/// What a snapshot says of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// Its JSON; `None` when the state calls for none.
    pub(super) body: Option<Vec<u8>>,
    /// Something is on its way to it: a mark, or a fan-out that may mark it.
    pub(super) waits: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The index holds what the state calls for.
    Same,
    /// It does not, and something is on its way.
    OnItsWay,
    /// As before, and the index changed since the last look: what changes often is delivered often, and may
    /// never be met at rest.
    Arriving,
    /// It does not, and may have changed since the snapshot.
    Unproven,
    /// It does not, and nothing of ours can have made it so.
    Differs(Kind, String),
}

/// Decides. `before` is what the index was seen to hold before the snapshot of `expected` was taken, `held`
/// what it holds after: when both are the same, the index held it at the snapshot too, and there
/// everything that was ever called for had been acknowledged unless something waited.
pub(super) fn judge(expected: &Expected, held: Option<&Stored>, before: Option<Seen>) -> Verdict {
    let (kind, detail) = match (&expected.body, held) {
        (None, None) => return Verdict::Same,
        (Some(_), None) => (Kind::Missing, String::new()),
        (None, Some(_)) => (Kind::Extra, String::new()),
        (Some(body), Some(held)) => match difference(body, &held.body) {
            None => return Verdict::Same,
            Some(detail) => (Kind::Stale, detail),
        },
    };
    if expected.waits {
        match before {
            Some(before) if before != seen(held) => Verdict::Arriving,
            _ => Verdict::OnItsWay,
        }
    } else if before == Some(seen(held)) {
        Verdict::Differs(kind, detail)
    } else {
        Verdict::Unproven
    }
}

/// What is remembered of a document that the index holds.
pub(super) fn seen(held: Option<&Stored>) -> Seen {
    held.map(|held| (held.version, xxh3_128(&held.body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(body: Option<&str>) -> Expected {
        Expected { body: body.map(|body| body.as_bytes().to_vec()), waits: false }
    }

    fn held(version: u64, body: &str) -> Stored {
        Stored { version, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn what_is_equal_is_the_same_whatever_waits() {
        let (one, document) = (held(9, r#"{"id":"a"}"#), Some(r#"{"id":"a","_log":{"position":3}}"#));
        for waits in [false, true] {
            let expected = Expected { waits, ..expected(document) };
            assert_eq!(judge(&expected, Some(&one), None), Verdict::Same);
        }
        assert_eq!(judge(&expected(None), None, None), Verdict::Same);
    }

    #[test]
    fn a_difference_is_proven_by_two_looks_that_see_the_same() {
        let (one, two) = (held(9, r#"{"id":"x"}"#), held(9, r#"{"id":"y"}"#));
        let (later, wanted) = (held(10, r#"{"id":"x"}"#), expected(Some(r#"{"id":"a"}"#)));
        assert_eq!(judge(&wanted, Some(&one), None), Verdict::Unproven);
        for before in [&two, &later] {
            assert_eq!(judge(&wanted, Some(&one), Some(seen(Some(before)))), Verdict::Unproven);
        }
        assert_eq!(judge(&wanted, Some(&one), Some(None)), Verdict::Unproven);
        let proven = judge(&wanted, Some(&one), Some(seen(Some(&one))));
        assert_eq!(proven, Verdict::Differs(Kind::Stale, "id".to_owned()));
        assert_eq!(judge(&wanted, None, Some(None)), Verdict::Differs(Kind::Missing, String::new()));
        let extra = judge(&expected(None), Some(&one), Some(seen(Some(&one))));
        assert_eq!(extra, Verdict::Differs(Kind::Extra, String::new()));
    }

    #[test]
    fn what_is_on_its_way_is_no_difference() {
        let waiting = Expected { waits: true, ..expected(Some("{}")) };
        assert_eq!(judge(&waiting, None, None), Verdict::OnItsWay);
        assert_eq!(judge(&waiting, None, Some(None)), Verdict::OnItsWay);
        let arrived = held(2, "{\"id\":1}");
        assert_eq!(judge(&waiting, Some(&arrived), Some(None)), Verdict::Arriving);
        assert_eq!(judge(&waiting, Some(&arrived), Some(seen(Some(&arrived)))), Verdict::OnItsWay);
    }
}
