//! The requests in flight, and the slots that limit them.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use super::queue::Priority;
use crate::error::{Error, Result};
use crate::projection::Projection;

/// The priority and the projection of a request's documents; `None` for a chunk of a backfill.
type RequestKind = Option<(Priority, Projection)>;

/// The requests in flight.
#[derive(Debug, Default)]
pub(super) struct BulkRequests {
    tasks: JoinSet<(RequestKind, Result<()>)>,
    /// How many of them have the background priority.
    background: usize,
    /// How many of them have the direct priority, by projection.
    direct: BTreeMap<Projection, usize>,
    /// How many of them are chunks of backfills.
    chunks: usize,
}

/// So many requests beyond the slots may be in flight if there are several projections.
const EXTRA_SLOTS: usize = 2;

/// How many requests may be in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    pub(super) count: usize,
    /// True while documents of the background priority wait.
    pub(super) has_background: bool,
    /// True when there is more than one projection.
    pub(super) has_others: bool,
}

impl BulkRequests {
    /// Starts a request.
    pub(super) fn spawn(
        &mut self,
        kind: RequestKind,
        request: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        *self.count_of(kind) += 1;
        self.tasks.spawn(async move { (kind, request.await) });
    }

    /// True when one more request of a priority and a projection may start. Each priority leaves a slot to the other, so both
    /// make progress under any load. No projection has every direct slot if there are several, and the others have extra
    /// slots. The index takes long for documents with many members, and a member's own document need not wait for them.
    pub(super) fn has_slot(&self, priority: Priority, projection: Projection, slots: Slots) -> bool {
        let Slots { count, has_background, has_others } = slots;
        let all = self.tasks.len();
        // An overloaded index takes one request after the other.
        if count < 2 {
            return all < count;
        }
        let most = if has_others { count + EXTRA_SLOTS } else { count };
        match priority {
            Priority::Background if self.background == 0 => all < most,
            Priority::Background => self.background < count - 1 && all < count,
            Priority::Direct => {
                let own = self.direct.get(&projection).copied().unwrap_or(0);
                let waits = has_background && self.background == 0;
                own + usize::from(has_others) < count && all + usize::from(waits) < most
            }
        }
    }

    /// True when the next chunk of a backfill may be made. One chunk is made in advance, so that the index need not wait.
    pub(super) fn has_slot_for_chunk(&self, count: usize) -> bool {
        self.chunks == 0 || self.tasks.len() <= count
    }

    /// True when no request is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for the next request to end; `None` when there is none.
    pub(super) async fn next_ended(&mut self) -> Option<Result<()>> {
        let (kind, ended) = match self.tasks.join_next().await? {
            Ok(ended) => ended,
            Err(error) => return Some(Err(Error::failure("a delivery broke off").because(error))),
        };
        *self.count_of(kind) -= 1;
        Some(ended)
    }

    /// The counter of the requests that share a limit.
    fn count_of(&mut self, kind: RequestKind) -> &mut usize {
        match kind {
            Some((Priority::Background, _)) => &mut self.background,
            Some((Priority::Direct, projection)) => self.direct.entry(projection).or_default(),
            None => &mut self.chunks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CONTACTS, HIERARCHY, ORGANISATIONS};

    /// Of several projections.
    fn slots(count: usize, has_background: bool) -> Slots {
        Slots { count, has_background, has_others: true }
    }

    /// Starts as many requests as find a slot.
    fn fill(requests: &mut BulkRequests, priority: Priority, of: Projection, slots: Slots) -> usize {
        let before = requests.tasks.len();
        while requests.has_slot(priority, of, slots) {
            requests.spawn(Some((priority, of)), std::future::pending());
        }
        requests.tasks.len() - before
    }

    #[tokio::test]
    async fn the_only_place_is_for_whoever_comes_first() {
        for priority in [Priority::Background, Priority::Direct] {
            let mut requests = BulkRequests::default();
            assert_eq!(fill(&mut requests, priority, CONTACTS, slots(1, true)), 1);
            assert_eq!(fill(&mut requests, Priority::Direct, ORGANISATIONS, slots(1, true)), 0);
        }
    }

    #[tokio::test]
    async fn a_fan_out_leaves_a_place_to_what_was_changed_directly() {
        let mut requests = BulkRequests::default();
        assert_eq!(fill(&mut requests, Priority::Background, CONTACTS, slots(3, true)), 2);
        assert_eq!(fill(&mut requests, Priority::Direct, ORGANISATIONS, slots(3, true)), 2);
        assert_eq!(fill(&mut requests, Priority::Direct, CONTACTS, slots(3, true)), 1);
        assert_eq!(fill(&mut requests, Priority::Direct, HIERARCHY, slots(3, true)), 0);
    }

    #[tokio::test]
    async fn what_was_changed_directly_leaves_a_place_to_a_fan_out_that_waits() {
        let mut requests = BulkRequests::default();
        let direct = [ORGANISATIONS, CONTACTS, HIERARCHY];
        let filled = direct.map(|of| fill(&mut requests, Priority::Direct, of, slots(3, true)));
        assert_eq!(filled, [2, 2, 0]);
        assert_eq!(fill(&mut requests, Priority::Background, CONTACTS, slots(3, true)), 1);

        let mut alone = BulkRequests::default();
        let of_one = |has_background| Slots { has_others: false, ..slots(3, has_background) };
        assert_eq!(fill(&mut alone, Priority::Direct, CONTACTS, of_one(true)), 2);
        assert!(alone.has_slot(Priority::Direct, CONTACTS, of_one(false)), "there is no other projection");
        alone.spawn(Some((Priority::Background, CONTACTS)), std::future::pending());
        assert!(!alone.has_slot(Priority::Direct, CONTACTS, of_one(false)));
    }

    #[tokio::test]
    async fn no_projection_has_every_place() {
        let mut requests = BulkRequests::default();
        let direct = [ORGANISATIONS, CONTACTS, HIERARCHY];
        let filled = direct.map(|of| fill(&mut requests, Priority::Direct, of, slots(3, false)));
        assert_eq!(filled, [2, 2, 1]);
        assert!(requests.has_slot_for_chunk(3), "none is in flight");
        requests.spawn(None, std::future::pending());
        assert!(!requests.has_slot_for_chunk(3));
        assert!(requests.has_slot_for_chunk(6));
    }
}
