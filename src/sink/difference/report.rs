//! The report of `--dry-run`.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use super::{Call, MODEL, MappingDifference, calls_for, differences, differences_of_embedded};
use crate::model::mapping::Shape;

/// Values are cut to so many letters in the text.
const VALUE_LETTERS_MAX: usize = 80;
/// So many letters stand before the first difference of values that are cut.
const BEFORE_DIFFERENCE: usize = 20;

/// The cost of a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// How many documents there are.
    pub documents: u64,
    /// The bytes that the live index takes, replicas among them.
    pub bytes: u64,
    /// The bytes that old and new take while both are there.
    pub bytes_during: u64,
    /// How long the documents take; null when no rate is known.
    pub seconds: Option<u64>,
}

/// The cost of a rebuild of `documents` documents, whose index takes `bytes`, at so many a second.
pub fn estimate(documents: u64, bytes: u64, documents_per_second: Option<f64>) -> Estimate {
    let rate = documents_per_second.filter(|rate| rate.is_finite() && *rate > 0.0);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate; the cast ends at the bounds"
    )]
    let seconds = rate.map(|rate| (documents as f64 / rate).ceil() as u64);
    Estimate { documents, bytes, bytes_during: bytes.saturating_mul(2), seconds }
}

/// The work that a projection's changed mapping calls for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MappingReport {
    /// The projection.
    pub projection: String,
    /// The live index.
    pub index: String,
    /// The work that all differences together call for.
    pub calls_for: Call,
    /// True when, put in place, some of it shows only in documents that are written afterwards.
    pub send_again: bool,
    /// The differences.
    pub differences: Vec<MappingDifference>,
    /// True when the mapping's file is not the one that the index was built with.
    pub hash_differs: bool,
    /// True when a rollback put the index back: `run` goes on with it as it is.
    pub rolled_back: bool,
    /// The cost of a rebuild.
    pub estimate: Option<Estimate>,
    /// The advice on the next step.
    pub advice: String,
}

impl MappingReport {
    /// Of an index of Elasticsearch: `live` is the answer to `GET <index>`, `file` the mapping's
    /// file, `hash` the file's.
    pub fn new(
        projection: &str,
        index: &str,
        live: &Value,
        file: &Value,
        hash: &str,
        shape: &Shape,
        estimate: Option<Estimate>,
    ) -> Self {
        let built =
            super::inner(live).pointer("/mappings/_meta/tributary/mapping_hash").and_then(Value::as_str);
        let hash_differs = built != Some(hash);
        Self::of(projection, index, differences(live, file, shape), hash_differs, estimate)
    }

    /// The report on an embedded index: `meta` is the index's note on its making.
    pub fn of_embedded(
        projection: &str,
        index: &str,
        meta: &Value,
        file: &Value,
        hash: &str,
        shape: &Shape,
        estimate: Option<Estimate>,
    ) -> Self {
        let hash_differs = meta.get("mapping_hash").and_then(Value::as_str) != Some(hash);
        let found = differences_of_embedded(meta, file, shape);
        let mut report = Self::of(projection, index, found, hash_differs, estimate);
        if hash_differs && report.calls_for == Call::Nothing && meta.get("mapping").is_none() {
            report.advice = format!(
                "the index does not keep the file that it was built with, and only its hash differs; `run` asks for \
                 `tributary reindex {projection}`"
            );
        }
        report
    }

    fn of(
        projection: &str,
        index: &str,
        differences: Vec<MappingDifference>,
        hash_differs: bool,
        estimate: Option<Estimate>,
    ) -> Self {
        let calls_for = calls_for(&differences);
        let send_again = differences.iter().any(|difference| difference.send_again);
        let is_of_model = differences.iter().any(|difference| difference.path.starts_with(MODEL));
        let advice = advice((projection, is_of_model), calls_for, send_again, hash_differs);
        let (projection, index) = (projection.to_owned(), index.to_owned());
        let rolled_back = false;
        Self {
            projection,
            index,
            calls_for,
            send_again,
            differences,
            hash_differs,
            rolled_back,
            estimate,
            advice,
        }
    }

    /// The same report of an index that a rollback put back.
    #[must_use]
    pub fn after_rollback(self) -> Self {
        let advice = format!(
            "the index was put back by a rollback, and `run` goes on with it until the file changes again. `tributary \
             reindex {}` builds one with the file as it is",
            self.projection
        );
        Self { rolled_back: true, advice, ..self }
    }

