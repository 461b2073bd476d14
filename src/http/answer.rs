//! The answer of an instance: read line by line for as long as it takes, as one, or as a stream that blocks.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::body;
use crate::error::{Error, Result};

/// An answer that is silent for longer has broken off.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(180);
/// No line of ours is nearly as long.
const LINE_BYTES_MAX: usize = 1 << 20;

/// An answer whose head was read. Dropping it ends the connection.
pub(super) struct InstanceAnswer {
    address: String,
    response: Response,
    read: Vec<u8>,
}

/// The name in URLs of an instance whose address no URL can hold. Every instance answers requests for it.
pub(super) const SCOPED_HOST: &str = "localhost";

/// A client of instances. It asks them directly, because a proxy leads elsewhere. It resolves [`SCOPED_HOST`] to the
/// address `behind` it, where there is one.
pub(super) fn client(behind: Option<SocketAddr>) -> reqwest::Result<Client> {
    let builder = Client::builder().no_proxy().redirect(Policy::none()).pool_max_idle_per_host(0);
    match behind {
        Some(address) => builder.resolve(SCOPED_HOST, address).build(),
        None => builder.build(),
    }
}

/// Sends `request` to the instance at `address`, whose answer begins within `wait`.
pub(super) async fn ask(address: &str, request: RequestBuilder, wait: Duration) -> Result<InstanceAnswer> {
    let sent = timeout(wait, request.send()).await.map_err(|silent| answer_error(address, silent))?;
    let response = sent.map_err(|error| answer_error(address, error.without_url()))?;
    Ok(InstanceAnswer { address: address.to_owned(), response, read: Vec::new() })
}

fn answer_error(address: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::failure(format!("the instance at {address} does not answer")).because(error)
}

impl InstanceAnswer {
    /// Its status code.
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The next line; `None` after the last, and where the answer breaks off.
    pub(super) async fn next_line(&mut self) -> Option<Vec<u8>> {
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
    ///
    /// # Errors
    /// When it breaks off, or takes longer than [`SILENCE_MAX`].
    pub(super) async fn whole(self, most: usize) -> Result<Option<Vec<u8>>> {
        let read = timeout(SILENCE_MAX, body::read(self.response, most)).await;
        let read = read.map_err(|late| answer_error(&self.address, late))?;
        read.map_err(|error| answer_error(&self.address, error.without_url()))
    }

    async fn more(&mut self) -> Option<Bytes> {
        timeout(SILENCE_MAX, self.response.chunk()).await.ok()?.ok()?
    }

    /// Its bytes for a reader that blocks. A read fails once the answer is silent for longer than `silence`.
    pub(super) fn stream(self, runtime: Handle, silence: Duration) -> AnswerStream {
        AnswerStream { response: self.response, runtime, silence, piece: Bytes::new() }
    }
}

/// The bytes of an answer, read outside of the runtime's own threads.
pub(super) struct AnswerStream {
    response: Response,
    runtime: Handle,
    silence: Duration,
    piece: Bytes,
}

impl Read for AnswerStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let next = self.runtime.block_on(async { timeout(self.silence, self.response.chunk()).await });
            match next?.map_err(|error| io::Error::other(error.without_url()))? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let piece = self.piece.split_to(self.piece.len().min(into.len()));
        piece.as_ref().read(into)
    }
}
