//! The floor of freshness: the least that produce, consume, index and refresh take, by a bare client.

use std::time::{Duration, Instant};

use elasticsearch::http::Method;
use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::json;

use super::Place;
use crate::Result;
use crate::server::Server;

const WAIT: Duration = Duration::from_secs(30);

/// A consumer of a topic of its own and a connection to the index; nothing between them.
pub struct Floor {
    consumer: BaseConsumer,
    server: Server,
    index: String,
}

impl Floor {
    /// `number` tells one from another.
    pub fn new(place: &Place<'_>, server: &Server, number: u64) -> Result<Self> {
        let topic = place.log.floor();
        let told = |error: rdkafka::error::KafkaError| error.to_string();
        let index = format!("{}floor-{number}", place.world.prefix);
        server.ask(
            Method::Put,
            &format!("/{index}"),
            Some(&json!({"settings": {"number_of_replicas": 0}})),
        )?;
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &place.world.services.kafka)
            .set("group.id", format!("{}floor", place.world.prefix))
            .set("enable.auto.commit", "false")
            .create()
            .map_err(told)?;
        let (_, end) = consumer.fetch_watermarks(topic, 0, WAIT).map_err(told)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, rdkafka::Offset::Offset(end)).map_err(told)?;
        consumer.assign(&list).map_err(told)?;
        Ok(Self { consumer, server: server.another()?, index })
    }

    /// Takes the record of a probe that is just being produced, indexes it, and makes it searchable. Answers the time
    /// of the acknowledgement and that of the search's answer.
    pub fn probe(&self, word: &str) -> Result<(Instant, Instant)> {
        let value = self.record_with(word)?;
        let action = json!({"index": {"_index": self.index, "_id": word}});
        let document =
            serde_json::from_slice::<serde_json::Value>(&value).map_err(|error| error.to_string())?;
        self.server.bulk(None, format!("{action}\n{}\n", document["data"]).into_bytes(), false)?;
        let acknowledged = Instant::now();
        self.server.bytes(Method::Post, &format!("/{}/_refresh", self.index), None)?;
        let query = json!({"size": 1, "query": {"match": {"role": word}}});
        let found = self.server.ask(Method::Post, &format!("/{}/_search", self.index), Some(&query))?;
        if found["hits"]["hits"][0]["_id"] != word {
            return Err(format!("the bare client does not find its own document: {found}"));
        }
        Ok((acknowledged, Instant::now()))
    }

    fn record_with(&self, word: &str) -> Result<Vec<u8>> {
        let until = Instant::now() + WAIT;
        while Instant::now() < until {
            let Some(message) = self.consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message.map_err(|error| error.to_string())?;
            let value = message.payload().unwrap_or_default();
            if String::from_utf8_lossy(value).contains(word) {
                return Ok(value.to_vec());
            }
        }
        Err("the bare client did not get its own record".to_owned())
    }
}
