//! The one error type of the crate, and the exit code that each error calls for.
//!
//! A message names the problem, the record, document or file, and the remedy.
//! The cause is attached as `source` and never pasted into the text.

use std::error::Error as StdError;
use std::fmt;

/// The longest message, because a text of any length is part of many.
const MESSAGE_BYTES_MAX: usize = 4_000;

/// The longest reason for which a record is kept as poison.
pub const REASON_BYTES_MAX: usize = 2_000;

/// The kinds of errors by an operator's next step; each kind has one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The work could not be done (exit code 1).
    Failed,
    /// A server does not answer now and may later (exit code 1).
    Unavailable,
    /// Wrong use or configuration (exit code 2).
    Usage,
    /// The index was built with another mapping (exit code 3).
    MappingChanged,
    /// `verify` found differences (exit code 4).
    Differences,
}

/// An error with its problem and its remedy, its cause attached.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The same error with the key of the configuration that it is about, unless it begins with that key.
    #[must_use]
    pub fn about(&self, key: &str) -> Self {
        let said = self.chain();
        let is_named = said.strip_prefix(key).is_some_and(|rest| rest.starts_with(": "));
        Self::new(self.kind(), if is_named { said } else { format!("{key}: {said}") })
    }

    /// The work could not be done: exit code 1.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// Wrong use or configuration: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// An error of the kind given.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: shorten(message.into(), MESSAGE_BYTES_MAX), source: None }
    }

    /// The same error with its cause attached.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The process's exit code for this error.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Failed | ErrorKind::Unavailable => 1,
            ErrorKind::Usage => 2,
            ErrorKind::MappingChanged => 3,
            ErrorKind::Differences => 4,
        }
    }

    /// The message followed by its causes, parted by colons, for the one line a person sees.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            let said = error.to_string();
            // Some libraries paste the cause into their text and attach it as well.
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        crate::escape::value(&shorten(text, MESSAGE_BYTES_MAX)).into_owned()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// At most so many bytes of a text for people, with an ellipsis where it was cut. Text from outside can be of any
/// length, and comes back in reasons.
pub fn shorten(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
    text
}
