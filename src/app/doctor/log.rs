//! The servers of the log, as its source surveys them.

use super::clock;
use crate::app::check::findings::Findings;
use crate::app::check::{BROKERS, LOG, PRIVILEGES, TOPICS};
use crate::config::Config;
use crate::error::Result;
use crate::pipeline::status::Status;
use crate::pipeline::work::blocking;
use crate::source::driver::{Remark, SourceDriver, Subject, Survey};

/// Looks at the servers, unless they are known not to answer.
pub(super) async fn look(config: &Config, driver: &SourceDriver, findings: &mut Findings) -> Result<()> {
    let Some(Survey { unless_wrong, look }) = &driver.survey else { return Ok(()) };
    if unless_wrong.iter().any(|subject| findings.is_any_wrong(&[area(*subject)])) {
        return Ok(());
    }
    let (config, look) = (config.clone(), *look);
    let before = Status::now_ms();
    let remarks = blocking(move || Ok(look(&config))).await?;
    let moments = (before, Status::now_ms());
    for remark in remarks {
        match remark {
            Remark::Good(subject, text) => findings.note_good(area(subject), text),
            Remark::Doubtful(subject, text) => findings.note_doubtful(area(subject), text),
            Remark::Wrong(subject, error) => findings.note_wrong(area(subject), &error),
            Remark::Clock(server, told_ms) => clock::compare_clocks(server, told_ms, moments, findings),
        }
    }
    Ok(())
}

fn area(subject: Subject) -> &'static str {
    match subject {
        Subject::Brokers => BROKERS,
        Subject::Log => LOG,
        Subject::Topics => TOPICS,
        Subject::Privileges => PRIVILEGES,
    }
}
