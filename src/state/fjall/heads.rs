//! Which commit each space was last written by, so that a store of which a part is missing is never taken for whole.
//!
//! A commit writes its number into every space that it touches, and the numbers of all spaces beside the rows of
//! [`Space::Meta`]. Spaces reach the disk at different times, each with what the journal held up to then. When a
//! part of the journal is lost that one space had passed and another had not, their numbers disagree; when it is lost
//! behind all of them, the store is only older, and the log is read again from there.

use crate::error::Result;
use crate::state::keys::Space;
use crate::state::store::Reader;

/// The key in each space: above all others, since no text holds this byte. Scans don't show it.
pub(super) const HEAD: &[u8] = &[255, 255, 255];
/// The key of the numbers of all spaces.
pub(in crate::state) const HEADS: &[u8] = b"heads";
const SPACES: usize = Space::ALL.len();

/// The number of the last commit, and of the last one of each space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Heads {
    /// How many commits there were.
    pub(super) count: u64,
    of: [u64; SPACES],
}

impl Heads {
    /// One commit more, of these spaces.
    pub(super) fn next(mut self, touched: impl Iterator<Item = Space>) -> Self {
        self.count += 1;
        for space in touched {
            if let Some(head) = self.of.get_mut(space as usize) {
                *head = self.count;
            }
        }
        self
    }

    /// The bytes of a row, with the number that the store's own counter will at least have reached.
    pub(super) fn encode(&self, counter: u64) -> Vec<u8> {
        let numbers = [self.count, counter].into_iter().chain(self.of);
        numbers.flat_map(u64::to_be_bytes).collect()
    }

    /// The numbers and the counter of such a row.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, u64)> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|bytes| u64::from_be_bytes(*bytes));
        let (count, counter) = (numbers.next()?, numbers.next()?);
        let of: Vec<u64> = numbers.collect();
        let of = of.try_into().ok().filter(|_| rest.is_empty())?;
        Some((Self { count, of }, counter))
    }

    /// The numbers that a view shows, and the first space that disagrees with them.
    pub(super) fn read(view: &dyn Reader) -> Result<(Self, Option<Space>)> {
        let row = view.get(Space::Meta, HEADS)?;
        let Some((heads, _)) = row.as_deref().map_or(Some((Self::default(), 0)), Self::decode) else {
            return Ok((Self::default(), Some(Space::Meta)));
        };
        for (space, head) in Space::ALL.into_iter().zip(heads.of) {
            let held = view.get(space, HEAD)?;
            if held.unwrap_or_else(|| vec![0; 8]) != head.to_be_bytes() {
                return Ok((heads, Some(space)));
            }
        }
        Ok((heads, None))
    }
}
