//! The message-db: server, functions, categories and clock.

use super::clock;
use crate::app::check::findings::Findings;
use crate::app::check::{LOG, PRIVILEGES, TOPICS};
use crate::app::topics;
use crate::config::Config;
use crate::error::Result;
use crate::pipeline::status::Status;
use crate::source::postgres::{CategorySurvey, Survey, survey as look};

/// A database, and the moments here before and after it was asked, in milliseconds.
pub(super) type SurveyResult = Result<(Survey, (u64, u64))>;

/// Asks the database.
pub(super) fn survey(config: &Config) -> SurveyResult {
    let categories: Vec<String> = topics(config).into_iter().map(|(topic, _)| topic).collect();
    let before = Status::now_ms();
    let survey = look(&config.postgres, &config.kafka.group, &categories)?;
    Ok((survey, (before, Status::now_ms())))
}

/// Judges the database's answers.
pub(super) fn tell(surveyed: SurveyResult, findings: &mut Findings) {
    let (survey, moments) = match surveyed {
        Ok(surveyed) => surveyed,
        Err(error) => return findings.wrong(LOG, &error.about("postgres.url")),
    };
    let message_db = survey.message_db.as_deref().unwrap_or("of an unknown version");
    findings.good(LOG, format_args!("PostgreSQL {} answers, with message-db {message_db}", survey.server));
    match survey.lacking.as_slice() {
        [] => findings.good(PRIVILEGES, "the user may call the functions of message-db"),
        lacking => findings.doubtful(
            PRIVILEGES,
            format_args!(
                "the user cannot call {}, so that a stand-by may not learn how far the writer is; grant the role \
                 message_store to the user of postgres.url",
                lacking.join(" and ")
            ),
        ),
    }
    survey.categories.iter().for_each(|category| tell_category(category, findings));
    clock::beside("PostgreSQL", u64::try_from(survey.clock_ms).unwrap_or(0), moments, findings);
}

fn tell_category(category: &CategorySurvey, findings: &mut Findings) {
    let CategorySurvey { name, end, delivered } = category;
    let last = end - 1;
    match delivered {
        _ if *end == 0 => findings.doubtful(
            TOPICS,
            format_args!("{name}: no message is in this category; check its name, unless none was written yet"),
        ),
        None => findings.good(
            TOPICS,
            format_args!("{name}: the last message is {last}, and the group has no position message yet"),
        ),
        Some(delivered) if delivered > end => findings.doubtful(
            TOPICS,
            format_args!(
                "{name}: the last message is {last}, and the group was at {} already; messages are gone, so restore the \
                 database",
                delivered - 1
            ),
        ),
        Some(delivered) => findings.good(
            TOPICS,
            format_args!(
                "{name}: the last message is {last}, and all up to {} are in the index, by the position messages",
                delivered - 1
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::check::findings::Judgement;

    #[test]
    fn a_category_is_doubted_when_it_is_empty_or_shorter_than_the_group_knew() {
        for (end, delivered, judgement, said) in [
            (0, None, Judgement::Doubtful, "no message is in this category"),
            (8, None, Judgement::Good, "the last message is 7, and the group has no position message yet"),
            (8, Some(5), Judgement::Good, "the last message is 7, and all up to 4 are"),
            (8, Some(8), Judgement::Good, "all up to 7 are"),
            (8, Some(9), Judgement::Doubtful, "the group was at 8 already"),
        ] {
            let mut findings = Findings::default();
            let name = "contact".to_owned();
            tell_category(&CategorySurvey { name, end, delivered }, &mut findings);
            assert_eq!(findings.count(judgement), 1, "{findings:?}");
            assert!(findings.all().iter().all(|found| found.text.contains(said)), "{findings:?}");
        }
    }
}
