//! The standard output and the standard error: everything that is printed goes through here.
//!
//! The macros of the standard library panic when the reader of a pipe has gone (`… | head -1`). Here such a line
//! is dropped, and the work that printed it goes on or ends by itself. Any other failure, a full disk for example,
//! is kept and ends the process with exit code 1, once the work is done.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// The condition of the standard output.
#[derive(Debug, Default)]
enum Sink {
    /// Lines are taken.
    #[default]
    Open,
    /// Its reader has gone: further lines are dropped.
    Gone,
    /// A line could not be written; further lines are dropped.
    Failed(io::Error),
}

static SINK: Mutex<Sink> = Mutex::new(Sink::Open);

/// Prints a line on the standard output.
pub fn line(text: impl Display) {
    let mut sink = SINK.lock().unwrap_or_else(PoisonError::into_inner);
    print(&mut sink, &mut io::stdout(), &format!("{text}\n"));
}

/// Prints bytes on the standard output as they are.
pub fn bytes(bytes: &[u8]) {
    let mut sink = SINK.lock().unwrap_or_else(PoisonError::into_inner);
    print_bytes(&mut sink, &mut io::stdout(), bytes);
}

/// Prints a value as one line of JSON.
///
/// # Errors
/// When the value has no JSON.
pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<()> {
    let text = serde_json::to_string(value)
        .map_err(|error| Error::failure("a result cannot be written as JSON").because(error))?;
    line(text);
    Ok(())
}

/// True when further lines are dropped, so that a command that only prints can end.
pub fn is_closed() -> bool {
    !matches!(*SINK.lock().unwrap_or_else(PoisonError::into_inner), Sink::Open)
}

/// Ends the output.
///
/// # Errors
/// When a line could not be written, for another reason than that its reader has gone.
pub fn end() -> Result<()> {
    let mut sink = SINK.lock().unwrap_or_else(PoisonError::into_inner);
    print(&mut sink, &mut io::stdout(), "");
    match std::mem::take(&mut *sink) {
        Sink::Failed(error) => {
            Err(Error::failure("a result cannot be written to the standard output; check its disk")
                .because(error))
        }
        Sink::Open | Sink::Gone => Ok(()),
    }
}

/// Prints a line on the standard error. A failure is dropped, because no other output is left to tell it.
pub fn complain(text: impl Display) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

fn print(sink: &mut Sink, out: &mut impl Write, text: &str) {
    print_bytes(sink, out, text.as_bytes());
}

fn print_bytes(sink: &mut Sink, out: &mut impl Write, bytes: &[u8]) {
    if !matches!(sink, Sink::Open) {
        return;
    }
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => *sink = Sink::Gone,
        Err(error) => *sink = Sink::Failed(error),
    }
}

/// Where log lines go: the standard error, without a word when its reader has gone.
#[derive(Debug, Default, Clone, Copy)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The subscriber answers a failed write by a line on the same standard error, which panics.
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one line, then fails.
    struct Failing(Vec<u8>, ErrorKind);

    impl Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !self.0.is_empty() {
                return Err(self.1.into());
            }
            self.0.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_ends_the_output_and_a_full_disk_is_kept_as_a_failure() {
        for kind in [ErrorKind::BrokenPipe, ErrorKind::StorageFull] {
            let (mut sink, mut out) = (Sink::Open, Failing(Vec::new(), kind));
            for text in ["one\n", "two\n", "three\n"] {
                print(&mut sink, &mut out, text);
            }
            assert_eq!(out.0, b"one\n");
            match sink {
                Sink::Open => panic!("{kind:?} was not seen"),
                Sink::Gone => assert_eq!(kind, ErrorKind::BrokenPipe),
                Sink::Failed(error) => assert_eq!((error.kind(), kind), (kind, ErrorKind::StorageFull)),
            }
        }
    }
}
