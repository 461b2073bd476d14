//! An explanation for people.

use super::computed_report::ComputedReport;
use super::cut;
use super::index::IndexSide;
use super::report::{Explanation, NOT_IN_THE_LOG, PartReport};
use crate::escape;

/// Values are cut to so many letters.
const VALUE_LETTERS_MAX: usize = 60;
/// Of each part so many records without effect are shown.
const IDLE_MAX: usize = 5;

/// The lines that a terminal shows. The text of an event can't steer it.
pub fn text(explanation: &Explanation) -> String {
    let mut lines = Vec::new();
    head(explanation, &mut lines);
    if let Some(index) = &explanation.index {
        index_lines(index, &mut lines);
    }
    waiting_lines(explanation, &mut lines);
    lines.push(String::new());
    for part in &explanation.parts {
        part_lines(part, explanation.log_was_read, &mut lines);
    }
    if explanation.parts_left_out > 0 {
        lines.push(format!(
            "and {} more parts; explain those by their own documents",
            explanation.parts_left_out
        ));
    }
    add_computed_lines(explanation, &mut lines);
    lines.iter().map(|line| escape::value(line)).collect::<Vec<_>>().join("\n")
}

fn head(explanation: &Explanation, lines: &mut Vec<String>) {
    let Explanation { projection, id, instance, position, .. } = explanation;
    let expectation = if explanation.expected { "calls for it" } else { "calls for no such document" };
    lines.push(format!(
        "{projection}/{id}: the state, at position {position}, {expectation} (instance: {instance})"
    ));
    lines.extend(explanation.problems.iter().map(|problem| format!("missing here: {problem}")));
    lines.extend(explanation.notes.iter().map(|note| format!("log: {note}")));
}

/// The computed members, each with its value or the reason why it has none.
fn add_computed_lines(explanation: &Explanation, lines: &mut Vec<String>) {
    for ComputedReport { member, value, error } in &explanation.computed {
        lines.push(match error {
            Some(error) => format!("computed {member}: left out, because its program failed: {error}"),
            None if value.is_null() => format!("computed {member}: left out, because the program made null"),
            None => format!("computed {member}: {}", cut(&value.to_string(), VALUE_LETTERS_MAX)),
        });
    }
}

fn index_lines(index: &IndexSide, lines: &mut Vec<String>) {
    let name = if index.index.is_empty() { "none" } else { &index.index };
    let holds = match (index.found, index.version, index.position) {
        (false, ..) => "does not hold it".to_owned(),
        (true, version, position) => {
            let number =
                |number: Option<u64>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
            format!("holds version {}, made at position {}", number(version), number(position))
        }
    };
    let equal = if index.equal { "as the state calls for" } else { "which is not what the state calls for" };
    lines.push(format!("index: {name} {holds}, {equal}"));
    for difference in &index.differences {
        let side = |side: &Option<String>| {
            side.as_deref().map_or_else(|| "absent".to_owned(), |value| cut(value, VALUE_LETTERS_MAX))
        };
        let mut line = format!(
            "  {} differs: {} in the state, {} in the index",
            difference.field,
            side(&difference.state),
            side(&difference.index)
        );
        if !difference.members.is_empty() {
            line.push_str(&format!(" (by {})", difference.members.join(", ")));
        }
        lines.push(line);
    }
    lines.extend(index.reasons.iter().map(|reason| format!("  because {reason}")));
}

fn waiting_lines(explanation: &Explanation, lines: &mut Vec<String>) {
    let lag: i64 = explanation.partitions.iter().map(|at| at.lag).sum();
    let marked = match explanation.marked_since_step {
        Some(step) => format!("its delivery, since step {step}"),
        None => "no delivery".to_owned(),
    };
    lines.push(format!(
        "waiting: {marked}; {} fan-outs; {} records of its entities ({lag} records in all) beyond the state",
        explanation.fan_outs, explanation.waiting_in_all
    ));
    let records = explanation.waiting.iter();
    lines.extend(records.map(|waiting| format!("  {}  {}  {}", waiting.record, waiting.of, waiting.effect)));
    let more = explanation.waiting_in_all.saturating_sub(explanation.waiting.len() as u64);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
}

fn part_lines(part: &PartReport, log_was_read: bool, lines: &mut Vec<String>) {
    let missing = if log_was_read { NOT_IN_THE_LOG } else { "log not read" };
    let role = &part.role;
    let by = match (part.is, part.by.as_deref()) {
        ("unseen", _) => "known by references only".to_owned(),
        (is, by) => format!("{is} by {}", by.unwrap_or(missing)),
    };
    lines.push(format!("{role}: {} {}, {by}", part.kind, part.id));
    for field in &part.fields {
        lines.push(format!(
            "  {:<36} {:<40} {}  ({} at version {})",
            field.shown_as,
            if field.value.is_null() {
                "cleared".to_owned()
            } else {
                cut(&field.value.to_string(), VALUE_LETTERS_MAX)
            },
            field.record.as_deref().unwrap_or(missing),
            field.by,
            field.version
        ));
    }
    if part.without_effect_in_all > 0 {
        lines.push(format!(
            "  {} of its {} records have no effect now; the last:",
            part.without_effect_in_all, part.records
        ));
        let skipped = part.without_effect.len().saturating_sub(IDLE_MAX);
        let last = part.without_effect.iter().skip(skipped);
        lines.extend(last.map(|idle| format!("    {}  {}", idle.record, idle.because)));
    }
}
