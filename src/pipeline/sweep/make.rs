//! The next documents of a sweep, made from the rows as they are passed.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::behind;
use crate::entity::Liveness;
use crate::error::{Error, Result};
use crate::pipeline::fold::DocumentKey;
use crate::pipeline::materialise::{Maker, Materialised};
use crate::pipeline::sizes::sized;
use crate::projection::{Limits, Projection};
use crate::state::keys::{Space, owner_of, owner_prefix};
use crate::state::rows::{self, Place};
use crate::state::{Snapshot, State};

/// How many rows one part looks at.
const ROWS_MAX: usize = sized(20_000, 6);

/// A request's worth of a sweep.
pub struct Part {
    /// The documents; none is left.
    pub made: Materialised,
    /// Where the next part begins; `None` behind the last.
    pub next: Option<Place>,
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

/// Makes the documents of a projection from `place` on, from one snapshot, up to a number and to bytes.
///
/// # Errors
/// Those of the state.
pub fn make(
    making: &Making<'_>,
    projection: Projection,
    place: &Place,
    (documents_max, bytes_max): (usize, usize),
) -> Result<Part> {
    let Making { state, projections, limits, over, takes } = *making;
    let snapshot = state.snapshot()?;
    let mut maker = Maker::new(&snapshot, projections, limits, over, bytes_max);
    let space = Space::of_number(place.space).ok_or_else(|| {
        Error::failed("the state holds a sweep of no known space; delete its folder to replay")
    })?;
    let is_relation = matches!(space, Space::ContactsOf | Space::ChildrenOf);
    let (mut seen, mut last, mut owner) = (0, None, Vec::new());
    snapshot.view().scan(space, &[], &place.after, &mut |key, value| {
        if is_relation {
            if let Some(document) = refer(&snapshot, projection, key, &mut owner)?.filter(|key| takes(key)) {
                maker.make(document)?;
            }
        } else if let Ok(id) = std::str::from_utf8(key) {
            let document = (projection, Arc::from(id));
            if rows::liveness(value)? != Liveness::Unseen && takes(&document) {
                snapshot.hold(space, id, value);
                maker.make(document)?;
            }
        }
        seen += 1;
        let made = maker.made();
        if seen < ROWS_MAX && made.documents.len() < documents_max && made.batch.bytes.len() < bytes_max {
            return Ok(ControlFlow::Continue(()));
        }
        last = Some(key.to_vec());
        Ok(ControlFlow::Break(()))
    })?;
    let next = match last {
        Some(after) => Some(Place { space: place.space, after }),
        None => behind(projection, space),
    };
    Ok(Part { made: maker.into_made(), next })
}

/// The document of a relation's owner when no event of it was ever seen; `last` begins the keys of the owner before.
fn refer(
    snapshot: &Snapshot,
    projection: Projection,
    key: &[u8],
    last: &mut Vec<u8>,
) -> Result<Option<DocumentKey>> {
    if !last.is_empty() && key.starts_with(last) {
        return Ok(None);
    }
    let Some(owner) = owner_of(key) else { return Ok(None) };
    *last = owner_prefix(&owner);
    let is_unseen = snapshot.liveness(Space::Organisations, &owner)? == Liveness::Unseen;
    let document = is_unseen.then(|| (projection, Arc::from(owner.as_str())));
    Ok(document)
}
