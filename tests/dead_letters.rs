//! Dead letters in a Kafka topic that are large, or larger than the topic takes.

use std::fs;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};

use crate::cases::create;
use crate::doctor;
use crate::harness::{World, fresh};
use crate::services::{self, Services};

/// A contact, then a record of the same contact that can't be folded and is `bytes` large, then another.
fn world(servers: &Services, topic: &str, bytes: usize) -> World {
    let extra = format!(
        "source.kind = \"files\"\nsource.path = \"events\"\ncontacts.format = \"plain\"\n\
         index.kind = \"embedded\"\nindex.path = \"index\"\ndead_letters.kind = \"kafka\"\ndead_letters.topic = {topic:?}\n"
    );
    let world = World::new(servers, "large", &extra);
    let lines = [
        json!({"key": "c1", "value": {"name": "Jane"}}),
        json!({"key": "c1", "value": {"name": 7, "note": "x".repeat(bytes)}}),
        json!({"key": "c2", "value": {"name": "Omar"}}),
    ];
    fs::create_dir_all(world.path("events")).unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(world.path("events/contacts.jsonl"), text).unwrap();
    world
}

fn letter(world: &World) -> Value {
    serde_json::from_str(&world.succeed(&["dead-letters", "show", "contacts/0:1", "--format", "json"]))
        .unwrap()
}

#[test]
fn a_large_letter_is_kept_whole_and_counted() {
    let (servers, _turn) = services::whole();
    let topic = fresh("letters");
    let world = world(&servers, &topic, 5 << 20);
    world.succeed(&["run", "--until-end"]);
    assert!(letter(&world)["value"].as_str().unwrap().len() > 5 << 20);
    let (_, findings) = doctor::examine(&world);
    let told = doctor::of(&findings, "doubtful", "dead letters");
    assert!(told.iter().any(|text| text.contains(&format!("1 in the topic {topic}"))), "{findings:#?}");
    world.succeed(&["dead-letters", "discard", "--all"]);
    let (_, findings) = doctor::examine(&world);
    assert_eq!(doctor::of(&findings, "good", "dead letters"), [format!("none in the topic {topic}")]);
}

#[test]
fn a_letter_that_the_topic_does_not_take_is_kept_without_its_value_and_the_stream_goes_on() {
    let (servers, _turn) = services::whole();
    let topic = fresh("letters");
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &servers.kafka).create().unwrap();
    let small = NewTopic::new(&topic, 1, TopicReplication::Fixed(1)).set("max.message.bytes", "20000");
    create(&admin, &[small]);
    let world = world(&servers, &topic, 200_000);
    world.succeed(&["run", "--until-end"]);
    let names = || world.documents("contacts").into_values().map(|contact| contact["name"].clone());
    assert_eq!(names().collect::<Vec<_>>(), ["Jane", "Omar"]);
    let kept = letter(&world);
    assert_eq!(kept["value"], Value::Null);
    let reason = kept["reason"].as_str().unwrap();
    assert!(reason.contains("name") && reason.contains("left out"), "{reason}");
    // A dead letter without its value is no tombstone.
    world.run(&["dead-letters", "retry"]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(names().collect::<Vec<_>>(), ["Jane", "Omar"]);
    assert_eq!(letter(&world)["value"], Value::Null, "it is still there");
}
