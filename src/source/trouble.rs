//! A log that does not answer: what is told of it, and how often.

use std::time::{Duration, Instant};

use super::Away;
use crate::error::{Error, ErrorKind};

/// How often the same trouble is logged.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(60);

/// Why the log does not answer now, if it does not.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    away: Option<(ErrorKind, String)>,
    /// When the last line was logged. It outlasts the trouble, because one that comes and goes is logged as seldom.
    logged: Option<Instant>,
}

impl Trouble {
    /// What is away.
    pub(super) fn away(&self) -> Option<Away<'_>> {
        let (kind, text) = self.away.as_ref()?;
        Some(if *kind == ErrorKind::Unavailable { Away::Log(text) } else { Away::Topic(text) })
    }

    /// Notes why the log does not answer, with one line a minute.
    pub(super) fn note(&mut self, error: &Error) {
        let text = error.chain();
        if self.logged.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            tracing::warn!(error = text, "waiting for the log");
            self.logged = Some(Instant::now());
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
