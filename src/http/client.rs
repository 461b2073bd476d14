//! Asking the instance that has the state open.

use std::io::{BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::answer::{self, SCOPED_HOST, SILENCE_MAX};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::explain::StateSide;
use crate::pipeline::dead_letter_outcomes::{DiscardOutcome, RetryOutcome};
use crate::verify::{Line, VerifyRequest};

/// The file in the state's folder that names the address.
pub const INSTANCE: &str = "instance";

/// A copy that stands still for so long is given up.
const COPY_WAIT: Duration = Duration::from_secs(60);
/// How long an instance may take to begin its answer: it waits for its fold for five minutes.
const ANSWER_WAIT: Duration = Duration::from_secs(310);
/// The wait for `/healthz`. A living instance answers at once, and a foreign program at its address may never
/// answer.
const HEALTH_WAIT: Duration = Duration::from_secs(10);
/// No answer of ours is longer: the longest holds a document, which the index takes at most 100 MB of.
const ANSWER_BYTES_MAX: usize = 128 << 20;
/// The buffer of a copy, because its records are read in small parts.
const COPY_BUFFER_BYTES: usize = 1 << 20;

/// A running instance.
pub struct InstanceClient {
    address: String,
    /// The host and the port in its URLs.
    authority: String,
    token: Option<String>,
    client: Client,
}

/// The address by which this machine reaches the listener at `listened`.
pub fn reachable(listened: &str) -> String {
    let Ok(address) = listened.parse::<SocketAddr>() else { return listened.to_owned() };
    let host: IpAddr = match address.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => return listened.to_owned(),
    };
    SocketAddr::new(host, address.port()).to_string()
}

/// The host and the port in the URLs of the instance at `address`. No URL holds the scope of an address, so that a name
/// stands there, and the address behind that name comes second.
fn authority(address: &str) -> (String, Option<SocketAddr>) {
    match address.parse::<SocketAddr>() {
        Ok(SocketAddr::V6(scoped)) if scoped.scope_id() != 0 => {
            (format!("{SCOPED_HOST}:{}", scoped.port()), Some(SocketAddr::V6(scoped)))
        }
        _ => (address.to_owned(), None),
    }
}

impl InstanceClient {
    /// The instance that announced itself in the state's folder, if it answers.
    pub async fn find(config: &Config) -> Option<Self> {
        let address = std::fs::read_to_string(config.state.join(INSTANCE)).ok()?;
        let (address, token) = (reachable(address.trim()), config.http.token.clone());
        let (authority, behind) = authority(&address);
        let instance = Self { address, authority, token, client: answer::client(behind).ok()? };
        instance.ask_within(HEALTH_WAIT, Method::GET, "/healthz", String::new()).await.ok()?;
        Some(instance)
    }

