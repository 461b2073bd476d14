//! The words of brokers about a connection that they refuse, and about the topics' ids. An absent broker comes
//! back, but a wrong password does not get right by waiting. A topic of another id is another topic.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::ids::TopicIds;
use crate::error::{Error, ErrorKind};

/// Keeps the last refusal of a client, and the ids of its topics.
#[derive(Debug, Default)]
pub(super) struct Notices {
    refusal: Mutex<Option<String>>,
    ids: Mutex<TopicIds>,
    are_all_down: AtomicBool,
}

impl ClientContext for Notices {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.are_all_down.store(true, Ordering::Relaxed);
        }
        let refused = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::SaslAuthenticationFailed
                    | RDKafkaErrorCode::SSL
            )
        );
        if refused {
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => tracing::error!(target: "librdkafka", "{facility} {message}"),
            RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", "{facility} {message}"),
            _ => self.ids.lock().unwrap_or_else(PoisonError::into_inner).note(message),
        }
    }
}

impl ConsumerContext for Notices {}

impl Notices {
    /// The generation that the ids of these topics make; `None` until all are known.
    pub(super) fn generation<'a>(&self, topics: impl Iterator<Item = &'a str>) -> Option<String> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).generation(topics)
    }

    /// The ids of these topics, as far as they are known.
    pub(super) fn topic_ids<'a>(&self, topics: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).ids_of(topics)
    }

    /// True once a broker has refused the connection.
    pub(super) fn is_refused(&self) -> bool {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// True once no connection to any broker came to pass.
    pub(super) fn are_all_down(&self) -> bool {
        self.are_all_down.load(Ordering::Relaxed)
    }

    /// The sentence about a topic that was deleted and created again, once a client has seen one.
    pub(super) fn recreation(&self) -> Option<String> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).recreation()
    }

    /// True once the brokers have told the topic's id.
    pub(super) fn knows_id(&self, topic: &str) -> bool {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).is_known(topic)
    }

    /// Why no broker can be asked: refused for good, or away for now.
    pub(super) fn outage_error(&self, error: KafkaError) -> Error {
        match self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(reason) => Error::failure(format!(
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
