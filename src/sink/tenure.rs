//! Which group writes the indexes of a prefix: a record beside those of the rebuilds. Two groups that write the same
//! indexes would each take the other's writes for foreign ones.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::generations::Aliases;
use crate::error::{Error, ErrorKind, Result};
use crate::time::rfc3339;

/// How often the record is read again when somebody changed it in between.
const TRIES: usize = 20;

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    /// The group that writes.
    pub group: String,
    /// Since when, as a time of RFC 3339.
    pub since: String,
}

/// A group that is to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// Its name.
    pub group: String,
    /// Whether it takes the indexes over from another group.
    pub takes_over: bool,
}

impl Claimant {
    /// Notes that this group writes, unless it is noted already; true when another group wrote until now.
    ///
    /// # Errors
    /// When another group writes, and the indexes are not to be taken over.
    pub async fn claim<S: Aliases>(&self, sink: &S) -> Result<bool> {
        for _ in 0..TRIES {
            let found = sink.tenure().await?;
            match &found {
                Some((held, _)) if held.group == self.group => return Ok(false),
                Some((held, _)) if !self.takes_over => return Err(self.refusal(held)),
                Some((held, _)) => {
                    tracing::warn!(
                        from = held.group,
                        since = held.since,
                        to = self.group,
                        "the indexes are taken over"
                    );
                }
                None => {}
            }
            let record = Tenure { group: self.group.clone(), since: rfc3339(SystemTime::now()) };
            if sink.note_tenure(&record, found.as_ref().map(|(_, revision)| revision)).await? {
                return Ok(found.is_some());
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "the record of the group that writes changes all the time"))
    }

    /// Compares what was seen of the record with this group.
    ///
    /// # Errors
    /// When another group has taken the indexes over.
    pub fn check(&self, seen: Option<&Tenure>) -> Result<()> {
        match seen {
            Some(held) if held.group != self.group => Err(Error::failed(format!(
                "the group {} has taken the indexes over from the group {} at {}; this instance has stopped, and writes again \
                 with `tributary run --take-over`",
                held.group, self.group, held.since
            ))),
            _ => Ok(()),
        }
    }

    fn refusal(&self, held: &Tenure) -> Error {
        Error::failed(format!(
            "the group {} writes the indexes of this prefix since {}, and this is the group {}; set kafka.group to that group \
             or index.prefix to another prefix, or have this group take the indexes over with `tributary run --take-over`",
            held.group, held.since, self.group
        ))
    }
}
