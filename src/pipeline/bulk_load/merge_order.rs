//! Sorted sources as one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::Result;

/// A source in the order of its items.
pub(super) type OrderedSource<T> = Box<dyn Iterator<Item = Result<T>> + Send>;

/// The items of all sources in their order; of equal ones that of the earlier source first.
///
/// # Errors
/// Those of the sources.
pub(super) fn in_order<T: Ord>(
    mut sources: Vec<OrderedSource<T>>,
) -> Result<impl Iterator<Item = Result<T>>> {
    let mut heads = BinaryHeap::new();
    for (number, source) in sources.iter_mut().enumerate() {
        heads.extend(source.next().transpose()?.map(|item| Reverse((item, number))));
    }
    Ok(std::iter::from_fn(move || {
        let Reverse((item, number)) = heads.pop()?;
        match sources.get_mut(number).and_then(Iterator::next).transpose() {
            Ok(next) => heads.extend(next.map(|next| Reverse((next, number)))),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(item))
    }))
}
