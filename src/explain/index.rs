//! The index's side: its document, the differences from the expected one, and their causes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::cut;
use super::state::StateSide;
use crate::json::remove_own;
use crate::pipeline::versions::{base_of, is_made_of_record};
use crate::sink::holding::{Holding, VersionedDocument};

/// The longest value that is shown, in letters.
const VALUE_LETTERS_MAX: usize = 300;
/// Of the members of a list that differ, so many are named.
const MEMBERS_MAX: usize = 10;

/// A top-level field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    /// The field.
    pub field: String,
    /// The expected value; null when it is absent.
    pub state: Option<String>,
    /// The value in the index; null when it is absent.
    pub index: Option<String>,
    /// Of a list of embedded entities, the ids of those that differ, at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// The document in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexSide {
    /// The concrete index behind the alias; empty when there is none.
    pub index: String,
    /// The index that the state's marks were made for; empty when none.
    pub built_for: String,
    /// True when the index holds the document.
    pub found: bool,
    /// The version that it was written with.
    pub version: Option<u64>,
    /// The log position that it says it reflects.
    pub position: Option<u64>,
    /// True when it equals the expected document.
    pub equal: bool,
    /// The fields that differ, when both have the document.
    pub differences: Vec<FieldDifference>,
    /// Why they differ.
    pub reasons: Vec<String>,
}

impl IndexSide {
    /// Compares the document in the index with the expected one. `rejected` is the reason of the
    /// document's dead letter, when there is one.
    pub fn of(state: &StateSide, answer: &Holding, rejected: Option<&str>) -> Self {
        let stored = answer.document.as_ref();
        let differences = match (&state.document, stored) {
            (Some(document), Some(stored)) => differences(document, &stored.body),
            _ => Vec::new(),
        };
        let equal = state.document.is_some() == stored.is_some() && differences.is_empty();
        Self {
            index: answer.index.clone(),
            built_for: state.built_for.clone(),
            found: stored.is_some(),
            version: stored.map(|stored| stored.version),
            position: stored.and_then(|stored| stored.body.pointer("/_log/position")?.as_u64()),
            equal,
            differences,
            reasons: if equal { Vec::new() } else { reasons(state, answer, rejected) },
        }
    }
}

/// Every cause why the index does not hold the expected document.
fn reasons(state: &StateSide, answer: &Holding, rejected: Option<&str>) -> Vec<String> {
    let mut reasons = Vec::new();
    if answer.index.is_empty() {
        return vec![format!(
            "there is no index behind the alias {}; `tributary run` makes and fills one",
            answer.alias
        )];
    }
    reasons.extend(answer.refused.clone());
    if answer.index != state.built_for {
        let built_for = if state.built_for.is_empty() { "none" } else { &state.built_for };
        reasons.push(format!(
            "the alias {} stands for {}, the state was sent to {built_for}: the next start of `tributary run` sends it everything",
            answer.alias, answer.index
        ));
    }
    let position = state.progress.version();
    let is_foreign = |version: u64| version > position && base_of(version, position).is_none();
    if let Some(stored) = answer.document.as_ref().filter(|stored| is_foreign(stored.version)) {
        reasons.push(format!(
            "a foreign write: the index holds version {}, the state is at {position}, so no instance of the group \
             made it. The document's next delivery writes over it, or `tributary verify --repair` does",
            stored.version
        ));
    }
    reasons.extend(rejected.map(|reason| {
        format!("the index rejected the document, it is in the dead letters ({reason}); correct it, then `tributary dead-letters retry`")
    }));
    if let Some(step) = state.marked {
        reasons.push(format!("marked since step {step}: {}", explain_delivery(&state.instance)));
    }
    if state.fan_outs > 0 {
        let count = state.fan_outs;
        reasons.push(format!(
            "{count} fan-outs of changes above it are under way, and may not have come to it yet"
        ));
    }
    let is_of_record = |document: &VersionedDocument| is_made_of_record(&document.into(), position);
    if state.is_silent && answer.document.as_ref().is_some_and(is_of_record) {
        reasons.push(
            "the log does not begin at its beginning and holds no record of this entity: the index keeps its document"
                .to_owned(),
        );
    }
    if reasons.is_empty() {
        reasons.push(explain_change_behind(state, answer));
    }
    reasons
}

fn explain_delivery(instance: &str) -> &'static str {
    match instance {
        "writing" => "it waits for its request, or the request is in flight",
        "catching up" => {
            "nothing is delivered before the fold has passed the end that the log had when writing began"
        }
        "standing by" => "this instance stands by, another one of the group writes",
        "starting" => "this instance starts, and waits for the log and the index before it delivers",
        _ => "no instance runs; `tributary run` delivers it",
    }
}

/// The cause that is left when no work of ours explains it.
fn explain_change_behind(state: &StateSide, answer: &Holding) -> String {
    let what = match (&state.document, &answer.document) {
        (Some(_), None) => "the document was delivered, and another program deleted it in the index",
        (None, _) => "another program wrote the document to the index, or put it back",
        (Some(_), Some(_)) => "the document was delivered, and another program changed it in the index",
    };
    format!("{what}: nothing waits that would repair it; `tributary verify --repair` does")
}

