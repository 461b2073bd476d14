//! What brokers tell of a connection that they refuse: an absent broker comes back, a wrong password
//! does not get right by waiting.

use std::sync::{Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::error::{Error, ErrorKind};

/// Keeps the last refusal of a client.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<Option<String>>);

impl ClientContext for Told {
    fn error(&self, error: KafkaError, reason: &str) {
        let refused = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::SaslAuthenticationFailed
                    | RDKafkaErrorCode::SSL
            )
        );
        if refused {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Told {}

impl Told {
    /// True once a broker has refused the connection.
    pub(super) fn is_refused(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Why no broker can be asked: refused for good, or away for now.
    pub(super) fn unreachable(&self, error: KafkaError) -> Error {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(reason) => Error::failed(format!(
                "the broker refuses the connection; check security.protocol, sasl.* and ssl.* of \
                 kafka.properties: {reason}"
            )),
            None => {
                Error::new(ErrorKind::Unavailable, "no broker answers; check kafka.brokers and the brokers")
                    .because(error)
            }
        }
    }
}
