//! A run: reader, fold and delivery together, from the start to a clean stop.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::unbounded;
use tokio::time::Instant;

use super::additions::AdditionsProgress;
use super::alias_watch::AliasWatch;
use super::command::FoldCommand;
use super::context::Context;
use super::delivery::Delivery;
use super::fold::StateWriter;
use super::gate::Gate;
use super::goal::Goal;
pub use super::goal::RunEnd;
use super::opening::{Opener, Opening};
pub use super::parts::{IndexParts, LogParts, Parts};
use super::publication::Publication;
use super::queue::Queue;
use super::role::Role;
use super::start::{Patience, retry_outage};
use super::status::Status;
use super::tuning::Tuning;
use super::workers::{Workers, start_fold, start_reader};
use crate::dead_letter::DeadLetters;
use crate::error::Result;
use crate::projection::Projection;
use crate::shutdown::Shutdown;
use crate::sink::IndexState;
use crate::source::leadership::DeliveredPosition;
use crate::state::State;
use crate::state::rows::FoldProgress;

/// How often the run looks after itself.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a clean stop waits for requests in flight.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// Runs until then, or until a stop is asked for.
///
/// # Errors
/// Errors that no retry repairs: another log, a damaged state, a changed mapping.
pub async fn run(parts: Parts, until: RunEnd, stop: &Shutdown) -> Result<()> {
    let Parts { state, log, index, dead_letters, leadership, status, commands, tuning, patience } = parts;
    let LogParts { source, decoder, kinds, allow_partial } = log;
    let opener =
        Opener { state: &state, index: &index, leadership: &*leadership, status: &status, patience, stop };
    let Some(opening) = opener.open(source, allow_partial).await? else { return Ok(()) };
    let Opening { source, end, identity, indexes, progress } = opening;
    let state_writer = open_state_writer(&state, &index.projections, dead_letters, tuning, &progress)?;
    let queue = Arc::new(open_queue(&state, &state_writer, tuning, &progress)?);
    let ((commands, command_receiver), (end_requests, end_receiver)) = (commands, unbounded());
    let context = Context::new(
        (state, status, queue),
        (index.sink, index.projections),
        leadership,
        (commands, end_requests),
        identity,
    );
    let reading = Shutdown::default();
    let (reader, records) = start_reader(&context, source, &decoder, end_receiver, &reading)?;
    let beginning = (end.clone(), progress.step);
    let fold = start_fold(&context, state_writer, (decoder, kinds), command_receiver, records, beginning)?;
    let delivery = Arc::new(Delivery::new(&context, index.limits, index.refresh, tuning));
    let (switch, allowed) = delivery.switch();
    let others = AliasWatch::watch(Arc::clone(context.sink()), index.claimant);
    let role = Role::new(Gate::new(end.clone(), progress.positions()), &indexes, switch);
    let publication = Publication::new(end.clone());
    let mut run = Run::new(context, role, others, publication, Goal::new(until, end));
    let planned = run.plan(&indexes, &progress).await;
    let workers = Workers::new(reader, fold, tokio::spawn(delivery.run(allowed)), reading);
    let outcome = run.look_after(planned, workers, stop).await;
    run.context.leadership().close();
    outcome
}

/// The writer of the state. A state that folded nothing yet has a backfill of every projection.
fn open_state_writer(
    state: &Arc<State>,
    projections: &[Projection],
    dead_letters: Box<dyn DeadLetters>,
    tuning: Tuning,
    progress: &FoldProgress,
) -> Result<StateWriter> {
    let mut state_writer = StateWriter::new(Arc::clone(state), projections.to_vec(), dead_letters, tuning)?;
    state_writer.forget_unfinished_load()?;
    if progress.step == 0 {
        // Nothing was folded yet, so every document of every index will be sent.
        projections.iter().try_for_each(|projection| state_writer.begin_backfill(*projection).map(|_| ()))?;
    }
    Ok(state_writer)
}

/// The queue between the fold and the delivery, which begins where the fold was.
fn open_queue(
    state: &State,
    state_writer: &StateWriter,
    tuning: Tuning,
    progress: &FoldProgress,
) -> Result<Queue> {
    let time_ms = state.low_watermark()?.time_ms;
    let (oldest_task, positions) = (state_writer.oldest_task(), progress.positions());
    Ok(Queue::starting_at(progress.step, oldest_task, positions, time_ms, tuning))
}

/// A run that goes on. It asks its values for the next step, and carries it out.
struct Run {
    context: Context,
    role: Role,
    /// The aliases and rebuilds of others.
    others: AliasWatch,
    /// The parts of the mappings that the indexes lack and take in place.
    adding: AdditionsProgress,
    publication: Publication,
    goal: Goal,
}

impl Run {
    fn new(context: Context, role: Role, others: AliasWatch, publication: Publication, goal: Goal) -> Self {
        let adding = AdditionsProgress::Due(Instant::now());
        context.status().set_indexes(role.indexes().by_projection());
        Self { context, role, others, adding, publication, goal }
    }

    /// Has every document sent to the indexes that are new.
    async fn plan(&self, indexes: &[IndexState], progress: &FoldProgress) -> Result<()> {
        for IndexState { projection, index, created, .. } in indexes {
            // An index that was made just now is empty, even under a known name.
            if *created {
                self.context.send_everything(*projection, index, progress.step > 0)?;
                self.context.command(FoldCommand::BuiltFor(*projection, index.clone()))?;
            }
        }
        self.context.barrier().await
    }

