//! The operations that the brokers' access control lists deny the user.

use std::sync::Arc;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

use crate::error::Error;
use crate::plan::EntityType;

/// True when the broker says that the user may not even see a topic.
pub fn is_denied(said: Option<RDKafkaRespErr>) -> bool {
    said.is_some_and(|said| RDKafkaErrorCode::from(said) == RDKafkaErrorCode::TopicAuthorizationFailed)
}

/// Brokers do not say whether a topic is there to a user who may not see it.
pub(super) fn on_topic(topic: &str) -> Error {
    Error::failure(format!(
        "the brokers do not let the user see the topic {topic}; give the user the operation Read on it, and check its name"
    ))
}

/// The brokers say that records are kept from the user, and not of which topic.
pub(super) fn on_topics(topics: &[(Arc<str>, EntityType)]) -> Error {
    let names: Vec<&str> = topics.iter().map(|(topic, _)| &**topic).collect();
    Error::failure(format!(
        "the brokers do not let the user read the topics {}; give the user the operation Read on each of them",
        names.join(", ")
    ))
}

pub(super) fn on_group(group: &str) -> Error {
    Error::failure(format!(
        "the brokers do not let the user be a member of the group {group}. Give the user the operation Read on it, or \
         name another in kafka.group"
    ))
}
