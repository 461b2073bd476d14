//! An answer that is read line by line, for as long as it takes.

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::error::{Error, Result};

/// An answer that is silent for longer has broken off.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(180);
/// No line of ours is nearly as long.
const LINE_BYTES_MAX: usize = 1 << 20;

/// The lines of an answer. Dropping them ends the connection.
pub(super) struct Lines {
    body: Incoming,
    read: Vec<u8>,
    connection: tokio::task::AbortHandle,
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Sends `request` to `address` (`host:port`), whose answer begins within `wait`; answers the status and the lines.
pub(super) async fn ask(address: &str, request: Request<String>, wait: Duration) -> Result<(u16, Lines)> {
    let stream = TcpStream::connect(address).await.map_err(|error| broken(address, error))?;
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| broken(address, error))?;
    let connection = tokio::spawn(async move {
        // The reader of the answer learns of a broken connection.
        let _ = connection.await;
    });
    let answered = tokio::time::timeout(wait, sender.send_request(request.map(Body::from))).await;
    let answer = match answered {
        Ok(answer) => answer.map_err(|error| broken(address, error))?,
        Err(silent) => return Err(broken(address, silent)),
    };
    let status = answer.status().as_u16();
    Ok((status, Lines { body: answer.into_body(), read: Vec::new(), connection: connection.abort_handle() }))
}

fn broken(address: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::failed(format!("the instance at {address} does not answer")).because(error)
}

impl Lines {
    /// The next line; `None` after the last, and where the answer breaks off.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let later = self.read.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.read, later);
                line.pop();
                return Some(line);
            }
            match self.more().await {
                Some(bytes) if self.read.len() < LINE_BYTES_MAX => self.read.extend_from_slice(&bytes),
                _ => return (!self.read.is_empty()).then(|| std::mem::take(&mut self.read)),
            }
        }
    }

    /// All of it as one; `None` when it is longer than `most`, and is then not read further.
    pub(super) async fn whole(mut self, most: usize) -> Option<Vec<u8>> {
        while let Some(bytes) = self.more().await {
            if self.read.len() + bytes.len() > most {
                return None;
            }
            self.read.extend_from_slice(&bytes);
        }
        Some(std::mem::take(&mut self.read))
    }

    async fn more(&mut self) -> Option<Bytes> {
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut self.body).poll_frame(context));
            let frame = tokio::time::timeout(SILENCE_MAX, frame).await.ok()??.ok()?;
            if let Ok(bytes) = frame.into_data() {
                return Some(bytes);
            }
        }
    }
}
