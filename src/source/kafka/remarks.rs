//! Remarks on brokers, topics and rights.

use super::retention::Retention;
use super::survey::{ClusterSurvey, survey};
use crate::config::{Config, Format};
use crate::error::{Error, Result};
use crate::source::driver::{Remark, Subject};

const DAY_MS: u64 = 86_400_000;

/// Asks the brokers, and judges their answers.
pub(super) fn look(config: &Config) -> Vec<Remark> {
    let of_parts = may_be_parts(config);
    let names: Vec<String> = of_parts.iter().map(|(topic, _)| topic.clone()).collect();
    judge(survey(&config.kafka, &names), &of_parts)
}

/// Each of our topics with whether its records may be parts of states.
fn may_be_parts(config: &Config) -> Vec<(String, bool)> {
    let of_parts = config.topics().into_iter().map(|(topic, of)| {
        let mut entities = config.entities();
        let format = entities.find(|(entity, _)| *entity == of).map(|(_, section)| section.format);
        (topic, matches!(format, Some(Format::CloudEvents | Format::Outbox)))
    });
    of_parts.collect()
}

fn judge(surveyed: Result<ClusterSurvey>, of_parts: &[(String, bool)]) -> Vec<Remark> {
    let survey = match surveyed {
        Ok(survey) => survey,
        Err(error) => return vec![Remark::Wrong(Subject::Brokers, error.about("kafka.brokers"))],
    };
    let answer = if survey.brokers == 1 { "broker answers" } else { "brokers answer" };
    let brokers = format!("{} {answer}, by librdkafka {}", survey.brokers, survey.library);
    let mut remarks = vec![Remark::Good(Subject::Brokers, brokers)];
    remarks.push(match survey.group {
        Some(error) => Remark::Wrong(Subject::Privileges, error.about("kafka.group")),
        None => Remark::Good(Subject::Privileges, "the user may see the group".to_owned()),
    });
    let retentions = survey.retentions.unwrap_or_else(|error: Error| {
        remarks.push(Remark::Doubtful(Subject::Privileges, error.chain()));
        Vec::new()
    });
    for (topic, partitions) in &survey.partitions {
        let retention = retentions.iter().find(|(named, _)| named == topic).map(|(_, retention)| retention);
        let may_be_parts = of_parts.iter().any(|(named, may_be)| named == topic && *may_be);
        let head = format!("{topic}: {partitions} partitions");
        remarks.push(match retention.map(|retention| doubt(retention, may_be_parts)) {
            Some(Some(doubt)) => Remark::Doubtful(Subject::Topics, format!("{head}, {doubt}")),
            Some(None) => Remark::Good(Subject::Topics, format!("{head}, and every state is kept")),
            None => Remark::Good(Subject::Topics, head),
        });
    }
    remarks
}

/// Why a topic may lose records that a replay needs.
fn doubt(retention: &Retention, may_be_parts: bool) -> Option<String> {
    let remedy = if may_be_parts {
        "set retention.ms=-1 and retention.bytes=-1"
    } else {
        "set cleanup.policy=compact"
    };
    if retention.is_limited() {
        let after = match (retention.ms, retention.bytes) {
            (Some(ms), _) if ms >= DAY_MS => format!("after {} days", ms / DAY_MS),
            (Some(ms), _) => format!("after {} min", ms / 60_000),
            (None, bytes) => format!("beyond {} bytes in a partition", bytes.unwrap_or(0)),
        };
        return Some(format!(
            "and records are deleted {after}: a lost state could not be made again from it; {remedy}"
        ));
    }
    (retention.policy.contains("compact") && may_be_parts).then(|| {
        "and it is compacted: all but an entity's last event are deleted; set cleanup.policy=delete and retention.ms=-1, \
         unless each event holds the whole state"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_doubted_when_a_replay_would_lack_records() {
        let of_policy = |policy: &str, ms, bytes| Retention { policy: policy.to_owned(), ms, bytes };
        for (retention, may_be_parts, said) in [
            (of_policy("delete", None, None), true, None),
            (of_policy("compact", Some(DAY_MS), None), false, None),
            (of_policy("compact", Some(DAY_MS), None), true, Some("is compacted")),
            (of_policy("delete", Some(7 * DAY_MS), None), true, Some("after 7 days")),
            (of_policy("delete", Some(600_000), None), false, Some("after 10 min")),
            (of_policy("delete", None, Some(5)), false, Some("beyond 5 bytes")),
            (of_policy("compact,delete", Some(DAY_MS), None), false, Some("set cleanup.policy=compact")),
        ] {
            let doubt = doubt(&retention, may_be_parts);
            assert_eq!(doubt.is_some(), said.is_some(), "{retention:?}: {doubt:?}");
            assert!(doubt.unwrap_or_default().contains(said.unwrap_or_default()), "{retention:?}");
        }
    }
}
