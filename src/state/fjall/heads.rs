//! Which commit each space was last written by, so that a store of which a part is missing is never taken for whole.
//!
//! A commit writes its number into every space that it touches, and the numbers of all spaces beside the rows of
//! [`Space::META`]. Spaces reach the disk at different times, each with the journal's content up to then. When a part
//! of the journal is lost that one space had passed and another had not, their numbers disagree. When it is lost
//! behind all of them, the store is only older, and the log is read again from there.

use crate::error::Result;
use crate::plan::builtin;
use crate::state::keys::{HEAD_KEY, HEADS_KEY, KEYSPACES_KEY, Space};
use crate::state::store::Reader;

/// The number of the last commit, and of the last one of each keyspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Heads {
    /// How many commits there were.
    pub(super) count: u64,
    /// In the order of the keyspaces.
    of: Vec<u64>,
}

/// The commits that a store shows.
pub(super) struct StoreCommits {
    pub(super) heads: Heads,
    /// The first keyspace that disagrees with the heads, by its place.
    pub(super) behind: Option<usize>,
    /// True when the names of the keyspaces are to be written.
    pub(super) is_renamed: bool,
}

impl Heads {
    /// None of so many keyspaces was written.
    fn none(keyspaces: usize) -> Self {
        Self { count: 0, of: vec![0; keyspaces] }
    }

    /// One commit more, of the keyspaces in these places.
    pub(super) fn next(&self, touched: impl Iterator<Item = usize>) -> Self {
        let mut next = self.clone();
        next.count += 1;
        for place in touched {
            if let Some(head) = next.of.get_mut(place) {
                *head = next.count;
            }
        }
        next
    }

    /// The bytes of a row, with the number that the store's own counter will at least have reached.
    pub(super) fn encode(&self, counter: u64) -> Vec<u8> {
        let numbers = [self.count, counter].into_iter().chain(self.of.iter().copied());
        numbers.flat_map(u64::to_be_bytes).collect()
    }

    /// The numbers and the counter of such a row.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, u64)> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|bytes| u64::from_be_bytes(*bytes));
        let (count, counter) = (numbers.next()?, numbers.next()?);
        let of: Vec<u64> = numbers.collect();
        rest.is_empty().then_some((Self { count, of }, counter))
    }

    /// The numbers that a view shows of the `keyspaces`, and the first keyspace that disagrees with them. One that the store did
    /// not know yet agrees.
    pub(super) fn read(view: &dyn Reader, keyspaces: &[(Space, String)]) -> Result<StoreCommits> {
        let own: Vec<&str> = keyspaces.iter().map(|(_, name)| name.as_str()).collect();
        let names = view.get(Space::META, KEYSPACES_KEY)?;
        let names = names.and_then(|names| String::from_utf8(names).ok());
        let row = view.get(Space::META, HEADS_KEY)?;
        // A state of a version before the keyspaces were noted is one of the built-in model.
        let of_built_in = Space::all(builtin());
        let of_built_in: Vec<&str> = of_built_in.iter().map(|(_, name)| name.as_str()).collect();
        let known: Vec<&str> = match &names {
            Some(names) => names.split('\n').collect(),
            None if row.is_some() => of_built_in.clone(),
            None => Vec::new(),
        };
        let none = Heads::none(keyspaces.len());
        let is_renamed = names.as_deref().map_or(own != of_built_in, |_| own != known);
        let Some((found, _)) = row.as_deref().map_or(Some((none.clone(), 0)), Heads::decode) else {
            return Ok(StoreCommits { heads: none, behind: Some(0), is_renamed });
        };
        if row.is_some() && found.of.len() != known.len() {
            return Ok(StoreCommits { heads: none, behind: Some(0), is_renamed });
        }
        let (mut heads, mut behind) = (Heads { count: found.count, of: Vec::new() }, None);
        for (place, (space, name)) in keyspaces.iter().enumerate() {
            let at = known.iter().position(|known| known == name);
            let head = at.and_then(|at| found.of.get(at)).copied().unwrap_or(0);
            heads.of.push(head);
            let written = view.get(*space, HEAD_KEY)?.unwrap_or_else(|| vec![0; 8]);
            let is_new = at.is_none() && row.is_some();
            if behind.is_none() && !is_new && written != head.to_be_bytes() {
                behind = Some(place);
            }
        }
        Ok(StoreCommits { heads, behind, is_renamed })
    }
}
