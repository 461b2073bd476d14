//! The control loop of a run: the role of this instance, the index that it writes, and the gate before delivery.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use tokio::time::Instant;

use super::additions::Adding;
use super::hand_over::{HandOver, Moved};
use super::planted::{self, Bug};
use super::run::Run;
use super::serve::Service;
use super::standby::Filling;
use super::status::Status;
use super::stream::Command;
use crate::error::{Error, ErrorKind, Result};
use crate::position::Positions;
use crate::sink::IndexState;
use crate::sink::generations::Rebuild;

/// How often the low watermark is written down, the log's end asked for, and the aliases looked up.
const LOW_WATERMARK_EVERY: Duration = Duration::from_secs(1);
/// How long the looks wait for an answer before they go on without.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// The answer of the index. An index that answers too late counts as away.
///
/// # Errors
/// Those of the index, and its absence.
pub(super) async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::new(ErrorKind::Unavailable, "the index does not answer in time"));
    tokio::time::timeout(ANSWER_WAIT, answer).await.unwrap_or_else(late)
}

/// The gate holds back delivery until the fold has passed the end that the log had when writing began. From then on
/// every snapshot dominates every earlier write of any writer.
pub(super) enum Gate {
    /// An alias stands for another index, which is not ours to write yet.
    HandOver(HandOver),
    /// The end has to be asked for.
    Closed,
    /// Asked for.
    Asked(Receiver<Result<Positions>>),
    /// To be passed.
    Until(Positions),
    /// Passed; the fan-outs that the backlog began are made first, up to this step: a document that
    /// they mark would be written twice.
    FanningOut(u64),
    /// Nothing is held back.
    Open,
}

impl Run {
    /// One tick: the role, the gate, and the publication of the low watermark.
    pub(super) async fn look(&mut self) -> Result<()> {
        let writer = *self.leadership.writer().borrow() || planted::is(Bug::NoStandBy);
        if self.status.signals.set_writer(writer) != writer {
            self.status.forget_refusals();
            tracing::info!(writer, "this instance {}", if writer { "writes the index" } else { "stands by" });
            if writer { self.begin_to_write().await? } else { self.stand_by() }
        }
        if !writer {
            // A new writer asks for the log's end at that moment, and not at its start.
            self.gate = Gate::Closed;
        }
        if writer {
            while self.pass_gate().await? {}
            self.serve().await?;
            self.add().await?;
        }
        let open = matches!(self.gate, Gate::Open);
        self.status.signals.set_past_gate(open);
        self.allow.send_if_modified(|allowed| std::mem::replace(allowed, writer && open) != (writer && open));
        if writer && self.status.signals.waiting_searches() > 0 {
            self.note_low_watermark(Status::now_ms());
        }
        if let Some(claimant) = &self.claimant {
            claimant.check(self.others.borrow().tenure.as_ref())?;
        }
        if self.others.has_changed().unwrap_or(false)
            && self.note_others()
            && writer
            && !matches!(self.gate, Gate::HandOver(_))
        {
            // The answer may be older than the index that is written now.
            self.is_moved().await;
        }
        if self.ticked.is_none_or(|at| at.elapsed() >= LOW_WATERMARK_EVERY) {
            self.ticked = Some(Instant::now());
            if matches!(self.gate, Gate::Open) && !self.reconcile.is_empty() {
                self.reconcile().await?;
            }
            if self.status.is_end(&self.queue.positions()) {
                self.leadership.note_caught_up();
            }
            if writer {
                self.publish()
            } else {
                self.follow()?
            }
            self.ask_for_end();
        }
        Ok(())
    }

    /// Has the reader note the log's end in the status, unless it has not answered the last time.
    fn ask_for_end(&mut self) {
        let answered = self
            .end_answer
            .as_ref()
            .is_none_or(|answer| !matches!(answer.try_recv(), Err(TryRecvError::Empty)));
        if answered {
            let (reply, answer) = bounded(1);
            // Without a reader there is no end to ask for.
            self.end_answer = self.end_requests.send(reply).is_ok().then_some(answer);
        }
    }

