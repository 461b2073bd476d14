//! Documents from one snapshot of the state, written straight into the bytes of a request.

use std::collections::HashMap;

use super::fold::DocumentKey;
use crate::error::Result;
use crate::projection::{Limits, Projection};
use crate::sink::{Batch, Write};
use crate::state::State;

/// A request's worth of documents.
#[derive(Debug, Default)]
pub struct Materialised {
    /// What to send; its writes are in the order of `documents`.
    pub batch: Batch,
    /// The documents in it.
    pub documents: Vec<DocumentKey>,
    /// Documents for which there was no room.
    pub left: Vec<DocumentKey>,
    /// The step of the snapshot.
    pub step: u64,
}

/// Makes the documents (or finds that there are none, which is a delete) from one snapshot until
/// `bytes_max` is reached; at least one is made, however large. `over` names versions that must be
/// written over because somebody else wrote them.
pub fn materialise(
    state: &State,
    projections: &[Projection],
    mut documents: Vec<DocumentKey>,
    limits: Limits,
    bytes_max: usize,
    over: &HashMap<DocumentKey, u64>,
) -> Result<Materialised> {
    documents.sort_unstable();
    let snapshot = state.snapshot()?;
    let position = snapshot.progress().version();
    let mut made = Materialised { step: snapshot.progress().step, ..Materialised::default() };
    let mut waiting = documents.into_iter();
    for document in waiting.by_ref() {
        let Some(index) = projections.iter().position(|projection| *projection == document.0) else {
            continue;
        };
        let begin = made.batch.bytes.len();
        let exists =
            document.0.materialise(&snapshot, &document.1, limits, position, &mut made.batch.bytes)?;
        let version = over.get(&document).map_or(position, |foreign| position.max(*foreign));
        made.batch.writes.push(Write {
            projection: index,
            id: document.1.to_string(),
            version,
            body: exists.then_some(begin..made.batch.bytes.len()),
        });
        made.documents.push(document);
        if made.batch.bytes.len() >= bytes_max {
            break;
        }
    }
    made.left = waiting.collect();
    Ok(made)
}