    /// The report for people.
    pub fn text(&self) -> String {
        let Self { projection, index, .. } = self;
        let calls_for = match self.calls_for {
            Call::Nothing => "nothing",
            Call::Addition => "an addition that can be put in place",
            Call::Rebuild => "a rebuild",
        };
        let mut text = format!("{projection} ({index}): {calls_for}\n");
        for difference in &self.differences {
            let MappingDifference { path, before, after, calls_for, send_again, note } = difference;
            let what = match calls_for {
                Call::Rebuild => "rebuild",
                Call::Nothing => "nothing",
                _ if *send_again => "in place, for documents written afterwards",
                _ => "in place",
            };
            let note = if note.is_empty() { String::new() } else { format!("; {note}") };
            let (before, after) = excerpts(before, after);
            // Writing into a text does not fail.
            let _ = writeln!(text, "  {path}: {before} -> {after}  ({what}{note})");
        }
        let _ = write!(text, "  {}", self.advice);
        if let Some(estimate) = self.estimate.filter(|_| self.calls_for != Call::Nothing || self.hash_differs)
        {
            let _ = write!(text, "\n  {}", estimate.text());
        }
        text
    }
}

impl Estimate {
    /// One line for people.
    pub fn text(&self) -> String {
        let time = match self.seconds {
            None => "no rate is known yet".to_owned(),
            Some(seconds) if seconds < 60 => format!("about {seconds} s"),
            Some(seconds) if seconds < 2 * 3_600 => format!("about {} min", seconds.div_ceil(60)),
            Some(seconds) => format!("about {} h", seconds.div_ceil(3_600)),
        };
        format!(
            "a rebuild: {} documents, {time}; the disk holds {} instead of {} until the old index is pruned",
            self.documents,
            bytes(self.bytes_during),
            bytes(self.bytes)
        )
    }
}

fn advice(
    (projection, is_of_model): (&str, bool),
    calls_for: Call,
    send_again: bool,
    hash_differs: bool,
) -> String {
    // The state has all that another shape of documents needs.
    let from = if is_of_model { " --from state" } else { "" };
    let reindex = format!("`tributary reindex {projection}{from}`");
    match (calls_for, send_again) {
        (Call::Nothing, _) if !hash_differs => {
            "the index is as the file wants it; there is nothing to do".to_owned()
        }
        (Call::Nothing, _) => {
            "the file says the same in other words; `run` notes its hash at its next start".to_owned()
        }
        (Call::Addition, false) => format!(
            "the index takes all of it in place, and it is in force for every document at once. {reindex} does it \
             now, `run` \
             at its next start, and `tributary reindex {projection} --rebuild` with a new index"
        ),
        (Call::Addition, true) => format!(
            "the index takes all of it in place, and a document shows it once it is written again. {reindex} does it \
             now and has every document sent again, as `run` does at its next start. `tributary reindex \
             {projection} --rebuild` builds a new index"
        ),
        (Call::Rebuild, _) => {
            format!("only a new index can have it; {reindex} builds one beside the live one")
        }
    }
}

/// Two values for people. Long ones are shown around their first difference, so that they do not look alike.
fn excerpts(before: &Value, after: &Value) -> (String, String) {
    let text = |value: &Value| if value.is_null() { "nothing".to_owned() } else { value.to_string() };
    let (before, after) = (text(before), text(after));
    let same = before.chars().zip(after.chars()).take_while(|(one, other)| one == other).count();
    let is_short = |text: &str| text.chars().nth(VALUE_LETTERS_MAX).is_none();
    let is_early = same + BEFORE_DIFFERENCE <= VALUE_LETTERS_MAX / 2;
    let from = if is_early || is_short(&before) && is_short(&after) {
        0
    } else {
        same.saturating_sub(BEFORE_DIFFERENCE)
    };
    (cut(&before, from), cut(&after, from))
}

/// The letters of a text from one on, with an ellipsis where some are left out.
fn cut(text: &str, from: usize) -> String {
    let mut letters = text.chars().skip(from);
    let mut shown = String::from(if from > 0 { "…" } else { "" });
    shown.extend(letters.by_ref().take(VALUE_LETTERS_MAX));
    shown.push_str(if letters.next().is_some() { "…" } else { "" });
    shown
}

fn bytes(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{} {name}", bytes.div_ceil(unit)),
        None => format!("{bytes} bytes"),
    }
}
