//! The text of `status` for a person.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::pipeline::readiness::Cause;
use crate::sink::IndexSummary;
use crate::time::rfc3339;

/// The counters, each with the words that stand for it.
const COUNTERS: &[(&str, &str)] = &[
    ("records", "records read"),
    ("poisoned", "records that went to the dead letters"),
    ("superseded", "records with lower versions than their entities had"),
    ("delivered", "documents written or deleted in the index"),
    ("bytes", "sent to the index"),
    ("requests", "requests sent to the index"),
    ("retried", "writes tried again"),
    ("conflicts", "writes made again after a conflict of versions"),
    ("foreign", "writes of others that were written over"),
    ("kept", "documents left as they are, because the partial log has no record of them"),
    ("dead_letters_waiting", "dead letters that wait for their topic"),
    ("rejected", "documents that the index rejected for good"),
];

/// So many notes on the records are shown.
const NOTES_MAX: usize = 10;

/// A report, with the indexes and the folder that are shown beside it.
pub(super) struct ReportText<'a> {
    /// The answer of `/status`.
    pub(super) report: &'a Value,
    /// The summaries of the indexes; `None` when the index does not answer.
    pub(super) indexes: Option<&'a [IndexSummary]>,
    /// The state's folder.
    pub(super) state: &'a Path,
}

impl ReportText<'_> {
    /// The lines; with the counters when they are asked for.
    pub(super) fn lines(&self, verbose: bool) -> Vec<String> {
        let mut lines = vec![self.instance()];
        lines.extend(list(self.report, "reasons").map(not_ready));
        lines.extend([self.log(), self.waiting()]);
        lines.extend(self.index_lines());
        lines.extend(letters_waiting(self.report));
        lines.extend(list(self.report, "reindex").map(rebuild));
        lines.extend(map(self.report, "rolled_back").map(describe_rollback));
        lines.extend(notes(self.report));
        lines.push(String::new());
        lines.push(format!(
            "{:<32} {:>12} {:>12} {:>10} {:>14}",
            "partition", "read up to", "log ends at", "behind", "searchable to"
        ));
        lines.extend(list(self.report, "partitions").map(partition));
        if verbose {
            lines.extend(counters(self.report));
        }
        lines
    }

    fn instance(&self) -> String {
        let state = text(self.report, "state");
        let Some(address) = self.report.get("instance").and_then(Value::as_str) else {
            return format!("instance: none runs; this is what the state in {} says", self.state.display());
        };
        let does = match state.as_str() {
            "writing" => "it writes the index",
            "catching up" => "it reads the log to its end before it writes the index",
            "starting" => "it starts, and opens the log and the indexes",
            "standing by" => "it stands by while another instance of the group writes the index",
            other => other,
        };
        format!("instance: answers at http://{address}/; {does}")
    }

    fn log(&self) -> String {
        let (mut ends, mut behind) = (0, 0);
        for at in list(self.report, "partitions") {
            ends += number(at, "end");
            // An instance of an earlier version tells only how much it has still to read.
            behind += number(at, if at.get("unread").is_some() { "unread" } else { "lag" });
        }
        match (ends, behind) {
            (0, _) => "log: no record seen yet".to_owned(),
            (_, 0) => "log: read to its end".to_owned(),
            (ends, behind) => format!("log: {behind} of {ends} records are still to be read"),
        }
    }

    fn waiting(&self) -> String {
        let (waiting, oldest) =
            (number(self.report, "documents_waiting"), number(self.report, "oldest_waiting_ms"));
        match waiting {
            0 => "documents: none waits for the index".to_owned(),
            _ => format!("documents: {waiting} wait for the index, the oldest change for {}", span(oldest)),
        }
    }

    fn index_lines(&self) -> Vec<String> {
        let Some(indexes) = self.indexes else { return vec!["index: does not answer".to_owned()] };
        let line = |summary: &IndexSummary| match summary.index.as_str() {
            "" => format!("index {}: not there yet; `tributary run` makes it", summary.alias),
            index => format!("index {}: {} documents in {index}", summary.alias, summary.documents),
        };
        let server = self.report.get("index_server").and_then(Value::as_str);
        let server = server.map(|server| format!("index server: {server}"));
        server.into_iter().chain(indexes.iter().map(line)).collect()
    }
}

/// The first notes on the records, and how many more there are.
fn notes(report: &Value) -> Vec<String> {
    let notes: Vec<&str> = list(report, "notes").filter_map(Value::as_str).collect();
    let mut lines: Vec<String> =
        notes.iter().take(NOTES_MAX).map(|note| format!("records: {note}")).collect();
    if let Some(more @ 1..) = notes.len().checked_sub(NOTES_MAX) {
        lines.push(format!("records: {more} more notes; --format json shows all"));
    }
    lines
}

