//! Whether an instance is ready, and why not. `/readyz`, searches, the page, the metrics and `status` read this one value.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Serialize;

use super::work::wall_ms;
use crate::projection::Projection;
use crate::time::rfc3339;

/// The causes that keep an instance from being ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "NotReadyCause")]
pub enum Cause {
    /// The log and the indexes are not open yet.
    Starting,
    /// An index is being filled for the first time, or is not there.
    Filling,
    /// The index does not answer.
    IndexAway,
    /// The log does not answer.
    LogAway,
    /// A topic of the configuration is not there.
    TopicAway,
    /// The schema registry does not answer, and a record needs a schema.
    RegistryAway,
    /// The index refuses every write.
    WritesRefused,
    /// Dead letters wait for their topic, and no more of them have room.
    LettersFull,
    /// Work waits and nothing moves.
    Stuck,
}

/// Writes may be refused for this long before the instance is not ready: an overload passes by itself.
const WRITES_REFUSED_MS: u64 = 60_000;

impl Cause {
    /// Every cause, in the order in which they are told.
    pub const ALL: [Self; 9] = [
        Self::Starting,
        Self::Filling,
        Self::IndexAway,
        Self::LogAway,
        Self::TopicAway,
        Self::RegistryAway,
        Self::WritesRefused,
        Self::LettersFull,
        Self::Stuck,
    ];

    /// The cause as a word, as JSON and metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Filling => "filling",
            Self::IndexAway => "index_away",
            Self::LogAway => "log_away",
            Self::TopicAway => "topic_away",
            Self::RegistryAway => "registry_away",
            Self::WritesRefused => "writes_refused",
            Self::LettersFull => "letters_full",
            Self::Stuck => "stuck",
        }
    }

    /// True for the causes of servers. An operator looks into their logs of the time at which such a cause began.
    pub fn is_of_server(self) -> bool {
        matches!(self, Self::IndexAway | Self::LogAway | Self::TopicAway | Self::WritesRefused)
    }

    /// How long it must last before it counts.
    fn grace_ms(self) -> u64 {
        if self == Self::WritesRefused { WRITES_REFUSED_MS } else { 0 }
    }
}

/// One reason for which an instance is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "NotReadyReason")]
pub struct Reason {
    /// The cause.
    pub cause: Cause,
    /// The sentence for people.
    pub detail: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

impl Reason {
    /// The sentence for people, with the time at which it began where a server is to blame.
    fn sentence(&self) -> String {
        if !self.cause.is_of_server() {
            return self.detail.clone();
        }
        let since = UNIX_EPOCH + Duration::from_millis(self.since_ms);
        format!("{}, since {}", self.detail, rfc3339(since))
    }
}

/// Whether an instance is ready: it is when there is no reason against it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Readiness {
    /// True without any reason against it.
    pub ready: bool,
    /// The reasons against it.
    pub reasons: Vec<Reason>,
}

impl Readiness {
    /// The reasons against readiness, as sentences.
    pub fn detail(&self) -> String {
        self.reasons.iter().map(Reason::sentence).collect::<Vec<_>>().join("; ")
    }
}

/// The reasons as they were raised and not cleared.
#[derive(Debug, Default, Clone)]
pub(super) struct Reasons(BTreeMap<(Cause, Option<Projection>), (String, u64)>);

impl Reasons {
    /// Takes note of a reason, of one projection or of all; true when it is new. One that lasts keeps the time at which
    /// it began.
    pub(super) fn raise(&mut self, cause: Cause, of: Option<Projection>, detail: String) -> bool {
        let began = self.0.get(&(cause, of)).map(|(_, since)| *since);
        self.0.insert((cause, of), (detail, began.unwrap_or_else(wall_ms)));
        began.is_none()
    }

    /// Takes note of a reason of all projections that began at this time.
    pub(super) fn raise_since(&mut self, cause: Cause, detail: String, since_ms: u64) {
        self.0.insert((cause, None), (detail, since_ms));
    }

    /// Takes note that a reason is gone; true when it was there.
    pub(super) fn clear(&mut self, cause: Cause, of: Option<Projection>) -> bool {
        self.0.remove(&(cause, of)).is_some()
    }

    /// Notes that a reason is gone, for any projection.
    pub(super) fn clear_all(&mut self, cause: Cause) {
        self.0.retain(|(raised, _), _| *raised != cause);
    }

    /// The present reasons.
    pub(super) fn readiness(&self, now: u64) -> Readiness {
        let lasting =
            self.0.iter().filter(|((cause, _), (_, since))| now.saturating_sub(*since) >= cause.grace_ms());
        let reasons: Vec<Reason> = lasting
            .map(|((cause, _), (detail, since))| Reason {
                cause: *cause,
                detail: detail.clone(),
                since_ms: *since,
            })
            .collect();
        Readiness { ready: reasons.is_empty(), reasons }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_keeps_its_beginning_and_refused_writes_count_after_a_minute() {
        let mut reasons = Reasons::default();
        assert!(reasons.readiness(0).ready);
        assert!(reasons.raise(Cause::WritesRefused, None, "429".to_owned()));
        assert!(!reasons.raise(Cause::WritesRefused, None, "403".to_owned()), "it lasts");
        let began = wall_ms();
        assert!(reasons.readiness(began).ready);
        let refused = reasons.readiness(began + WRITES_REFUSED_MS);
        assert!(!refused.ready);
        let since = rfc3339(UNIX_EPOCH + Duration::from_millis(refused.reasons[0].since_ms));
        assert_eq!(refused.detail(), format!("403, since {since}"));
        reasons.raise(Cause::LogAway, None, "the broker is away".to_owned());
        let both = reasons.readiness(began + WRITES_REFUSED_MS);
        let said: Vec<&str> = both.reasons.iter().map(|reason| reason.detail.as_str()).collect();
        assert_eq!(said, ["the broker is away", "403"]);
        assert!(both.detail().starts_with("the broker is away, since 20"), "{}", both.detail());
        assert!(reasons.clear(Cause::LogAway, None) && !reasons.clear(Cause::LogAway, None));
        assert!(reasons.readiness(began).ready);
    }

    #[test]
    fn a_cause_has_one_name() {
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.name());
        }
    }
}
