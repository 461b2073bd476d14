//! The low watermark as position messages in the convention of Eventide. The last message of the stream
//! `CATEGORY:position-GROUP` holds the position of the last message that was handled.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::connection::{answer_within, judge};
use crate::error::{Error, Result};
use crate::position::{Positions, TopicPartition};
use crate::source::leadership::{DeliveredPosition, metadata_of, position_from_metadata};

const TYPE: &str = "Recorded";

#[derive(Serialize, Deserialize)]
struct PositionData {
    position: i64,
}

fn stream(category: &str, group: &str) -> String {
    format!("{category}:position-{group}")
}

/// Writes the positions of the categories where `now` is another than `before`. Each answer is waited for as long as `wait`.
///
/// # Errors
/// Those of the database.
pub(super) async fn write(
    client: &Client,
    group: &str,
    now: &DeliveredPosition,
    before: Option<&DeliveredPosition>,
    wait: Duration,
) -> Result<()> {
    let metadata = metadata_of(now);
    let is_same = before.is_some_and(|before| metadata_of(before) == metadata);
    let what = "the position messages";
    for (at, next) in now.low_watermark.iter() {
        let position = before.filter(|_| is_same).and_then(|before| before.low_watermark.get(at));
        if next <= 0 || position == Some(next) {
            continue;
        }
        let data = serde_json::to_string(&PositionData { position: next - 1 });
        let data = data.map_err(|error| Error::failure("a position cannot be written").because(error))?;
        let stream = stream(&at.topic, group);
        let sql = "SELECT write_message(gen_random_uuid()::varchar, $1::varchar, $2::varchar, $3::text::jsonb, $4::text::jsonb)";
        answer_within(wait, client.query(sql, &[&stream, &TYPE, &data, &metadata]), what).await?;
    }
    Ok(())
}

/// The positions that were written last. Each answer is waited for as long as `wait`.
///
/// # Errors
/// Those of the database.
pub(super) async fn read(
    client: &Client,
    group: &str,
    categories: &[String],
    wait: Duration,
) -> Result<DeliveredPosition> {
    let what = "the position messages";
    let (mut low_watermark, mut metadata) = (Positions::default(), BTreeSet::new());
    for category in categories {
        let sql = "SELECT data, metadata FROM get_last_stream_message($1::varchar)";
        let row = answer_within(wait, client.query_opt(sql, &[&stream(category, group)]), what).await?;
        let Some(row) = row else { continue };
        let data: Option<&str> = row.try_get(0).map_err(|error| judge(error, what))?;
        let word: Option<&str> = row.try_get(1).map_err(|error| judge(error, what))?;
        // A message of another writer says nothing.
        let Some(PositionData { position }) = data.and_then(|data| serde_json::from_str(data).ok()) else {
            continue;
        };
        low_watermark.set(TopicPartition::new(category.as_str(), 0), position.saturating_add(1));
        metadata.insert(word.unwrap_or_default().to_owned());
    }
    Ok(position_from_metadata(low_watermark, &metadata))
}
