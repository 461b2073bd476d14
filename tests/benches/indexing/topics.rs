//! Topics and a group that go with the run.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use crate::harness::{fresh, runtime};

/// The log's topics; `generate` makes them, dropping this deletes them.
pub struct Topics {
    brokers: String,
    pub names: [String; 2],
    /// The group of the instance that reads them.
    pub group: String,
}

impl Topics {
    pub fn new(brokers: &str) -> Self {
        let names = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("rebuild")));
        Self { brokers: brokers.to_owned(), names, group: String::new() }
    }

    /// The lines of the configuration that name them.
    pub fn settings(&self) -> String {
        let [organisations, contacts] = &self.names;
        format!("organisations.topics = [{organisations:?}]\ncontacts.topics = [{contacts:?}]\n")
    }

    /// A topic of one partition for a client of the bench's own.
    pub fn floor(&self) -> Result<String, String> {
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .create()
            .map_err(|error| error.to_string())?;
        let name = self.floor_name();
        let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1));
        let made = runtime().block_on(admin.create_topics([&topic], &AdminOptions::new()));
        made.map_err(|error| error.to_string())?.into_iter().try_for_each(|made| match made {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Err((name, code)) => Err(format!("{name}: {code}")),
        })?;
        Ok(name)
    }

    fn floor_name(&self) -> String {
        format!("floor.{}", self.names[1])
    }

    fn delete(&self) -> Result<(), String> {
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .create()
            .map_err(|error| error.to_string())?;
        let floor = self.floor_name();
        let [organisations, contacts] = self.names.each_ref().map(String::as_str);
        let names = [organisations, contacts, &floor];
        // One that still has a member, which was killed, goes by itself.
        let _ = runtime().block_on(admin.delete_groups(&[&self.group], &AdminOptions::new()));
        let deleted = runtime().block_on(admin.delete_topics(&names, &AdminOptions::new()));
        for topic in deleted.map_err(|error| error.to_string())? {
            match topic {
                // It went wrong before they were made.
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((name, code)) => return Err(format!("{name}: {code}")),
            }
        }
        Ok(())
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        if let Err(error) = self.delete() {
            eprintln!("the topics {} are left; delete them yourself ({error})", self.names.join(" and "));
        }
    }
}
