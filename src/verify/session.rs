//! One comparison from its beginning to its end. First come the documents that the state expects, then the unexpected
//! ones of the index, then those with pending work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

use super::examination::Candidate;
use super::verdict::Verdict;
use super::walk::{DELETED, Sampling, Walk, explain_surplus};
use super::{
    Difference, Kind, Line, LiveInstance, Summary, Verifier, VerifyRequest, choose_projections,
    interruption_error, stop_error,
};
use crate::backoff::BackOff;
use crate::error::{Error, Result};
use crate::pipeline::command::FoldCommand;
use crate::pipeline::work::blocking;
use crate::plan::id_and_owner;
use crate::projection::Projection;

/// How many documents are compared at a time.
const PAGE: usize = 500;
/// So many postponed documents are settled before others are looked at.
const POSTPONED_MAX: usize = 10_000;
/// How many documents one command marks.
const MARKS_MAX: usize = 1_000;
/// How often a line of progress is sent.
const SIGN_EVERY: Duration = Duration::from_secs(1);
/// Pending work is waited for until nothing has moved for so long.
const STILL_MAX: Duration = Duration::from_secs(30);
/// Or until none of it has arrived for so long, even if other work moves.
const ARRIVAL_MAX: Duration = Duration::from_secs(300);
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// An instance that does not get on is not waited for longer.
const GATE_MAX: Duration = Duration::from_secs(60);
/// The fold answers within its current step.
const FOLD_MAX: Duration = Duration::from_secs(60);

struct VerifySession<'a> {
    verifier: &'a Verifier,
    repair: bool,
    out: &'a Sender<Line>,
    summary: Summary,
    looked_at: u64,
    last_sign: Instant,
    projection: Projection,
    /// Those that something was on its way to.
    postponed: Vec<Candidate>,
    /// Those that differ and are to be marked.
    to_repair: Vec<Candidate>,
}

/// Compares everything that is wanted.
pub(super) async fn run(verifier: &Verifier, scope: &VerifyRequest, out: &Sender<Line>) -> Result<Summary> {
    let projections = choose_projections(&verifier.projections, &scope.projections)?;
    if scope.repair && verifier.live.is_none() {
        return Err(Error::failure("only a running instance can repair"));
    }
    let Some(first) = projections.first().copied() else { return Ok(Summary::default()) };
    let mut session = VerifySession {
        verifier,
        repair: scope.repair,
        out,
        summary: Summary::default(),
        looked_at: 0,
        last_sign: Instant::now(),
        projection: first,
        postponed: Vec::new(),
        to_repair: Vec::new(),
    };
    session.wait_for_gate().await?;
    for projection in projections {
        session.projection = projection;
        session.compare(scope).await?;
    }
    Ok(session.summary)
}

