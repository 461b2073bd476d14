//! The requests that are under way, counted by their lanes.

use tokio::task::JoinSet;

use super::queue::Lane;
use crate::error::{Error, Result};

/// Requests under way.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    tasks: JoinSet<(Option<Lane>, Result<()>)>,
    direct: usize,
    wide: usize,
    background: usize,
}

impl UnderWay {
    /// Sets one out, with documents of a lane; without one those of a sweep.
    pub(super) fn spawn(
        &mut self,
        lane: Option<Lane>,
        request: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        if let Some(lane) = lane {
            *self.counted(lane) += 1;
        }
        self.tasks.spawn(async move { (lane, request.await) });
    }

    /// How many are of a lane.
    pub(super) fn count(&self, lane: Lane) -> usize {
        match lane {
            Lane::Direct => self.direct,
            Lane::Wide => self.wide,
            Lane::Background => self.background,
        }
    }

    fn counted(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Direct => &mut self.direct,
            Lane::Wide => &mut self.wide,
            Lane::Background => &mut self.background,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
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
        if let Some(lane) = lane {
            *self.counted(lane) -= 1;
        }
        Some(ended)
    }
}
