//! The requests that are under way.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use super::queue::Lane;
use crate::error::{Error, Result};
use crate::projection::Projection;

/// What a request holds: documents of a lane and a projection; nothing is said of a sweep's.
type Held = Option<(Lane, Projection)>;

/// Requests under way.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    tasks: JoinSet<(Held, Result<()>)>,
    /// How many of them are of the background lane.
    background: usize,
    /// How many of them are of the direct lane, by projection.
    direct: BTreeMap<Projection, usize>,
    /// How many of them are of sweeps.
    sweeps: usize,
}

/// So many more than there are places may be under way, of several projections.
const BEYOND: usize = 2;

/// How many requests may be under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub(super) count: usize,
    /// True while documents of the background lane wait.
    pub(super) has_background: bool,
    /// True when there is more than one projection.
    pub(super) has_others: bool,
}

impl UnderWay {
    /// Sets one out.
    pub(super) fn spawn(&mut self, held: Held, request: impl Future<Output = Result<()>> + Send + 'static) {
        *self.like(held) += 1;
        self.tasks.spawn(async move { (held, request.await) });
    }

    /// Whether one more of a lane and projection may set out. A fan-out leaves a place to what an event changed directly, which
    /// leaves one to a fan-out that waits: however much changes, that gets on. No projection of several has every place for
    /// what changed directly, and the others find some beyond them: the index takes long for documents with many
    /// members, and a change of a member's own document need not wait for that.
    pub(super) fn has_place(&self, lane: Lane, projection: Projection, places: Places) -> bool {
        let Places { count, has_background, has_others } = places;
        let all = self.tasks.len();
        // An index that is overloaded takes one request after the other.
        if count < 2 {
            return all < count;
        }
        let most = if has_others { count + BEYOND } else { count };
        match lane {
            Lane::Background if self.background == 0 => all < most,
            Lane::Background => self.background < count - 1 && all < count,
            Lane::Direct => {
                let own = self.direct.get(&projection).copied().unwrap_or(0);
                let waits = has_background && self.background == 0;
                own + usize::from(has_others) < count && all + usize::from(waits) < most
            }
        }
    }

    /// Whether the next part of a sweep may be made: one more than may be under way, so that the index need not wait for it.
    pub(super) fn has_place_for_sweep(&self, count: usize) -> bool {
        self.sweeps == 0 || self.tasks.len() <= count
    }

    /// True when nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for the next one to end; `None` when there is none.
    pub(super) async fn ended(&mut self) -> Option<Result<()>> {
        let (held, ended) = match self.tasks.join_next().await? {
            Ok(ended) => ended,
            Err(error) => return Some(Err(Error::failed("a delivery broke off").because(error))),
        };
        *self.like(held) -= 1;
        Some(ended)
    }

    /// The count of those that are limited together.
    fn like(&mut self, held: Held) -> &mut usize {
        match held {
            Some((Lane::Background, _)) => &mut self.background,
            Some((Lane::Direct, projection)) => self.direct.entry(projection).or_default(),
            None => &mut self.sweeps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CONTACTS, HIERARCHY, ORGANISATIONS};

    /// Of several projections.
    fn places(count: usize, has_background: bool) -> Places {
        Places { count, has_background, has_others: true }
    }

    /// Sets out as many as find a place.
    fn fill(requests: &mut UnderWay, lane: Lane, of: Projection, places: Places) -> usize {
        let before = requests.tasks.len();
        while requests.has_place(lane, of, places) {
            requests.spawn(Some((lane, of)), std::future::pending());
        }
        requests.tasks.len() - before
    }

    #[tokio::test]
    async fn the_only_place_is_for_whoever_comes_first() {
        for lane in [Lane::Background, Lane::Direct] {
            let mut requests = UnderWay::default();
            assert_eq!(fill(&mut requests, lane, CONTACTS, places(1, true)), 1);
            assert_eq!(fill(&mut requests, Lane::Direct, ORGANISATIONS, places(1, true)), 0);
        }
    }

    #[tokio::test]
    async fn a_fan_out_leaves_a_place_to_what_was_changed_directly() {
        let mut requests = UnderWay::default();
        assert_eq!(fill(&mut requests, Lane::Background, CONTACTS, places(3, true)), 2);
        assert_eq!(fill(&mut requests, Lane::Direct, ORGANISATIONS, places(3, true)), 2);
        assert_eq!(fill(&mut requests, Lane::Direct, CONTACTS, places(3, true)), 1);
        assert_eq!(fill(&mut requests, Lane::Direct, HIERARCHY, places(3, true)), 0);
    }

    #[tokio::test]
    async fn what_was_changed_directly_leaves_a_place_to_a_fan_out_that_waits() {
        let mut requests = UnderWay::default();
        let direct = [ORGANISATIONS, CONTACTS, HIERARCHY];
        let filled = direct.map(|of| fill(&mut requests, Lane::Direct, of, places(3, true)));
        assert_eq!(filled, [2, 2, 0]);
        assert_eq!(fill(&mut requests, Lane::Background, CONTACTS, places(3, true)), 1);

        let mut alone = UnderWay::default();
        let of_one = |has_background| Places { has_others: false, ..places(3, has_background) };
        assert_eq!(fill(&mut alone, Lane::Direct, CONTACTS, of_one(true)), 2);
        assert!(alone.has_place(Lane::Direct, CONTACTS, of_one(false)), "there is no other projection");
        alone.spawn(Some((Lane::Background, CONTACTS)), std::future::pending());
        assert!(!alone.has_place(Lane::Direct, CONTACTS, of_one(false)));
    }

    #[tokio::test]
    async fn no_projection_has_every_place() {
        let mut requests = UnderWay::default();
        let direct = [ORGANISATIONS, CONTACTS, HIERARCHY];
        let filled = direct.map(|of| fill(&mut requests, Lane::Direct, of, places(3, false)));
        assert_eq!(filled, [2, 2, 1]);
        assert!(requests.has_place_for_sweep(3), "none is under way");
        requests.spawn(None, std::future::pending());
        assert!(!requests.has_place_for_sweep(3));
        assert!(requests.has_place_for_sweep(6));
    }
}