    /// Goes one step on, where nothing has to be waited for; true when the next one may follow at once.
    async fn pass_gate(&mut self) -> Result<bool> {
        // A new writer does not know its index yet.
        if matches!(self.gate, Gate::Closed) && self.is_moved().await {
            return Ok(false);
        }
        match &self.gate {
            Gate::Open => {}
            Gate::HandOver(_) => {
                self.hand_over().await?;
                return Ok(matches!(self.gate, Gate::Closed));
            }
            Gate::Closed => {
                let (reply, answer): (Sender<_>, _) = bounded(1);
                let _ = self.end_requests.send(reply);
                self.gate = Gate::Asked(answer);
                return Ok(true);
            }
            Gate::Asked(answer) => {
                self.gate = match answer.try_recv() {
                    Ok(Ok(end)) => Gate::Until(end),
                    // A broker that is away is asked again; any other error is the reader's own end.
                    Ok(Err(_)) | Err(TryRecvError::Disconnected) => Gate::Closed,
                    Err(TryRecvError::Empty) => return Ok(false),
                };
                return Ok(matches!(self.gate, Gate::Until(_)));
            }
            Gate::Until(end) => {
                // A rebuild may have read a partition that this instance has not found yet.
                let here = self.queue.positions();
                let is_passed = here.covers(end) && self.rebuilt.iter().all(|rebuilt| here.covers(rebuilt));
                if is_passed || planted::is(Bug::NoGateAndConflictsDone) {
                    self.gate = Gate::FanningOut(self.queue.step());
                    return Ok(true);
                }
            }
            Gate::FanningOut(step) => {
                if self.queue.oldest_task().is_none_or(|oldest| oldest > *step) {
                    self.gate = Gate::Open;
                    self.bases.lock().unwrap_or_else(PoisonError::into_inner).forget_claims();
                    self.rebuilt.clear();
                    self.cleared_to = None;
                    self.queue.forget();
                    self.command(Command::ResumeBackfills)?;
                    self.reconcile().await?;
                }
            }
        }
        Ok(false)
    }

    /// Notes the aliases and rebuilds of others; true when an alias seems to stand for another index than the one written.
    fn note_others(&mut self) -> bool {
        let others = self.others.borrow_and_update().clone();
        if others.rebuilds.iter().flatten().any(|record| record.sends_again) && self.adding == Adding::Nothing
        {
            self.adding = Adding::Due(Instant::now());
        }
        let records = others.rebuilds.iter().zip(&others.behind).zip(&self.projections);
        let rolled_back = records.filter_map(|((record, behind), projection)| {
            let index =
                behind.as_ref().filter(|index| record.as_ref().is_some_and(|it| it.is_rollback_to(index)))?;
            Some((projection.name().to_owned(), index.clone()))
        });
        self.status.set_rolled_back(rolled_back.collect());
        self.status.set_rebuilds(self.projections.iter().zip(others.rebuilds).filter_map(
            |(projection, record)| {
                Some((projection.name().to_owned(), record.filter(Rebuild::is_under_way)?))
            },
        ));
        !self.moved(&others.behind).is_empty()
    }

    /// Which projections' aliases stand for another index than the one written, those aside that cannot be
    /// written at all.
    fn moved(&self, behind: &[Option<String>]) -> Vec<(usize, String)> {
        let pairs = behind.iter().zip(&self.indexes).enumerate();
        let moved = pairs.filter_map(|(number, (behind, index))| {
            let behind = behind.as_ref().filter(|at| *at != index && !self.refused.contains(at))?;
            Some((number, behind.clone()))
        });
        moved.collect()
    }

    /// Looks whether every alias still stands for the index that is written; if not, nothing is delivered
    /// until the other is handed over.
    async fn is_moved(&mut self) -> bool {
        let behind = match in_time(self.sink.behind()).await {
            Ok(behind) => behind,
            // A server that is away moves no alias. Writes report every other error.
            Err(error) => {
                tracing::debug!(error = error.chain(), "the aliases cannot be looked up");
                return false;
            }
        };
        let moved = self.moved(&behind);
        if moved.is_empty() {
            return false;
        }
        self.allow.send_replace(false);
        self.gate = Gate::HandOver(HandOver::of(moved, self.cleared_to.clone()));
        true
    }

