//! The log's writer: a service that publishes changes, each at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::Result;
use crate::harness::{World, runtime};
use crate::topics::Topics;

const WAIT: Duration = Duration::from_secs(30);

/// Where a record lies: topic, partition, offset.
pub type At = (String, i32, i64);
type AnswerSender = oneshot::Sender<std::result::Result<At, String>>;

/// Keeps the next offset of each partition that was acknowledged.
#[derive(Default)]
struct Acknowledgements {
    next: Mutex<HashMap<(String, i32), i64>>,
    failed: Mutex<Option<String>>,
    /// Who waits for a record, by its number.
    waiting: Mutex<HashMap<usize, AnswerSender>>,
}

struct Context(Arc<Acknowledgements>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    /// The record's number, 0 when no thread waits for it.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        use rdkafka::Message;
        let outcome = match result {
            Ok(message) => {
                let (topic, partition) = (message.topic().to_owned(), message.partition());
                let mut next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
                let known = next.entry((topic.clone(), partition)).or_default();
                *known = (*known).max(message.offset() + 1);
                Ok((topic, partition, message.offset()))
            }
            Err((error, _)) => {
                let mut failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert_with(|| error.to_string());
                Err(error.to_string())
            }
        };
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        if let Some(told) = waiting {
            let _ = told.send(outcome);
        }
    }
}

#[derive(Clone)]
pub struct Log {
    producer: Arc<ThreadedProducer<Context>>,
    acknowledged: Arc<Acknowledgements>,
    topics: [String; 3],
}

impl Log {
    pub fn new(world: &World, topics: &Topics) -> Result<Self> {
        let acknowledged = Arc::new(Acknowledgements::default());
        let [organisations, contacts] = &topics.names;
        let producer: ThreadedProducer<Context> = ClientConfig::new()
            .set("bootstrap.servers", &world.services.kafka)
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .create_with_context(Context(Arc::clone(&acknowledged)))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            producer: Arc::new(producer),
            acknowledged,
            topics: [organisations.clone(), contacts.clone(), topics.floor()?],
        })
    }

    /// A change of a contact.
    pub fn contact(&self, id: &str, verb: &str, data: &Value) -> Result<()> {
        self.send(1, id, verb, data, 0)
    }

    /// A change of an organisation.
    pub fn organisation(&self, id: &str, verb: &str, data: &Value) -> Result<()> {
        self.send(0, id, verb, data, 0)
    }

    /// A change of a contact, or the same into the floor's topic; answers where it lies once the broker has it.
    pub fn contact_at(&self, id: &str, data: &Value, is_floor: bool) -> Result<At> {
        let (told, answer) = oneshot::channel();
        let mut waiting = self.acknowledged.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // One is waited for at a time.
        let number = waiting.len() + 1;
        waiting.insert(number, told);
        drop(waiting);
        self.send(1 + usize::from(is_floor), id, "updated", data, number)?;
        let answer = runtime().block_on(async { tokio::time::timeout(WAIT, answer).await });
        answer
            .map_err(|_| "Kafka did not acknowledge a record".to_owned())?
            .map_err(|error| error.to_string())?
    }

    /// The floor's topic.
    pub fn floor(&self) -> &str {
        &self.topics[2]
    }

    /// Waits until the broker has everything; the next offset of each partition that was written.
    pub fn flush(&self) -> Result<HashMap<(String, i32), i64>> {
        self.producer.flush(WAIT).map_err(|error| error.to_string())?;
        let failed = self.acknowledged.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), Err)?;
        let mut next = self.acknowledged.next.lock().unwrap_or_else(PoisonError::into_inner).clone();
        next.retain(|(topic, _), _| topic != self.floor());
        Ok(next)
    }

    fn send(&self, topic: usize, id: &str, verb: &str, data: &Value, number: usize) -> Result<()> {
        let kind = ["organisation", "contact", "contact"][topic];
        // Above every sequence that the generator gave, and growing.
        let sequence = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let value =
            json!({"specversion": "1.0", "id": sequence.to_string(), "source": "/bench", "subject": id,
            "type": format!("com.example.{kind}.{verb}"), "sequence": sequence.to_string(), "data": data})
            .to_string();
        let mut record = BaseRecord::with_opaque_to(&self.topics[topic], number).key(id).payload(&value);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, back))
                    if error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::QueueFull) =>
                {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(format!("a record cannot be produced: {error}")),
            }
        }
    }
}
