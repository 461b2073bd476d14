//! Answers that are made while they are sent.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use futures_core::Stream;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How many pieces wait for the client at most.
const PIECES: usize = 4;
/// How large a piece is.
const PIECE_BYTES: usize = 256 << 10;

/// The body of an answer, and the pieces by which a thread that may block writes it. A write after the client went
/// away fails. An answer that is dropped before [`Pieces::end`] is cut off.
pub(super) fn pieces() -> (Body, Pieces) {
    let (sender, receiver) = channel(PIECES);
    (Body::from_stream(PieceStream(receiver)), Pieces { sender, bytes: Vec::new() })
}

struct PieceStream(Receiver<io::Result<Bytes>>);

impl Stream for PieceStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// The writing end.
pub(super) struct Pieces {
    sender: Sender<io::Result<Bytes>>,
    bytes: Vec<u8>,
}

impl Pieces {
    /// Sends the bytes that are left.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.flush()
    }

    /// Cuts the answer off, so that the client sees that it is not whole.
    pub(super) fn cut_off(self) {
        // A client that is gone sees nothing anyway.
        let _ = self.sender.blocking_send(Err(io::Error::other("the answer was cut off")));
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.bytes));
        if piece.is_empty() {
            return Ok(());
        }
        let broken_pipe = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone");
        self.sender.blocking_send(Ok(piece)).map_err(broken_pipe)
    }
}
