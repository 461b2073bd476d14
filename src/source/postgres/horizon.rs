//! How far messages are stable where writers take no lock on the category (`postgres.stable = "xmin"`).
//!
//! A transaction takes a number for its message, and others see the message once it ends. A later number can so be seen
//! first. Every such transaction holds a lock on the table from before it takes the number until after its message is
//! seen. So the last number is noted, then the transactions that hold such a lock. Once all of these have ended, every
//! message up to the noted number is visible or will never be.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use super::connection::{answer, judge};
use crate::error::Result;

/// The lock of INSERT, and those that allow as much.
const WRITERS: &str = "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND granted \
     AND relation = to_regclass('messages') AND pid IS DISTINCT FROM pg_backend_pid() \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";
const LAST: &str = "SELECT last_value FROM messages_global_position_seq";

/// The horizon of stable messages. It only grows.
#[derive(Debug, Default)]
pub(super) struct Horizon {
    /// Every message up to this number is stable.
    stable: i64,
    /// A number, and the transactions that it waits for.
    noted: Option<(i64, BTreeSet<String>)>,
}

impl Horizon {
    /// The number up to which every message is stable. The messages are to be read after this.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn look(&mut self, client: &Client) -> Result<i64> {
        if self.noted.is_some() {
            let now = writers(client).await?;
            self.note(&now);
        }
        if self.noted.is_none() {
            let row = answer(client.query_one(LAST, &[]), "the last number of its messages").await?;
            let last = row.try_get(0).map_err(|error| judge(error, "the last number of its messages"))?;
            let now = writers(client).await?;
            self.noted = Some((last, now.clone()));
            self.note(&now);
        }
        Ok(self.stable)
    }

    /// Takes note of the transactions that still write.
    fn note(&mut self, now: &BTreeSet<String>) {
        let Some((last, writing)) = &mut self.noted else { return };
        writing.retain(|transaction| now.contains(transaction));
        if writing.is_empty() {
            self.stable = self.stable.max(*last);
            self.noted = None;
        }
    }
}

async fn writers(client: &Client) -> Result<BTreeSet<String>> {
    let what = "the locks on its messages";
    let rows = answer(client.query(WRITERS, &[]), what).await?;
    rows.iter().map(|row| row.try_get(0).map_err(|error| judge(error, what))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_stable_once_all_that_wrote_then_have_ended() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let mut horizon = Horizon { stable: 3, noted: Some((17, set(&["4/1", "5/2"]))) };
        horizon.note(&set(&["5/2", "6/1"]));
        assert_eq!((horizon.stable, horizon.noted.is_some()), (3, true));
        // A transaction that began later does not matter.
        horizon.note(&set(&["6/1"]));
        assert_eq!((horizon.stable, horizon.noted.is_some()), (17, false));
    }
}
