//! The requests to the collector: by the client that is linked anyway, on the program's runtime, because the exporter's
//! own thread has none.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{Request, Response};
use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

const WAIT: Duration = Duration::from_secs(10);

/// Sends spans. A collector that does not take them is told of once, until it takes some again.
#[derive(Debug)]
pub(super) struct TraceClient {
    client: reqwest::Client,
    endpoint: String,
    runtime: Handle,
    is_told: Arc<AtomicBool>,
}

impl TraceClient {
    pub(super) fn new(endpoint: &str) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder().timeout(WAIT).build()?;
        let endpoint = crate::config::without_secrets(endpoint);
        Ok(Self { client, endpoint, runtime: Handle::current(), is_told: Arc::default() })
    }
}

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    // The address may hold secrets, and errors would show it.
    // Built from the address, because a request that is converted does not sign itself with the user in it.
    let (head, body) = request.into_parts();
    let request = client.request(head.method, head.uri.to_string()).headers(head.headers).body(body);
    let answer = request.send().await.and_then(reqwest::Response::error_for_status);
    let answer = answer.map_err(reqwest::Error::without_url)?;
    let status = answer.status();
    // It says only how many spans were taken.
    Ok(Response::builder().status(status).body(Bytes::new())?)
}

impl HttpClient for TraceClient {
    fn send_bytes<'this, 'sent>(
        &'this self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sent>>
    where
        'this: 'sent,
        Self: 'sent,
    {
        let sent = self.runtime.spawn(send(self.client.clone(), request));
        Box::pin(async move {
            let sent = sent.await.unwrap_or_else(|error| Err(error.into()));
            match &sent {
                Ok(_) => self.is_told.store(false, Ordering::Relaxed),
                Err(error) if !self.is_told.swap(true, Ordering::Relaxed) => tracing::warn!(
                    endpoint = self.endpoint,
                    %error,
                    "the collector does not take the spans, which are lost; check traces.endpoint"
                ),
                Err(_) => {}
            }
            sent
        })
    }
}
