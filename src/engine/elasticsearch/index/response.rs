//! The answer to a `_bulk` request: each item judged by itself.

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::dialect;
use crate::error;
use crate::sink::{Outcome, Write};

/// The longest reason that is kept.
const REASON_BYTES_MAX: usize = 600;

#[derive(Deserialize)]
struct ItemsAnswer {
    #[serde(default)]
    errors: bool,
    #[serde(default)]
    items: Vec<ActionItem>,
}

/// An item under the name of its action; none when there is no action.
struct ActionItem(Option<Item>);

impl<'de> Deserialize<'de> for ActionItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ActionItemVisitor)
    }
}

struct ActionItemVisitor;

impl<'de> Visitor<'de> for ActionItemVisitor {
    type Value = ActionItem;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an action with its result")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut actions: A) -> Result<ActionItem, A::Error> {
        let mut found = None;
        while actions.next_key::<IgnoredAny>()?.is_some() {
            found = Some(actions.next_value()?);
        }
        Ok(ActionItem(found))
    }
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    status: u16,
    #[serde(default)]
    error: Option<ErrorCause>,
}

#[derive(Deserialize, Default)]
struct ErrorCause {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    reason: Option<String>,
}

/// One outcome for each write. An answer that can't be read, or is not whole, says nothing: its
/// writes are tried again.
pub(super) fn outcomes(answer: &[u8], writes: &[Write]) -> Vec<Outcome> {
    let answer: ItemsAnswer = match serde_json::from_slice(answer) {
        Ok(answer) => answer,
        Err(error) => {
            let reason = shorten(format!("the bulk answer cannot be read: {error}"));
            return vec![Outcome::Retry(reason); writes.len()];
        }
    };
    let items: usize = writes.iter().map(|write| write.items).sum();
    if answer.items.is_empty() && answer.errors || answer.items.len() > items {
        return vec![Outcome::Retry("the bulk answer does not fit the request".to_owned()); writes.len()];
    }
    let outcomes =
        answer.items.into_iter().map(|ActionItem(item)| item.map_or_else(unclear_outcome, of_item));
    let mut outcomes = outcomes.chain(std::iter::repeat_with(unclear_outcome));
    let of_write =
        |write: &Write| Outcome::worst(outcomes.by_ref().take(write.items)).unwrap_or_else(unclear_outcome);
    writes.iter().map(of_write).collect()
}

fn unclear_outcome() -> Outcome {
    Outcome::Retry("the bulk answer has no item for this document".to_owned())
}

fn of_item(item: Item) -> Outcome {
    let cause = item.error.unwrap_or_default();
    let reason = cause.reason.unwrap_or_default();
    match (item.status, cause.kind.as_str()) {
        // A delete of a document that is not there answers 404 without an error.
        (200..=299, _) | (404, "") => Outcome::Done,
        (409, "version_conflict_engine_exception") => Outcome::Conflict { stored: parse_version(&reason) },
        // The names that we write by are aliases that go with their index and that no index can have.
        (404, "index_not_found_exception") | (400, "invalid_index_name_exception") => {
            Outcome::Gone(shorten(reason))
        }
        (status, kind) if is_refusal(status, kind) => Outcome::Refused(shorten(reason)),
        (status, kind) if is_passing(status, kind) => {
            Outcome::Retry(shorten(format!("{status} {kind}: {reason}")))
        }
        (status, kind) => Outcome::Rejected(shorten(format!("{status} {kind}: {reason}"))),
    }
}

/// Credentials that are not known, or a role without the privilege.
fn is_refusal(status: u16, kind: &str) -> bool {
    matches!(status, 401 | 403) && kind == "security_exception"
}

/// True of a trouble that goes away by itself or by an operator's hand: overload, a shard on its way, a
/// cluster that blocks writes.
fn is_passing(status: u16, kind: &str) -> bool {
    matches!(status, 401 | 403 | 408 | 409 | 429 | 500..=599 | 0)
        || matches!(kind, "cluster_block_exception" | "index_closed_exception")
}

/// The outcome of every write of a request that failed as a whole.
pub(super) fn of_request(status: u16, answer: &[u8]) -> Outcome {
    if let Some(said) = dialect::reason_of_unknown_user(status, answer) {
        return Outcome::Refused(said.to_owned());
    }
    if let Ok(Item { error: Some(cause), .. }) = serde_json::from_slice(answer)
        && is_refusal(status, &cause.kind)
    {
        return Outcome::Refused(shorten(cause.reason.unwrap_or_default()));
    }
    let text = String::from_utf8_lossy(answer);
    let reason = shorten(format!("the bulk request was answered {status}: {text}"));
    // Nothing in a request of ours is malformed by its documents: each was valid JSON before.
    Outcome::Retry(reason)
}

/// The version in `current version [7] is higher than the one provided [5]`.
fn parse_version(reason: &str) -> Option<u64> {
    let rest = reason.split_once("current version [")?.1;
    rest.split_once(']')?.0.parse().ok()
}

