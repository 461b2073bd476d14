//! Requests to the cluster: addresses, credentials, time limits, and errors with advice.

use bytes::Bytes;
use elasticsearch::auth::Credentials;
use elasticsearch::http::Url;
use elasticsearch::nodes::NodesInfoParts;
use elasticsearch::{BulkParts, MgetParts};
use reqwest::Certificate;
use reqwest::header::HeaderValue;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::dialect::Dialect;
use super::documents::question;
use super::product::Product;
use super::server::Server;
use super::tls;
use super::transport::{ClusterAnswer, Method, NodeRequest, Transport};
use crate::config::{IndexConfig, without_secrets};
use crate::engine::elasticsearch::kinds::OPENSEARCH;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::is_held;

/// `http.max_content_length` unless the server says otherwise.
pub(super) const REQUEST_BYTES_DEFAULT: usize = 100 << 20;
/// No answer to the questions here is nearly as long. The longest, a page of ids, has some megabytes, and a page of
/// hits carries no members.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// No document is longer than the request that it came by, and a little is told beside it.
const DOCUMENT_BYTES_MAX: usize = REQUEST_BYTES_DEFAULT + BESIDE_BYTES;
/// The bytes of an answer beside the documents.
const BESIDE_BYTES: usize = 1 << 20;
/// An answer to `_bulk` has some hundred bytes for each document that was refused, and may repeat parts of it.
const BULK_ANSWER_BYTES_MIN: usize = 4 << 20;
/// Of an answer to `_bulk` that says nothing of the writes that are done.
const BULK_QUERY: &str =
    "require_alias=true&filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason";

/// A client of one cluster. It holds secrets, and shows none.
pub(crate) struct ClusterClient {
    transport: Transport,
    urls: Vec<Url>,
    addresses: String,
    /// The product that the configuration insists on.
    product: Option<Product>,
    /// True when the user comes with an API key.
    has_api_key: bool,
    /// Asked for once.
    server: OnceCell<Server>,
}