    /// Goes on to the end, and ends the workers.
    async fn look_after(&mut self, planned: Result<()>, mut workers: Workers, stop: &Shutdown) -> Result<()> {
        let mut outcome = match planned {
            Ok(()) => self.go_on(&mut workers, stop).await,
            failure => failure,
        };
        workers.end_reading();
        if let Err(error) = outcome {
            outcome = workers.cause(error, &self.context, stop).await;
        }
        if outcome.is_ok() {
            self.deliver_the_rest().await;
        }
        self.role.switch().turn_off();
        if outcome.is_ok() {
            self.publish();
        }
        self.role.end_delivery();
        workers.close(outcome, &self.context, stop).await
    }

    /// Looks after the workers until one of them ends, a stop is asked for, or the goal is reached.
    async fn go_on(&mut self, workers: &mut Workers, stop: &Shutdown) -> Result<()> {
        loop {
            tokio::select! {
                biased;
                outcome = workers.wait(stop) => {
                    if let Some(outcome) = outcome {
                        return outcome;
                    }
                }
                () = stop.wait() => return Ok(()),
                // A search waits for the documents that were just delivered.
                () = self.context.queue().next_change(), if self.context.index_progress().waiting_searches() > 0 => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            self.look().await?;
            if self.is_done() {
                return if self.goal.is_search() { self.finish(stop).await } else { Ok(()) };
            }
        }
    }

    /// One tick: the role, the gate, and the publication of the low watermark.
    async fn look(&mut self) -> Result<()> {
        let is_writer = *self.context.leadership().writer().borrow() || bug!(NoStandBy);
        if self.context.status().signals.set_writer(is_writer) != is_writer {
            self.change_role(is_writer).await?;
        }
        if is_writer {
            self.write().await?;
        } else {
            self.role.close_gate();
        }
        let is_past_gate = self.role.is_past_gate();
        self.context.status().signals.set_past_gate(is_past_gate);
        self.role.switch().set(is_writer && is_past_gate);
        if is_writer && self.context.index_progress().waiting_searches() > 0 {
            self.role.note_low_watermark(&self.context, Status::now_ms());
        }
        self.others.check()?;
        if self.has_moved() && is_writer && !self.role.awaits_hand_over() {
            // The answer may be older than the index that is written now.
            self.role.look_for_move(&self.context).await;
        }
        if self.publication.is_due() {
            self.role.reconcile(&self.context).await?;
            if self.publication.is_end(&self.context.queue().positions()) {
                self.context.leadership().note_caught_up();
            }
            if is_writer {
                self.publish();
            } else {
                self.role.follow(&self.context)?;
            }
            self.publication.ask_for_end(&self.context);
        }
        Ok(())
    }

    async fn change_role(&mut self, is_writer: bool) -> Result<()> {
        self.context.status().forget_refusals();
        tracing::info!(
            writer = is_writer,
            "this instance {}",
            if is_writer { "writes the index" } else { "stands by" }
        );
        if !is_writer {
            self.role.stand_by();
            return Ok(());
        }
        self.role.begin_to_write(&self.context).await?;
        // The former writer may not have completed its additions.
        self.adding = AdditionsProgress::Due(Instant::now());
        Ok(())
    }

    /// The writer's part of a tick: the gate, then the indexes behind it.
    async fn write(&mut self) -> Result<()> {
        while self.role.pass_gate(&self.context).await? {}
        self.role.serve(&self.context).await?;
        if self.role.is_past_gate() {
            self.adding.advance(&self.context, self.role.indexes()).await?;
        }
        Ok(())
    }

    /// Notes the aliases and rebuilds of others; true when an alias seems to stand for another index than the one written.
    fn has_moved(&mut self) -> bool {
        let Some(others) = self.others.take_change() else { return false };
        if others.sends_again() {
            self.adding.repeat();
        }
        others.report(self.context.status());
        !self.role.indexes().find_moved(&others.behind).is_empty()
    }

    /// True when the goal is reached and nothing else is under way.
    fn is_done(&mut self) -> bool {
        let is_settled = self.role.is_settled() && self.adding == AdditionsProgress::Nothing;
        self.goal.has_end()
            && is_settled
            && !self.context.status().signals.has_rebuild()
            && self.goal.is_reached(self.context.queue())
    }

    /// Makes the delivered documents searchable.
    async fn finish(&self, stop: &Shutdown) -> Result<()> {
        let sink = self.context.sink();
        retry_outage(stop, "the index", Patience::default(), async || sink.refresh().await).await.map(|_| ())
    }

    /// Waits a while for requests in flight at a clean stop, unless another instance becomes the writer. The rest stays
    /// marked.
    async fn deliver_the_rest(&self) {
        let (until, queue) = (Instant::now() + STOP_WAIT, self.context.queue());
        let is_through = || queue.is_folded() && queue.waiting().is_nothing();
        let writer = self.context.leadership().writer();
        while *writer.borrow() && self.role.switch().is_on() && !is_through() && Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Publishes how far the indexes are.
    fn publish(&mut self) {
        let now = Status::now_ms();
        let Some(low_watermark) = self.role.note_low_watermark(&self.context, now) else { return };
        let indexes = self.role.indexes().by_projection();
        let log = self.context.generation().to_owned();
        let delivered = DeliveredPosition { low_watermark, indexes, log };
        self.publication.publish(&self.context, delivered, now);
    }
}
