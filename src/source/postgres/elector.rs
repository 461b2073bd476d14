//! One writer of a group: the instance whose session holds an advisory lock. The server gives the lock back when the
//! session ends, so that another instance takes over. The same session writes the low watermark.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::connection::{Blocking, DatabaseSession, answer, answer_within, judge};
use super::positions;
use crate::config::PostgresConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::source::candidacy::{Candidacy, GroupMembers};
use crate::source::leadership::{DeliveredPosition, Leadership};
use crate::source::throttle::LogThrottle;

/// How often a member looks whether the group has a writer, and the writer whether its session lives.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// A writer whose session does not answer for so long stops. The server ends such a session later.
const LOOK_WAIT: Duration = Duration::from_secs(3);
const CONNECT_EVERY: Duration = Duration::from_millis(500);
/// How long a writer that ends waits for its requests to be answered.
const RELEASE_WAIT: Duration = Duration::from_secs(10);
/// How long the run waits for an answer of the elector.
const REPLY_WAIT: Duration = Duration::from_secs(10);
/// Position messages stay in the database for ever, so they are written at most so often.
const POSITIONS_EVERY: Duration = Duration::from_secs(5);

/// A writer that hangs keeps its connection, so the server ends a session that asks nothing for so long (PostgreSQL 14).
const IDLE: &str = "SET idle_session_timeout TO '10s'";

const NAME: &str = "tributary-election";

/// The sessions that hold the group's lock, and those of other members. The lock of the writer has the two keys in one
/// order, and the shared one of the members has them in the other.
const LOCKS: &str = "SELECT count(*) FILTER (WHERE classid = own.high AND mode = 'ExclusiveLock'), \
     count(DISTINCT pid) FILTER (WHERE pid <> pg_backend_pid()) \
     FROM pg_locks, (SELECT $1::int4::bigint & 4294967295 AS high, $2::int4::bigint & 4294967295 AS low) AS own \
     WHERE locktype = 'advisory' AND objsubid = 2 AND granted \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND (classid, objid) IN ((own.high, own.low), (own.low, own.high))";

enum ElectorRequest {
    Commit(DeliveredPosition, crossbeam_channel::Sender<bool>),
    Committed(crossbeam_channel::Sender<Result<DeliveredPosition>>),
    Close,
}

/// This instance's part in the election.
pub struct LockElector {
    requests: mpsc::UnboundedSender<ElectorRequest>,
    writer: watch::Sender<bool>,
    joined: Arc<AtomicBool>,
    caught_up: Arc<AtomicBool>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl LockElector {
    /// Takes part in the election of `group` once it has joined. `in_flight` counts the requests that must end before
    /// another may write.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        config: &PostgresConfig,
        group: &str,
        categories: Vec<String>,
        in_flight: Arc<AtomicU64>,
    ) -> Result<Self> {
        let (requests, received) = mpsc::unbounded_channel();
        let writer = watch::Sender::new(false);
        let [joined, caught_up] = std::array::from_fn(|_| Arc::<AtomicBool>::default());
        let member = LockMember {
            config: config.clone(),
            group: group.to_owned(),
            keys: LockKeys::of(group),
            categories,
            in_flight,
            writer: writer.clone(),
            joined: Arc::clone(&joined),
            caught_up: Arc::clone(&caught_up),
            candidacy: Candidacy::default(),
            session: None,
            is_member: false,
            connect_at: Instant::now(),
            written: None,
            written_at: None,
            pending: None,
            throttle: LogThrottle::default(),
        };
        let runtime = Blocking::start()?;
        let serve = move || {
            // It answers no one, so its end is its only result.
            let _ = runtime.wait(async {
                member.serve(received).await;
                Ok(())
            });
        };
        let thread = std::thread::Builder::new().name("elector".to_owned()).spawn(serve);
        let thread = thread.map_err(|error| {
            Error::failure("the elector's thread cannot be started; check the limit of threads")
                .because(error)
        })?;
        Ok(Self { requests, writer, joined, caught_up, thread: Mutex::new(Some(thread)) })
    }
}

impl Leadership for LockElector {
    fn join(&self) {
        self.joined.store(true, Ordering::Relaxed);
    }

    fn writer(&self) -> watch::Receiver<bool> {
        self.writer.subscribe()
    }

