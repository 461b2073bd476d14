//! A log that does not answer: what is told of it, and how often.

use std::time::{Duration, Instant};

use super::Away;
use crate::error::{Error, ErrorKind};

/// How often the same trouble is logged.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(60);

/// Why the log does not answer now, if it does not, and when that was logged.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<Noted>);

#[derive(Debug)]
struct Noted {
    kind: ErrorKind,
    text: String,
    told: Instant,
}

impl Trouble {
    /// What is away.
    pub(super) fn away(&self) -> Option<Away<'_>> {
        let Noted { kind, text, .. } = self.0.as_ref()?;
        Some(if *kind == ErrorKind::Unavailable { Away::Log(text) } else { Away::Topic(text) })
    }

    /// Notes why the log does not answer, with one line a minute.
    pub(super) fn note(&mut self, error: &Error) {
        let text = error.chain();
        let told = self.0.take().map(|noted| noted.told).filter(|told| told.elapsed() < TELL_EVERY);
        let told = told.unwrap_or_else(|| {
            tracing::warn!(error = text, "waiting for the log");
            Instant::now()
        });
        self.0 = Some(Noted { kind: error.kind(), text, told });
    }

    /// Notes that the log answers.
    pub(super) fn end(&mut self) {
        if self.0.take().is_some() {
            tracing::info!("the log answers again");
        }
    }
}
