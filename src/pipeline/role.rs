//! The role of this instance: the indexes that it writes, or follows as a standby, and the gate before their delivery.

use std::collections::BTreeMap;

use super::command::FoldCommand;
use super::completeness::Completeness;
use super::context::Context;
use super::deadline::in_time;
use super::gate::{Gate, GateAction};
use super::hand_over::MovedIndex;
use super::indexes::Indexes;
use super::status::Status;
use super::switch::Switch;
use super::work::in_place;
use crate::error::{Error, ErrorKind, Result};
use crate::position::Positions;
use crate::projection::Projection;
use crate::sink::IndexState;

/// The role of this instance, with the indexes that it writes when it is the writer.
pub(super) struct Role {
    gate: Gate,
    indexes: Indexes,
    completeness: Completeness,
    /// Of the delivery.
    switch: Switch,
}

impl Role {
    /// Of an instance that opened these indexes.
    pub(super) fn new(gate: Gate, states: &[IndexState], switch: Switch) -> Self {
        Self { gate, indexes: Indexes::of(states), completeness: Completeness::of(states), switch }
    }

    /// The indexes that are written.
    pub(super) fn indexes(&self) -> &Indexes {
        &self.indexes
    }

    /// The switch of the delivery.
    pub(super) fn switch(&self) -> &Switch {
        &self.switch
    }

    /// Ends the delivery once its requests are answered.
    pub(super) fn end_delivery(&mut self) {
        self.switch.end_delivery();
    }

    /// True once nothing is held back from delivery.
    pub(super) fn is_past_gate(&self) -> bool {
        self.gate.is_open()
    }

    /// True while another index is to be handed over.
    pub(super) fn awaits_hand_over(&self) -> bool {
        self.gate.hand_over().is_some()
    }

    /// True once delivery goes on to indexes that serve, and none is to be reconciled.
    pub(super) fn is_settled(&self) -> bool {
        self.gate.is_open() && self.completeness.is_reached()
    }

    /// Stops being the writer.
    pub(super) fn stand_by(&mut self) {
        self.gate.stand_by();
    }

    /// Has the log's end asked for before delivery. A new writer asks for it at that moment, and not at its start.
    pub(super) fn close_gate(&mut self) {
        self.gate.close();
    }

    /// Begins to write, through the gate of this moment. An index that an earlier turn did not fill, or that another
    /// instance wrote, is handed over first. The marks may not be for it. An index with a backfill is reconciled as
    /// well. A backfill was paused at first, and no change is marked during a pause. So another instance may have
    /// written documents that are deleted by now.
    pub(super) async fn begin_to_write(&mut self, context: &Context) -> Result<()> {
        if self.gate.may_have_cleared_all() {
            // The commands of an earlier turn decide. In the first turn there were none, and the fold may
            // wait for a server.
            context.barrier().await?;
        }
        self.completeness.begin_turn();
        let (mut moved, mut unfilled) = (Vec::new(), Vec::new());
        for (projection, index) in self.indexes.iter() {
            if context.state().index_built_for(projection.name())? != *index {
                moved.push((projection, index.clone()));
            } else if context.queue().has_backfill(projection) && !bug!(UnfilledTrusted) {
                unfilled.push((projection, index.clone()));
            }
        }
        if !moved.is_empty() {
            self.completeness.forget_reconciliation();
            self.gate.begin_hand_over(moved);
        }
        self.completeness.add_unfilled(unfilled);
        Ok(())
    }

    /// A standby clears the marks of documents that the writer has delivered.
    pub(super) fn follow(&mut self, context: &Context) -> Result<()> {
        let leadership = context.leadership();
        let committed = in_place(|| leadership.writer_position())?;
        if !committed.log.is_empty() && committed.log != context.generation() {
            // Offsets of topics that were deleted since say nothing of those that have their names now. A writer may have
            // committed them after the broker forgot the others.
            tracing::debug!(low_watermark = %committed.low_watermark, "the group's offsets are of another log, or of one not known yet");
            return Ok(());
        }
        if !committed.low_watermark.is_empty() {
            let progress = context.index_progress();
            progress.set_low_watermark(&committed.low_watermark, Status::now_ms(), BTreeMap::new());
            self.gate.note_cleared(&committed.low_watermark);
            context.command(FoldCommand::DeliveredElsewhere(committed))?;
        }
        Ok(())
    }

