//! The report: the three sides together.

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;
use serde_json::Value;

use super::computed_report::ComputedReport;
use super::cut;
use super::index::IndexSide;
use super::log::{EntityRecords, LogSide, NoEffectReason, Slot, WaitingRecord};
use super::part::Part;
use super::state::StateSide;
use crate::entity::{Hider, Liveness, Register};
use crate::projection::Projection;
use crate::sink::holding::Holding;

/// A value that is longer is cut and shown as text.
const VALUE_LETTERS_MAX: usize = 1_000;
/// The text in the place of a record that was not found.
pub(super) const NOT_IN_THE_LOG: &str = "no longer in the log";

/// Everything that is known of one document.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The projection's name.
    pub projection: String,
    /// The document's id.
    pub id: String,
    /// False when neither log nor state nor index speaks of it.
    pub known: bool,
    /// The role of the instance; `stopped` when none runs.
    pub instance: String,
    /// True when the state calls for the document.
    pub expected: bool,
    /// The log position of the state.
    pub position: u64,
    /// The entities that make the document, its own first.
    pub parts: Vec<PartReport>,
    /// How many more there are.
    pub parts_left_out: u64,
    /// The computed members, each with its value or the error of its program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub computed: Vec<ComputedReport>,
    /// The step since which it waits for its delivery; null when it does not wait.
    pub marked_since_step: Option<u64>,
    /// Fan-outs under way that may come to it yet.
    pub fan_outs: u64,
    /// Records of its entities that the state has not taken in, the first of them.
    pub waiting: Vec<WaitingRecord>,
    /// How many there are in all.
    pub waiting_in_all: u64,
    /// How far the state is behind the log.
    pub partitions: Vec<PartitionLag>,
    /// The index's side; null when the index could not be asked.
    pub index: Option<IndexSide>,
    /// False when the log could not be read: no record is named then.
    pub log_was_read: bool,
    /// Notes on the log.
    pub notes: Vec<String>,
    /// The sources that could not be asked, and so are missing above.
    pub problems: Vec<String>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionLag {
    /// `topic/partition`.
    pub partition: String,
    /// The next offset that the state takes.
    pub position: i64,
    /// The next offset that the log gets.
    pub end: i64,
    /// Records between the two.
    pub lag: i64,
}

/// One entity's part.
#[derive(Debug, Clone, Serialize)]
pub struct PartReport {
    /// The role of the entity.
    pub role: String,
    /// Its kind.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// `alive`, `deleted`, or `unseen`: known by references only.
    pub is: &'static str,
    /// The record that made it so; null when there is none in the log.
    pub by: Option<String>,
    /// Its fields that the document shows.
    pub fields: Vec<FieldReport>,
    /// How many records of it the log holds.
    pub records: u64,
    /// The last of those that have no effect.
    pub without_effect: Vec<IdleRecord>,
    /// How many have none.
    pub without_effect_in_all: u64,
}

/// One field's write that stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldReport {
    /// The entity's field.
    pub field: String,
    /// Where the document shows it.
    pub shown_as: String,
    /// Its value; null when the write cleared it.
    pub value: Value,
    /// The version of the write.
    pub version: u64,
    /// `replace` or `merge`.
    pub by: &'static str,
    /// The record that made it; null when it is no longer in the log.
    pub record: Option<String>,
}

/// A record without effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdleRecord {
    /// `topic/partition:offset`.
    pub record: String,
    /// Why.
    pub because: String,
}

/// The answers of the log and the index.
pub struct OtherSides<'a> {
    /// The log; the error when it can't be read.
    pub log: Result<LogSide, String>,
    /// The index; the error when it can't be asked.
    pub index: Result<Holding, String>,
    /// The names of the dead letters that wait.
    pub letters: &'a HashSet<String>,
    /// The reason of the document's own dead letter.
    pub rejected: Option<&'a str>,
}

