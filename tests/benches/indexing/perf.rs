//! The processor's work for a run, counted and not timed. On a machine that is shared, seconds of the same work vary by
//! a half, because others use its clock and its caches too. Instructions do not vary.
//!
//! Asked for by `BENCH_PERF=1`; by `perf stat` (<https://man7.org/linux/man-pages/man1/perf-stat.1.html>), of processes on this machine.

use std::process::{Child, Command, Stdio};

use crate::Result;

/// The instructions and cycles of one process.
#[derive(Clone, Copy)]
pub struct PerfCounts {
    pub instructions: f64,
    pub cycles: f64,
}

/// Under way; counts until its standard input is closed.
pub struct Counting(Child);

impl Counting {
    /// Counts all threads of a process from now on; nothing, and no process looked for, unless it is asked for.
    pub fn start(process: impl FnOnce() -> Result<u32>) -> Result<Option<Self>> {
        if std::env::var("BENCH_PERF").as_deref() != Ok("1") {
            return Ok(None);
        }
        let id = process()?.to_string();
        // `cat` ends when its input does, and `perf` with it.
        let child = Command::new("perf")
            .args(["stat", "-x", ",", "-e", "instructions,cycles", "-p", &id, "--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let child = child
            .map_err(|error| format!("perf cannot be run: {error}; install it, or leave BENCH_PERF out"))?;
        Ok(Some(Self(child)))
    }

    /// Ends it.
    pub fn end(mut self) -> Result<PerfCounts> {
        drop(self.0.stdin.take());
        let output =
            self.0.wait_with_output().map_err(|error| format!("perf cannot be waited for: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let count = |event: &str| {
            let mut lines = said.lines().map(|line| line.split(',').collect::<Vec<_>>());
            let line = lines.find(|fields| fields.get(2).is_some_and(|name| name.starts_with(event)))?;
            line.first()?.parse::<f64>().ok()
        };
        let executed = count("instructions").zip(count("cycles"));
        executed.map(|(instructions, cycles)| PerfCounts { instructions, cycles }).ok_or_else(|| {
            format!("perf counts no instructions here, leave BENCH_PERF out; it says: {}", said.trim())
        })
    }
}

/// Ends it, when it was begun.
pub fn ended(counting: Option<Counting>) -> Result<Option<PerfCounts>> {
    counting.map(Counting::end).transpose()
}
