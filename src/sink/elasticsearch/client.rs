//! Requests to the cluster: addresses, credentials, time limits, and errors that say what to do.

use std::time::Duration;

use bytes::Bytes;
use elasticsearch::auth::Credentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::{MultiNodeConnectionPool, Transport, TransportBuilder};
use elasticsearch::http::{Method, Url};
use serde_json::Value;

use super::tls;
use crate::config::{IndexConfig, without_user};
use crate::error::{Error, ErrorKind, Result};

/// A request that takes longer is given up and tried again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// `http.max_content_length` unless the server says otherwise.
const REQUEST_BYTES_DEFAULT: usize = 100 << 20;

/// A client of one cluster. It holds secrets, and shows none.
pub(crate) struct Client {
    transport: Transport,
    urls: Vec<Url>,
    addresses: String,
}

impl Client {
    /// A client of the configured cluster; several addresses are used in turn.
    pub(crate) fn new(config: &IndexConfig) -> Result<Self> {
        let urls = config.urls.iter().map(|url| {
            let parsed = Url::parse(url).ok().filter(|parsed| parsed.has_host());
            parsed.ok_or_else(|| {
                let shown = without_user(url);
                Error::usage(format!("index.url: {shown:?} is no address; write http://host:9200"))
            })
        });
        let urls = urls.collect::<Result<Vec<_>>>()?;
        // An address may hold a password: only its host is ever shown.
        let shown = |url: &Url| {
            format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(0))
        };
        let addresses = urls.iter().map(shown).collect::<Vec<_>>().join(", ");
        let mut builder = TransportBuilder::new(MultiNodeConnectionPool::round_robin(urls.clone(), None))
            .timeout(REQUEST_TIMEOUT);
        if let Some(credentials) = credentials(config)? {
            builder = builder.auth(credentials);
        }
        if let Some(path) = &config.ca_certificate {
            let wrong = |what: &str| Error::usage(format!("index.ca_certificate: {} {what}", path.display()));
            let pem = std::fs::read(path).map_err(|error| wrong("cannot be read").because(error))?;
            let certificate = Certificate::from_pem(&pem)
                .map_err(|error| wrong("holds no PEM certificate").because(error))?;
            builder = builder.cert_validation(CertificateValidation::Full(certificate));
        }
        let transport =
            builder.build().map_err(|error| Error::usage("index: no client can be made").because(error))?;
        Ok(Self { transport, urls, addresses })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.answer(Method::Get, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        self.answer(Method::Post, path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.answer(Method::Put, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        self.answer(Method::Delete, path, body).await
    }

    /// As [`Self::get`]; `None` when the server says 404.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<Value>> {
        self.if_there(Method::Get, path, None).await
    }

    /// As [`Self::post`]; `None` when the server says 404.
    pub(crate) async fn post_if_there(&self, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
        self.if_there(Method::Post, path, body).await
    }

    /// Puts (or, without a body, deletes) a document on a condition in the path; false when the server
    /// says that the condition does not hold.
    pub(crate) async fn change_if(&self, path: &str, body: Option<&Value>) -> Result<bool> {
        let method = if body.is_some() { Method::Put } else { Method::Delete };
        match self.send(method, path, body).await? {
            (404 | 409, _) => Ok(false),
            (status, body) => self.checked(path, status, body).map(|_| true),
        }
    }

    async fn if_there(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
        match self.send(method, path, body).await? {
            (404, _) => Ok(None),
            (status, body) => self.checked(path, status, body).map(Some),
        }
    }

    async fn answer(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, body) = self.send(method, path, body).await?;
        self.checked(path, status, body)
    }

    fn checked(&self, path: &str, status: u16, body: Value) -> Result<Value> {
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let reason = body.pointer("/error/reason").and_then(Value::as_str).unwrap_or("no reason given");
        let advice = match status {
            401 => "; check index.username and index.password, or index.api_key",
            403 => "; the user lacks a privilege for this",
            _ => "",
        };
        let kind =
            if matches!(status, 408 | 429 | 502..=504) { ErrorKind::Unavailable } else { ErrorKind::Failed };
        let message =
            format!("Elasticsearch at {} answered {status} to {path}: {reason}{advice}", self.addresses);
        Err(Error::new(kind, message))
    }

