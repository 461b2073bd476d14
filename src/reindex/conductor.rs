//! The phases of a rebuild, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::carrier::{Carrier, CarryOutcome};
use super::claim::Claim;
use super::evidence::{self, Evidence};
use super::interruption::{ask_index, interruption};
use super::meter::Meter;
use super::session::{Folder, Session};
use super::sources::Sources;
use super::target::Target;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::run::{Parts, RunEnd, run};
use crate::pipeline::status::Status;
use crate::pipeline::work::in_place;
use crate::position::Positions;
use crate::projection::{Limits, Projection};
use crate::shutdown::Shutdown;
use crate::sink::generations::{Generations, Move, Phase, RebuildProgress, to_record};
use crate::source::EventSource;
use crate::state::State;

/// How long a rebuild waits for a running instance to say where it stopped. After that none runs, or one that will
/// send every document itself.
const INSTANCE_WAIT: Duration = Duration::from_secs(15);
/// How long it waits for the instance's answer before it folds the records that came meanwhile.
const FEED_EVERY: Duration = Duration::from_secs(1);
/// How often it looks for that word.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often it writes a heartbeat.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// How often the evidence is gathered anew after a further round.
const CHECKS: usize = 3;

/// The options of a rebuild.
#[derive(Debug, Clone, Copy, Default)]
pub struct RebuildOptions {
    /// Swap although documents were rejected.
    pub allow_rejected: bool,
    /// Leave the rebuild's state, to be taken over.
    pub keep_state: bool,
}

/// The outcome of a rebuild.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RebuildOutcome {
    /// The projections with the indexes that their aliases stand for now.
    pub indexes: Vec<(String, String)>,
    /// The evidence for each index.
    pub evidence: Vec<Evidence>,
    /// Documents that the indexes rejected for good.
    pub rejected: u64,
}

/// Puts the parts of one round together, from the source to the target.
pub type Round = Box<dyn Fn(Box<dyn EventSource>, Arc<Target>, Arc<Status>) -> Result<Parts> + Send + Sync>;

/// The rounds of the pipeline in a rebuild: their parts, and the log that they read.
pub struct Rounds {
    round: Round,
    sources: Sources,
}

impl Rounds {
    /// Rounds that `round` puts together, each over a log of `sources`.
    pub fn new(round: Round, sources: Sources) -> Self {
        Self { round, sources }
    }
}

/// A rebuild, ready to go on from wherever it is.
pub struct Conductor {
    /// The sink of the projections that are rebuilt.
    sink: Arc<dyn Generations>,
    /// The claim on them.
    claim: Arc<Claim>,
    folder: Folder,
    session: Session,
    /// The rebuild's own state.
    state: Arc<State>,
    limits: Limits,
    rounds: Rounds,
    options: RebuildOptions,
    status: Arc<Status>,
    /// Documents a second over the whole load; 0 until it is known.
    load_rate: Arc<AtomicU64>,
    /// Documents that were rejected before this process went on.
    rejected_before: u64,
}

impl Conductor {
    /// The rebuild of a session whose projections are claimed. `state` is the rebuild's own one.
    pub fn new(
        sink: Arc<dyn Generations>,
        claim: Arc<Claim>,
        folder: Folder,
        session: Session,
        state: Arc<State>,
        limits: Limits,
        rounds: Rounds,
    ) -> Self {
        Self {
            sink,
            claim,
            folder,
            session,
            state,
            limits,
            rounds,
            options: RebuildOptions::default(),
            status: Arc::default(),
            load_rate: Arc::default(),
            rejected_before: 0,
        }
    }

    /// The same with these options.
    #[must_use]
    pub fn with_options(self, options: RebuildOptions) -> Self {
        Self { options, ..self }
    }

    /// The same; so many documents were rejected before this process went on.
    #[must_use]
    pub fn with_rejected(self, rejected_before: u64) -> Self {
        Self { rejected_before, ..self }
    }

