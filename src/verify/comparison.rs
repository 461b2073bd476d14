//! Whether two texts are the same document.

use serde_json::{Map, Value};

use crate::json::remove_own;

/// How the member that tells a document's log position begins; nothing but a number follows.
const LOG: &[u8] = b",\"_log\":{\"position\":";

/// How many fields are named at most.
const NAMED_MAX: usize = 5;

/// The difference between the document that is `expected` and the one that is `stored`, for a person; `None` when they
/// are the same. The program's own members do not count.
pub fn difference(expected: &[u8], stored: &[u8]) -> Option<String> {
    // Almost always only the position differs, and nothing needs to be parsed to see that.
    if let (Some(expected), Some(stored)) = (without_position(expected), without_position(stored))
        && expected == stored
    {
        return None;
    }
    let Some(stored) = own_members(stored) else { return Some("no document".to_owned()) };
    let Some(expected) = own_members(expected) else { return Some("the state calls for no JSON".to_owned()) };
    if expected == stored {
        return None;
    }
    let mut names: Vec<&String> = expected
        .iter()
        .filter(|(name, value)| stored.get(*name) != Some(value))
        .map(|(name, _)| name)
        .chain(stored.keys().filter(|name| !expected.contains_key(*name)))
        .collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let named = names.iter().map(|name| name.escape_debug().to_string()).collect::<Vec<_>>().join(", ");
    Some(if more > 0 { format!("{named} and {more} more") } else { named })
}

/// The document before its position, when that stands last, as it does in every document of ours.
fn without_position(document: &[u8]) -> Option<&[u8]> {
    let digits = document.strip_suffix(b"}}")?;
    let end = digits.iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    let (before, digits) = digits.split_at_checked(end)?;
    if digits.is_empty() { None } else { before.strip_suffix(LOG) }
}

/// The members of a document that are its own; `None` for any other value than a document.
pub(super) fn own_members(document: &[u8]) -> Option<Map<String, Value>> {
    let mut document: Map<String, Value> = serde_json::from_slice(document).ok()?;
    remove_own(&mut document);
    Some(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn difference_of_texts(expected: &str, stored: &str) -> Option<String> {
        difference(expected.as_bytes(), stored.as_bytes())
    }

    #[test]
    fn keys_of_our_own_do_not_count_and_no_others_are_passed_over() {
        let document = r#"{"id":"a","contacts":[{"id":"c","_search":{"words":"x"}}],"_search":{"name":"a"},"_log":{"position":5}}"#;
        let same = r#"{"_log":{"position":99},"contacts":[{"id":"c"}],"id":"a"}"#;
        assert_eq!(difference_of_texts(document, same), None);
        for (other, fields) in [
            (r#"{"id":"a","contacts":[{"id":"d"}],"_log":{"position":5}}"#, "contacts"),
            (r#"{"id":"b","contacts":[{"id":"c"}]}"#, "id"),
            (r#"{"id":"a","contacts":[{"id":"c"}],"name":"x"}"#, "name"),
            (r#"{"contacts":[{"id":"c"}],"z":1}"#, "id, z"),
            (r#"{"id":"a","contacts":[{"id":"c"}],"a":{"_x":1}}"#, "a"),
            ("[]", "no document"),
            ("", "no document"),
        ] {
            assert_eq!(difference_of_texts(document, other).as_deref(), Some(fields), "{other}");
        }
    }

    #[test]
    fn only_a_position_that_stands_last_is_cut_off() {
        let cut = |text: &str| {
            without_position(text.as_bytes()).map(|rest| String::from_utf8_lossy(rest).into_owned())
        };
        assert_eq!(cut(r#"{"id":"a","_log":{"position":12}}"#).as_deref(), Some(r#"{"id":"a""#));
        for other in
            [r#"{"id":"a","_log":{"position":}}"#, r#"{"id":"a","_log":{"position":1},"b":2}"#, "}}", ""]
        {
            assert_eq!(cut(other), None, "{other}");
        }
        // The same bytes before the position, and more behind it.
        let forged = r#"{"id":"a","_log":{"position":1},"name":"x"}"#;
        assert_eq!(
            difference_of_texts(r#"{"id":"a","_log":{"position":1}}"#, forged).as_deref(),
            Some("name")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(stored in any::<Vec<u8>>()) {
            let document = br#"{"id":"a","_log":{"position":1}}"#;
            prop_assert!(difference(document, &stored).is_some());
        }
    }
}
