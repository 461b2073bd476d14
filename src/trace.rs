//! Traces by the protocol of OpenTelemetry (OTLP over HTTP): a span for each commit of the state and for each request to the
//! index. Nothing is done unless [`start`] was called.
//!
//! A commit is linked with the spans of the producers, which records name in the header `traceparent`
//! (<https://www.w3.org/TR/trace-context/>). A request is a child of the oldest commit that it delivers, and is linked with
//! the others.

mod client;

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use self::client::TraceClient;
use crate::error::{Error, Result};

/// The most links of a span.
pub const LINKS_MAX: usize = 16;
/// How many commits are remembered: a request that delivers an older one is the root of a trace.
const COMMITS: usize = 1_024;
/// How long the last spans may take at the end.
const END_WAIT: Duration = Duration::from_secs(5);

struct Traces {
    tracer: SdkTracer,
    /// The spans of the last commits by their steps.
    commits: Mutex<VecDeque<(u64, SpanContext)>>,
}

static TRACES: OnceLock<Traces> = OnceLock::new();

/// Spans are sent as long as this lives. The last ones are sent at its end.
pub struct SpanExport(SdkTracerProvider);

impl SpanExport {
    /// Sends the last spans, which may block. Spans that are lost are no failure.
    ///
    /// # Errors
    /// None.
    pub fn end(self) -> Result<()> {
        if let Err(error) = self.0.shutdown_with_timeout(END_WAIT) {
            tracing::debug!(%error, "the last spans were not sent");
        }
        Ok(())
    }
}

/// Has spans sent to the collector at `endpoint`, by the current runtime.
///
/// # Errors
/// When no exporter can be made of the endpoint (exit code 2).
pub fn start(endpoint: &str) -> Result<SpanExport> {
    let wrong = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::usage("traces.endpoint: no exporter can be made of it; write http://host:4318").because(error)
    };
    let client = TraceClient::new(endpoint).map_err(|error| wrong(error.into()))?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_http_client(client)
        .build()
        .map_err(|error| wrong(error.into()))?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let mut resource = Resource::builder().with_attribute(version);
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("tributary");
    }
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    let traces = Traces { tracer: provider.tracer("tributary"), commits: Mutex::default() };
    TRACES.set(traces).map_err(|_| Error::failure("traces were started twice; this is a bug, report it"))?;
    Ok(SpanExport(provider))
}

/// The beginning of a span; `None` while no traces are wanted.
pub fn began() -> Option<SystemTime> {
    TRACES.get().map(|_| SystemTime::now())
}

/// The span that a header `traceparent` names.
pub fn producer(header: &[u8]) -> Option<SpanContext> {
    let text = std::str::from_utf8(header).ok()?;
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if version.len() != 2 || version == "ff" || trace.len() != 32 || span.len() != 16 || flags.len() != 2 {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE)).filter(SpanContext::is_valid)
}

/// Tells of a commit, by its step, that was made just now.
pub fn commit(began: SystemTime, step: u64, producers: Vec<SpanContext>, attributes: Vec<KeyValue>) {
    let Some(traces) = TRACES.get() else { return };
    let span = traces.span(("commit", SpanKind::Consumer), began, producers, attributes);
    let mut commits = traces.commits.lock().unwrap_or_else(PoisonError::into_inner);
    if commits.len() >= COMMITS {
        commits.pop_front();
    }
    commits.push_back((step, span));
}

/// Tells of a request that was answered just now and that delivers the commits of these steps.
pub fn request(began: SystemTime, steps: &[u64], failed: Option<String>, attributes: Vec<KeyValue>) {
    let Some(traces) = TRACES.get() else { return };
    let parents = {
        let commits = traces.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |step: &u64| {
            let at = commits.binary_search_by_key(step, |(step, _)| *step).ok()?;
            commits.get(at).map(|(_, span)| span.clone())
        };
        steps.iter().filter_map(find).collect()
    };
    let mut attributes = attributes;
    if let Some(reason) = failed {
        attributes.push(KeyValue::new("error.message", reason));
    }
    traces.span(("bulk request", SpanKind::Client), began, parents, attributes);
}

impl Traces {
    /// Makes a span that ends now: a child of the first of `parents`, and linked with the others.
    fn span(
        &self,
        (name, kind): (&'static str, SpanKind),
        began: SystemTime,
        parents: Vec<SpanContext>,
        attributes: Vec<KeyValue>,
    ) -> SpanContext {
        let has_failed = attributes.iter().any(|attribute| attribute.key.as_str() == "error.message");
        let mut parents = parents.into_iter();
        let parent = parents
            .next()
            .map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let links = parents.map(|parent| Link::new(parent, Vec::new(), 0)).collect();
        let builder = self
            .tracer
            .span_builder(name)
            .with_kind(kind)
            .with_start_time(began)
            .with_attributes(attributes)
            .with_links(links);
        let mut span = builder.start_with_context(&self.tracer, &parent);
        if has_failed {
            span.set_status(Status::error("documents are sent again or went to the dead letters"));
        }
        span.end();
        span.span_context().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producers_span_is_read_from_its_header() {
        let read = |text: &str| producer(text.as_bytes()).map(|span| span.trace_id().to_string());
        let trace = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(read(&format!("00-{trace}-b7ad6b7169203331-01")).as_deref(), Some(trace));
        for text in [
            "",
            "00",
            "00-0af7-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            &format!("ff-{trace}-b7ad6b7169203331-01"),
            &format!("00-{trace}-b7ad6b716920333é-01"),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
