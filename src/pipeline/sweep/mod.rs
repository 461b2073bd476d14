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

/// A sweep as the delivery sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweeping {
    /// What is swept.
    pub projection: Projection,
    /// The step that called for it; tells one sweep from another.
    pub step: u64,
    /// The id up to which it has come, once it is awake; empty at its beginning.
    pub place: Option<String>,
    /// About how many documents are left.
    pub left: u64,
}
