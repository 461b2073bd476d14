//! The route that compares the index with the state, and repairs it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, channel};

use super::admin::{Admin, refuse};
use super::problem::{Refusal, problem};
use crate::verify::{Line, Verifier, VerifyRequest};

/// So many lines wait for a slow reader.
const LINES_MAX: usize = 64;

/// The parts that the route needs.
#[derive(Clone)]
pub struct VerifySite {
    verifier: Arc<Verifier>,
    place: Arc<Semaphore>,
}

impl VerifySite {
    /// Comparisons, one at a time.
    pub fn new(verifier: Arc<Verifier>) -> Self {
        Self { verifier, place: Arc::new(Semaphore::new(1)) }
    }
}

pub(super) async fn verify(
    Shared(admin): Shared<Admin>,
    Shared(verify): Shared<VerifySite>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refused) = refuse(&admin, &headers) {
        return refused;
    }
    let question: VerifyRequest = match serde_json::from_slice(&body) {
        Ok(question) => question,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &format!("the body cannot be read: {error}")),
    };
    if let Err(error) = verify.verifier.check(&question) {
        return Refusal::from(error).into_response();
    }
    let Ok(place) = verify.place.try_acquire_owned() else {
        return problem(StatusCode::CONFLICT, "another comparison is under way; try again when it has ended");
    };
    let (out, lines) = channel(LINES_MAX);
    let verifier = verify.verifier;
    tokio::spawn(async move {
        verifier.run(&question, &out).await;
        drop(place);
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::new(Lines(lines))).into_response()
}

/// Lines as they come. When the connection goes, this goes, and the comparison notices.
struct Lines(Receiver<Line>);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = Infallible;

    #[expect(clippy::expect_used, reason = "a line can always be written as JSON")]
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| {
            let mut bytes = serde_json::to_vec(&line?).expect("a line as JSON");
            bytes.push(b'\n');
            Some(Ok(Frame::data(bytes.into())))
        })
    }
}
