//! The running instance.

use serde_json::Value;

use super::{INSTANCE, VERSIONS};
use crate::app::check::findings::Findings;
use crate::app::check::state::FoundState;
use crate::http::client::InstanceClient;

/// Asks the instance that has the state open.
pub(super) async fn look(state: &FoundState, findings: &mut Findings) {
    let FoundState::Running(instance) = state else {
        return findings.note_good(INSTANCE, "none runs with this state");
    };
    match instance.status().await {
        Ok(report) => {
            tell(instance, &report, findings);
            compare_versions(&report, findings);
        }
        Err(error) => findings.note_doubtful(INSTANCE, error.chain()),
    }
}

/// Compares the instance's version with that of this program.
fn compare_versions(report: &Value, findings: &mut Findings) {
    let own = env!("CARGO_PKG_VERSION");
    let version = report.get("version").and_then(Value::as_str).unwrap_or("of an unknown version");
    if version != own {
        let text = format!(
            "the instance is {version}, and this program is {own}; use one of the instance's version"
        );
        findings.note_doubtful(VERSIONS, text);
    }
}

fn tell(instance: &InstanceClient, report: &Value, findings: &mut Findings) {
    let reasons: Vec<&str> = report
        .get("reasons")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|reason| reason.get("detail")?.as_str())
        .collect();
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let state = report.get("state").and_then(Value::as_str).unwrap_or("in an unknown state");
    let waiting = number("/documents_waiting");
    match reasons.is_empty() {
        true => findings.note_good(
            INSTANCE,
            format_args!("{} is ready, {state}; {waiting} documents wait for the index", instance.address()),
        ),
        false => findings.note_doubtful(
            INSTANCE,
            format_args!(
                "{} is not ready: {}; see docs/operations.md",
                instance.address(),
                reasons.join("; ")
            ),
        ),
    }
    let letters = number("/counters/dead_letters_waiting");
    if letters > 0 {
        let text = format!(
            "{letters} dead letters wait for their topic, which is away; create it or give the right"
        );
        findings.note_doubtful(INSTANCE, text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::app::check::findings::Judgement;

    #[test]
    fn an_instance_of_another_version_is_told() {
        for (report, text) in [
            (json!({"version": env!("CARGO_PKG_VERSION")}), None),
            (json!({"version": "0.0.1"}), Some("the instance is 0.0.1, ")),
            (json!({}), Some("of an unknown version")),
        ] {
            let mut findings = Findings::default();
            compare_versions(&report, &mut findings);
            assert_eq!(findings.count(Judgement::Doubtful), usize::from(text.is_some()), "{report}");
            assert!(
                findings.all().iter().all(|found| found.text.contains(text.unwrap_or_default())),
                "{report}"
            );
        }
    }
}
