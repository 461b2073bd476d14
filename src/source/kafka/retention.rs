//! What a topic keeps of its records.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;

use super::{client_config, no_client};
use crate::config::KafkaConfig;
use crate::error::{Error, ErrorKind, Result};

const WAIT: Duration = Duration::from_secs(10);

/// Those of `topics` whose `cleanup.policy` compacts
/// (<https://kafka.apache.org/documentation/#topicconfigs_cleanup.policy>).
///
/// # Errors
/// When the broker does not say.
pub(super) fn compacted(config: &KafkaConfig, topics: &BTreeSet<&str>) -> Result<BTreeSet<String>> {
    let names = || topics.iter().copied().collect::<Vec<_>>().join(", ");
    let failed = |error: KafkaError| {
        let what = format!(
            "the brokers do not say whether the topics {} are compacted; that takes the operation DescribeConfigs on each",
            names()
        );
        Error::new(ErrorKind::Unavailable, what).because(error)
    };
    let admin = client_config(config).create().map_err(|error| no_client("client", &error))?;
    let admin: AdminClient<DefaultClientContext> = admin;
    let wanted: Vec<ResourceSpecifier<'_>> =
        topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::failed("the runtime cannot be started").because(error))?;
    let options = AdminOptions::new().request_timeout(Some(WAIT));
    let described = std::thread::scope(|scope| {
        // The caller may be inside another runtime.
        scope.spawn(|| runtime.block_on(admin.describe_configs(&wanted, &options))).join()
    });
    let described =
        described.map_err(|_| Error::failed("the question for the topics' configuration broke off"))?;
    let mut compacted = BTreeSet::new();
    for (topic, found) in topics.iter().zip(described.map_err(failed)?) {
        let found = found.map_err(|code| failed(KafkaError::AdminOp(code)))?;
        let policy = found.get("cleanup.policy").and_then(|entry| entry.value.clone());
        if policy.is_some_and(|policy| policy.contains("compact")) {
            compacted.insert((*topic).to_owned());
        }
    }
    Ok(compacted)
}
