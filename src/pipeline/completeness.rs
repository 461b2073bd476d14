//! How far the indexes hold everything that they have to.

use tokio::time::Instant;

use super::context::Context;
use super::filling::Filling;
use super::queue::Queue;
use super::reconcile::Reconciliation;
use super::service::Service;
use crate::error::Result;
use crate::projection::Projection;
use crate::sink::IndexState;

/// How far the indexes that are written hold everything that they have to.
pub(super) struct Completeness {
    /// Whether they serve readers.
    service: Service,
    filling: Filling,
    /// The indexes whose documents the state may not know of.
    reconciliation: Reconciliation,
}

impl Completeness {
    /// Of indexes that were opened.
    pub(super) fn of(states: &[IndexState]) -> Self {
        let (service, reconciliation) = (Service::of(is_any_filling(states)), Reconciliation::default());
        let mut completeness = Self { service, filling: Filling::Nothing, reconciliation };
        completeness.note_filling(states);
        completeness
    }

    /// Goes on with indexes that were handed over.
    pub(super) fn replace(&mut self, states: &[IndexState]) {
        self.service = Service::of(is_any_filling(states));
        self.note_filling(states);
    }

    /// The maker of an index may have died before it was full.
    fn note_filling(&mut self, states: &[IndexState]) {
        if is_any_filling(states) {
            self.filling = Filling::Marking;
        }
    }

    /// Nothing counts as delivered before this index of a projection is reconciled.
    pub(super) fn fill(&mut self, projection: Projection, index: String) {
        self.filling = Filling::Marking;
        self.reconciliation.put(projection, index);
    }

    /// Another turn of writing begins.
    pub(super) fn begin_turn(&mut self) {
        if matches!(self.service, Service::Given) {
            // Given to the indexes of then, by this instance.
            self.service = Service::of(false);
        }
    }

    /// Forgets the indexes to be reconciled, because others are written.
    pub(super) fn forget_reconciliation(&mut self) {
        self.reconciliation.clear();
    }

    /// Adds indexes of this instance that an earlier turn did not fill.
    pub(super) fn add_unfilled(&mut self, indexes: Vec<(Projection, String)>) {
        if !indexes.is_empty() {
            // Documents found in such an index wait to be deleted: nothing of it counts as delivered before they are.
            self.filling = Filling::Marking;
        }
        self.reconciliation.extend(indexes);
    }

    /// True while an index lacks, or may lack, documents below the low watermark. `is_past_gate` says whether the gate is
    /// open.
    pub(super) fn is_filling(&mut self, is_past_gate: bool, queue: &Queue) -> bool {
        let is_marked = is_past_gate && self.reconciliation.is_empty();
        self.filling = self.filling.at(is_marked, queue.step(), queue.oldest_waiting());
        self.filling != Filling::Nothing
    }

    /// True while readers may not see everything that the indexes acknowledged.
    pub(super) fn is_withheld(&self) -> bool {
        self.service.is_withheld()
    }

    /// True when the indexes serve and none is to be reconciled.
    pub(super) fn is_reached(&self) -> bool {
        self.reconciliation.is_empty() && matches!(self.service, Service::Given)
    }

    /// True when the indexes are to serve from now on. The gate is open.
    pub(super) fn is_service_due(&mut self, queue: &Queue) -> bool {
        match self.service {
            Service::Given => false,
            Service::AfterFilling => queue.backfills().is_empty() && !self.is_filling(true, queue),
            Service::Due(at) | Service::Filled(at) => Instant::now() >= at,
        }
    }

    /// The indexes serve.
    pub(super) fn note_service(&mut self) {
        self.service = Service::Given;
    }

    /// The index was away when it was to serve.
    pub(super) fn delay_service(&mut self) {
        self.service = self.service.later();
    }

    /// True while an index is to be reconciled.
    pub(super) fn has_reconciliation(&self) -> bool {
        !self.reconciliation.is_empty()
    }

    /// Reconciles the indexes that the state did not fill.
    ///
    /// # Errors
    /// Those of the index, but for its absence.
    pub(super) async fn reconcile(&mut self, context: &Context) -> Result<()> {
        self.reconciliation.run(context).await
    }
}

fn is_any_filling(states: &[IndexState]) -> bool {
    states.iter().any(|state| state.is_filling)
}
