//! A look at the cluster beyond the needs of reading it: its brokers, the topics' retention, and whether the user
//! may be of the group.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::notices::Notices;
use super::retention::{self, Retention};
use super::{client_config, no_client, rights};
use crate::config::KafkaConfig;
use crate::error::{Error, Result};

const WAIT: Duration = Duration::from_secs(10);

/// The facts that were seen of a cluster.
#[derive(Debug)]
pub struct ClusterSurvey {
    /// How many brokers the cluster has.
    pub brokers: usize,
    /// The version of the client's library.
    pub library: String,
    /// The topics that are there, each with its number of partitions.
    pub partitions: Vec<(String, usize)>,
    /// The retention of each of them, or why that is not known.
    pub retentions: Result<Vec<(String, Retention)>>,
    /// Why the group cannot be used; `None` when it can.
    pub group: Option<Error>,
}

/// Looks at these topics and the group. Nothing is read, and no member joins the group.
///
/// # Errors
/// When a property is wrong (exit code 2) or no broker answers (exit code 1).
pub fn survey(config: &KafkaConfig, topics: &[String]) -> Result<ClusterSurvey> {
    let mut settings = client_config(config);
    settings.set("group.id", &config.group).set("allow.auto.create.topics", "false");
    let asker: BaseConsumer<Notices> =
        settings.create_with_context(Notices::default()).map_err(|error| no_client("consumer", &error))?;
    let cluster = asker.fetch_metadata(None, WAIT).map_err(|error| asker.context().outage_error(error))?;
    let partitions: Vec<(String, usize)> = cluster
        .topics()
        .iter()
        .filter(|topic| topic.error().is_none() && topics.iter().any(|name| name == topic.name()))
        .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
        .collect();
    let there: BTreeSet<&str> = partitions.iter().map(|(topic, _)| topic.as_str()).collect();
    let what =
        "the brokers do not say what the topics keep; give the user the operation DescribeConfigs on each";
    let retentions = match there.is_empty() {
        true => Ok(Vec::new()),
        false => retention::describe(config, &there, what),
    };
    let group = group(&asker, &partitions).err().map(|code| match code {
        RDKafkaErrorCode::GroupAuthorizationFailed => rights::on_group(&config.group),
        other => Error::failure(format!("the brokers do not say what the group {} read", config.group))
            .because(other),
    });
    let library = rdkafka::util::get_rdkafka_version().1;
    Ok(ClusterSurvey { brokers: cluster.brokers().len(), library, partitions, retentions, group })
}

/// Asks for the offsets of the group, which takes a right on it.
fn group(asker: &BaseConsumer<Notices>, partitions: &[(String, usize)]) -> Result<(), RDKafkaErrorCode> {
    let Some((topic, _)) = partitions.first() else { return Ok(()) };
    let mut list = TopicPartitionList::new();
    let code =
        |error: rdkafka::error::KafkaError| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
    list.add_partition_offset(topic, 0, Offset::Invalid).map_err(code)?;
    asker.committed_offsets(list, WAIT).map(drop).map_err(code)
}
