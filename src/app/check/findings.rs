//! The findings of `check` and `doctor`.

use std::fmt::Display;

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::output;

/// How good something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::app) enum Judgement {
    /// As it should be.
    Good,
    /// It works, and may fail or surprise later.
    Doubtful,
    /// A run would stop at it, or wait for it.
    Wrong,
}

impl Judgement {
    /// The word for people.
    pub(in crate::app) fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Doubtful => "doubtful",
            Self::Wrong => "wrong",
        }
    }
}

/// One finding. A text about a fault names its remedy.
#[derive(Debug, Serialize)]
pub(in crate::app) struct Finding {
    /// How good it is.
    pub(in crate::app) judgement: Judgement,
    /// The part of the deployment.
    pub(in crate::app) area: &'static str,
    /// One line for people. That of a fault begins with the key of the configuration, where there is one.
    pub(in crate::app) text: String,
    /// The line of `check`, where it says less.
    #[serde(skip)]
    brief: Option<&'static str>,
    #[serde(skip)]
    kind: Option<ErrorKind>,
}

/// Findings in the order in which they were made.
#[derive(Debug, Default)]
pub(in crate::app) struct Findings(Vec<Finding>);

impl Findings {
    pub(in crate::app) fn note_good(&mut self, area: &'static str, text: impl Display) {
        self.add(area, Judgement::Good, text, None);
    }

    /// Something good, which `check` tells by the line `brief`.
    pub(in crate::app) fn sum_up(&mut self, area: &'static str, brief: &'static str, text: &str) {
        self.note_good(area, text);
        if let Some(last) = self.0.last_mut() {
            last.brief = Some(brief);
        }
    }

    pub(in crate::app) fn note_doubtful(&mut self, area: &'static str, text: impl Display) {
        self.add(area, Judgement::Doubtful, text, None);
    }

    pub(in crate::app) fn note_wrong(&mut self, area: &'static str, error: &Error) {
        self.add(area, Judgement::Wrong, error.chain(), Some(error.kind()));
    }

    /// A fault of all indexes is found with each of them, and told once.
    fn add(&mut self, area: &'static str, judgement: Judgement, text: impl Display, kind: Option<ErrorKind>) {
        let text = text.to_string().replace(['\n', '\r'], " ");
        let is_known = |found: &Finding| found.judgement == judgement && found.text == text;
        if !self.0.iter().any(is_known) {
            self.0.push(Finding { judgement, area, text, brief: None, kind });
        }
    }

    pub(in crate::app) fn all(&self) -> &[Finding] {
        &self.0
    }

    /// The number of findings of a judgement.
    pub(in crate::app) fn count(&self, judgement: Judgement) -> usize {
        self.0.iter().filter(|found| found.judgement == judgement).count()
    }

    /// True when something of these areas is wrong.
    pub(in crate::app) fn is_any_wrong(&self, areas: &[&str]) -> bool {
        self.0.iter().any(|found| found.judgement == Judgement::Wrong && areas.contains(&found.area))
    }

    /// Prints the good findings as comments, and then each fault as one line.
    pub(super) fn print(&self) {
        let of = |judgement| self.0.iter().filter(move |found: &&Finding| found.judgement == judgement);
        of(Judgement::Good).for_each(|found| match found.brief {
            Some(brief) => output::line(format_args!("# {brief}")),
            None => output::line(format_args!("# {}: {}", found.area, found.text)),
        });
        of(Judgement::Wrong).for_each(|found| output::line(&found.text));
    }

    /// The end of the command: the gravest fault decides the exit code.
    pub(in crate::app) fn outcome(&self) -> Result<()> {
        let is = |kind: ErrorKind| self.0.iter().any(|found| found.kind == Some(kind));
        let kinds = [ErrorKind::Usage, ErrorKind::MappingChanged, ErrorKind::Failed, ErrorKind::Unavailable];
        let Some(kind) = kinds.into_iter().find(|kind| is(*kind)) else { return Ok(()) };
        let count = match self.count(Judgement::Wrong) {
            1 => "1 thing is".to_owned(),
            count => format!("{count} things are"),
        };
        Err(Error::new(kind, format!("{count} wrong, as told above")))
    }
}
