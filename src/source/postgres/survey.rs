//! A survey of the database: versions, the functions of message-db, the clock, and how far the group is in each
//! category. Reading the log does not need it.

use tokio_postgres::Client;
use tokio_postgres::types::FromSqlOwned;

use super::connection::{ANSWER_WAIT, Blocking, DatabaseSession, answer, judge};
use super::{positions, reader};
use crate::config::PostgresConfig;
use crate::error::Result;
use crate::position::TopicPartition;

const NAME: &str = "tributary-doctor";

/// The functions that a run calls.
const FUNCTIONS: [&str; 3] = ["get_category_messages", "get_last_stream_message", "write_message"];
/// Those of them that the user cannot call.
const LACKING: &str = "SELECT array(SELECT f.name FROM unnest($1::text[]) AS f(name) WHERE NOT EXISTS (SELECT 1 FROM pg_proc AS p \
     WHERE p.proname = f.name AND pg_function_is_visible(p.oid) AND has_function_privilege(p.oid, 'EXECUTE')))";
const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// The findings about a database.
#[derive(Debug)]
pub struct DatabaseSurvey {
    /// The server's version.
    pub server: String,
    /// The version of message-db; `None` when it does not tell.
    pub message_db: Option<String>,
    /// The functions of message-db that are not there, or that the user may not call.
    pub lacking: Vec<String>,
    /// The server's clock, in milliseconds since the Unix epoch.
    pub clock_ms: i64,
    /// Each category.
    pub categories: Vec<CategorySurvey>,
}

/// The findings about a category.
#[derive(Debug)]
pub struct CategorySurvey {
    /// Its name.
    pub name: String,
    /// The position after its last message; 0 when it has none.
    pub end: i64,
    /// The position up to which the group's position messages say that everything is in the index; `None` when there is no
    /// such message.
    pub delivered: Option<i64>,
}

/// Looks at these categories and the group. No message is read but the last of the positions, and nothing is written.
///
/// # Errors
/// A wrong configuration, a refusal, or a server that does not answer.
pub fn survey(config: &PostgresConfig, group: &str, categories: &[String]) -> Result<DatabaseSurvey> {
    Blocking::start()?.wait(async {
        let session = DatabaseSession::open(config, NAME).await?;
        look(&session.client, group, categories).await
    })
}

async fn look(client: &Client, group: &str, categories: &[String]) -> Result<DatabaseSurvey> {
    let lacking = answer(client.query_one(LACKING, &[&FUNCTIONS.as_slice()]), "its functions").await?;
    let lacking: Vec<String> = lacking.try_get(0).map_err(|error| judge(error, "its functions"))?;
    let names: Vec<&str> = categories.iter().map(String::as_str).collect();
    let ends = reader::ends(client, &names).await?;
    // Positions cannot be read without their function.
    let delivered = match lacking.iter().any(|name| name == "get_last_stream_message") {
        true => None,
        false => Some(positions::read(client, group, categories, ANSWER_WAIT).await?.low_watermark),
    };
    let of = |name: &String| {
        let at = TopicPartition::new(name.as_str(), 0);
        CategorySurvey {
            name: name.clone(),
            end: ends.get(&at).unwrap_or(0),
            delivered: delivered.as_ref().and_then(|delivered| delivered.get(&at)),
        }
    };
    Ok(DatabaseSurvey {
        server: ask(client, "SELECT current_setting('server_version')").await?,
        // A message-db before 1.0 has no such function.
        message_db: ask(client, "SELECT message_store_version()").await.ok(),
        lacking,
        clock_ms: ask(client, CLOCK).await?,
        categories: categories.iter().map(of).collect(),
    })
}

/// The one value that a statement answers.
async fn ask<T: FromSqlOwned>(client: &Client, sql: &str) -> Result<T> {
    let what = "its versions and its clock";
    let row = answer(client.query_one(sql, &[]), what).await?;
    row.try_get(0).map_err(|error| judge(error, what))
}
