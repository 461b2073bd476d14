//! The servers of the index: health, disks and clocks.

use super::clock;
use crate::app::check::findings::Findings;
use crate::app::check::{INDEX, PRIVILEGES};
use crate::error::Error;
use crate::pipeline::status::Status;
use crate::sink::index::{Index, Node};

/// Looks at the cluster, unless it does not answer or is none of ours. An index without a server has none.
pub(super) async fn look(sink: &dyn Index, findings: &mut Findings) {
    let Ok(Some(_)) = sink.server().await else { return };
    if !findings.is_any_wrong(&[PRIVILEGES, INDEX]) {
        findings.note_good(PRIVILEGES, "the user may do with the indexes what a run does");
    }
    health(sink, findings).await;
    let before = Status::now_ms();
    match sink.nodes().await {
        Ok(nodes) => {
            let moments = (before, Status::now_ms());
            for node in nodes {
                clock::compare_clocks(
                    &format!("the index node {}", node.name),
                    node.clock_ms,
                    moments,
                    findings,
                );
                disk(&node, findings);
            }
        }
        Err(error) => findings.note_doubtful(PRIVILEGES, not_told("clocks and disks of the nodes", &error)),
    }
}

async fn health(sink: &dyn Index, findings: &mut Findings) {
    match sink.health().await {
        Ok(None) => {}
        Ok(Some(health)) if health == "green" => findings.note_good(INDEX, "every shard and every replica is there"),
        Ok(Some(health)) if health == "yellow" => findings.note_doubtful(
            INDEX,
            "replicas are not there (yellow), so that a lost node loses documents until they are written again. Add a \
             node, or set \
             number_of_replicas to 0 in the mapping",
        ),
        Ok(Some(health)) => {
            let text = format!("the indexes are {health}: shards are not there; look at the cluster's log");
            findings.note_wrong(INDEX, &Error::failure(text));
        }
        Err(error) => findings.note_doubtful(INDEX, not_told("the health of the indexes", &error)),
    }
}

fn not_told(what: &str, error: &Error) -> String {
    format!("the cluster does not tell {what}: {}", error.chain())
}

/// A cluster makes indexes read-only on a disk with less than 5 % free, and puts no shard on one with less than 15 %.
fn disk(node: &Node, findings: &mut Findings) {
    let percent = node.free.saturating_mul(100) / node.total.max(1);
    let head = format!("the node {} has {percent} % of its disk free", node.name);
    match percent {
        0..5 => {
            let text = format!("{head}, and indexes become read-only below 5 %; make room there");
            findings.note_doubtful(INDEX, text);
        }
        5..15 => {
            let text = format!("{head}, and a rebuild may find no place below 15 %; make room there");
            findings.note_doubtful(INDEX, text);
        }
        _ => findings.note_good(INDEX, head),
    }
}
