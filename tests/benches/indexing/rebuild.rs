//! The rebuild: the program as a user runs it, watched from outside.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tributary::reindex::session::Folder;

use crate::harness::{Running, World};
use crate::perf::{self, Counting};
use crate::report::Row;
use crate::server::Server;
use crate::{Counts, Result};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Looks between two at the size of a folder, each of which reads its list.
const LOOKS: usize = 50;

/// Runs a subcommand to its end, however long it takes.
pub fn finish(world: &World, arguments: &[&str]) -> Result<()> {
    let mut running = start(world, arguments)?;
    ended(&mut running, world, arguments)
}

/// One rebuild of all projections; the documents are counted by the caller.
pub fn run(world: &World, server: &Server, from: &str) -> Result<Row> {
    measured(world, server, &["reindex", "--from", from, "--format", "json"])
}

/// A run of the program from its start to its end; the documents are counted by the caller.
pub fn measured(world: &World, server: &Server, arguments: &[&str]) -> Result<Row> {
    let counting = server.counting()?;
    let before = server.cpu_seconds()?;
    let began = Instant::now();
    let mut running = start(world, arguments)?;
    let id = running.0.id();
    let counting_own = Counting::start(|| Ok(id))?;
    let (over, until_over) = channel::<()>();
    let folder = Folder::path_of(&world.path("state"));
    let watch = std::thread::spawn(move || watched(id, &folder, &until_over));
    let mut parts = Parts { began, parts: vec![("opening".to_owned(), began)] };
    let output = running.0.stdout.take().ok_or("the program's output is not there")?;
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("what reindex says cannot be read: {error}"))?;
        parts.note(&serde_json::from_str(&line).map_err(|error| format!("{line}: {error}"))?);
    }
    // Watched until it is gone, and not longer: its number may be another's then.
    drop(over);
    let ProcessFigures { peak_kilobytes, cpu: own, state_bytes } = watch.join().unwrap_or_default();
    ended(&mut running, world, arguments)?;
    let took = began.elapsed();
    let cpu = [own, server.cpu_seconds()? - before];
    let executed = [perf::ended(counting_own)?, perf::ended(counting)?];
    let what = arguments.join(" ").replace(" --format json", "");
    let (parts, counts) = (parts.end(took), Counts::default());
    Ok(Row {
        what,
        is_raw: false,
        took,
        parts,
        counts,
        peak_kilobytes,
        cpu,
        executed,
        writes: None,
        state_bytes,
    })
}

fn start(world: &World, arguments: &[&str]) -> Result<Running> {
    let log =
        File::create(world.path("command.log")).map_err(|error| format!("no log can be kept: {error}"))?;
    let child = world.command(arguments).stdout(Stdio::piped()).stderr(log).spawn();
    child
        .map(Running::without_log)
        .map_err(|error| format!("tributary {} cannot be run: {error}", arguments.join(" ")))
}

fn ended(running: &mut Running, world: &World, arguments: &[&str]) -> Result<()> {
    // The output is read to its end, because a full pipe would hold the program up.
    if let Some(mut output) = running.0.stdout.take() {
        let _ = std::io::copy(&mut output, &mut std::io::sink());
    }
    let status = running.0.wait().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    let log = std::fs::read_to_string(world.path("command.log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let last = lines[lines.len().saturating_sub(10)..].join("\n");
    Err(format!("`tributary {}` ended with {status}; its log ends:\n{last}", arguments.join(" ")))
}

/// How much lies in a folder.
pub fn folder_bytes(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => folder_bytes(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

/// The processor time of a process so far, in seconds of which the kernel counts hundredths.
pub fn cpu_seconds(id: &str) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

/// The most memory that a process had at once, as the kernel keeps it; `None` where there is no `/proc`.
pub fn peak_kilobytes(id: &str) -> Option<u64> {
    of_status(id, "VmHWM:")
}

/// A number of kilobytes that the kernel tells of a process.
pub fn of_status(id: &str, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// The figures of a process, as they are seen from outside.
#[derive(Default)]
struct ProcessFigures {
    /// The peak of its memory.
    peak_kilobytes: Option<u64>,
    /// Its processor time.
    cpu: f64,
    /// The most that the folder of a rebuild, which is deleted at its end, held.
    state_bytes: Option<u64>,
}

fn watched(id: u32, folder: &Path, until_over: &Receiver<()>) -> ProcessFigures {
    let mut seen = ProcessFigures::default();
    for look in 0.. {
        seen.cpu = cpu_seconds(&id.to_string()).unwrap_or(0.0).max(seen.cpu);
        seen.peak_kilobytes = seen.peak_kilobytes.max(peak_kilobytes(&id.to_string()));
        if look % LOOKS == 0 {
            seen.state_bytes = seen.state_bytes.max(Some(folder_bytes(folder)).filter(|bytes| *bytes > 0));
        }
        if until_over.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    seen
}

/// The parts of a rebuild, each with its beginning, as its progress tells.
struct Parts {
    began: Instant,
    parts: Vec<(String, Instant)>,
}

impl Parts {
    fn note(&mut self, line: &Value) {
        let Some(phase) = line["phase"].as_str().filter(|phase| *phase != "done") else { return };
        let part = if phase == "loading" { loading_part(&line["progress"]) } else { phase };
        if self.parts.last().is_none_or(|(last, _)| last != part) {
            self.parts.push((part.to_owned(), Instant::now()));
        }
    }

    fn end(self, took: Duration) -> Vec<(String, Duration)> {
        let ends = self.parts.iter().skip(1).map(|(_, since)| since.duration_since(self.began));
        let ends: Vec<Duration> = ends.chain([took]).collect();
        let parts = self.parts.into_iter().zip(ends);
        parts.map(|((part, since), end)| (part, end - since.duration_since(self.began))).collect()
    }
}

/// The load is two: the log is folded, then the documents are sent. How long the log is it knows once it is open.
fn loading_part(progress: &Value) -> &'static str {
    let number = |name: &str| progress[name].as_u64().unwrap_or(0);
    match (number("events"), number("events_total")) {
        (_, 0) => "opening",
        (events, total) if events < total => "folding",
        _ => "sending",
    }
}
