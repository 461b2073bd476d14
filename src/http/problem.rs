//! Errors as problem documents (RFC 9457, <https://www.rfc-editor.org/rfc/rfc9457>).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind};

/// How many seconds later a request may be tried again that could not be answered now.
const RETRY_AFTER: &str = "2";

/// A problem document. Its media type is `application/problem+json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Problem<'a> {
    /// `about:blank`: the title is that of the status code.
    r#type: &'static str,
    /// The status code's phrase.
    title: &'a str,
    /// The status code.
    status: u16,
    /// The problem and its remedy.
    detail: &'a str,
    /// Members of single routes, such as the `reasons` of `/readyz`.
    #[serde(flatten)]
    members: Map<String, Value>,
}

/// A problem document of this status; `detail` states the problem and its remedy.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    problem_with(status, detail, Map::new())
}

/// As [`problem`], with members beside those of the RFC.
pub(super) fn problem_with(status: StatusCode, detail: &str, members: Map<String, Value>) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = Problem { r#type: "about:blank", title, status: status.as_u16(), detail, members };
    // Texts and numbers can be written.
    let body = serde_json::to_string(&body).unwrap_or_default();
    let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    }
    response
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    detail: String,
}

/// The answer of a route, or its refusal.
pub(super) type HandlerAnswer<T> = Result<T, Refusal>;

impl Refusal {
    /// A refusal of this status; `detail` states the problem and its remedy.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }
}

/// Wrong use is the asker's (400), an absent server may come back (503), and only the log tells the
/// causes of the rest (500).
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Usage => Self::new(StatusCode::BAD_REQUEST, error.to_string()),
            ErrorKind::Unavailable => {
                tracing::warn!(error = error.chain(), "a request could not be answered");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "the index does not answer now; try again later")
            }
            _ => {
                tracing::error!(error = error.chain(), "a request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the request failed; the log says why")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        problem(self.status, &self.detail)
    }
}
