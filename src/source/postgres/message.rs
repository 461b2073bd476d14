//! A message of message-db as a record: a CloudEvents event in binary mode.

use std::sync::Arc;

use tokio_postgres::Row;

use crate::event::Record;
use crate::plan::EntityType;
use crate::position::TopicPartition;

/// The columns of a message as [`record`] takes them; `m` is the message.
pub(super) const COLUMNS: &str = "m.id, m.stream_name, m.type, m.position, m.global_position, m.data, m.metadata, \
     (extract(epoch FROM m.time) * 1000)::bigint";

/// A category, and the entity type that its streams are of.
#[derive(Debug, Clone)]
pub(super) struct Category {
    pub(super) at: TopicPartition,
    pub(super) entity_type: EntityType,
}

impl Category {
    pub(super) fn new(name: String, entity_type: EntityType) -> Self {
        Self { at: TopicPartition::new(Arc::<str>::from(name), 0), entity_type }
    }

    pub(super) fn name(&self) -> &str {
        &self.at.topic
    }
}

/// A message as it came.
#[derive(Debug)]
struct Message {
    id: String,
    stream: String,
    kind: String,
    position: i64,
    global_position: i64,
    data: Option<String>,
    metadata: Option<String>,
    time_ms: i64,
}

/// The record of a row whose columns from `first` on are [`COLUMNS`], and about how many bytes it takes.
///
/// # Errors
/// A column of another type.
pub(super) fn record(
    row: &Row,
    first: usize,
    category: &Category,
) -> Result<(Record, usize), tokio_postgres::Error> {
    let message = Message {
        id: row.try_get(first)?,
        stream: row.try_get(first + 1)?,
        kind: row.try_get(first + 2)?,
        position: row.try_get(first + 3)?,
        global_position: row.try_get(first + 4)?,
        data: row.try_get(first + 5)?,
        metadata: row.try_get(first + 6)?,
        time_ms: row.try_get::<_, Option<i64>>(first + 7)?.unwrap_or(0),
    };
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let bytes = message.stream.len() + text(&message.data) + text(&message.metadata) + 256;
    Ok((of(message, category), bytes))
}

fn of(message: Message, category: &Category) -> Record {
    let entity = message.stream.split_once('-').map(|(_, id)| id.to_owned()).filter(|id| !id.is_empty());
    let malformed = entity.is_none().then(|| {
        let stream = &message.stream;
        format!("stream_name: {stream:?} names no entity, {}-ID was expected", category.name())
    });
    let mut headers = vec![
        ("ce_type".to_owned(), Some(message.kind.into_bytes())),
        ("ce_sequence".to_owned(), Some(message.position.to_string().into_bytes())),
        ("ce_id".to_owned(), Some(message.id.clone().into_bytes())),
    ];
    headers.extend(message.metadata.map(|metadata| ("metadata".to_owned(), Some(metadata.into_bytes()))));
    Record {
        timestamp_ms: message.time_ms,
        key: entity.map(String::into_bytes),
        // A message without data is no tombstone, because its type says its effect.
        value: Some(message.data.map_or_else(|| b"null".to_vec(), String::into_bytes)),
        headers,
        id: Some(message.id.into()),
        malformed,
        ..Record::new(category.entity_type, category.at.clone(), message.global_position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CONTACT;

    fn message(stream: &str, data: Option<&str>) -> Record {
        let message = Message {
            id: "c3036343".to_owned(),
            stream: stream.to_owned(),
            kind: "ContactCreated".to_owned(),
            position: 2,
            global_position: 17,
            data: data.map(str::to_owned),
            metadata: None,
            time_ms: 5,
        };
        of(message, &Category::new("contact".to_owned(), CONTACT))
    }

    #[test]
    fn the_entity_is_all_after_the_first_dash_of_the_stream() {
        for (stream, id) in [("contact-c-1", "c-1"), ("contact-c-3+2024", "c-3+2024")] {
            let record = message(stream, Some("{}"));
            assert_eq!((record.key.as_deref(), record.malformed), (Some(id.as_bytes()), None));
            assert_eq!((record.offset, record.partition.to_string().as_str()), (17, "contact/0"));
        }
        for stream in ["contact", "contact-"] {
            let record = message(stream, Some("{}"));
            assert!(record.key.is_none() && record.malformed.is_some_and(|why| why.contains("contact-ID")));
        }
    }

    #[test]
    fn a_message_without_data_is_no_tombstone() {
        assert_eq!(message("contact-1", None).value.as_deref(), Some(b"null".as_slice()));
    }
}
