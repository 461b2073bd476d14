//! The requests that are under way.

use tokio::task::JoinSet;

use super::queue::Lane;
use crate::error::{Error, Result};

/// Requests under way.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    tasks: JoinSet<(Option<Lane>, Result<()>)>,
    /// How many of them are of the background lane.
    background: usize,
}

impl UnderWay {
    /// Sets one out, with documents of a lane; without one those of a sweep.
    pub(super) fn spawn(
        &mut self,
        lane: Option<Lane>,
        request: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        self.background += usize::from(lane == Some(Lane::Background));
        self.tasks.spawn(async move { (lane, request.await) });
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.tasks.len()
    }

    /// Whether one more of a lane may set out while `places` may be under way. A fan-out leaves one to what an event changed
    /// directly, which may have every place but one while a fan-out waits: however much changes, that gets on.
    pub(super) fn has_place(&self, lane: Lane, places: usize, has_background: bool) -> bool {
        let is_kept = match lane {
            Lane::Background => self.background + 1 >= places,
            Lane::Direct => has_background && self.background == 0 && self.tasks.len() + 1 >= places,
        };
        self.tasks.len() < places && !(is_kept && places > 1)
    }

    /// True when nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for the next one to end; `None` when there is none.
    pub(super) async fn ended(&mut self) -> Option<Result<()>> {
        let (lane, ended) = match self.tasks.join_next().await? {
            Ok(ended) => ended,
            Err(error) => return Some(Err(Error::failed("a delivery broke off").because(error))),
        };
        self.background -= usize::from(lane == Some(Lane::Background));
        Some(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fan_out_leaves_a_place_to_what_was_changed_directly() {
        let mut requests = UnderWay::default();
        let mut fill = |lane, places| {
            let before = requests.count();
            while requests.has_place(lane, places, false) {
                requests.spawn(Some(lane), std::future::pending());
            }
            requests.count() - before
        };
        assert_eq!(fill(Lane::Background, 1), 1, "the only place is for whoever comes first");
        assert_eq!(fill(Lane::Background, 3), 1);
        assert_eq!(fill(Lane::Direct, 3), 1);
        assert_eq!(fill(Lane::Direct, 3), 0);
    }

    #[tokio::test]
    async fn what_was_changed_directly_leaves_a_place_to_a_fan_out_that_waits() {
        let mut requests = UnderWay::default();
        assert!(requests.has_place(Lane::Direct, 1, true), "the only place is for whoever comes first");
        while requests.has_place(Lane::Direct, 3, true) {
            requests.spawn(Some(Lane::Direct), std::future::pending());
        }
        assert_eq!(requests.count(), 2);
        assert!(requests.has_place(Lane::Direct, 3, false), "none waits");
        requests.spawn(Some(Lane::Background), std::future::pending());
        assert!(requests.has_place(Lane::Direct, 4, true), "one is under way");
    }
}
