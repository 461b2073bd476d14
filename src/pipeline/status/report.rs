//! The report of `status` and `/status`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::pipeline::readiness::Readiness;
use crate::position::Positions;
use crate::sink::generations::{Phase, Rebuild, RebuildProgress};

/// A rebuild in a report.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, JsonSchema)]
pub struct RebuildReport {
    /// The projection.
    pub projection: String,
    /// The index that is filled.
    pub index: String,
    /// How far it is.
    pub phase: Phase,
    /// Documents to send, as far as is known; 0 when it is not.
    pub total: u64,
    /// The records that are folded and delivered.
    #[serde(flatten)]
    pub progress: RebuildProgress,
}

/// One partition in a report.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, JsonSchema)]
pub struct PartitionReport {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offset of the next record to fold.
    pub position: i64,
    /// The log's end, as last asked.
    pub end: i64,
    /// Records that searches do not show yet.
    pub lag: i64,
    /// Records that are not folded yet.
    pub unread: i64,
    /// The offset below which everything is in the index.
    pub delivered: i64,
}

/// The report of `status` and `/status`.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "Status")]
pub struct Report {
    /// The version of the program that reports.
    pub version: &'static str,
    /// `starting`, `writing`, `catching up` or `standing by`; `stopped` when no instance runs.
    pub state: String,
    /// Whether it is ready, and why not.
    #[serde(flatten)]
    pub readiness: Readiness,
    /// Each partition.
    pub partitions: Vec<PartitionReport>,
    /// Documents that wait for the index.
    pub documents_waiting: u64,
    /// Age of the oldest change that is not in the index, in milliseconds; 0 when none waits.
    pub oldest_waiting_ms: u64,
    /// The product and the version of the server that holds the indexes; null while it is not known, and of an embedded index.
    pub index_server: Option<String>,
    /// The concrete index behind each projection's alias.
    pub indexes: BTreeMap<String, String>,
    /// The rebuilds that run, in any process.
    pub reindex: Vec<RebuildReport>,
    /// The indexes that a rollback put back, by projection: they are kept although the mapping's file says otherwise.
    pub rolled_back: BTreeMap<String, String>,
    /// Notes on the records, in sentences.
    pub notes: Vec<String>,
    /// Counters since the start.
    pub counters: BTreeMap<&'static str, u64>,
}

impl Report {
    /// A report of this program in a state, with nothing else to tell yet.
    pub fn new(state: &str) -> Self {
        Self { version: env!("CARGO_PKG_VERSION"), state: state.to_owned(), ..Self::default() }
    }
}

/// A rebuild as it is reported.
pub fn rebuild_report((projection, record): (String, Rebuild)) -> RebuildReport {
    RebuildReport {
        projection,
        index: record.index,
        phase: record.phase,
        total: record.progress.documents_total,
        progress: record.progress,
    }
}

/// Each partition of `positions` and `end`. `low_watermark` is delivered, and searches show the records below `shown`.
pub fn partitions(
    positions: &Positions,
    end: &Positions,
    low_watermark: &Positions,
    shown: &Positions,
) -> Vec<PartitionReport> {
    let all: BTreeSet<_> = positions.iter().chain(end.iter()).map(|(at, _)| at.clone()).collect();
    let report = all.into_iter().map(|at| {
        let position = positions.get(&at).unwrap_or(0);
        let end = end.get(&at).unwrap_or(position).max(position);
        let delivered = low_watermark.get(&at).unwrap_or(0);
        PartitionReport {
            topic: at.topic.to_string(),
            partition: at.partition,
            position,
            end,
            lag: (end - shown.get(&at).unwrap_or(0).min(delivered)).max(0),
            unread: end - position,
            delivered,
        }
    });
    report.collect()
}
