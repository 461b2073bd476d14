//! Logs: to stderr, as text or as JSON lines, in lower case with values as fields.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::escape::{EscapeKind, Writer};
use crate::output::LogWriter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The variable that names levels by module.
const VARIABLE: &str = "TRIBUTARY_LOG";

/// Starts logging. `TRIBUTARY_LOG` names levels by module (`tributary=debug,rdkafka=info`) and goes before `verbose`,
/// which goes before `quiet` (warnings only). A value that is no such list is reported and passed over.
pub fn start(format: LogFormat, verbose: bool, quiet: bool) {
    let (filter, refused) = filter(std::env::var(VARIABLE).ok().as_deref(), verbose, quiet);
    let colours = format == LogFormat::Text && std::io::stderr().is_terminal();
    let kind = match format {
        LogFormat::Json => EscapeKind::Json,
        LogFormat::Text if colours => EscapeKind::Coloured,
        LogFormat::Text => EscapeKind::Plain,
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    let log = log.with_writer(move || Writer(kind, LogWriter));
    match format {
        LogFormat::Text => log.with_ansi(colours).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    if let Some(error) = refused {
        tracing::warn!(%error, "{VARIABLE} is no list such as tributary=debug and is passed over");
    }
}

/// The filter, and why the variable's text could not be taken.
fn filter(levels: Option<&str>, verbose: bool, quiet: bool) -> (EnvFilter, Option<ParseError>) {
    let default = match (verbose, quiet) {
        (true, _) => "tributary=debug,warn",
        (false, true) => "warn",
        (false, false) => "tributary=info,warn",
    };
    // A variable set to nothing is the shell's way to unset it.
    match levels.filter(|levels| !levels.trim().is_empty()).map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(default), Some(error)),
        None => (EnvFilter::new(default), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_that_cannot_be_understood_are_told_of() {
        assert_eq!(filter(Some("tributary=trace"), true, false).0.to_string(), "tributary=trace");
        for levels in [None, Some(""), Some(" ")] {
            let (log_filter, refused) = filter(levels, false, false);
            assert!(log_filter.to_string().contains("tributary=info") && refused.is_none(), "{levels:?}");
        }
        let (log_filter, refused) = filter(Some("tributary=loud"), true, false);
        assert!(log_filter.to_string().contains("tributary=debug") && refused.is_some());
    }
}