    /// Where it answers, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The report that `/status` answers.
    ///
    /// # Errors
    /// When the instance does not answer as expected.
    pub async fn status(&self) -> Result<Value> {
        let bytes = self.ask(Method::GET, "/status", String::new()).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.version_error(error))
    }

    /// Has dead letters folded again, all or those named.
    ///
    /// # Errors
    /// When the instance refuses, or does not answer as expected.
    pub async fn retry(&self, names: Option<Vec<String>>) -> Result<RetryOutcome> {
        let body = json!({"names": names}).to_string();
        let bytes = self.ask(Method::POST, "/admin/dead-letters/retry", body).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.version_error(error))
    }

    /// Has dead letters taken out for good, all or those named.
    ///
    /// # Errors
    /// When the instance refuses, or does not answer as expected.
    pub async fn discard(&self, names: Option<Vec<String>>) -> Result<DiscardOutcome> {
        let body = json!({"names": names}).to_string();
        let bytes = self.ask(Method::POST, "/admin/dead-letters/discard", body).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.version_error(error))
    }

    /// Has its state copied by links into the folder of this name that the caller made; false when it sees another disk.
    ///
    /// # Errors
    /// When the instance refuses, or does not answer as expected.
    pub async fn link(&self, name: &str) -> Result<bool> {
        let body = json!({"into": name}).to_string();
        let bytes = self.ask(Method::POST, "/admin/state/link", body).await?;
        let answer: Value = serde_json::from_slice(&bytes).map_err(|error| self.version_error(error))?;
        Ok(answer.get("linked") == Some(&Value::Bool(true)))
    }

    /// Reads a consistent copy of its state with `read`. It blocks, so it is called outside of the threads of `runtime`.
    ///
    /// # Errors
    /// When the instance refuses, or the copy is cut off.
    pub fn copy<T>(&self, runtime: Handle, read: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T> {
        let request = self.request(Method::POST, "/admin/state/copy", String::new())?;
        let answer = runtime.block_on(answer::ask(&self.address, request, COPY_WAIT))?;
        let status = answer.status();
        if status != 200 {
            return Err(Error::failure(format!(
                "the instance at {} answered {status} to a request for a copy of its state; check http.token, and \
                 that it is of this version",
                self.address
            )));
        }
        read(&mut BufReader::with_capacity(COPY_BUFFER_BYTES, answer.stream(runtime, COPY_WAIT)))
    }

    /// The state's side of an explanation.
    ///
    /// # Errors
    /// When the instance refuses, or does not answer as expected.
    pub async fn explain(&self, projection: &str, id: &str) -> Result<StateSide> {
        let body = json!({"projection": projection, "id": id}).to_string();
        let bytes = self.ask(Method::POST, "/admin/explain", body).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.version_error(error))
    }

    /// Has the index compared with the state; every line goes to `each`, until it breaks off itself.
    ///
    /// # Errors
    /// When the instance refuses, does not answer as expected or breaks off.
    pub async fn verify(
        &self,
        question: &VerifyRequest,
        mut each: impl FnMut(Line) -> Result<()>,
    ) -> Result<()> {
        let body = serde_json::to_string(question).map_err(|error| self.version_error(error))?;
        let request = self.request(Method::POST, "/admin/verify", body)?;
        let mut answer = answer::ask(&self.address, request, SILENCE_MAX).await?;
        if answer.status() != 200 {
            let text = answer.next_line().await.unwrap_or_default();
            return Err(self.refusal_error(answer.status(), &text));
        }
        while let Some(line) = answer.next_line().await {
            let line: Line = serde_json::from_slice(&line).map_err(|error| self.version_error(error))?;
            let is_last = matches!(line, Line::Summary(_) | Line::Error(_));
            each(line)?;
            if is_last {
                return Ok(());
            }
        }
        Err(Error::failure(format!("the instance at {} broke off; look at its log", self.address)))
    }

    fn refusal_error(&self, status: u16, body: &[u8]) -> Error {
        let detail = serde_json::from_slice::<Value>(body)
            .ok()
            .and_then(|value| Some(value.get("detail")?.as_str()?.to_owned()));
        Error::failure(format!(
            "the instance at {} answered {status}: {}",
            self.address,
            detail.unwrap_or_default()
        ))
    }

    fn version_error(&self, error: serde_json::Error) -> Error {
        Error::failure(format!(
            "the instance at {} gave an answer that cannot be read; use its version of this program",
            self.address
        ))
        .because(error)
    }

    fn request(&self, method: Method, path: &str, body: String) -> Result<RequestBuilder> {
        let request = self.client.request(method, format!("http://{}{path}", self.authority));
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let Some(token) = &self.token else { return Ok(request) };
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|error| Error::usage("http.token: it cannot be sent in a header").because(error))?;
        value.set_sensitive(true);
        Ok(request.header(AUTHORIZATION, value))
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> Result<Vec<u8>> {
        self.ask_within(ANSWER_WAIT, method, path, body).await
    }

    async fn ask_within(&self, wait: Duration, method: Method, path: &str, body: String) -> Result<Vec<u8>> {
        let request = self.request(method, path, body)?;
        let answer = answer::ask(&self.address, request, wait).await?;
        let status = answer.status();
        let bytes = answer.whole(ANSWER_BYTES_MAX).await?.ok_or_else(|| {
            Error::failure(format!(
                "the program at {} sends more to {path} than an instance would; check the address",
                self.address
            ))
        })?;
        if status == 200 { Ok(bytes) } else { Err(self.refusal_error(status, &bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn an_instance_is_asked_at_an_address_that_is_reachable() {
        for (listened, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("10.0.0.0:8080", "10.0.0.0:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("[fe80::1%2]:8080", "[fe80::1%2]:8080"),
        ] {
            assert_eq!(reachable(listened), address, "{listened}");
        }
    }

    #[test]
    fn a_name_stands_in_urls_for_an_address_with_a_scope() {
        for plain in ["127.0.0.1:8080", "[::1]:8080", "[fe80::1]:8080", "box:8080"] {
            assert_eq!(authority(plain), (plain.to_owned(), None));
        }
        let (name, behind) = authority("[fe80::1%2]:8080");
        assert_eq!(name, "localhost:8080");
        assert_eq!(behind.unwrap().to_string(), "[fe80::1%2]:8080");
    }

    #[tokio::test]
    async fn the_name_leads_to_the_address_behind_it() {
        // The name itself leads to another address.
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1_024];
            let length = stream.read(&mut head).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            String::from_utf8_lossy(&head[..length]).to_lowercase()
        };
        let client = answer::client(Some(address)).unwrap();
        let asking = client.get(format!("http://{SCOPED_HOST}:{}/healthz", address.port())).send();
        let (head, answer) = tokio::join!(serving, asking);
        assert_eq!(answer.unwrap().status(), 204);
        assert!(head.contains(&format!("host: localhost:{}", address.port())), "{head}");
    }
}