    fn commit(&self, delivered: &DeliveredPosition) -> bool {
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.requests.send(ElectorRequest::Commit(delivered.clone(), reply)).is_ok()
            && answer.recv_timeout(REPLY_WAIT).unwrap_or(false)
    }

    fn writer_position(&self) -> Result<DeliveredPosition> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        if self.requests.send(ElectorRequest::Committed(reply)).is_err() {
            return Ok(DeliveredPosition::default());
        }
        answer.recv_timeout(REPLY_WAIT).unwrap_or_else(|_| Ok(DeliveredPosition::default()))
    }

    fn note_caught_up(&self) {
        self.caught_up.store(true, Ordering::Relaxed);
    }

    fn close(&self) {
        // A thread that has ended has closed.
        let _ = self.requests.send(ElectorRequest::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(_)) = thread.map(std::thread::JoinHandle::join) {
            tracing::warn!("the elector's thread broke off");
        }
    }
}

/// The two keys of a group's advisory locks. Locks with two keys are apart from those with one, which `write_message`
/// takes.
#[derive(Debug, Clone, Copy)]
struct LockKeys {
    high: i32,
    low: i32,
}

impl LockKeys {
    fn of(group: &str) -> Self {
        let hash = xxhash_rust::xxh3::xxh3_64(format!("tributary:{group}").as_bytes()).to_be_bytes();
        let [a, b, c, d, e, f, g, h] = hash;
        Self { high: i32::from_be_bytes([a, b, c, d]), low: i32::from_be_bytes([e, f, g, h]) }
    }
}

/// The thread's part.
struct LockMember {
    config: PostgresConfig,
    group: String,
    keys: LockKeys,
    categories: Vec<String>,
    in_flight: Arc<AtomicU64>,
    writer: watch::Sender<bool>,
    joined: Arc<AtomicBool>,
    caught_up: Arc<AtomicBool>,
    candidacy: Candidacy,
    session: Option<DatabaseSession>,
    /// True while the session holds the shared lock of the members.
    is_member: bool,
    connect_at: Instant,
    /// The content of the position messages; none unless this instance writes.
    written: Option<DeliveredPosition>,
    /// When they were last to be written.
    written_at: Option<Instant>,
    /// The content that they are to have.
    pending: Option<DeliveredPosition>,
    throttle: LogThrottle,
}

impl LockMember {
    async fn serve(mut self, mut requests: mpsc::UnboundedReceiver<ElectorRequest>) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_open = self.session.is_some();
            let ended = async {
                match &mut self.session {
                    // The task ends with the connection.
                    Some(session) => drop((&mut session.connection).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = ended, if is_open => self.lose("the connection to PostgreSQL ended"),
                request = requests.recv() => match request {
                    Some(ElectorRequest::Commit(delivered, reply)) => {
                        // Who asked may have gone meanwhile.
                        let _ = reply.try_send(self.commit(delivered).await);
                    }
                    Some(ElectorRequest::Committed(reply)) => {
                        let _ = reply.try_send(self.read_position().await);
                    }
                    Some(ElectorRequest::Close) | None => return self.close().await,
                },
                _ = ticks.tick() => self.look().await,
            }
        }
    }

    /// The session is gone, and with it the lock.
    fn lose(&mut self, why: &str) {
        self.session = None;
        self.is_member = false;
        self.connect_at = Instant::now() + CONNECT_EVERY;
        if self.writer.send_replace(false) {
            tracing::warn!(why, "this instance does not write any more");
            self.candidacy.step_down();
            // Another writer may be further by the time that this one writes again.
            (self.written, self.pending) = (None, None);
        }
    }

    async fn look(&mut self) {
        if !self.joined.load(Ordering::Relaxed) || !self.connect().await {
            return;
        }
        let looked = tokio::time::timeout(LOOK_WAIT, self.ask_for_writing()).await;
        match looked {
            Ok(Ok(true)) => {
                self.writer.send_if_modified(|writer| !std::mem::replace(writer, true));
            }
            Ok(Ok(false)) => {}
            Ok(Err(error)) => self.lose(&error.chain()),
            Err(_) => self.lose("PostgreSQL does not answer in time"),
        }
        if self.pending.is_some() && self.is_due() {
            self.write_positions().await;
        }
    }