impl ClusterClient {
    /// A client of the configured cluster; several addresses are used in turn.
    pub(crate) fn new(config: &IndexConfig) -> Result<Self> {
        let urls = config.urls.iter().map(|url| {
            let parsed = Url::parse(url).ok().filter(|parsed| parsed.has_host());
            parsed.ok_or_else(|| {
                let shown = without_secrets(url);
                Error::usage(format!("index.url: {shown:?} is no address; write http://host:9200"))
            })
        });
        let urls = urls.collect::<Result<Vec<_>>>()?;
        // An address may hold a password: only its host is ever shown.
        let shown = |url: &Url| {
            format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(0))
        };
        let addresses = urls.iter().map(shown).collect::<Vec<_>>().join(", ");
        let transport = Transport::new(&urls, credentials(config)?, authorities(config)?)
            .map_err(|error| Error::usage("index: no client can be made").because(error))?;
        let product = (*config.kind == OPENSEARCH).then_some(Product::OpenSearch);
        let has_api_key = config.api_key.is_some();
        Ok(Self { transport, urls, addresses, product, has_api_key, server: OnceCell::new() })
    }

    /// The server that answers. It is asked once; the answer holds for as long as this client does.
    ///
    /// # Errors
    /// Those of the cluster, and exit code 1 when it is not supported.
    pub(crate) async fn server(&self) -> Result<&Server> {
        self.server
            .get_or_try_init(async || {
                let server = self.ask_server().await?;
                if !server.is_known() {
                    tracing::warn!(
                        %server,
                        "the user may not ask for the version of the server; index.kind says which product it is"
                    );
                }
                Ok(server)
            })
            .await
    }

    /// Asks which server answers. `GET /` names the product. Where it is not answered, the node's own description tells.
    ///
    /// # Errors
    /// Those of the cluster, and exit code 1 when the product or its version is not supported.
    async fn ask_server(&self) -> Result<Server> {
        let (status, root) = self.ask(Method::GET, "/", None).await?;
        if status == 401 {
            self.check_status("/", status, root)?;
            return Err(Server::product_error(&self.addresses));
        }
        let root = if status == 200 { root } else { Value::Null };
        let distribution = root.pointer("/version/distribution");
        if distribution.is_some_and(|name| name != "opensearch") {
            return Err(Server::product_error(&self.addresses));
        }
        let server = match Server::of_root(&root) {
            Some(server) => server,
            None => self.ask_node(distribution.is_some()).await?,
        };
        server.check(&self.addresses, self.product, self.has_api_key)?;
        Ok(server)
    }

    /// Asks the node that answers to describe itself.
    async fn ask_node(&self, is_opensearch: bool) -> Result<Server> {
        let path = NodesInfoParts::NodeIdMetric(&["_local"], &["http"]).url();
        let path = format!("{path}?filter_path=nodes.*.version,nodes.*.build_flavor");
        let (status, nodes) = self.ask(Method::GET, &path, None).await?;
        if status == 403 {
            return Ok(Server::of_unknown_version(self.product.unwrap_or(Product::Elasticsearch)));
        }
        let nodes = self.check_status(&path, status, nodes)?;
        Server::of_node(&nodes, is_opensearch).ok_or_else(|| Server::product_error(&self.addresses))
    }

    /// The dialect that the server understands.
    ///
    /// # Errors
    /// Those of [`Self::server`].
    pub(crate) async fn dialect(&self) -> Result<Dialect> {
        self.server().await.map(Server::dialect)
    }

    /// Where the cluster is, without anything that is secret.
    pub(super) fn addresses(&self) -> &str {
        &self.addresses
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.answer(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        self.answer(Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.answer(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        self.answer(Method::DELETE, path, body).await
    }

    /// As [`Self::get`]; `None` when the server says 404.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<Value>> {
        self.if_there(Method::GET, path, None, ANSWER_BYTES_MAX).await
    }

    /// A document with its version, by its id, which is sent in the body: in a path `.` and `..` would be taken for
    /// steps. `realtime` finds a document that is not searchable yet. `None` when there is no such document, or no such
    /// index.
    pub(crate) async fn document(&self, index: &str, id: &str, realtime: bool) -> Result<Option<Value>> {
        let path = format!("{}?realtime={realtime}", MgetParts::Index(index).url());
        let found = self.if_there(Method::POST, &path, Some(&question(&[id])), DOCUMENT_BYTES_MAX).await?;
        let found = found.and_then(|mut found| found.pointer_mut("/docs/0").map(Value::take));
        let Some(document) = found else { return Ok(None) };
        let error = |path: &str| document.pointer(path).and_then(Value::as_str);
        match error("/error/type") {
            Some("index_not_found_exception") => Ok(None),
            Some(kind) => {
                let reason = error("/error/reason").unwrap_or(kind);
                let message = format!(
                    "Elasticsearch at {} does not give {id:?} of {index} now: {reason}",
                    self.addresses
                );
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            None => {
                let is_it = is_held(id, document.get("_routing").and_then(Value::as_str));
                let is_found = document.get("found") == Some(&Value::Bool(true));
                Ok((is_found && is_it).then_some(document))
            }
        }
    }

    /// As [`Self::post`]; `None` when the server says 404.
    pub(crate) async fn post_if_there(&self, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
        self.if_there(Method::POST, path, body, ANSWER_BYTES_MAX).await
    }

    /// As [`Self::put`]; `None` when the server says 404.
    pub(crate) async fn put_if_there(&self, path: &str, body: &Value) -> Result<Option<Value>> {
        self.if_there(Method::PUT, path, Some(body), ANSWER_BYTES_MAX).await
    }

    /// As [`Self::delete`]; `None` when the server says 404.
    pub(crate) async fn delete_if_there(&self, path: &str) -> Result<Option<Value>> {
        self.if_there(Method::DELETE, path, None, ANSWER_BYTES_MAX).await
    }

    /// Puts (or, without a body, deletes) a document on a condition in the path; false when the server
    /// says that the condition does not hold.
    pub(crate) async fn change_if(&self, path: &str, body: Option<&Value>) -> Result<bool> {
        let method = if body.is_some() { Method::PUT } else { Method::DELETE };
        match self.send(method, path, body, ANSWER_BYTES_MAX).await? {
            (404 | 409, _) => Ok(false),
            (status, body) => self.check_status(path, status, body).map(|_| true),
        }
    }

    async fn if_there(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        answer_bytes_max: usize,
    ) -> Result<Option<Value>> {
        match self.send(method, path, body, answer_bytes_max).await? {
            (404, _) => Ok(None),
            (status, body) => self.check_status(path, status, body).map(Some),
        }
    }

    async fn answer(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, body) = self.send(method, path, body, ANSWER_BYTES_MAX).await?;
        self.check_status(path, status, body)
    }

    /// The status and the answer, with any status.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        self.send(method, path, body, ANSWER_BYTES_MAX).await
    }

    pub(super) fn check_status(&self, path: &str, status: u16, body: Value) -> Result<Value> {
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let text = |path: &str| body.pointer(path).and_then(Value::as_str);
        // A search that failed on every shard says only so. Its cause says why.
        let is_search = text("/error/type") == Some("search_phase_execution_exception");
        let cause = text("/error/root_cause/0/reason").filter(|_| is_search);
        let reason = cause.or_else(|| text("/error/reason")).unwrap_or("no reason given");
        // A block is none of the user's rights: a full disk, for example, which passes.
        let is_block = text("/error/type") == Some("cluster_block_exception");
        let advice = match status {
            _ if is_block => "",
            401 => "; check index.username and index.password, or index.api_key",
            403 => "; the user lacks a privilege for this",
            _ => "",
        };
        let is_absent = is_block || matches!(status, 408 | 429 | 502..=504);
        let kind = if is_absent { ErrorKind::Unavailable } else { ErrorKind::Failed };
        let message =
            format!("Elasticsearch at {} answered {status} to {path}: {reason}{advice}", self.addresses);
        Err(Error::new(kind, message))
    }

    /// As [`Self::post`]; answers the bytes, or nothing when they are more than `document_bytes_max` and a little.
    pub(crate) async fn post_for_bytes(
        &self,
        path: &str,
        body: &Value,
        document_bytes_max: usize,
    ) -> Result<Option<Vec<u8>>> {
        let sent = self.json(Method::POST, path, Some(body), document_bytes_max.saturating_add(BESIDE_BYTES));
        let (status, bytes) = sent.await.map_err(|error| self.outage_error(error))?;
        if (200..300).contains(&status) {
            return Ok(bytes);
        }
        let body = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null);
        self.check_status(path, status, body).map(|_| None)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        answer_bytes_max: usize,
    ) -> Result<(u16, Value)> {
        let (status, bytes) = match self.json(method, path, body, answer_bytes_max).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.explain(error).await),
        };
        let bytes = bytes.ok_or_else(|| self.size_error(path, answer_bytes_max))?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        answer_bytes_max: usize,
    ) -> reqwest::Result<ClusterAnswer> {
        let body = body.map(|body| body.to_string().into());
        let request = NodeRequest { method, path, content: "application/json", body, answer_bytes_max };
        self.transport.send(request).await
    }

    /// Sends the body of a `_bulk` request to `index`; answers the status and the answer's bytes.
    pub(crate) async fn bulk(&self, index: &str, body: Bytes) -> Result<(u16, Vec<u8>)> {
        let path = BulkParts::Index(index).url();
        let path_and_query = format!("{path}?{BULK_QUERY}");
        let answer_bytes_max = BULK_ANSWER_BYTES_MIN.saturating_add(body.len().saturating_mul(2));
        let content = "application/x-ndjson";
        let request = NodeRequest {
            method: Method::POST,
            path: &path_and_query,
            content,
            body: Some(body),
            answer_bytes_max,
        };
        let (status, bytes) = self.transport.send(request).await.map_err(|error| self.outage_error(error))?;
        Ok((status, bytes.ok_or_else(|| self.size_error(&path, answer_bytes_max))?))
    }

    /// The error for an answer that was given up.
    pub(super) fn size_error(&self, path: &str, answer_bytes_max: usize) -> Error {
        Error::failure(format!(
            "Elasticsearch at {} answered {path} with more than the {answer_bytes_max} bytes that an answer to it may \
             have, and was not listened to any longer. Check index.url and the proxies before it",
            self.addresses
        ))
    }

    /// The largest request that the server takes, as it says; the usual one when it may not say.
    pub(crate) async fn request_bytes_max(&self) -> usize {
        let path = NodesInfoParts::Metric(&["http"]).url();
        let answer = self.get(&format!("{path}?filter_path=nodes.*.http.max_content_length_in_bytes")).await;
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Failed
        {
            let bytes = REQUEST_BYTES_DEFAULT;
            tracing::warn!(
                error = error.chain(),
                bytes,
                "the largest request is not known, the usual one is taken"
            );
        }
        let nodes = answer.ok().and_then(|answer| answer.get("nodes").and_then(Value::as_object).cloned());
        let limits = nodes.into_iter().flatten();
        let limits =
            limits.filter_map(|(_, node)| node.pointer("/http/max_content_length_in_bytes")?.as_u64());
        limits.min().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(REQUEST_BYTES_DEFAULT)
    }

    /// As [`Self::outage_error`], after a look whether TLS is spoken where a plain request was sent.
    async fn explain(&self, error: reqwest::Error) -> Error {
        for url in &self.urls {
            if tls::is_spoken_at(url, &error).await {
                return Error::failure(format!(
                    "Elasticsearch at {} speaks TLS and index.url says http; write https://, and set \
                     index.ca_certificate unless a public authority signed its certificate",
                    self.addresses
                ));
            }
        }
        self.outage_error(error)
    }

    fn outage_error(&self, error: reqwest::Error) -> Error {
        if tls::is_refused(&error) {
            let message = format!(
                "no TLS connection to Elasticsearch at {}. Check index.ca_certificate: the authority that signed the \
                 server's certificate. Check that the certificate names the host in index.url and has not run out, \
                 and that the server speaks https",
                self.addresses
            );
            return Error::failure(message).because(error);
        }
        let message =
            format!("Elasticsearch at {} does not answer; check index.url and the server", self.addresses);
        Error::new(ErrorKind::Unavailable, message).because(error)
    }
}

/// The authorities that the configuration adds to the public ones.
fn authorities(config: &IndexConfig) -> Result<Vec<Certificate>> {
    let Some(path) = &config.ca_certificate else { return Ok(Vec::new()) };
    let wrong = |what: &str| Error::usage(format!("index.ca_certificate: {} {what}", path.display()));
    let pem = std::fs::read(path).map_err(|error| wrong("cannot be read").because(error))?;
    let found = Certificate::from_pem_bundle(&pem)
        .map_err(|error| wrong("holds no PEM certificate").because(error))?;
    if found.is_empty() { Err(wrong("holds no PEM certificate")) } else { Ok(found) }
}

fn credentials(config: &IndexConfig) -> Result<Option<Credentials>> {
    match (&config.api_key, &config.username, &config.password) {
        (Some(_), Some(_), _) => Err(Error::usage("index: api_key and username are both set; set one")),
        (Some(key), None, _) => {
            HeaderValue::try_from(key)
                .map_err(|error| Error::usage("index.api_key: no header can hold it").because(error))?;
            Ok(Some(Credentials::EncodedApiKey(key.clone())))
        }
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
