//! The clock: beside the files of the state, and beside those of other machines.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::CLOCK;
use crate::app::check::findings::Findings;
use crate::config::Config;
use crate::time::rfc3339;

/// Lags and ages are told in seconds: a clock may be wrong by so much.
const SKEW_MAX_MS: u64 = 5_000;

/// Compares the clock with the files of the state, which were written in the past.
pub(super) fn look_at_state(config: &Config, findings: &mut Findings) {
    let now = SystemTime::now();
    let ahead = newest(&config.state).and_then(|newest| newest.duration_since(now).ok());
    match ahead {
        Some(ahead) if ahead > Duration::from_millis(SKEW_MAX_MS) => findings.note_doubtful(
            CLOCK,
            format_args!(
                "it is {} here, and the state was written {} s later; set the clock, because lag and ages are reckoned by it",
                rfc3339(now),
                ahead.as_secs()
            ),
        ),
        _ => findings.note_good(CLOCK, format_args!("it is {} here", rfc3339(now))),
    }
}

/// Compares the clock with the one that another machine told between two moments here, in milliseconds.
pub(super) fn compare_clocks(
    name: &str,
    told_ms: u64,
    (before_ms, after_ms): (u64, u64),
    findings: &mut Findings,
) {
    let skew = if told_ms < before_ms { before_ms - told_ms } else { told_ms.saturating_sub(after_ms) };
    if skew <= SKEW_MAX_MS {
        return findings.note_good(CLOCK, format_args!("that of {name} agrees"));
    }
    let text = format!(
        "that of {name} differs by {} s; set both by NTP, because lag and ages are reckoned by them",
        skew / 1_000
    );
    findings.note_doubtful(CLOCK, text);
}

/// When a file of the folder was written last.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    entries.filter_map(|entry| entry.metadata().ok()?.modified().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::check::findings::Judgement;

    #[test]
    fn a_clock_is_compared_with_the_moments_before_and_after_it_was_told() {
        for (clock_ms, judgement) in [
            (10_000, Judgement::Good),
            (5_000, Judgement::Good),
            (17_000, Judgement::Good),
            (4_999, Judgement::Doubtful),
            (17_001, Judgement::Doubtful),
        ] {
            let mut findings = Findings::default();
            compare_clocks("node", clock_ms, (10_000, 12_000), &mut findings);
            assert_eq!(findings.count(judgement), 1, "{clock_ms}: {findings:?}");
        }
    }
}