    /// Goes through the phases that are left, to the end.
    ///
    /// # Errors
    /// When the evidence fails, another program moved the alias, the lease expired, or a stop was requested. The same call
    /// then goes on, unless the error says otherwise.
    pub async fn run(
        mut self,
        stop: &Shutdown,
        on_progress: impl Fn(Phase, &RebuildProgress) + Send + Sync + 'static,
    ) -> Result<RebuildOutcome> {
        let beats = self.spawn_beats(stop, on_progress);
        let ended = self.phases(stop).await;
        self.rounds.sources.close();
        beats.abort();
        let lost = beats.await.unwrap_or(Ok(()));
        self.sink.release().await;
        // A lost claim is why the phases stopped.
        let outcome = lost.and(ended)?;
        let Self { folder, options, state, rounds: Rounds { round, .. }, .. } = self;
        // The state's folder is deleted only once no part of the process has it open.
        drop((state, round));
        folder.clear(options.keep_state)?;
        Ok(outcome)
    }

    async fn phases(&mut self, stop: &Shutdown) -> Result<RebuildOutcome> {
        let (mut evidence, mut carried) = (Vec::new(), BTreeMap::new());
        if self.session.ended_at.is_none() {
            ask_index(stop, async || self.sink.target(self.indexes()?).await).await?;
            if !ask_index(stop, async || self.is_swapped().await).await? {
                (evidence, carried) = self.build(stop).await?;
            }
            self.begin(Phase::Feeding, stop).await?;
            let ended_at = self.feed(stop).await?;
            self.carry_again(&carried, stop).await?;
            self.sink.release().await;
            self.session.ended_at = Some(to_record(&ended_at));
            self.folder.keep(&self.session)?;
        }
        let ended_at = self.session.ended_at.clone().unwrap_or_default();
        ask_index(stop, async || self.claim.end(&ended_at).await).await?;
        let names = self.session.projections.iter().cloned();
        Ok(RebuildOutcome {
            indexes: names.zip(self.session.indexes.iter().cloned()).collect(),
            evidence,
            rejected: self.count_rejected(),
        })
    }

    /// True when the aliases were moved before the process that moved them ended.
    async fn is_swapped(&self) -> Result<bool> {
        if self.claim.phase().await? < Phase::Swapping {
            return Ok(false);
        }
        let behind = self.sink.indexes_behind().await?;
        Ok(self.indexes()?.iter().all(|(projection, index)| behind.get(projection) == Some(index)))
    }

    async fn build(&self, stop: &Shutdown) -> Result<(Vec<Evidence>, BTreeMap<Projection, CarryOutcome>)> {
        self.begin(Phase::Loading, stop).await?;
        let began = Instant::now();
        // This pass runs in every case, because it also compares the log with the state. The evidence makes every document
        // searchable.
        let source = self.rounds.sources.take().await?;
        self.rounds.sources.prepare();
        self.deliver(source, RunEnd::Delivered, stop).await?;
        self.note_load(began.elapsed(), stop).await?;
        let carried = self.carry(stop).await?;
        self.begin(Phase::Settling, stop).await?;
        let indexes = self.indexes()?;
        try_join_all(indexes.iter().map(|(projection, index)| {
            ask_index(stop, async move || self.sink.settle(*projection, index).await)
        }))
        .await?;
        let mut evidence = self.check(stop).await?;
        for (projection, of_index) in &mut evidence {
            of_index.carried = carried.get(projection).map_or(0, |carried| carried.documents);
        }
        self.begin(Phase::Swapping, stop).await?;
        let from = |projection| self.session.previous_of(projection).map(str::to_owned);
        let moves: Vec<Move> = indexes
            .into_iter()
            .map(|(projection, to)| Move { projection, from: from(projection), to })
            .collect();
        // A request that was lost may have been heard.
        ask_index(
            stop,
            async || if self.is_swapped().await? { Ok(()) } else { self.sink.swap(&moves).await },
        )
        .await?;
        for change in &moves {
            tracing::info!(from = change.from, to = change.to, "the alias is moved");
        }
        Ok((evidence.into_values().collect(), carried))
    }

    /// Carries documents without records into the new indexes; answers them.
    async fn carry(&self, stop: &Shutdown) -> Result<BTreeMap<Projection, CarryOutcome>> {
        let (target, mut carried) = (self.target()?, BTreeMap::new());
        for carrier in self.carriers(&target, stop) {
            carried.insert(carrier.projection, carrier.carry(0).await?);
        }
        Ok(carried)
    }

