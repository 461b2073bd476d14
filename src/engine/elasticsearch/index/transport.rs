//! Requests over HTTP to the nodes in turn. An answer is given up where it grows beyond the size that its caller allows.
//! The official client reads each one whole, however long it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::auth::Credentials;
use elasticsearch::http::Url;
use elasticsearch::http::headers::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, RequestBuilder};

pub(super) use reqwest::Method;

use crate::body;

/// A request that takes longer is given up and tried again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The nodes of a cluster, and how they are asked.
pub(super) struct Transport {
    client: Client,
    nodes: Vec<Url>,
    next: AtomicUsize,
    credentials: Option<Credentials>,
}

/// A request to a node.
pub(super) struct NodeRequest<'a> {
    pub(super) method: Method,
    /// With its query.
    pub(super) path: &'a str,
    pub(super) content: &'static str,
    pub(super) body: Option<Bytes>,
    /// How many bytes the answer may have, unpacked.
    pub(super) answer_bytes_max: usize,
}

/// An answer's status, and its bytes; none when they were more than the request waits for.
pub(super) type ClusterAnswer = (u16, Option<Vec<u8>>);

impl Transport {
    /// Nothing is asked yet. `authorities` are trusted beside the public ones.
    pub(super) fn new(
        nodes: &[Url],
        credentials: Option<Credentials>,
        authorities: Vec<Certificate>,
    ) -> reqwest::Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut nodes: Vec<Url> = nodes.iter().map(with_slash).collect();
        if credentials.is_some() {
            // The user of the configuration goes before one that stands in an address; both would be sent.
            nodes.iter_mut().for_each(forget_user);
        }
        let builder = Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .default_headers(headers)
            .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")));
        let builder = authorities.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        Ok(Self { client: builder.build()?, nodes, next: AtomicUsize::new(0), credentials })
    }

    /// Asks the next node.
    pub(super) async fn send(&self, request: NodeRequest<'_>) -> reqwest::Result<ClusterAnswer> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let node = self.nodes.get(turn % self.nodes.len().max(1));
        let path = request.path.trim_start_matches('/');
        // Names are encoded, so that every path joins; were one not to, the client says so.
        let url = node.and_then(|node| node.join(path).ok()).map_or_else(String::new, String::from);
        let sending = self.client.request(request.method, url).header(CONTENT_TYPE, request.content);
        let mut sending = sign(sending, self.credentials.as_ref());
        if let Some(body) = request.body {
            sending = sending.body(body);
        }
        let answer = sending.send().await?;
        let status = answer.status().as_u16();
        Ok((status, body::read(answer, request.answer_bytes_max).await?))
    }
}

/// A request with whom it comes from. The two kinds are those that the configuration knows.
fn sign(request: RequestBuilder, credentials: Option<&Credentials>) -> RequestBuilder {
    match credentials {
        Some(Credentials::Basic(user, password)) => request.basic_auth(user, Some(password)),
        Some(Credentials::EncodedApiKey(key)) => {
            // A key that no header can hold was refused with the configuration. Were one to come, the request fails by it.
            request.header(AUTHORIZATION, format!("ApiKey {key}"))
        }
        _ => request,
    }
}

/// The address with a slash behind it, because a joined path takes the place of all behind an address's last slash.
fn with_slash(node: &Url) -> Url {
    let mut node = node.clone();
    if !node.path().ends_with('/') {
        node.set_path(&format!("{}/", node.path()));
    }
    node
}

fn forget_user(node: &mut Url) {
    // Both fail only for addresses that have no host, and those were refused.
    let _ = node.set_username("");
    let _ = node.set_password(None);
}
