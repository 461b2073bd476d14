//! The figures of the process, read from `/proc` (<https://man7.org/linux/man-pages/man5/proc.5.html>). The names
//! are those that every Prometheus client library gives. A figure that the system does not tell is left out.

use std::fs;

/// One figure of the process: name, type, help, value.
pub(super) type Figure = (&'static str, &'static str, &'static str, f64);

/// The ticks of a second where the system does not tell.
const TICKS: f64 = 100.0;
/// The key of the ticks of a second in the auxiliary vector.
const AT_CLKTCK: usize = 17;

/// How many files the process may have open; `None` without a limit, and where the system does not tell.
pub fn files_max() -> Option<f64> {
    limit_of_files(&fs::read_to_string("/proc/self/limits").ok()?)
}

/// The figures as they are now.
pub(super) fn figures() -> Vec<Figure> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (stat, status) = (read("/proc/self/stat"), read("/proc/self/status"));
    let ticks = ticks_of(&fs::read("/proc/self/auxv").unwrap_or_default()).unwrap_or(TICKS);
    let started = || Some(seconds_at_boot(&read("/proc/stat"))? + field(&stat, 22)? / ticks);
    let open = || Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64);
    let figures = [
        (
            "process_cpu_seconds_total",
            "counter",
            "Processor time used, by user and system.",
            field(&stat, 14).zip(field(&stat, 15)).map(|(user, system)| (user + system) / ticks),
        ),
        ("process_resident_memory_bytes", "gauge", "Resident memory.", kilobytes(&status, "VmRSS:")),
        ("process_virtual_memory_bytes", "gauge", "Virtual memory.", kilobytes(&status, "VmSize:")),
        ("process_threads", "gauge", "Threads.", field(&stat, 20)),
        ("process_open_fds", "gauge", "Open file descriptors.", open()),
        (
            "process_max_fds",
            "gauge",
            "The most file descriptors that may be open.",
            limit_of_files(&read("/proc/self/limits")),
        ),
        ("process_start_time_seconds", "gauge", "When the process started, since 1970.", started()),
    ];
    figures.into_iter().filter_map(|(name, kind, help, value)| Some((name, kind, help, value?))).collect()
}

/// A field of `/proc/self/stat` by its number in the manual. The second one, the program's name, may hold spaces.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// A line of `/proc/self/status` that counts kilobytes, in bytes.
fn kilobytes(status: &str, key: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()? * 1_024.0)
}

fn limit_of_files(limits: &str) -> Option<f64> {
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn seconds_at_boot(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The ticks of a second in the auxiliary vector: pairs of words, a key and a value.
fn ticks_of(vector: &[u8]) -> Option<f64> {
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| bytes.try_into().map(usize::from_ne_bytes).ok();
    let (_, value) = vector
        .chunks_exact(2 * WORD)
        .map(|pair| pair.split_at(WORD))
        .find(|(key, _)| word(key) == Some(AT_CLKTCK))?;
    word(value).map(|ticks| ticks as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_texts_of_the_system() {
        let stat =
            "7 (a (b) c) S 1 7 7 0 -1 4194304 9 0 0 0 250 50 0 0 20 0 12 0 900 1 2 3 4 5 6 7 8 9 0 0 0 0";
        assert_eq!((field(stat, 14), field(stat, 15)), (Some(250.0), Some(50.0)));
        assert_eq!((field(stat, 20), field(stat, 22)), (Some(12.0), Some(900.0)));
        assert_eq!(kilobytes("Name:\tx\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12_288.0));
        assert_eq!(limit_of_files("Limit\nMax open files   1024   4096   files\n"), Some(1_024.0));
        assert_eq!(limit_of_files("Max open files   unlimited unlimited files\n"), None);
        assert_eq!(seconds_at_boot("cpu 1\nbtime 1700000000\n"), Some(1_700_000_000.0));
        let words = [3, 5, AT_CLKTCK, 250, 0, 0].map(usize::to_ne_bytes).concat();
        assert_eq!(ticks_of(&words), Some(250.0));
        assert_eq!((field("", 14), ticks_of(b"short"), kilobytes("", "VmRSS:")), (None, None, None));
    }
}
