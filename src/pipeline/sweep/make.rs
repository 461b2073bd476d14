//! The next documents of a sweep, made from the rows as they are passed.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::behind;
use crate::entity::Liveness;
use crate::error::{Error, Result};
use crate::pipeline::fold::DocumentKey;
use crate::pipeline::materialise::{Maker, Materialised};
use crate::projection::{Limits, Projection};
use crate::state::keys::{Space, owner_of};
use crate::state::rows::{self, Place, Row};
use crate::state::{Snapshot, State};

/// How many rows one part looks at.
const ROWS_MAX: usize = 20_000;

/// A request's worth of a sweep.
pub struct Part {
    /// The documents; none is left.
    pub made: Materialised,
    /// Where the next part begins; `None` behind the last.
    pub next: Option<Place>,
}

/// Makes the documents from `place` on, from one snapshot, up to `bytes_max` and `documents_max`.
pub fn make(
    state: &State,
    projections: &[Projection],
    projection: Projection,
    place: &Place,
    limits: Limits,
    (documents_max, bytes_max): (usize, usize),
    over: &HashMap<DocumentKey, u64>,
) -> Result<Part> {
    let snapshot = state.snapshot()?;
    let mut maker = Maker::new(&snapshot, projections, limits, over);
    let space = Space::of_number(place.space).ok_or_else(|| {
        Error::failed("the state holds a sweep of no known space; delete its folder to replay")
    })?;
    let is_relation = matches!(space, Space::ContactsOf | Space::ChildrenOf);
    let (mut seen, mut last, mut owner) = (0, None, String::new());
    snapshot.view().scan(space, &[], &place.after, &mut |key, value| {
        if is_relation {
            refer(&snapshot, projection, key, &mut owner, &mut maker)?;
        } else if let Ok(id) = std::str::from_utf8(key) {
            let registers = rows::decode::<Row>(value)?.registers;
            if registers.liveness() != Liveness::Unseen {
                snapshot.hold(space, id, registers);
                maker.make((projection, Arc::from(id)))?;
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

/// Makes the document of a relation's owner when no event of it was ever seen.
fn refer(
    snapshot: &Snapshot,
    projection: Projection,
    key: &[u8],
    last: &mut String,
    maker: &mut Maker<'_>,
) -> Result<()> {
    let Some(owner) = owner_of(key).filter(|owner| owner != last) else { return Ok(()) };
    let is_unseen = match snapshot.view().get(Space::Organisations, owner.as_bytes())? {
        Some(bytes) => rows::liveness(&bytes)? == Liveness::Unseen,
        None => true,
    };
    if is_unseen {
        maker.make((projection, Arc::from(owner.as_str())))?;
    }
    *last = owner;
    Ok(())
}
