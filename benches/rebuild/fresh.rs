//! How soon a record can be found: produced into an idle system, until a search that is to be consistent with it
//! answers; beside the least that any program needs: produce, consume, index, refresh.

use std::time::{Duration, Instant};

use elasticsearch::http::Method;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::Result;
use crate::harness::World;
use crate::server::Server;

const PROBES: usize = 200;
const WAIT: Duration = Duration::from_secs(10);

/// Milliseconds of each probe, least first.
pub struct Fresh {
    pub what: &'static str,
    pub millis: Vec<f64>,
}

/// Both, on the same partition of `topic`; the instance is running and idle.
pub fn run(world: &World, server: &Server, brokers: &str, topic: &str) -> Result<Vec<Fresh>> {
    let log = Log::open(brokers, topic)?;
    let ours = probes("produced → searchable", |number| {
        let offset = log.produce(number)?;
        let query = format!("/search?in=contacts&size=1&q=probe{number}x&consistent_with={topic}/0:{offset}");
        let (code, answer) = world.get(&query);
        let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        let is_found = code == 200 && answer["total"] == 1;
        if is_found { Ok(()) } else { Err(format!("probe {number} was not found: {code} {answer}")) }
    })?;
    let index = format!("{}floor", world.prefix);
    let floor = probes("floor: produce, consume, index, refresh", |number| {
        log.produce(number + PROBES)?;
        let value = log.consume()?;
        server.ask(Method::Put, &format!("/{index}/_doc/{number}?refresh=true"), Some(&value)).map(|_| ())
    });
    server.ask(Method::Delete, &format!("/{index}?ignore_unavailable=true"), None)?;
    Ok(vec![ours, floor?])
}

pub fn print(rows: &[Fresh]) {
    println!("| freshness, idle | probes | p50 ms | p99 ms | most ms |\n|---|---|---|---|---|");
    for Fresh { what, millis } in rows {
        let at = |part: usize| millis[(millis.len() * part / 100).min(millis.len() - 1)];
        println!("| {what} | {} | {:.1} | {:.1} | {:.1} |", millis.len(), at(50), at(99), at(100));
    }
    println!();
}

fn probes(what: &'static str, mut probe: impl FnMut(usize) -> Result<()>) -> Result<Fresh> {
    let mut millis = Vec::new();
    for number in 0..PROBES {
        let began = Instant::now();
        probe(number)?;
        millis.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    millis.sort_by(f64::total_cmp);
    Ok(Fresh { what, millis })
}

/// The topic's first partition, from its end on; nobody else writes to it.
struct Log {
    producer: BaseProducer,
    consumer: BaseConsumer,
    topic: String,
    end: std::cell::Cell<i64>,
}

impl Log {
    fn open(brokers: &str, topic: &str) -> Result<Self> {
        let told = |error: rdkafka::error::KafkaError| error.to_string();
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", brokers);
        let producer: BaseProducer = client.clone().set("linger.ms", "0").create().map_err(told)?;
        let consumer: BaseConsumer =
            client.set("group.id", "floor").set("fetch.wait.max.ms", "50").create().map_err(told)?;
        let (_, end) = consumer.fetch_watermarks(topic, 0, WAIT).map_err(told)?;
        Ok(Self { producer, consumer, topic: topic.to_owned(), end: std::cell::Cell::new(end) })
    }

    /// Produces one record; its offset.
    fn produce(&self, number: usize) -> Result<i64> {
        let data = json!({"firstName": format!("Probe{number}x"), "role": "Probe"});
        let value = json!({"specversion": "1.0", "type": "contact.created", "data": data}).to_string();
        let key = format!("probe-{number}");
        let record = BaseRecord::to(&self.topic).partition(0).key(&key).payload(&value);
        self.producer.send(record).map_err(|(error, _)| error.to_string())?;
        self.producer.flush(WAIT).map_err(|error| error.to_string())?;
        Ok(self.end.replace(self.end.get() + 1))
    }

    /// The record that was produced last.
    fn consume(&self) -> Result<Value> {
        let wanted = self.end.get() - 1;
        if self.consumer.assignment().map_err(|error| error.to_string())?.count() == 0 {
            let mut list = TopicPartitionList::new();
            let place = list.add_partition_offset(&self.topic, 0, Offset::Offset(wanted));
            place.and_then(|()| self.consumer.assign(&list)).map_err(|error| error.to_string())?;
        }
        loop {
            let message = self.consumer.poll(WAIT).ok_or("the record did not come")?;
            let message = message.map_err(|error| error.to_string())?;
            if message.offset() == wanted {
                let value = message.payload().unwrap_or_default();
                return serde_json::from_slice(value).map_err(|error| error.to_string());
            }
        }
    }
}
