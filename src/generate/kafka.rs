//! Generated records into Kafka, partitioned as the Java client does.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::RecordTarget;
use super::events::GeneratedRecord;
use crate::config::KafkaConfig;
use crate::error::{Error, Result};
use crate::plan::ORGANISATION;
use crate::source::kafka::{client_config, no_client};

const WAIT: Duration = Duration::from_secs(30);
const FLUSH_WAIT: Duration = Duration::from_secs(300);

/// Keeps the first failed delivery.
#[derive(Default)]
struct Deliveries(Mutex<Option<KafkaError>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}

/// A producer to the two topics.
pub(super) struct Producing {
    producer: ThreadedProducer<Deliveries>,
    organisations: String,
    contacts: String,
}

impl Producing {
    /// Makes the topics when they are missing, and connects.
    pub(super) fn start(
        config: &KafkaConfig,
        organisations: &str,
        contacts: &str,
        partitions: u32,
    ) -> Result<Self> {
        create_topics(config, &[organisations, contacts], partitions)?;
        let mut client = client_config(config);
        client
            .set("partitioner", "murmur2_random")
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("queue.buffering.max.kbytes", "65536");
        let producer = client.create_with_context(Deliveries::default());
        let producer = producer.map_err(|error| no_client("producer", &error))?;
        Ok(Self { producer, organisations: organisations.to_owned(), contacts: contacts.to_owned() })
    }

    /// The first delivery that failed, if any has.
    fn check_delivery(&self) -> Result<()> {
        let failed = self.producer.context().0.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), |error| Err(Self::producer_error(error)))
    }

    fn producer_error(error: KafkaError) -> Error {
        Error::failure("the events cannot be produced; check the brokers and the topics").because(error)
    }
}

fn create_topics(config: &KafkaConfig, topics: &[&str], partitions: u32) -> Result<()> {
    let failed = |error| Error::failure("the topics cannot be made; check kafka.brokers").because(error);
    let admin = client_config(config).create().map_err(|error| no_client("client", &error))?;
    let admin: AdminClient<DefaultClientContext> = admin;
    let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
    let topics: Vec<_> =
        topics.iter().map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(-1))).collect();
    let options = AdminOptions::new().operation_timeout(Some(WAIT));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Error::failure("the runtime cannot be started; check the limit of threads").because(error)
    })?;
    for made in runtime.block_on(admin.create_topics(&topics, &options)).map_err(failed)? {
        match made {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(KafkaError::AdminOp(code))),
        }
    }
    Ok(())
}

impl RecordTarget for Producing {
    fn put(&mut self, record: &GeneratedRecord) -> Result<()> {
        // A record that follows a lost one would only be lost after it, each after its own wait.
        self.check_delivery()?;
        let topic = match record.kind == ORGANISATION {
            true => &self.organisations,
            false => &self.contacts,
        };
        let mut message = BaseRecord::to(topic).key(&record.key).timestamp(record.timestamp_ms);
        message.payload = record.value.as_ref();
        let sequence = record.sequence.to_string();
        if record.value.is_none() {
            message = message
                .headers(OwnedHeaders::new().insert(Header { key: "ce_sequence", value: Some(&sequence) }));
        }
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    message = back;
                    std::thread::park_timeout(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(Self::producer_error(error)),
            }
        }
    }

    fn hand_on(&mut self) -> Result<()> {
        // The producer holds nothing longer than its linger.
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.producer.flush(FLUSH_WAIT).map_err(Self::producer_error)?;
        self.check_delivery()
    }
}