    /// Goes one step on, where nothing has to be waited for; true when the next one may follow at once.
    pub(super) async fn pass_gate(&mut self, context: &Context) -> Result<bool> {
        match self.gate.next(context.queue()) {
            GateAction::Wait => Ok(false),
            GateAction::Continue => Ok(true),
            GateAction::HandOver => {
                self.hand_over(context).await?;
                Ok(self.gate.is_closed())
            }
            GateAction::Ask => {
                // A new writer does not know its index yet.
                if self.look_for_move(context).await {
                    return Ok(false);
                }
                self.gate.wait_for_end(context.ask_for_end());
                Ok(true)
            }
            GateAction::Begin => {
                self.switch.forget_claims();
                context.queue().forget();
                context.command(FoldCommand::ResumeBackfills)?;
                self.completeness.reconcile(context).await?;
                Ok(false)
            }
        }
    }

    /// Reconciles the indexes that the state did not fill, once the gate is passed.
    pub(super) async fn reconcile(&mut self, context: &Context) -> Result<()> {
        if self.gate.is_open() && self.completeness.has_reconciliation() {
            self.completeness.reconcile(context).await?;
        }
        Ok(())
    }

    /// Has the indexes serve once this instance writes them and nothing fills them.
    ///
    /// # Errors
    /// When the index does not let itself be changed.
    pub(super) async fn serve(&mut self, context: &Context) -> Result<()> {
        if !self.gate.is_open() || !self.completeness.is_service_due(context.queue()) {
            return Ok(());
        }
        match in_time(context.sink().serve()).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!(
                    error = error.chain(),
                    "the filled index cannot be put into service now; this is tried again"
                );
                self.completeness.delay_service();
            }
            served => {
                served?;
                self.completeness.note_service();
                context.index_progress().note_filled();
            }
        }
        Ok(())
    }

    /// Notes how far the index is.
    pub(super) fn note_low_watermark(&mut self, context: &Context, now: u64) -> Option<Positions> {
        let queue = context.queue();
        if self.is_filling(context) || self.completeness.is_withheld() {
            return None;
        }
        let low_watermark = queue.low_watermark()?;
        let shown = context
            .projections()
            .iter()
            .filter_map(|projection| Some((*projection, queue.low_watermark_of(Some(*projection))?)));
        let shown = shown.collect();
        let time_ms = queue.waiting_since().unwrap_or(now);
        context.index_progress().set_low_watermark(&low_watermark, time_ms, shown);
        Some(low_watermark)
    }

    /// True while an index lacks, or may lack, documents below the low watermark.
    fn is_filling(&mut self, context: &Context) -> bool {
        self.completeness.is_filling(self.gate.is_open(), context.queue()) || self.is_handed_over_still()
    }

    /// True while an index that this instance found behind an alias when it began to write is not its own yet.
    /// Acknowledgements of another index say nothing of this one.
    fn is_handed_over_still(&self) -> bool {
        let Some(hand_over) = self.gate.hand_over() else { return false };
        hand_over.moved.iter().any(|moved| self.indexes.is_written(moved))
    }

    /// Looks whether every alias still stands for the index that is written; if not, nothing is delivered
    /// until the other is handed over.
    pub(super) async fn look_for_move(&mut self, context: &Context) -> bool {
        let behind = match in_time(context.sink().indexes_behind()).await {
            Ok(behind) => behind,
            // A server that is away moves no alias. Writes report every other error.
            Err(error) => {
                tracing::debug!(error = error.chain(), "the aliases cannot be looked up");
                return false;
            }
        };
        let moved = self.indexes.find_moved(&behind);
        if moved.is_empty() {
            return false;
        }
        self.switch.turn_off();
        self.gate.begin_hand_over(moved);
        true
    }

    async fn hand_over(&mut self, context: &Context) -> Result<()> {
        let Some(hand_over) = self.gate.hand_over() else { return Ok(()) };
        let stops = hand_over.stopped_at.is_none() && self.switch.is_idle();
        // The queue hears of a step after the snapshots that a delivery may have been made from.
        let stopped_at = if stops {
            context.barrier().await?;
            Some(context.queue().positions())
        } else {
            None
        };
        let Some(hand_over) = self.gate.hand_over_mut() else { return Ok(()) };
        hand_over.stopped_at = hand_over.stopped_at.take().or(stopped_at);
        let states = match hand_over.look(&**context.sink()).await {
            Ok(true) => context.sink().adopt(context.identity()).await,
            Ok(false) => return Ok(()),
            Err(error) => Err(error),
        };
        match states {
            Ok(states) => self.take_over(context, &states).await,
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!(error = error.chain(), "this instance is waiting for the index");
                Ok(())
            }
            // Documents of this instance's model have another shape than the new index, and the former one has no readers.
            Err(error) if error.kind() == ErrorKind::MappingChanged => Err(Error::new(
                ErrorKind::MappingChanged,
                format!(
                    "{} was rebuilt by another model or version; start this instance again with that one",
                    hand_over.indexes()
                ),
            )),
            Err(error) => self.refuse(context, &error).await,
        }
    }

    /// Goes on with the indexes that were written before. Another program moved an alias to a foreign index, and the former
    /// index stays complete, because the alias may come back.
    async fn refuse(&mut self, context: &Context, error: &Error) -> Result<()> {
        let Some(hand_over) = self.gate.end_hand_over() else { return Ok(()) };
        tracing::error!(
            error = error.chain(),
            "an alias was moved; this instance goes on with the index that it stood for before"
        );
        let has_state = hand_over.has_state();
        let (written, refused): (Vec<_>, Vec<_>) =
            hand_over.moved.into_iter().partition(|moved| self.indexes.is_written(moved));
        self.indexes.refuse(refused.into_iter().map(|moved| moved.index));
        if written.is_empty() {
            return Ok(());
        }
        written.into_iter().try_for_each(|moved| self.take(context, moved, has_state))?;
        context.barrier().await
    }

    /// Goes on with the indexes that were handed over, through the gate.
    async fn take_over(&mut self, context: &Context, states: &[IndexState]) -> Result<()> {
        let Some(hand_over) = self.gate.end_hand_over() else { return Ok(()) };
        let expected = |projection: Projection| {
            let moved = hand_over.moved.iter().find(|moved| moved.projection == projection);
            moved.map(|moved| &moved.index).or(self.indexes.get(projection))
        };
        let others = states.iter().filter(|state| expected(state.projection) != Some(&state.index));
        let others: Vec<(Projection, String)> =
            others.map(|state| (state.projection, state.index.clone())).collect();
        if !others.is_empty() {
            // Moved while the first ones were waited for.
            let first = hand_over.moved.into_iter().map(|moved| (moved.projection, moved.index));
            let first = first.filter(|(projection, _)| others.iter().all(|(other, _)| other != projection));
            let moved = first.chain(others.iter().cloned()).collect();
            self.gate.repeat_hand_over(moved, hand_over.stopped_at);
            return Ok(());
        }
        let has_state = hand_over.has_state();
        self.gate.set_rebuilt(hand_over.moved.iter().filter_map(|moved| moved.ended_at.clone()).collect());
        hand_over.moved.into_iter().try_for_each(|moved| self.take(context, moved, has_state))?;
        self.indexes.replace(states);
        self.completeness.replace(states);
        context.status().set_indexes(self.indexes.by_projection());
        context.barrier().await
    }

    /// Takes one index: its dirty documents are enough, or every document is sent to it.
    fn take(&mut self, context: &Context, moved: MovedIndex, has_state: bool) -> Result<()> {
        let projection = moved.projection;
        let is_ours = context.state().index_built_for(projection.name())? == moved.index
            || bug!(BuiltForKept) && has_state;
        if is_ours || (moved.covered == Some(true) && has_state) {
            tracing::info!(projection = projection.name(), index = moved.index, "the index is handed over");
            if !context.queue().has_backfill(projection) || bug!(PausedBackfillTrusted) {
                return context.command(FoldCommand::BuiltFor(projection, moved.index));
            }
            // No change was marked while the backfill was paused. It sends what is there, and deletes nothing else.
        } else {
            context.send_everything(projection, &moved.index, has_state)?;
        }
        self.completeness.fill(projection, moved.index);
        Ok(())
    }
}
