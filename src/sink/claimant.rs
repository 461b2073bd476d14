//! The group that is to write the indexes of a prefix, and its claim to them. Two groups that write the same indexes
//! would each take the other's writes for foreign ones.

use std::time::SystemTime;

use super::generations::Aliases;
use super::tenure::{StateName, Tenure};
use crate::error::{Error, ErrorKind, Result};
use crate::time::rfc3339;

/// How often the record is read again when another process changed it in between.
const TRIES: usize = 20;

/// A group that is to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// Its name.
    pub group: String,
    /// Its state, where nothing else keeps two instances of the group from writing.
    pub state: Option<StateName>,
    /// Whether it takes the indexes over from another group.
    pub takes_over: bool,
}

impl Claimant {
    /// Notes that this group writes, unless it is noted already; true when another group wrote until now.
    ///
    /// # Errors
    /// When another group writes, and the indexes are not to be taken over.
    pub async fn claim(&self, sink: &dyn Aliases) -> Result<bool> {
        for _ in 0..TRIES {
            let found = sink.tenure().await?;
            match &found {
                Some((record, _))
                    if self.is(record) && (self.state.is_none() || record.state == self.state) =>
                {
                    return Ok(false);
                }
                Some((record, _)) if self.is(record) => {}
                Some((record, _)) if !self.takes_over => return Err(self.refusal(record)),
                Some((record, _)) => {
                    tracing::warn!(
                        from = record.group,
                        since = record.since,
                        to = self.group,
                        "the indexes are taken over"
                    );
                }
                None => {}
            }
            let was_own = found.as_ref().is_some_and(|(record, _)| self.is(record));
            let since = rfc3339(SystemTime::now());
            let record = Tenure { group: self.group.clone(), since, state: self.state.clone() };
            if sink.note_tenure(&record, found.as_ref().map(|(_, revision)| revision)).await? {
                return Ok(found.is_some() && !was_own);
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the record of the group that writes changes all the time; run the command again",
        ))
    }

    /// Whether [`Self::claim`] would be refused, beside the key of the configuration that decides it.
    ///
    /// # Errors
    /// When another group writes, or another state of this group.
    pub fn examine(&self, record: Option<&Tenure>) -> Result<(), (&'static str, Error)> {
        match record {
            Some(record) if !self.is(record) => {
                let key = if record.group == self.group { "state" } else { "kafka.group" };
                Err((key, self.refusal(record)))
            }
            _ => Ok(()),
        }
    }

    /// Compares the record that was seen with this group.
    ///
    /// # Errors
    /// When another group has taken the indexes over.
    pub fn check(&self, record: Option<&Tenure>) -> Result<()> {
        match record {
            Some(record) if !self.is(record) => Err(Error::failure(format!(
                "{} has taken the indexes over from {} at {}; this instance has stopped, and writes again \
                 with `tributary run --take-over`",
                describe_group(&record.group, record.state.as_ref()),
                describe_group(&self.group, self.state.as_ref()),
                record.since
            ))),
            _ => Ok(()),
        }
    }

    /// True when the record is this claimant's own.
    fn is(&self, record: &Tenure) -> bool {
        let is_state = |own: &StateName, other: &StateName| own.id == other.id || own.place == other.place;
        let states = self.state.as_ref().zip(record.state.as_ref());
        record.group == self.group && states.is_none_or(|(own, other)| is_state(own, other))
    }

    fn refusal(&self, record: &Tenure) -> Error {
        if record.group == self.group {
            return Error::failure(format!(
                "{} writes the indexes of this prefix since {}, and this is another state. Stop that instance and \
                 use its state, \
                 set index.prefix to another prefix, or have this state take the indexes over with `tributary run --take-over`",
                describe_group(&record.group, record.state.as_ref()),
                record.since
            ));
        }
        Error::failure(format!(
            "the group {} writes the indexes of this prefix since {}, and this is the group {}. Set kafka.group to \
             that group \
             or index.prefix to another prefix, or have this group take the indexes over with `tributary run --take-over`",
            record.group, record.since, self.group
        ))
    }
}

fn describe_group(group: &str, state: Option<&StateName>) -> String {
    let place = state.map(|state| format!(" with the state {}", state.place)).unwrap_or_default();
    format!("the group {group}{place}")
}