impl VerifySession<'_> {
    async fn compare(&mut self, scope: &VerifyRequest) -> Result<()> {
        let index = self.index()?;
        let every = match scope.sample {
            Some(sample) => Sampling::of(self.count().await?, sample, scope.seed),
            None => Sampling::ONE,
        };
        self.check_documents_of_state(every).await?;
        self.check_documents_of_index(every).await?;
        self.settle().await?;
        if self.index()? != index {
            return Err(Error::failure(format!(
                "{index} was replaced by another index while it was compared; run `tributary verify` again"
            )));
        }
        Ok(())
    }

    /// The index that the marks are for.
    fn index(&self) -> Result<String> {
        self.verifier.state.index_built_for(self.projection.name())
    }

    /// The next ids of a walk, from the snapshot of the moment.
    async fn walk(&self, mut walk: Walk, max: usize) -> Result<(Walk, Vec<String>)> {
        let state = Arc::clone(&self.verifier.state);
        blocking(move || {
            let ids = walk.next(&state.snapshot()?, max)?;
            Ok((walk, ids))
        })
        .await
    }

    async fn count(&mut self) -> Result<u64> {
        let (mut walk, mut count) = (Walk::new(self.projection, Sampling::ONE), 0);
        loop {
            let (next, ids) = self.walk(walk, usize::MAX).await?;
            if ids.is_empty() {
                return Ok(count);
            }
            count += ids.len() as u64;
            walk = next;
            self.go_on().await?;
        }
    }

    /// Every document that the state calls for.
    async fn check_documents_of_state(&mut self, every: Sampling) -> Result<()> {
        let mut walk = Walk::new(self.projection, every);
        loop {
            let (next, ids) = self.walk(walk, PAGE).await?;
            if ids.is_empty() {
                return Ok(());
            }
            walk = next;
            *self.summary.compared.entry(self.projection.name().to_owned()).or_default() += ids.len() as u64;
            self.check(ids).await?;
        }
    }

    /// Every document of the index that the state calls for no document of.
    async fn check_documents_of_index(&mut self, mut every: Sampling) -> Result<()> {
        let (verifier, projection) = (self.verifier, self.projection);
        verifier.ask_patiently(|| verifier.sink.refresh()).await?;
        let mut cursor = None;
        loop {
            let page = verifier.ask_patiently(|| verifier.sink.ids(projection, cursor.clone())).await?;
            let state = Arc::clone(&verifier.state);
            let ids: Vec<String> = page.ids.into_iter().filter(|_| every.take()).collect();
            self.looked_at += ids.len() as u64;
            let beside = blocking(move || {
                let snapshot = state.snapshot()?;
                let mut beside = Vec::new();
                for id in ids {
                    let why = explain_surplus(&snapshot, projection, &id)?;
                    // A partial log does not speak of every document: one that it does not know is none too many.
                    if why.is_some_and(|why| why == DELETED || !state.is_partial()) {
                        beside.push(id);
                    }
                }
                Ok(beside)
            });
            let mut beside = beside.await?;
            while !beside.is_empty() {
                let later = beside.split_off(PAGE.min(beside.len()));
                self.check(std::mem::replace(&mut beside, later)).await?;
            }
            self.go_on().await?;
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Compares these documents. A difference is looked at twice, and a document with pending work later.
    async fn check(&mut self, ids: Vec<String>) -> Result<()> {
        self.looked_at += ids.len() as u64;
        let candidates: Vec<_> = ids.into_iter().map(|id| Candidate { id, ..Candidate::default() }).collect();
        let unproven = self.look(candidates).await?;
        let changing = self.look(unproven).await?;
        self.postponed.extend(changing);
        self.repair().await?;
        if self.postponed.len() >= POSTPONED_MAX {
            self.settle().await?;
        }
        self.go_on().await
    }

    /// Looks at each once; answers those of which nothing is proven yet.
    async fn look(&mut self, candidates: Vec<Candidate>) -> Result<Vec<Candidate>> {
        let mut unproven = Vec::new();
        for (candidate, verdict) in self.verifier.examine(self.projection, candidates).await? {
            match verdict {
                Verdict::Same => self.summary.repaired += u64::from(candidate.in_repair),
                // Any other fault of it is written over. A repair is done only when it is seen.
                Verdict::Arriving if !candidate.in_repair => {}
                Verdict::OnItsWay | Verdict::Arriving => self.postponed.push(candidate),
                Verdict::Unproven => unproven.push(candidate),
                Verdict::Differs(kind, detail) => self.differs(candidate, kind, detail).await?,
            }
        }
        Ok(unproven)
    }

    async fn differs(&mut self, candidate: Candidate, kind: Kind, mut detail: String) -> Result<()> {
        let (projection, id) = (self.projection.name(), candidate.id.clone());
        if candidate.in_repair && kind == Kind::Unknown {
            self.summary.repaired += 1;
            return Ok(());
        }
        if candidate.in_repair {
            tracing::warn!(
                projection,
                id,
                ?kind,
                "still differs after it was delivered; see the dead letters"
            );
            self.summary.unrepaired += 1;
            return Ok(());
        }
        if kind == Kind::Extra {
            detail = self.verifier.why_extra(self.projection, &id).await?;
        }
        self.summary.count(kind);
        let ((id, owner), projection) = (id_and_owner(&id), projection.to_owned());
        let difference = Difference { projection, id, owner, kind, detail };
        self.verifier.tell(self.out, Line::Difference(difference)).await?;
        if self.repair && kind != Kind::Unknown {
            self.to_repair.push(Candidate { before: None, in_repair: true, ..candidate });
        }
        Ok(())
    }

    /// Has the delivery write or delete the differing documents, because it alone passes the gate, and writes over foreign
    /// versions.
    async fn repair(&mut self) -> Result<()> {
        let Some(live) = &self.verifier.live else { return Ok(()) };
        if self.to_repair.is_empty() {
            return Ok(());
        }
        let failure = |_| stop_error();
        for some in self.to_repair.chunks(MARKS_MAX) {
            let marks = some.iter().map(|candidate| (self.projection, candidate.id.clone())).collect();
            live.commands.send(FoldCommand::Mark(marks)).map_err(failure)?;
        }
        // Only once the marks are made does a look know that something is on its way.
        let (reply, answer) = oneshot::channel();
        live.commands.send(FoldCommand::Barrier(reply)).map_err(failure)?;
        let answered = tokio::time::timeout(FOLD_MAX, answer).await;
        if !matches!(answered, Ok(Ok(()))) {
            return Err(Error::failure("the fold did not mark what differs in time; look at its log"));
        }
        self.postponed.append(&mut self.to_repair);
        Ok(())
    }

    /// Waits for pending work and looks again. Work that does not arrive is no difference.
    async fn settle(&mut self) -> Result<()> {
        let Some(live) = &self.verifier.live else {
            // Nothing moves.
            self.summary.pending += self.postponed.len() as u64;
            self.postponed.clear();
            return Ok(());
        };
        let (mut arrived, mut moved, mut done) = (Instant::now(), Instant::now(), live.amount_of_work());
        let mut back_off = BackOff::new(PAUSE_MIN, PAUSE_MAX);
        while !self.postponed.is_empty() {
            self.verifier.pause(back_off.pause()).await?;
            let waiting = std::mem::take(&mut self.postponed);
            let count = waiting.len();
            let unproven = self.look(waiting).await?;
            self.postponed.extend(unproven);
            self.repair().await?;
            self.go_on().await?;
            if self.postponed.len() < count {
                arrived = Instant::now();
                back_off.reset();
            } else {
                back_off.double();
            }
            if live.amount_of_work() != done {
                (moved, done) = (Instant::now(), live.amount_of_work());
            }
            let still = arrived.elapsed().min(moved.elapsed());
            if still >= STILL_MAX || arrived.elapsed() >= ARRIVAL_MAX {
                break;
            }
        }
        for candidate in self.postponed.drain(..) {
            self.summary.pending += 1;
            self.summary.unrepaired += u64::from(candidate.in_repair);
        }
        Ok(())
    }

    /// Waits until the instance is past its gate: before, the index may be ahead of its state.
    async fn wait_for_gate(&mut self) -> Result<()> {
        let Some(live) = &self.verifier.live else { return Ok(()) };
        let (mut moved, mut done) = (Instant::now(), live.amount_of_work());
        while !live.is_writing() {
            if live.amount_of_work() != done {
                (moved, done) = (Instant::now(), live.amount_of_work());
            }
            if moved.elapsed() >= GATE_MAX {
                return Err(role_error());
            }
            self.sign().await?;
            self.verifier.pause(PAUSE_MIN).await?;
        }
        Ok(())
    }

    /// Sends a line of progress now and then; an error when there is no use in going on.
    async fn go_on(&mut self) -> Result<()> {
        if self.verifier.live.as_ref().is_some_and(|live| !live.is_writing()) {
            return Err(role_error());
        }
        self.sign().await
    }

    async fn sign(&mut self) -> Result<()> {
        if self.verifier.stop.is_requested() {
            return Err(stop_error());
        }
        if self.out.is_closed() {
            return Err(interruption_error());
        }
        if self.last_sign.elapsed() >= SIGN_EVERY {
            self.last_sign = Instant::now();
            self.verifier.tell(self.out, Line::Progress(self.looked_at)).await?;
        }
        Ok(())
    }
}

impl Verifier {
    /// Waits, unless told to stop.
    pub(super) async fn pause(&self, time: Duration) -> Result<()> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.stop.wait() => Err(stop_error()),
        }
    }
}

fn role_error() -> Error {
    Error::failure(
        "the instance does not write the index: it stands by for another one, or is not yet through the log. Run \
         `tributary verify` where the writing instance runs, or later",
    )
}

impl LiveInstance {
    /// From the gate on the state is ahead of everything that the index holds.
    fn is_writing(&self) -> bool {
        self.status.signals.is_writer() && self.status.signals.is_past_gate()
    }

    /// A number that grows with any work of the instance.
    fn amount_of_work(&self) -> u64 {
        self.status.signals.work()
    }
}
