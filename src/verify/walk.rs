//! The ids of the documents that the state calls for, in bounded parts, each from the snapshot of the moment.

use std::ops::ControlFlow;

use crate::entity::Liveness;
use crate::error::Result;
use crate::projection::{Entities, Projection};
use crate::state::Snapshot;
use crate::state::pass::Pass;

/// How many rows one part looks at.
const ROWS_MAX: usize = 5_000;

/// Which ids are taken: every `step`-th, from the `skip`-th on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    step: u64,
    skip: u64,
}

impl Sampling {
    /// Every single one.
    pub const ONE: Sampling = Sampling { step: 1, skip: 0 };

    /// About `count` of `total`; `seed` says which.
    pub fn of(total: u64, count: u64, seed: u64) -> Self {
        let step = total.div_ceil(count.max(1)).max(1);
        Self { step, skip: seed % step }
    }

    /// Whether the next one is taken.
    pub fn take(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.skip = self.step - 1;
        true
    }
}

/// A walk over everything that a projection has a document of: the living entities, and those that are
/// known by references only.
#[derive(Debug, Clone)]
pub struct Walk {
    projection: Projection,
    /// The last id that it met; `None` at its end.
    at: Option<String>,
    every: Sampling,
    met: u64,
}

impl Walk {
    /// A walk from the beginning.
    pub fn new(projection: Projection, every: Sampling) -> Self {
        Self { projection, at: Some(String::new()), every, met: 0 }
    }

    /// How many documents there are up to where it is, taken or not.
    pub fn count(&self) -> u64 {
        self.met
    }

    /// The next ids, at most `max`; none at the end.
    pub fn next(&mut self, snapshot: &Snapshot, max: usize) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        while ids.is_empty() {
            let Some(after) = self.at.take() else { break };
            self.at = self.part(snapshot, &after, max, &mut ids)?;
        }
        Ok(ids)
    }

    fn part(
        &mut self,
        snapshot: &Snapshot,
        after: &str,
        max: usize,
        ids: &mut Vec<String>,
    ) -> Result<Option<String>> {
        let mut pass = Pass::new(snapshot, self.projection, after)?;
        for _ in 0..ROWS_MAX {
            if !pass.advance()? {
                return Ok(None);
            }
            if pass.document()? == Liveness::Alive {
                self.met += 1;
                if self.every.take() {
                    ids.push(pass.id()?.to_owned());
                }
            }
            if ids.len() >= max {
                break;
            }
        }
        Ok(Some(pass.id()?.to_owned()))
    }
}

/// Why the state calls for no document of an entity that the log deleted.
pub const DELETED: &str = "deleted";

/// Why the state calls for no document of an id that the index holds; `None` when it calls for one.
pub fn explain_surplus(
    snapshot: &Snapshot,
    projection: Projection,
    id: &str,
) -> Result<Option<&'static str>> {
    let mut referred = false;
    let mut refer = |_: &str, _: &[u8]| {
        referred = true;
        ControlFlow::Break(())
    };
    match snapshot.document(projection, id)? {
        Liveness::Alive => return Ok(None),
        Liveness::Deleted => return Ok(Some(DELETED)),
        Liveness::Unseen => {}
    }
    for relation in projection.members().filter(|relation| projection.makes_stubs(*relation)) {
        snapshot.members(relation, id, &mut refer)?;
    }
    Ok((!referred).then_some("foreign"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CONTACTS, HIERARCHY, ORGANISATIONS};
    use crate::verify::world::World;

    #[test]
    fn a_sample_takes_every_so_many_from_where_the_seed_says() {
        let numbers = |mut every: Sampling| (0..10).filter(|_| every.take()).collect::<Vec<_>>();
        assert_eq!(numbers(Sampling::ONE).len(), 10);
        assert_eq!(numbers(Sampling::of(10, 4, 0)), [0, 3, 6, 9]);
        assert_eq!(numbers(Sampling::of(10, 4, 5)), [2, 5, 8]);
        for (total, count) in [(10, 0), (0, 5), (3, 100)] {
            assert!(!numbers(Sampling::of(total, count, 0)).is_empty(), "{total} {count}");
        }
    }

    fn walk_ids(world: &World, projection: Projection, max: usize) -> Vec<String> {
        let (mut walk, mut ids) = (Walk::new(projection, Sampling::ONE), Vec::new());
        loop {
            let some = walk.next(&world.state.snapshot().unwrap(), max).unwrap();
            assert!(some.len() <= max, "{some:?}");
            if some.is_empty() {
                return ids;
            }
            ids.extend(some);
        }
    }

    #[test]
    fn a_walk_meets_the_living_and_those_referred_to_once_each() {
        let world = World::default();
        world.organisation("o1", Some("p\0"));
        world.organisation("o2", Some("p\0"));
        world.organisation("o3", Some("o1"));
        world.delete_organisation("gone");
        world.contact("c1", "o1");
        for number in 0..5 {
            world.contact(&format!("d{number}"), "gone");
            world.contact(&format!("e{number}"), "q");
            world.contact(&format!("f{number}"), "r");
        }
        for max in [1, 2, 100] {
            assert_eq!(walk_ids(&world, ORGANISATIONS, max), ["o1", "o2", "o3", "q", "r"], "{max}");
            assert_eq!(walk_ids(&world, HIERARCHY, max), ["o1", "o2", "o3", "p\0"], "{max}");
            assert_eq!(walk_ids(&world, CONTACTS, max).len(), 16, "{max}");
        }
        let snapshot = world.state.snapshot().unwrap();
        let why = |projection, id: &str| explain_surplus(&snapshot, projection, id).unwrap();
        assert_eq!(why(ORGANISATIONS, "q"), None);
        assert_eq!(why(ORGANISATIONS, "p\0"), Some("foreign"));
        assert_eq!(why(HIERARCHY, "q"), Some("foreign"));
        assert_eq!(why(HIERARCHY, "gone"), Some("deleted"));
        assert_eq!(why(CONTACTS, "c1"), None);
        assert_eq!(why(CONTACTS, "o1"), Some("foreign"));
    }
}