fn not_ready(reason: &Value) -> String {
    let cause = text(reason, "cause");
    let is_dated = Cause::ALL.iter().any(|known| known.name() == cause && known.is_of_server());
    let since = UNIX_EPOCH + Duration::from_millis(number(reason, "since_ms"));
    let since = if is_dated { format!(", since {}", rfc3339(since)) } else { String::new() };
    format!("not ready: {}{since}", text(reason, "detail"))
}

fn rebuild(rebuild: &Value) -> String {
    let get = |name: &str| text(rebuild, name);
    let left = rebuild.get("seconds_left").and_then(Value::as_u64);
    let left = left.map(|seconds| format!(", about {} left", span(seconds * 1_000))).unwrap_or_default();
    format!(
        "reindex of {} into {}: {}, {} of {} records, {} of {} documents, {} a second{left}",
        get("projection"),
        get("index"),
        get("phase"),
        get("events"),
        get("events_total"),
        get("documents"),
        get("total"),
        get("rate")
    )
}

fn letters_waiting(report: &Value) -> Option<String> {
    let waiting = report.get("counters").map_or(0, |counters| number(counters, "dead_letters_waiting"));
    (waiting > 0).then(|| format!("dead letters: {waiting} wait for their topic, which is away"))
}

fn describe_rollback((projection, index): (&String, &Value)) -> String {
    format!(
        "{projection} was rolled back to {}; `tributary reindex {projection}` builds an index with the mapping's file",
        index.as_str().unwrap_or_default()
    )
}

fn partition(at: &Value) -> String {
    let name = format!("{}/{}", text(at, "topic"), text(at, "partition"));
    let [position, end, lag, delivered] = ["position", "end", "lag", "delivered"].map(|name| text(at, name));
    format!("{name:<32} {position:>12} {end:>12} {lag:>10} {delivered:>14}")
}

fn counters(report: &Value) -> Vec<String> {
    let counted: Vec<_> = map(report, "counters").collect();
    if counted.is_empty() {
        return vec![String::new(), "counters: none, because no instance runs".to_owned()];
    }
    let mut lines = vec![String::new(), "since the instance started:".to_owned()];
    for (name, value) in counted {
        let words =
            COUNTERS.iter().find(|(known, _)| known == name).map_or(name.as_str(), |(_, words)| words);
        let value = value.as_u64().unwrap_or(0);
        let value = if name == "bytes" { size(value) } else { value.to_string() };
        lines.push(format!("{value:>14}  {words}"));
    }
    lines
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn map<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// A time with its unit.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..10 => format!("{}.{} s", seconds, ms % 1_000 / 100),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Bytes with their unit.
fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut shown = format!("{bytes} bytes");
    let mut tenths = bytes.saturating_mul(10);
    for unit in units {
        if tenths < 10 * 1024 {
            break;
        }
        tenths /= 1024;
        shown = format!("{}.{} {unit}", tenths / 10, tenths % 10);
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::CONTACTS;

    fn report() -> Value {
        json!({
            "state": "writing", "instance": "127.0.0.1:8080", "documents_waiting": 3, "oldest_waiting_ms": 4_200,
            "partitions": [{"topic": "contacts", "partition": 0, "position": 7, "end": 9, "lag": 2, "delivered": 5}],
            "reasons": [{"cause": "index_away", "detail": "the index does not answer"}],
            "reindex": [], "indexes": {}, "counters": {"records": 7, "bytes": 3_000_000}
        })
    }

    #[test]
    fn the_text_says_where_an_instance_answers_what_waits_and_what_the_index_holds() {
        let indexes = [IndexSummary {
            projection: CONTACTS,
            alias: "contacts".to_owned(),
            index: "contacts-1".to_owned(),
            documents: 12,
        }];
        let report = report();
        let shown = ReportText { report: &report, indexes: Some(&indexes), state: Path::new("s") };
        let text = shown.lines(false).join("\n");
        for said in [
            "answers at http://127.0.0.1:8080/; it writes the index",
            "2 of 9 records are still to be read",
            "not ready: the index does not answer",
            "3 wait for the index, the oldest change for 4.2 s",
            "index contacts: 12 documents in contacts-1",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(!text.contains("MiB"), "counters are for --verbose");
        let text = ReportText { indexes: None, ..shown }.lines(true).join("\n");
        assert!(
            text.contains("2.8 MiB  sent to the index") && text.contains("index: does not answer"),
            "{text}"
        );
    }

    #[test]
    fn spans_and_sizes_have_units() {
        let spans = [0, 1_250, 59_000, 600_000, 7_200_000, 600_000_000].map(span);
        assert_eq!(spans, ["0.0 s", "1.2 s", "59 s", "10 min", "2 h", "6 days"]);
        assert_eq!([1_023, 1_024, 5 << 30].map(size), ["1023 bytes", "1.0 KiB", "5.0 GiB"]);
    }
}