fn shorten(reason: String) -> String {
    error::shorten(reason, REASON_BYTES_MAX)
}

#[cfg(test)]
#[path = "../../../../tests/fuzz/mutate.rs"]
mod mutate;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn writes(count: usize) -> Vec<Write> {
        (0..count).map(|number| Write::delete(&number.to_string(), 1)).collect()
    }

    fn one(item: &str) -> Outcome {
        outcomes(format!("{{\"errors\":true,\"items\":[{item}]}}").as_bytes(), &writes(1)).remove(0)
    }

    #[test]
    fn each_item_is_judged_by_itself() {
        let failed = |status: u16, kind: &str, reason: &str| {
            one(&format!(
                r#"{{"index":{{"status":{status},"error":{{"type":"{kind}","reason":"{reason}"}}}}}}"#
            ))
        };
        assert_eq!(one(r#"{"index":{"status":201}}"#), Outcome::Done);
        assert_eq!(one(r#"{"delete":{"status":404}}"#), Outcome::Done);
        let reason = "[o1]: version conflict, current version [12] is higher than the one provided [4]";
        let conflict = failed(409, "version_conflict_engine_exception", reason);
        assert_eq!(conflict, Outcome::Conflict { stored: Some(12) });
        for (status, kind) in [
            (429, "es_rejected_execution_exception"),
            (503, "unavailable_shards_exception"),
            (403, "cluster_block_exception"),
            (500, "some_exception"),
        ] {
            assert!(matches!(failed(status, kind, "r"), Outcome::Retry(_)), "{status} {kind}");
        }
        for (status, kind) in [(404, "index_not_found_exception"), (400, "invalid_index_name_exception")] {
            assert!(matches!(failed(status, kind, "r"), Outcome::Gone(_)), "{status} {kind}");
        }
        for kind in
            ["document_parsing_exception", "strict_dynamic_mapping_exception", "illegal_argument_exception"]
        {
            assert!(matches!(failed(400, kind, "r"), Outcome::Rejected(_)), "{kind}");
        }
    }

    #[test]
    fn a_lack_of_privileges_is_told_from_a_cluster_that_blocks_writes() {
        let error = |kind: &str| format!(r#"{{"error":{{"type":"{kind}","reason":"r"}},"status":403}}"#);
        for (kind, is_refused) in [("security_exception", true), ("cluster_block_exception", false)] {
            let item = one(&format!(r#"{{"index":{}}}"#, error(kind)));
            assert_eq!(item == Outcome::Refused("r".to_owned()), is_refused, "{item:?}");
            let whole = of_request(403, error(kind).as_bytes());
            assert_eq!(whole == Outcome::Refused("r".to_owned()), is_refused, "{whole:?}");
        }
        assert_eq!(
            of_request(401, b"Unauthorized\n"),
            Outcome::Refused("Unauthorized".to_owned()),
            "OpenSearch"
        );
        for (status, answer) in
            [(403, "Unauthorized"), (401, "<html>"), (403, "{}"), (500, &error("security_exception"))]
        {
            assert!(matches!(of_request(status, answer.as_bytes()), Outcome::Retry(_)), "{status} {answer}");
        }
    }

    #[test]
    fn an_answer_that_is_not_whole_is_tried_again() {
        for answer in ["", "{", "[]", r#"{"errors":true,"items":[]}"#, r#"{"took":1,"errors":false}"#] {
            let outcomes = outcomes(answer.as_bytes(), &writes(2));
            assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Retry(_))), "{answer}");
        }
        let short = outcomes(br#"{"items":[{"index":{"status":201}}]}"#, &writes(2));
        assert_eq!(short[0], Outcome::Done);
        assert!(matches!(short[1], Outcome::Retry(_)));
    }

    /// The bytes of text that an outcome keeps.
    fn count_bytes(outcome: &Outcome) -> usize {
        match outcome {
            Outcome::Retry(text) | Outcome::Rejected(text) | Outcome::Gone(text) | Outcome::Refused(text) => {
                text.len()
            }
            Outcome::Done | Outcome::Conflict { .. } => 0,
        }
    }

    proptest! {
        #![proptest_config(mutate::config())]

        #[test]
        fn an_answer_that_was_changed_gives_a_bounded_outcome_for_each_write(
            answer in mutate::inputs("bulk"),
            count in 0usize..5,
        ) {
            let outcomes = outcomes(&answer, &writes(count));
            prop_assert_eq!(outcomes.len(), count);
            let longest = outcomes.iter().chain([&of_request(500, &answer)]).map(count_bytes).max();
            prop_assert!(longest <= Some(REASON_BYTES_MAX + 4), "{:?} bytes are kept", longest);
        }
    }

    proptest! {
        #[test]
        fn any_answer_gives_an_outcome_for_each_write(answer in any::<Vec<u8>>(), count in 0usize..5) {
            prop_assert_eq!(outcomes(&answer, &writes(count)).len(), count);
        }
    }
}
