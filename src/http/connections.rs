//! The connections that are open, how far each is, and which goes first when there are too many.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

/// So many bytes have to be taken of an answer for it to have come on.
const STEP_BYTES: usize = 4 << 10;

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<HashMap<u64, OpenConnection>>,
    number: AtomicU64,
}

#[derive(Debug)]
struct OpenConnection {
    progress: Arc<ConnectionProgress>,
    task: AbortHandle,
}

impl Connections {
    /// Takes in a connection whose task `spawn` begins. The connection is open until the task drops its
    /// [`ConnectionGuard`]. Where `most` are open already, the one that has stood still for longest is closed.
    pub(super) fn take(
        self: &Arc<Self>,
        most: usize,
        progress: Arc<ConnectionProgress>,
        spawn: impl FnOnce(ConnectionGuard) -> AbortHandle,
    ) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let mut open = self.lock();
        while open.len() >= most {
            let Some(slowest) = slowest(&open) else { break };
            if let Some(closed) = open.remove(&slowest) {
                closed.task.abort();
            }
        }
        let task = spawn(ConnectionGuard { connections: Arc::clone(self), number });
        open.insert(number, OpenConnection { progress, task });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, OpenConnection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one that stands still for longest; those whose request is being worked on come last.
fn slowest(open: &HashMap<u64, OpenConnection>) -> Option<u64> {
    let rank =
        |open: &OpenConnection| (open.progress.is_working(), open.progress.moved_ms.load(Ordering::Relaxed));
    open.iter().min_by_key(|(_, open)| rank(open)).map(|(number, _)| *number)
}

/// Ends a connection's place when it is dropped.
pub(super) struct ConnectionGuard {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.number);
    }
}

/// How far a connection is.
#[derive(Debug)]
pub(super) struct ConnectionProgress {
    began: Instant,
    /// When it last came on, in milliseconds since the server's beginning.
    moved_ms: AtomicU64,
    working: AtomicUsize,
}

impl ConnectionProgress {
    /// Of a connection that is taken now, by a server that `began` then.
    pub(super) fn new(began: Instant) -> Self {
        let progress = Self { began, moved_ms: AtomicU64::new(0), working: AtomicUsize::new(0) };
        progress.note();
        progress
    }

    fn note(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(now, Ordering::Relaxed);
    }

    fn is_working(&self) -> bool {
        self.working.load(Ordering::Relaxed) > 0
    }

    /// Takes note that a request is worked on until the value is dropped.
    pub(super) fn work(self: &Arc<Self>) -> RequestGuard {
        self.working.fetch_add(1, Ordering::Relaxed);
        RequestGuard(Arc::clone(self))
    }
}

/// A request is worked on.
pub(super) struct RequestGuard(Arc<ConnectionProgress>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::Relaxed);
        self.0.note();
    }
}

/// A stream whose writing fails when the other side takes too little for too long.
pub(super) struct WatchedStream {
    stream: TcpStream,
    progress: Arc<ConnectionProgress>,
    patience: Duration,
    /// Runs while an answer waits to be taken.
    stalled: Option<Pin<Box<Sleep>>>,
    /// The bytes that were taken since the stream last came on.
    step_bytes: usize,
}

impl WatchedStream {
    /// Watches a stream; `patience` is how long a part of an answer may wait to be taken.
    pub(super) fn new(stream: TcpStream, progress: Arc<ConnectionProgress>, patience: Duration) -> Self {
        Self { stream, progress, patience, stalled: None, step_bytes: 0 }
    }

    /// Judges a write that answered `written`. It fails when the other side takes too little for too long.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        whole: usize,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.step_bytes += bytes;
            if self.step_bytes >= STEP_BYTES || *bytes == whole {
                self.step_bytes = 0;
                self.stalled = None;
                self.progress.note();
            }
        }
        if written.is_ready() && self.stalled.is_none() {
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is not taken")))
            }
            Poll::Pending => written,
        }
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.judge(context, written, parts.iter().map(|part| part.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
