//! The retention of a topic's records.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{client_config, no_client};
use crate::config::KafkaConfig;
use crate::error::{Error, ErrorKind, Result};

const WAIT: Duration = Duration::from_secs(10);

/// The retention of a topic, by its configuration (<https://kafka.apache.org/documentation/#topicconfigs>).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    /// `cleanup.policy`.
    pub policy: String,
    /// `retention.ms`; `None` without a limit.
    pub ms: Option<u64>,
    /// `retention.bytes`; `None` without a limit.
    pub bytes: Option<u64>,
}

impl Retention {
    /// True when the topic keeps the last record of every key, and may delete the others.
    pub fn is_compacted(&self) -> bool {
        keeps_all(&self.policy)
    }

    /// True when records are deleted for their age or the topic's size.
    pub fn is_limited(&self) -> bool {
        self.policy.contains("delete") && (self.ms.is_some() || self.bytes.is_some())
    }
}

/// Those of `topics` whose `cleanup.policy` compacts and does not delete
/// (<https://kafka.apache.org/documentation/#topicconfigs_cleanup.policy>).
///
/// # Errors
/// When the broker does not say.
pub(super) fn find_compacted(config: &KafkaConfig, topics: &BTreeSet<&str>) -> Result<BTreeSet<String>> {
    let what = format!(
        "the brokers do not say whether the topics {}, which do not begin at offset 0, are compacted; that takes the \
         operation DescribeConfigs on each",
        topics.iter().copied().collect::<Vec<_>>().join(", ")
    );
    let described = describe(config, topics, &what)?.into_iter();
    Ok(described.filter(|(_, retention)| retention.is_compacted()).map(|(topic, _)| topic).collect())
}

/// The retention of each of `topics`. The last argument is the sentence of the error when the brokers do not answer.
///
/// # Errors
/// When the broker does not say.
pub(super) fn describe(
    config: &KafkaConfig,
    topics: &BTreeSet<&str>,
    what: &str,
) -> Result<Vec<(String, Retention)>> {
    let failed = |error: KafkaError| {
        // Waiting does not allow a request that is refused.
        let is_denied = matches!(
            &error,
            KafkaError::AdminOp(
                RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed
            )
        );
        let kind = if is_denied { ErrorKind::Failed } else { ErrorKind::Unavailable };
        Error::new(kind, what).because(error)
    };
    let admin = client_config(config).create().map_err(|error| no_client("client", &error))?;
    let admin: AdminClient<DefaultClientContext> = admin;
    let resources: Vec<ResourceSpecifier<'_>> =
        topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Error::failure("the runtime cannot be started; check the limit of threads").because(error)
    })?;
    let options = AdminOptions::new().request_timeout(Some(WAIT));
    let described = std::thread::scope(|scope| {
        // The caller may be inside another runtime.
        scope.spawn(|| runtime.block_on(admin.describe_configs(&resources, &options))).join()
    });
    let described =
        described.map_err(|_| Error::failure("the request for the topics' configuration broke off"))?;
    let mut all = Vec::new();
    for (topic, found) in topics.iter().zip(described.map_err(failed)?) {
        let found = found.map_err(|code| failed(KafkaError::AdminOp(code)))?;
        let value = |name: &str| found.get(name).and_then(|entry| entry.value.clone());
        let number = |name: &str| value(name)?.parse().ok();
        let policy = value("cleanup.policy").unwrap_or_default();
        // Without a limit it is -1.
        let retention = Retention { policy, ms: number("retention.ms"), bytes: number("retention.bytes") };
        all.push(((*topic).to_owned(), retention));
    }
    Ok(all)
}

/// True when a topic of this `cleanup.policy` keeps the last record of every key. With `delete` in the list retention
/// takes that one too.
fn keeps_all(policy: &str) -> bool {
    let mut policies = policy.split(',').map(str::trim).filter(|policy| !policy.is_empty());
    policies.clone().count() > 0 && policies.all(|policy| policy == "compact")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_compacted_and_never_deleted_keeps_all() {
        assert!(keeps_all("compact") && keeps_all(" compact "));
        for policy in ["delete", "compact,delete", "delete, compact", "", "none"] {
            assert!(!keeps_all(policy), "{policy}");
        }
    }
}
