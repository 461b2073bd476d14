//! A source as the application sees it: its kind, how its log is opened, and how its writer is elected. It may survey
//! its servers as well.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::EventSource;
use super::leadership::Leadership;
use crate::config::{Config, SourceKind};
use crate::error::{Error, Result};

/// Takes part in an election.
type Elect = fn(&Config, Arc<AtomicU64>) -> Result<Arc<dyn Leadership>>;

/// The source of one kind.
pub(crate) struct SourceDriver {
    /// The kind of source that it reads.
    pub(crate) kind: SourceKind,
    /// Opens the log for reading.
    pub(crate) open: fn(&Config) -> Result<Box<dyn EventSource>>,
    /// Takes part in the election of the writer, with the counter of bulk requests in flight.
    pub(crate) leadership: Elect,
    /// The key of the log's address.
    pub(crate) address: &'static str,
    /// The key of the client's settings; `None` when there is no client, and every fault is one of the address.
    pub(crate) settings: Option<&'static str>,
    /// The way in which a password may go over the network without TLS.
    pub(crate) exposure: fn(&Config) -> Option<String>,
    /// A look at the log's servers beyond the needs of reading; `None` when there are none.
    pub(crate) survey: Option<Survey>,
}

/// A look at servers, for people.
pub(crate) struct Survey {
    /// It would repeat the faults of these subjects.
    pub(crate) unless_wrong: &'static [Subject],
    /// Asks the servers, and judges their answers.
    pub(crate) look: fn(&Config) -> Vec<Remark>,
}

/// The subject of a remark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The brokers of a cluster.
    Brokers,
    /// The log, or its server.
    Log,
    /// A topic.
    Topics,
    /// The user's privileges.
    Privileges,
}

/// A remark of a survey. A text about a fault names its remedy.
#[derive(Debug)]
pub(crate) enum Remark {
    /// Something is as it should be.
    Good(Subject, String),
    /// It works, and may fail or surprise later.
    Doubtful(Subject, String),
    /// A run would stop at it.
    Wrong(Subject, Error),
    /// The clock of a server of this name, in milliseconds since the Unix epoch.
    Clock(&'static str, u64),
}
