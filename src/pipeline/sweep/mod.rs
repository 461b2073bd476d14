//! A sweep: every document of a projection in one pass over the state, in the order of its keys, without a
//! mark for each.
//!
//! An index that is new lacks everything. Marks would say so too, at the price of two writes to the state
//! for each document. A sweep is one row: the documents behind its place wait. It *sleeps* until writing
//! begins; a change of a document that it will come to needs no mark then, so that a log which is folded from
//! its beginning marks nothing. From the moment that it is *awake* every change is marked as always, whether
//! the sweep has passed its document or not.

mod book;
mod course;
mod make;

pub(super) use self::course::{Courses, Next};
pub use self::make::{Making, Part, make};

use crate::projection::Projection;
use crate::state::keys::Space;
use crate::state::rows::Place;
use crate::state::walked;

/// A sweep as the delivery sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweeping {
    /// What is swept.
    pub projection: Projection,
    /// The step that called for it; tells one sweep from another.
    pub step: u64,
    /// Where it is, once it is awake.
    pub place: Option<Place>,
    /// About how many documents are left.
    pub left: u64,
}

/// Where a sweep of a projection begins.
pub fn beginning(projection: Projection) -> Place {
    let (space, _) = walked(projection);
    Place { space: space as u8, after: Vec::new() }
}

/// Where it goes on when all entities are passed: to the organisations that are known by reference only.
fn behind(projection: Projection, space: Space) -> Option<Place> {
    let (entities, references) = walked(projection);
    let next = references.filter(|_| space == entities)?;
    Some(Place { space: next as u8, after: Vec::new() })
}