/// The top-level fields that differ, ours aside.
fn differences(target: &Value, stored: &Value) -> Vec<FieldDifference> {
    let (target, stored) = (strip_own(target), strip_own(stored));
    let names: BTreeSet<&String> = target.keys().chain(stored.keys()).collect();
    let differing = names.into_iter().filter(|name| target.get(*name) != stored.get(*name));
    differing
        .map(|name| {
            let (left, right) = (target.get(name), stored.get(name));
            FieldDifference {
                field: name.clone(),
                state: left.map(text_of),
                index: right.map(text_of),
                members: members(left, right),
            }
        })
        .collect()
}

/// A document without the program's own members.
fn strip_own(document: &Value) -> Map<String, Value> {
    let mut document = document.as_object().cloned().unwrap_or_default();
    remove_own(&mut document);
    document
}

fn text_of(value: &Value) -> String {
    cut(&value.to_string(), VALUE_LETTERS_MAX)
}

/// The ids of those members of two lists that are not the same in both.
fn members(left: Option<&Value>, right: Option<&Value>) -> Vec<String> {
    let by_id = |list: Option<&Value>| -> BTreeMap<String, Value> {
        let members = list.and_then(Value::as_array).into_iter().flatten();
        members.filter_map(|member| Some((member.get("id")?.as_str()?.to_owned(), member.clone()))).collect()
    };
    let (left, right) = (by_id(left), by_id(right));
    let ids: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let differing = ids.into_iter().filter(|id| left.get(*id) != right.get(*id));
    differing.take(MEMBERS_MAX).cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sink::holding::VersionedDocument;
    use crate::state::rows::{FoldProgress, PartitionProgress};

    fn state(document: Option<Value>) -> StateSide {
        let partition = PartitionProgress { topic: "t".to_owned(), partition: 0, next: 10, last: None };
        StateSide {
            child: None,
            computed: Vec::new(),
            instance: "writing".to_owned(),
            progress: FoldProgress { partitions: vec![partition], ..FoldProgress::default() },
            document,
            is_silent: false,
            marked: None,
            fan_outs: 0,
            built_for: "i".to_owned(),
            parts: Vec::new(),
            parts_in_all: 0,
        }
    }

    fn answer(version: u64, body: Option<Value>) -> Holding {
        Holding {
            alias: "a".to_owned(),
            index: "i".to_owned(),
            refused: None,
            document: body.map(|body| VersionedDocument { version, body }),
        }
    }

    fn reasons_of(state: &StateSide, answer: &Holding) -> Vec<String> {
        IndexSide::of(state, answer, None).reasons
    }

    #[test]
    fn our_own_keys_make_no_difference() {
        let target = json!({"id": "x", "_log": {"position": 9}, "contacts": [{"id": "c", "_search": 1}]});
        let stored = json!({"id": "x", "_log": {"position": 3}, "contacts": [{"id": "c", "_search": 2}]});
        let side = IndexSide::of(&state(Some(target)), &answer(3, Some(stored)), None);
        assert!(side.equal && side.reasons.is_empty(), "{side:?}");
        assert_eq!(side.position, Some(3));
    }

    #[test]
    fn differing_fields_are_named_with_the_members_that_differ() {
        let target = json!({"id": "x", "name": "a", "contacts": [{"id": "c1"}, {"id": "c2", "email": "e"}]});
        let stored = json!({"id": "x", "stub": true, "contacts": [{"id": "c1"}, {"id": "c2"}, {"id": "c3"}]});
        let side = IndexSide::of(&state(Some(target)), &answer(3, Some(stored)), None);
        let fields: Vec<&str> = side.differences.iter().map(|at| at.field.as_str()).collect();
        assert_eq!(fields, ["contacts", "name", "stub"]);
        assert_eq!(side.differences[0].members, ["c2", "c3"]);
        assert_eq!(
            (side.differences[1].state.as_deref(), side.differences[1].index.as_deref()),
            (Some("\"a\""), None)
        );
    }

    #[test]
    fn each_reason_is_told_where_it_applies() {
        let document = || Some(json!({"id": "x"}));
        let assert_reason = |reasons: Vec<String>, word: &str| {
            assert!(reasons.len() == 1 && reasons[0].contains(word), "{word}: {reasons:?}");
        };
        assert_reason(reasons_of(&state(document()), &answer(0, None)), "another program deleted it");
        assert_reason(reasons_of(&state(None), &answer(3, document())), "put it back");
        assert_reason(
            reasons_of(&state(document()), &answer(3, Some(json!({})))),
            "another program changed it",
        );
        assert_reason(reasons_of(&state(document()), &answer(11, Some(json!({})))), "foreign write");
        for (instance, word) in [
            ("writing", "in flight"),
            ("catching up", "passed the end"),
            ("standing by", "stands by"),
            ("stopped", "no instance runs"),
        ] {
            let marked = StateSide { marked: Some(7), instance: instance.to_owned(), ..state(document()) };
            assert_reason(reasons_of(&marked, &answer(0, None)), word);
        }
        assert_reason(
            reasons_of(&StateSide { fan_outs: 2, ..state(document()) }, &answer(0, None)),
            "2 fan-outs",
        );
        assert_reason(
            reasons_of(&StateSide { built_for: "j".to_owned(), ..state(document()) }, &answer(0, None)),
            "sent to j",
        );
        let nowhere = Holding { index: String::new(), ..answer(0, None) };
        assert_reason(reasons_of(&state(document()), &nowhere), "no index behind the alias a");
        let refused = Holding { refused: Some("another mapping".to_owned()), ..answer(0, None) };
        assert_reason(reasons_of(&state(document()), &refused), "another mapping");
        assert_reason(
            IndexSide::of(&state(document()), &answer(0, None), Some("too long")).reasons,
            "too long",
        );
    }
}
