//! `doctor`: all that `check` looks at, and parts that work now and may fail later. It changes nothing.

mod clock;
mod disk;
mod exposure;
mod index;
mod instance;
mod log;

use toml::Table;

use super::check::findings::{Findings, Judgement};
use super::check::state::FoundState;
use super::check::{self, CONFIGURATION};
use super::dead_letters;
use crate::cli::OutputFormat;
use crate::config::{Config, DeadLetterConfig, DeadLetterKind};
use crate::error::{Error, Result};
use crate::output;
use crate::source::drivers;
use crate::state::rows::FORMAT;

const CLOCK: &str = "clock";
const INSTANCE: &str = "instance";
const VERSIONS: &str = "versions";

/// The areas in the order in which they are told.
const ORDER: [&str; 14] = [
    CONFIGURATION,
    check::HTTP,
    check::STATE,
    check::DISK,
    CLOCK,
    check::BROKERS,
    check::LOG,
    check::TOPICS,
    check::REGISTRY,
    check::INDEX,
    check::PRIVILEGES,
    check::LETTERS,
    INSTANCE,
    VERSIONS,
];

/// Prints one finding a line. Wrong findings alone decide the exit code.
pub(super) async fn run(examined: Result<(Config, Table), Vec<Error>>, format: OutputFormat) -> Result<()> {
    let mut findings = Findings::default();
    match examined {
        Ok((config, _)) => look(&config, &mut findings).await?,
        Err(wrong) => wrong.iter().for_each(|error| findings.note_wrong(CONFIGURATION, error)),
    }
    print(&findings, format)?;
    findings.outcome()
}

async fn look(config: &Config, findings: &mut Findings) -> Result<()> {
    let sight = check::look(config, false, findings).await?;
    match sight.state {
        FoundState::Nothing => findings.note_good(check::STATE, "there is none yet, and a run makes it"),
        FoundState::Resting(_) => {
            findings.note_good(check::STATE, "it can be read, and a run goes on with it")
        }
        FoundState::Running(_) | FoundState::Wrong => {}
    }
    let driver = drivers::find(config)?;
    exposure::look(config, driver, findings);
    disk::look(config, findings);
    clock::look_at_state(config, findings);
    log::look(config, driver, findings).await?;
    if let Some(sink) = &sight.sink {
        index::look(&**sink, findings).await;
    }
    instance::look(&sight.state, findings).await;
    dead_letters(config, findings).await;
    findings
        .note_good(VERSIONS, format_args!("tributary {}, state format {FORMAT}", env!("CARGO_PKG_VERSION")));
    Ok(())
}

/// How many dead letters wait for an operator.
async fn dead_letters(config: &Config, findings: &mut Findings) {
    if findings.is_any_wrong(&[check::LETTERS, check::DISK]) {
        return;
    }
    let DeadLetterConfig { kind, path, topic, .. } = &config.dead_letters;
    let (key, place) = match kind {
        DeadLetterKind::Kafka if findings.is_any_wrong(&[check::BROKERS]) => return,
        DeadLetterKind::Kafka => ("dead_letters.topic", format!("the topic {topic}")),
        DeadLetterKind::File if !path.exists() => {
            findings.note_good(check::LETTERS, format_args!("none; they would go to {}", path.display()));
            return;
        }
        DeadLetterKind::File => ("dead_letters.path", path.display().to_string()),
    };
    match dead_letters::list(config).await {
        Ok(listed) if listed.is_empty() => findings.note_good(check::LETTERS, format_args!("none in {place}")),
        Ok(listed) => findings.note_doubtful(
            check::LETTERS,
            format_args!(
                "{} in {place}; `tributary dead-letters list` gives the reasons, and `dead-letters retry` tries them again \
                 once the cause is gone",
                listed.len()
            ),
        ),
        Err(error) => findings.note_wrong(check::LETTERS, &error.about(key)),
    }
}

fn print(findings: &Findings, format: OutputFormat) -> Result<()> {
    let mut all: Vec<_> = findings.all().iter().collect();
    all.sort_by_key(|found| ORDER.iter().position(|area| *area == found.area));
    for found in all {
        match format {
            OutputFormat::Json => output::json(found)?,
            OutputFormat::Text => {
                output::line(format_args!("{:<9} {:<16} {}", found.judgement.word(), found.area, found.text));
            }
        }
    }
    if format == OutputFormat::Text {
        let [good, doubtful, wrong] = [Judgement::Good, Judgement::Doubtful, Judgement::Wrong]
            .map(|judgement| findings.count(judgement));
        output::line(format_args!("{good} good, {doubtful} doubtful, {wrong} wrong"));
    }
    Ok(())
}
