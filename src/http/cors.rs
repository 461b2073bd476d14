//! Cross-origin reads by scripts of other sites (CORS, <https://fetch.spec.whatwg.org/#http-cors-protocol>). They are off
//! unless `http.cors_origins` names an origin, and then for searches and documents only.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The first parts of the routes that scripts of other origins may read. Status, metrics and administration are not
/// among them.
const SHARED: [&str; 5] = ["search", "suggest", "{projection}", "model", "openapi.json"];
/// The origin that stands for all.
const ANY: &str = "*";
/// How long a browser may remember the answer to a preflight request, in seconds.
const MAX_AGE: &str = "600";

/// The origins whose scripts may read searches and documents.
#[derive(Debug, Clone, Default)]
pub struct Origins(Arc<[String]>);

impl Origins {
    /// Those of `http.cors_origins`.
    pub fn new(origins: &[String]) -> Self {
        Self(origins.into())
    }

    /// The origin that the answer to a request names as allowed.
    fn match_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.0.iter().any(|origin| origin == ANY) {
            return Some(HeaderValue::from_static(ANY));
        }
        let origin = headers.get(header::ORIGIN)?;
        self.0.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }
}

/// Answers preflight requests, and says in each answer which origin may read it.
pub(super) async fn share(Shared(origins): Shared<Origins>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let first = route.and_then(|route| route.as_str().split('/').nth(1));
    if origins.0.is_empty() || !first.is_some_and(|first| SHARED.contains(&first)) {
        return next.run(request).await;
    }
    let allowed = origins.match_origin(request.headers());
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        (StatusCode::NO_CONTENT, Body::empty()).into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    // The answer differs by origin, also where this one may not read it.
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    let Some(allowed) = allowed else { return response };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    if is_preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ANY));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    }
    response
}