    /// As [`Self::post`]; answers the bytes.
    pub(crate) async fn post_for_bytes(&self, path: &str, body: &Value) -> Result<Vec<u8>> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let sent =
            self.transport.send(Method::Post, path, headers, None::<&()>, Some(body.to_string()), None).await;
        let response = sent.map_err(|error| self.unreachable(error))?;
        let status = response.status_code().as_u16();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(error))?;
        if !(200..300).contains(&status) {
            self.checked(path, status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))?;
        }
        Ok(bytes.to_vec())
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = body.map(Value::to_string);
        let (path, query) = parts(path);
        let sent = self.transport.send(method, path, headers, query.as_ref(), body, None).await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => return Err(self.explained(error).await),
        };
        let status = response.status_code().as_u16();
        let text = response.text().await.map_err(|error| self.unreachable(error))?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// Sends a `_bulk` body; answers the status and the answer's bytes.
    pub(crate) async fn bulk(&self, body: Vec<u8>) -> Result<(u16, Vec<u8>)> {
        // A vector would be copied once more.
        let body = Bytes::from(body);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let query = [
            ("filter_path", "errors,items.*.status,items.*.error.type,items.*.error.reason"),
            ("require_alias", "true"),
        ];
        let sent =
            self.transport.send(Method::Post, "/_bulk", headers, Some(&query[..]), Some(body), None).await;
        let response = sent.map_err(|error| self.unreachable(error))?;
        let status = response.status_code().as_u16();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(error))?;
        Ok((status, bytes.to_vec()))
    }

    /// The largest request that the server takes, as it says; the usual one when it may not say.
    pub(crate) async fn request_bytes_max(&self) -> usize {
        let answer = self.get("/_nodes/http?filter_path=nodes.*.http.max_content_length_in_bytes").await;
        let nodes = answer.ok().and_then(|answer| answer.get("nodes").and_then(Value::as_object).cloned());
        let limits = nodes.into_iter().flatten();
        let limits =
            limits.filter_map(|(_, node)| node.pointer("/http/max_content_length_in_bytes")?.as_u64());
        limits.min().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(REQUEST_BYTES_DEFAULT)
    }

    /// As [`Self::unreachable`], after a look whether TLS is spoken where a plain request was sent.
    async fn explained(&self, error: elasticsearch::Error) -> Error {
        for url in &self.urls {
            if tls::is_spoken_at(url, &error).await {
                return Error::failed(format!(
                    "Elasticsearch at {} speaks TLS and index.url says http; write https://, and set \
                     index.ca_certificate unless a public authority signed its certificate",
                    self.addresses
                ));
            }
        }
        self.unreachable(error)
    }

    fn unreachable(&self, error: elasticsearch::Error) -> Error {
        if tls::is_refused(&error) {
            let message = format!(
                "no TLS connection to Elasticsearch at {}: check index.ca_certificate (the authority that signed the \
                 server's certificate), that the certificate names the host in index.url and has not run out, and \
                 that the server speaks https",
                self.addresses
            );
            return Error::failed(message).because(error);
        }
        let message =
            format!("Elasticsearch at {} does not answer; check index.url and the server", self.addresses);
        Error::new(ErrorKind::Unavailable, message).because(error)
    }
}

fn credentials(config: &IndexConfig) -> Result<Option<Credentials>> {
    match (&config.api_key, &config.username, &config.password) {
        (Some(_), Some(_), _) => Err(Error::usage("index: api_key and username are both set; set one")),
        (Some(key), None, _) => Ok(Some(Credentials::EncodedApiKey(key.clone()))),
        (None, Some(user), Some(password)) => Ok(Some(Credentials::Basic(user.clone(), password.clone()))),
        (None, Some(_), None) => {
            Err(Error::usage("index.username is set and index.password is not; set both"))
        }
        (None, None, Some(_)) => {
            Err(Error::usage("index.password is set and index.username is not; set both"))
        }
        (None, None, None) => Ok(None),
    }
}

/// A path and the pairs of its query.
fn parts(path: &str) -> (&str, Option<Vec<(&str, &str)>>) {
    match path.split_once('?') {
        Some((path, query)) => {
            (path, Some(query.split('&').filter_map(|pair| pair.split_once('=')).collect()))
        }
        None => (path, None),
    }
}

/// A name as one segment of a path.
pub(crate) fn encoded(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