impl Explanation {
    /// Puts the sides together.
    pub fn new(projection: Projection, id: &str, state: &StateSide, beside: OtherSides<'_>) -> Self {
        let mut problems = Vec::new();
        let log_was_read = beside.log.is_ok();
        let log = beside.log.unwrap_or_else(|problem| {
            problems.push(format!("the log was not read: {problem}"));
            LogSide::default()
        });
        let index = match &beside.index {
            Ok(answer) => Some(IndexSide::of(state, answer, beside.rejected)),
            Err(problem) => {
                problems.push(format!("the index was not asked: {problem}"));
                None
            }
        };
        let nothing = EntityRecords::default();
        let part = |(number, part): (usize, &Part)| {
            PartReport::new(projection, part, log.traced.get(number).unwrap_or(&nothing), beside.letters)
        };
        let parts: Vec<PartReport> = state.parts.iter().enumerate().map(part).collect();
        let itself = parts.first();
        let known = state.document.is_some()
            || state.marked.is_some()
            || itself.is_some_and(|part| part.is != "unseen" || part.records > 0)
            || index.as_ref().is_some_and(|index| index.found)
            || log.waiting_in_all > 0
            || beside.rejected.is_some();
        Self {
            projection: projection.name().to_owned(),
            id: id.to_owned(),
            known,
            instance: state.instance.clone(),
            expected: state.document.is_some(),
            position: state.progress.version(),
            parts_left_out: state.parts_in_all.saturating_sub(parts.len() as u64),
            parts,
            computed: state.computed.clone(),
            marked_since_step: state.marked,
            fan_outs: state.fan_outs,
            partitions: lags(state, &log),
            waiting: log.waiting,
            waiting_in_all: log.waiting_in_all,
            index,
            log_was_read,
            notes: log.notes,
            problems,
        }
    }
}

fn lags(state: &StateSide, log: &LogSide) -> Vec<PartitionLag> {
    let positions = state.progress.positions();
    let all: BTreeSet<_> = positions.iter().chain(log.end.iter()).map(|(at, _)| at.clone()).collect();
    let lag = all.into_iter().map(|at| {
        let position = positions.get(&at).unwrap_or(0);
        let end = log.end.get(&at).unwrap_or(position).max(position);
        PartitionLag { partition: at.to_string(), position, end, lag: end - position }
    });
    lag.collect()
}

impl PartReport {
    fn new(projection: Projection, part: &Part, traced: &EntityRecords, letters: &HashSet<String>) -> Self {
        let registers = &part.row.registers;
        let (is, by) = match registers.liveness() {
            Liveness::Unseen => ("unseen", None),
            Liveness::Alive => ("alive", traced.holders.get(&Slot::Written)),
            Liveness::Deleted => ("deleted", traced.holders.get(&Slot::Deleted)),
        };
        let field = |(name, register): (&str, &Register)| {
            let record = traced.holders.get(&Slot::Field(name.to_owned())).cloned();
            Some(FieldReport {
                shown_as: part.place(projection, name)?,
                field: name.to_owned(),
                value: value(register.json()),
                version: register.version(),
                by: if register.is_by_replace() { "replace" } else { "merge" },
                record,
            })
        };
        let idle = traced.idle.iter().map(|(record, why)| IdleRecord {
            record: record.clone(),
            because: because(record, why, traced, letters),
        });
        Self {
            role: part.role.clone(),
            kind: part.entity_type(projection).map_or_else(String::new, |of| of.name.to_string()),
            id: part.id.clone(),
            is,
            by: by.cloned(),
            fields: registers.registers().filter_map(field).collect(),
            records: traced.records,
            without_effect: idle.collect(),
            without_effect_in_all: traced.idle_in_all,
        }
    }
}

fn because(record: &str, why: &NoEffectReason, traced: &EntityRecords, letters: &HashSet<String>) -> String {
    let holder = |slot: &Slot| {
        let holder = traced.holders.get(slot);
        holder.cloned().unwrap_or_else(|| format!("a record that is {NOT_IN_THE_LOG}"))
    };
    match why {
        NoEffectReason::Repeats(slot) => format!("repeats {}", holder(slot)),
        NoEffectReason::Hidden(Hider::Delete) => {
            format!("at or below the delete of {}", holder(&Slot::Deleted))
        }
        NoEffectReason::Hidden(Hider::Replace) => {
            format!("below the replacement by {}", holder(&Slot::Replaced))
        }
        NoEffectReason::Overwritten(slot @ Slot::Field(field)) => {
            format!("{field} is overwritten by {}", holder(slot))
        }
        NoEffectReason::Overwritten(slot) => format!("below {}", holder(slot)),
        NoEffectReason::Poison(reason) => {
            let waits = if letters.contains(record) { "" } else { " (not among the dead letters now)" };
            format!("dead letter: {reason}{waits}")
        }
        NoEffectReason::Ignored => "passed over, as [events.types] says".to_owned(),
        NoEffectReason::NotTaken => {
            "not in the state, which is past it. The state was made from another log or configuration; \
                          delete the state's folder and start again to replay"
                .to_owned()
        }
    }
}

fn value(json: &[u8]) -> Value {
    match serde_json::from_slice(json) {
        Ok(value) if json.len() <= VALUE_LETTERS_MAX => value,
        _ => Value::String(cut(&String::from_utf8_lossy(json), VALUE_LETTERS_MAX)),
    }
}
