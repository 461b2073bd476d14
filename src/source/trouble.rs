//! A log that does not answer: the lines that are logged of it, and how often.

use super::LogOutage;
use super::throttle::LogThrottle;
use crate::error::{Error, ErrorKind};

/// Why the log does not answer now, if it does not.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    away: Option<(ErrorKind, String)>,
    /// It outlasts the trouble, because one that comes and goes is logged as seldom.
    throttle: LogThrottle,
}

impl Trouble {
    /// The part of the log that is away.
    pub(super) fn outage(&self) -> Option<LogOutage<'_>> {
        let (kind, text) = self.away.as_ref()?;
        Some(if *kind == ErrorKind::Unavailable { LogOutage::Log(text) } else { LogOutage::Topic(text) })
    }

    /// Notes why the log does not answer, with one line a minute.
    pub(super) fn note(&mut self, error: &Error) {
        let text = error.chain();
        if self.throttle.is_due() {
            tracing::warn!(error = text, "the reader is waiting for the log");
        }
        self.away = Some((error.kind(), text));
    }

    /// Notes that the log answers.
    pub(super) fn end(&mut self) {
        if self.away.take().is_some() {
            tracing::info!("the log answers again");
        }
    }
}
