//! Errors as problem documents (RFC 9457, <https://www.rfc-editor.org/rfc/rfc9457>).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::{Error, ErrorKind};

/// A problem document of this status; `detail` says what happened and what to do.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

/// An error as an answer: wrong use is the asker's (400), an absent server may come back (503), and
/// only the log tells the causes of the rest (500).
pub(super) fn of_error(error: &Error) -> Response {
    match error.kind() {
        ErrorKind::Usage => problem(StatusCode::BAD_REQUEST, &error.to_string()),
        ErrorKind::Unavailable => {
            tracing::warn!(error = error.chain(), "a request could not be answered");
            problem(StatusCode::SERVICE_UNAVAILABLE, "the index does not answer now; try again later")
        }
        _ => {
            tracing::error!(error = error.chain(), "a request failed");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the request failed; the log says why")
        }
    }
}
