//! Remarks on the message-db: server, functions, categories and clock.

use super::survey::{CategorySurvey, DatabaseSurvey, survey};
use crate::config::Config;
use crate::error::Result;
use crate::source::driver::{Remark, Subject};

/// Asks the database, and judges its answers.
pub(super) fn look(config: &Config) -> Vec<Remark> {
    let categories: Vec<String> = config.topics().into_iter().map(|(topic, _)| topic).collect();
    judge(survey(&config.postgres, &config.kafka.group, &categories))
}

fn judge(surveyed: Result<DatabaseSurvey>) -> Vec<Remark> {
    let survey = match surveyed {
        Ok(survey) => survey,
        Err(error) => return vec![Remark::Wrong(Subject::Log, error.about("postgres.url"))],
    };
    let message_db = survey.message_db.as_deref().unwrap_or("of an unknown version");
    let server = format!("PostgreSQL {} answers, with message-db {message_db}", survey.server);
    let privileges = match survey.lacking.as_slice() {
        [] => Remark::Good(Subject::Privileges, "the user may call the functions of message-db".to_owned()),
        lacking => Remark::Doubtful(
            Subject::Privileges,
            format!(
                "the user cannot call {}, so that a standby may not learn how far the writer is. Grant the role \
                 message_store to the user of postgres.url",
                lacking.join(" and ")
            ),
        ),
    };
    let mut remarks = vec![Remark::Good(Subject::Log, server), privileges];
    remarks.extend(survey.categories.iter().map(judge_category));
    remarks.push(Remark::Clock("PostgreSQL", u64::try_from(survey.clock_ms).unwrap_or(0)));
    remarks
}

fn judge_category(category: &CategorySurvey) -> Remark {
    let CategorySurvey { name, end, delivered } = category;
    let last = end - 1;
    let good = |text: String| Remark::Good(Subject::Topics, text);
    let doubtful = |text: String| Remark::Doubtful(Subject::Topics, text);
    match delivered {
        _ if *end == 0 => doubtful(format!(
            "{name}: no message is in this category; check its name, unless none was written yet"
        )),
        None => {
            good(format!("{name}: the last message is {last}, and the group has no position message yet"))
        }
        Some(delivered) if delivered > end => doubtful(format!(
            "{name}: the last message is {last}, and the group was at {} already; messages are gone, so restore the \
             database",
            delivered - 1
        )),
        Some(delivered) => good(format!(
            "{name}: the last message is {last}, and all up to {} are in the index, by the position messages",
            delivered - 1
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_is_doubted_when_it_is_empty_or_shorter_than_the_group_knew() {
        for (end, delivered, is_good, said) in [
            (0, None, false, "no message is in this category"),
            (8, None, true, "the last message is 7, and the group has no position message yet"),
            (8, Some(5), true, "the last message is 7, and all up to 4 are"),
            (8, Some(8), true, "all up to 7 are"),
            (8, Some(9), false, "the group was at 8 already"),
        ] {
            let remark = judge_category(&CategorySurvey { name: "contact".to_owned(), end, delivered });
            let text = match (&remark, is_good) {
                (Remark::Good(Subject::Topics, text), true) => text,
                (Remark::Doubtful(Subject::Topics, text), false) => text,
                _ => panic!("{remark:?}"),
            };
            assert!(text.contains(said), "{remark:?}");
        }
    }
}
