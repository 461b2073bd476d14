//! The next documents of a sweep, made from the rows as they are passed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::entity::Liveness;
use crate::error::Result;
use crate::pipeline::fold::DocumentKey;
use crate::pipeline::materialise::{Maker, Materialised};
use crate::pipeline::sizes::sized;
use crate::projection::{Limits, Projection};
use crate::state::State;
use crate::state::pass::Pass;

/// How many ids one part looks at.
const IDS_MAX: usize = sized(20_000, 6);

/// A request's worth of a sweep.
pub struct Part {
    /// The documents; none is left.
    pub made: Materialised,
    /// Where the next part begins; `None` behind the last.
    pub next: Option<String>,
}

/// What parts are made of.
pub struct Making<'a> {
    /// The state.
    pub state: &'a State,
    /// The projections, in the sink's order.
    pub projections: &'a [Projection],
    /// What shapes documents.
    pub limits: Limits,
    /// Versions that must be written over because somebody else wrote them.
    pub over: &'a HashMap<DocumentKey, u64>,
    /// Whether a document is taken; one that is not is passed over.
    pub takes: &'a dyn Fn(&DocumentKey) -> bool,
}

/// Makes the documents of a projection behind the id `place`, from one snapshot, up to a number and to bytes.
///
/// # Errors
/// Those of the state.
pub fn make(
    making: &Making<'_>,
    projection: Projection,
    place: &str,
    (documents_max, bytes_max): (usize, usize),
) -> Result<Part> {
    let Making { state, projections, limits, over, takes } = *making;
    let snapshot = state.snapshot()?;
    let mut maker = Maker::new(snapshot.progress(), projections, limits, over, bytes_max);
    let mut pass = Pass::new(&snapshot, projection, place)?;
    let mut seen = 0;
    while pass.advance()? {
        if pass.document()? != Liveness::Unseen {
            let document = (projection, Arc::from(pass.id()?));
            if takes(&document) {
                maker.make(&pass, document)?;
            }
        }
        seen += 1;
        let made = maker.made();
        if seen >= IDS_MAX || made.documents.len() >= documents_max || made.batch.bytes.len() >= bytes_max {
            return Ok(Part { made: maker.into_made(), next: Some(pass.id()?.to_owned()) });
        }
    }
    Ok(Part { made: maker.into_made(), next: None })
}