    /// True when there is a session.
    async fn connect(&mut self) -> bool {
        if self.session.is_some() {
            return true;
        }
        if Instant::now() < self.connect_at {
            return false;
        }
        self.connect_at = Instant::now() + CONNECT_EVERY;
        match DatabaseSession::open(&self.config, NAME).await {
            Ok(session) => {
                let set = session.client.batch_execute(IDLE);
                if let Err(error) = answer_within(LOOK_WAIT, set, "the session's settings").await {
                    tracing::debug!(error = error.chain(), "the server does not end idle sessions");
                }
                self.session = Some(session);
            }
            Err(error) => {
                if self.throttle.is_due() {
                    tracing::warn!(error = error.chain(), "the election waits for PostgreSQL");
                }
            }
        }
        self.session.is_some()
    }

    /// Looks at the group, and takes the lock where that is due; true when this instance writes.
    async fn ask_for_writing(&mut self) -> Result<bool> {
        let Some(session) = &self.session else { return Ok(false) };
        let LockKeys { high, low } = self.keys;
        if *self.writer.borrow() {
            answer(session.client.batch_execute(""), "an empty statement").await?;
            return Ok(true);
        }
        let what = "the locks of the group";
        let row = answer(session.client.query_one(LOCKS, &[&high, &low]), what).await?;
        let writers: i64 = row.try_get(0).map_err(|error| judge(error, what))?;
        let others: i64 = row.try_get(1).map_err(|error| judge(error, what))?;
        let members = if writers > 0 {
            GroupMembers::Led
        } else {
            GroupMembers::Leaderless { count: usize::try_from(others).unwrap_or(0), rank: 0 }
        };
        let asks = self.candidacy.asks(members, self.caught_up.load(Ordering::Relaxed));
        if !self.is_member {
            let sql = "SELECT pg_advisory_lock_shared($2, $1)";
            answer(session.client.query(sql, &[&high, &low]), what).await?;
            self.is_member = true;
        }
        if !asks {
            return Ok(false);
        }
        let sql = "SELECT pg_try_advisory_lock($1, $2)";
        let row = answer(session.client.query_one(sql, &[&high, &low]), what).await?;
        row.try_get(0).map_err(|error| judge(error, what))
    }

    fn is_due(&self) -> bool {
        self.written_at.is_none_or(|at| at.elapsed() >= POSITIONS_EVERY)
    }

    async fn commit(&mut self, delivered: DeliveredPosition) -> bool {
        if self.written.as_ref() == Some(&delivered) {
            self.pending = None;
            return true;
        }
        self.pending = Some(delivered);
        // A position that is written later is asked for again until then.
        self.is_due() && self.write_positions().await
    }

    /// Writes the pending positions; true when they are written.
    async fn write_positions(&mut self) -> bool {
        let Some(session) = self.session.as_ref().filter(|_| *self.writer.borrow()) else { return false };
        let Some(delivered) = &self.pending else { return true };
        let before = self.written.as_ref();
        let written = positions::write(&session.client, &self.group, delivered, before, LOOK_WAIT).await;
        self.written_at = Some(Instant::now());
        match written {
            Ok(()) => {
                self.written = self.pending.take();
                true
            }
            Err(error) => {
                if self.throttle.is_due() {
                    tracing::warn!(
                        error = error.chain(),
                        "the low watermark was not written, it is tried again"
                    );
                }
                if error.kind() == ErrorKind::Unavailable {
                    self.lose(&error.chain());
                }
                false
            }
        }
    }

    async fn read_position(&mut self) -> Result<DeliveredPosition> {
        let Some(session) = &self.session else { return Ok(DeliveredPosition::default()) };
        match positions::read(&session.client, &self.group, &self.categories, LOOK_WAIT).await {
            // A server that is away says nothing now, and is asked again.
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                self.lose(&error.chain());
                Ok(DeliveredPosition::default())
            }
            read => read,
        }
    }

    /// Gives the lock back once nothing is in flight any more.
    async fn close(mut self) {
        if self.pending.is_some() {
            self.write_positions().await;
        }
        self.writer.send_replace(false);
        let until = Instant::now() + RELEASE_WAIT;
        while self.in_flight.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if let Some(session) = &self.session {
            let release = session.client.batch_execute("SELECT pg_advisory_unlock_all()");
            if let Err(error) = answer_within(LOOK_WAIT, release, "its locks").await {
                tracing::debug!(error = error.chain(), "the server gives the lock back by itself");
            }
        }
    }
}
