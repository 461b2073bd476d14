//! Brokers, topics and rights.

use crate::app::check::findings::Findings;
use crate::app::check::{BROKERS, PRIVILEGES, TOPICS};
use crate::app::topics;
use crate::config::{Config, Format};
use crate::error::{Error, Result};
use crate::source::kafka::{Retention, Survey, survey as look};

const DAY_MS: u64 = 86_400_000;

/// A cluster, and each of our topics with whether its records may be parts of states.
pub(super) type SurveyResult = Result<(Survey, Vec<(String, bool)>)>;

/// Asks the brokers.
pub(super) fn survey(config: &Config) -> SurveyResult {
    let of_parts = topics(config).into_iter().map(|(topic, of)| {
        let mut entities = config.entities();
        let format = entities.find(|(entity, _)| *entity == of).map(|(_, section)| section.format);
        (topic, matches!(format, Some(Format::CloudEvents | Format::Outbox)))
    });
    let of_parts: Vec<(String, bool)> = of_parts.collect();
    let names: Vec<String> = of_parts.iter().map(|(topic, _)| topic.clone()).collect();
    Ok((look(&config.kafka, &names)?, of_parts))
}

/// Judges the brokers' answers.
pub(super) fn tell(surveyed: SurveyResult, findings: &mut Findings) {
    let (survey, of_parts) = match surveyed {
        Ok(surveyed) => surveyed,
        Err(error) => return findings.wrong(BROKERS, &error.about("kafka.brokers")),
    };
    let answer = if survey.brokers == 1 { "broker answers" } else { "brokers answer" };
    findings.good(BROKERS, format_args!("{} {answer}, by librdkafka {}", survey.brokers, survey.library));
    match survey.group {
        Some(error) => findings.wrong(PRIVILEGES, &error.about("kafka.group")),
        None => findings.good(PRIVILEGES, "the user may see the group"),
    }
    let retentions = survey.retentions.unwrap_or_else(|error: Error| {
        findings.doubtful(PRIVILEGES, error.chain());
        Vec::new()
    });
    for (topic, partitions) in &survey.partitions {
        let retention = retentions.iter().find(|(named, _)| named == topic).map(|(_, retention)| retention);
        let may_be_parts = of_parts.iter().any(|(named, may_be)| named == topic && *may_be);
        let head = format!("{topic}: {partitions} partitions");
        match retention.map(|retention| doubt(retention, may_be_parts)) {
            Some(Some(doubt)) => findings.doubtful(TOPICS, format_args!("{head}, {doubt}")),
            Some(None) => findings.good(TOPICS, format_args!("{head}, and every state is kept")),
            None => findings.good(TOPICS, head),
        }
    }
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