    async fn hand_over(&mut self) -> Result<()> {
        let Gate::HandOver(hand_over) = &self.gate else { return Ok(()) };
        let stops = hand_over.stopped_at.is_none() && self.is_idle.load(Ordering::SeqCst);
        // The queue hears of a step after the snapshots that a delivery may have been made from.
        let stopped_at = if stops {
            self.barrier().await?;
            Some(self.queue.positions())
        } else {
            None
        };
        let Gate::HandOver(hand_over) = &mut self.gate else { return Ok(()) };
        hand_over.stopped_at = hand_over.stopped_at.take().or(stopped_at);
        let states = match hand_over.look(&*self.sink).await {
            Ok(true) => self.sink.adopt(&self.identity).await,
            Ok(false) => return Ok(()),
            Err(error) => Err(error),
        };
        match states {
            Ok(states) => self.take_over(&states).await,
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!(error = error.chain(), "waiting for the index");
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
            Err(error) => self.refuse(&error).await,
        }
    }

    /// Goes on with the indexes that were written before. Another program moved an alias to a foreign index, and the former
    /// index stays complete, because the alias may come back.
    async fn refuse(&mut self, error: &Error) -> Result<()> {
        let Gate::HandOver(hand_over) = std::mem::replace(&mut self.gate, Gate::Closed) else {
            return Ok(());
        };
        tracing::error!(
            error = error.chain(),
            "an alias was moved; going on with the index that it stood for before"
        );
        let has_state = hand_over.has_state();
        let (written, refused): (Vec<_>, Vec<_>) =
            hand_over.moved.into_iter().partition(|moved| self.is_written(moved));
        self.refused = refused.into_iter().map(|moved| moved.index).collect();
        if written.is_empty() {
            return Ok(());
        }
        written.into_iter().try_for_each(|moved| self.take(moved, has_state))?;
        self.barrier().await
    }

    /// Goes on with the indexes that were handed over, through the gate.
    async fn take_over(&mut self, states: &[IndexState]) -> Result<()> {
        let Gate::HandOver(hand_over) = std::mem::replace(&mut self.gate, Gate::Closed) else {
            return Ok(());
        };
        let expected = |number: usize| {
            let moved = hand_over.moved.iter().find(|moved| moved.projection == number);
            moved.map(|moved| &moved.index).or(self.indexes.get(number))
        };
        let others =
            states.iter().enumerate().filter(|(number, state)| expected(*number) != Some(&state.index));
        let others: Vec<(usize, String)> =
            others.map(|(number, state)| (number, state.index.clone())).collect();
        if !others.is_empty() {
            // Moved while the first ones were waited for.
            let first = hand_over.moved.into_iter().map(|moved| (moved.projection, moved.index));
            let first = first.filter(|(number, _)| others.iter().all(|(other, _)| other != number));
            let moved = first.chain(others.iter().cloned()).collect();
            self.gate = Gate::HandOver(HandOver::of(moved, hand_over.stopped_at));
            return Ok(());
        }
        let has_state = hand_over.has_state();
        self.rebuilt = hand_over.moved.iter().filter_map(|moved| moved.ended_at.clone()).collect();
        hand_over.moved.into_iter().try_for_each(|moved| self.take(moved, has_state))?;
        self.indexes = states.iter().map(|state| state.index.clone()).collect();
        let is_filling = states.iter().any(|state| state.is_filling);
        self.service = Service::of(is_filling);
        if is_filling {
            self.filling = Filling::Marking;
        }
        self.status.set_indexes(self.written());
        self.barrier().await
    }

    /// True when the index is the one that this instance found behind the alias when it began to write.
    pub(super) fn is_written(&self, moved: &Moved) -> bool {
        self.indexes.get(moved.projection) == Some(&moved.index)
    }

    /// Takes one index: its dirty documents are enough, or every document is sent to it.
    fn take(&mut self, moved: Moved, has_state: bool) -> Result<()> {
        let Some(projection) = self.projections.get(moved.projection).copied() else { return Ok(()) };
        let is_ours = self.state.built_for(projection.name())? == moved.index
            || planted::is(Bug::BuiltForKept) && has_state;
        if is_ours || (moved.covered == Some(true) && has_state) {
            tracing::info!(projection = projection.name(), index = moved.index, "the index is handed over");
            if !self.queue.has_backfill(projection) || planted::is(Bug::PausedBackfillTrusted) {
                return self.command(Command::BuiltFor(projection, moved.index));
            }
            // No change was marked while the backfill was paused. It sends what is there, and deletes nothing else.
        } else {
            self.send_everything(projection, &moved.index, has_state)?;
        }
        self.filling = Filling::Marking;
        self.reconcile.retain(|(number, _)| *number != moved.projection);
        self.reconcile.push((moved.projection, moved.index));
        Ok(())
    }
}