    /// Carries the changes that the running instance made to them until it stopped.
    async fn carry_again(&self, carried: &BTreeMap<Projection, CarryOutcome>, stop: &Shutdown) -> Result<()> {
        let target = self.target()?;
        for carrier in self.carriers(&target, stop) {
            let since = carried.get(&carrier.projection).map_or(0, |carried| carried.newest);
            carrier.carry(since).await?;
            carrier.delete_superseded().await?;
        }
        Ok(())
    }

    /// From each index that readers had to the one in its place; none where the log is whole.
    fn carriers<'a>(&'a self, target: &'a Target, stop: &'a Shutdown) -> Vec<Carrier<'a>> {
        if !self.state.is_partial() {
            return Vec::new();
        }
        let (state, status) = (&self.state, &*self.status);
        let carriers = self.projections().into_iter().filter_map(|projection| {
            let from = self.session.previous_of(projection)?;
            Some(Carrier { target, state, status, stop, projection, from })
        });
        carriers.collect()
    }

    /// Notes the rate of the load, from which the duration of the next one is estimated.
    async fn note_load(&self, took: Duration, stop: &Shutdown) -> Result<()> {
        let documents = self.status.delivered.load(Ordering::Relaxed);
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        self.load_rate.store(documents.saturating_mul(1_000) / millis, Ordering::Relaxed);
        // A heartbeat carries it into the record.
        let progress =
            RebuildProgress { load_rate: self.load_rate.load(Ordering::Relaxed), ..self.progress() };
        ask_index(stop, async || self.claim.beat(&progress).await).await
    }

    fn progress(&self) -> RebuildProgress {
        let load_rate = self.load_rate.load(Ordering::Relaxed);
        RebuildProgress {
            load_rate,
            rejected: self.count_rejected(),
            ..Meter::default().read(&self.status.report(None))
        }
    }

    /// Adds the tail and gathers the evidence, which nothing disturbs: between two rounds neither the
    /// state nor the index changes.
    async fn check(&self, stop: &Shutdown) -> Result<BTreeMap<Projection, Evidence>> {
        let indexes = &self.indexes()?;
        let mut tries = 0;
        loop {
            self.round(RunEnd::Delivered, stop).await?;
            self.begin(Phase::Checking, stop).await?;
            let gather = async || evidence::gather(&*self.sink, &self.state, indexes, self.limits).await;
            let gathered = ask_index(stop, gather).await?;
            self.check_rejected(stop).await?;
            let wanting = gathered.values().find_map(|evidence| evidence.find_failure(self.count_rejected()));
            tries += 1;
            match wanting {
                None => return Ok(gathered),
                Some(wanting) if tries >= CHECKS => return Err(Error::failure(wanting)),
                Some(wanting) => tracing::warn!(wanting, "checking again"),
            }
        }
    }

    async fn check_rejected(&self, stop: &Shutdown) -> Result<()> {
        let rejected = self.count_rejected();
        // A process that resumes this rebuild has to know of them.
        let progress = self.progress();
        ask_index(stop, async || self.claim.beat(&progress).await).await?;
        if rejected > 0 && !self.options.allow_rejected {
            return Err(Error::failure(format!(
                "the new index rejected {rejected} documents, and the alias is left where it is. `tributary \
                 dead-letters list` shows them. Correct the mapping and begin again after `tributary reindex \
                 --abort`, or go on without them with --allow-rejected"
            )));
        }
        Ok(())
    }

    /// Goes on until the index holds every record that existed when the alias was moved. It also holds every one that
    /// the running instance had folded when it stopped. Answers where it ended.
    async fn feed(&self, stop: &Shutdown) -> Result<Positions> {
        let began = Instant::now();
        loop {
            self.round(RunEnd::Searchable, stop).await?;
            let here = self.state.progress()?.positions();
            match self.stop_positions(stop).await? {
                Some(stopped_at) if stopped_at.iter().all(|at| here.covers(at)) => return Ok(here),
                None if began.elapsed() >= INSTANCE_WAIT => {
                    tracing::info!("no running instance answered; the next one goes on from here");
                    return Ok(here);
                }
                _ => {}
            }
        }
    }

    /// Where the running instance stopped; `None` when it has not said so for a while.
    async fn stop_positions(&self, stop: &Shutdown) -> Result<Option<Vec<Positions>>> {
        let until = Instant::now() + FEED_EVERY;
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.wait() => return Err(interruption()),
            }
            let stopped_at = ask_index(stop, async || self.claim.stop_positions().await).await?;
            if stopped_at.is_some() || Instant::now() >= until {
                return Ok(stopped_at);
            }
        }
    }

    async fn begin(&self, phase: Phase, stop: &Shutdown) -> Result<()> {
        ask_index(stop, async || self.claim.begin(phase).await).await
    }

    /// Brings the index up to the log's end as it was at a moment in between; nothing waits then.
    async fn round(&self, until: RunEnd, stop: &Shutdown) -> Result<()> {
        let mut source = self.rounds.sources.take().await?;
        if in_place(|| self.is_through(&mut *source))? {
            self.rounds.sources.keep(source);
            return Ok(());
        }
        self.deliver(source, until, stop).await
    }

    async fn deliver(&self, mut source: Box<dyn EventSource>, until: RunEnd, stop: &Shutdown) -> Result<()> {
        loop {
            run(self.parts(source)?, until, stop).await?;
            if stop.is_requested() {
                return Err(interruption());
            }
            if self.state.is_delivered()? {
                return Ok(());
            }
            tracing::info!("documents wait for the index still, so the rebuild goes on");
            source = self.rounds.sources.take().await?;
        }
    }

    /// True when nothing is left to do: every record of the log is folded, every document is in its index.
    fn is_through(&self, source: &mut dyn EventSource) -> Result<bool> {
        for (projection, index) in self.session.projections.iter().zip(&self.session.indexes) {
            if self.state.index_built_for(projection)? != *index {
                return Ok(false);
            }
        }
        // In this order, so that records folded meanwhile are delivered later.
        Ok(self.state.is_delivered()? && self.state.progress()?.positions().covers(&source.end()?))
    }

    fn parts(&self, source: Box<dyn EventSource>) -> Result<Parts> {
        let target = Arc::new(self.target()?);
        in_place(|| (self.rounds.round)(source, target, Arc::clone(&self.status)))
    }

    fn target(&self) -> Result<Target> {
        Ok(Target {
            sink: Arc::clone(&self.sink),
            indexes: self.indexes()?,
            claim: Arc::clone(&self.claim),
            is_untouched: self.session.is_new,
        })
    }

    fn projections(&self) -> Vec<Projection> {
        self.session.projections.iter().filter_map(|name| self.state.plan().projection(name)).collect()
    }

    /// The indexes that are filled.
    fn indexes(&self) -> Result<BTreeMap<Projection, String>> {
        self.session.indexes_of(&self.projections())
    }

    fn count_rejected(&self) -> u64 {
        self.rejected_before + self.status.rejected.load(Ordering::Relaxed)
    }

    /// Writes heartbeats; ends, and has the rest stop, when the claim is lost.
    fn spawn_beats(
        &self,
        stop: &Shutdown,
        on_progress: impl Fn(Phase, &RebuildProgress) + Send + Sync + 'static,
    ) -> tokio::task::JoinHandle<Result<()>> {
        let (claim, status, stop) = (Arc::clone(&self.claim), Arc::clone(&self.status), stop.clone());
        let (load_rate, before) = (Arc::clone(&self.load_rate), self.rejected_before);
        tokio::spawn(async move {
            let mut meter = Meter::default();
            loop {
                let load_rate = load_rate.load(Ordering::Relaxed);
                let mut progress = RebuildProgress { load_rate, ..meter.read(&status.report(None)) };
                progress.rejected += before;
                let shown = match claim.beat(&progress).await {
                    Ok(()) => claim.phase().await,
                    Err(error) => Err(error),
                };
                match shown {
                    Ok(phase) => on_progress(phase, &progress),
                    Err(error) if error.kind() == ErrorKind::Unavailable => {
                        tracing::warn!(error = error.chain(), "the rebuild's record cannot be confirmed");
                    }
                    Err(error) => {
                        stop.request();
                        return Err(error);
                    }
                }
                tokio::time::sleep(BEAT_EVERY).await;
            }
        })
    }
}
